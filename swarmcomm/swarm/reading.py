"""Looking at windows and telling what is new on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmcomm import agents, clock, protocol
from swarmcomm.errors import NotFoundError
from swarmcomm.tmux.pane import Pane, capture_all, capture_screen, find_pane, list_panes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from swarmcomm.tmux.server import Server


@dataclass(frozen=True)
class Event:
    """One thing that a watcher saw on a window.

    *marker* is an answer's marker; it is None for a near miss and for a window that went away,
    whose *text* then says what was seen. *flags* are those of the answer (protocol.md).
    """

    window: str
    marker: protocol.Marker | None
    task_id: str | None
    wire_id: str | None
    text: str
    flags: tuple[str, ...]
    time: datetime


@dataclass
class Gaze:
    """Repeated looks at one window for one ask; each answer comes out once."""

    server: Server
    session: str
    window: str
    ask: str | None
    reading: protocol.Reading | None = None
    _seen: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    _near: set[protocol.NearMiss] = field(default_factory=set)
    _at: object = None

    def look(
        self, panes: list[Pane] | None = None
    ) -> tuple[list[protocol.Answer], list[protocol.NearMiss]]:
        """Return the answers and the near misses that were not there at the look before.

        Where nothing has changed since, only the visible rows are captured.

        Raises:
            NotFoundError: the window is not there or its pane is dead.
            TmuxError: tmux could not be asked.
        """
        if panes is None:
            panes = list_panes(self.server, self.session)
        pane = find_pane(panes, self.session, self.window)
        # A program that paints changes rows and leaves the cursor where it was, so both count.
        at = (
            pane.pane_id,
            pane.server_pid,
            pane.cursor,
            pane.width,
            capture_screen(self.server, pane),
        )
        if at == self._at:
            return [], []
        self._at = at
        screen = capture_all(self.server, pane)
        style = agents.style_of(pane.agent)
        self.reading = protocol.read(screen, self.ask, pane.width, style)
        self._forget_ended_exchanges(
            self.reading.answers, protocol.open_ids(screen, pane.width, style)
        )
        return self._new_answers(self.reading), self._new_near_misses(self.reading)

    def _forget_ended_exchanges(
        self, answers: tuple[protocol.Answer, ...], open_ids: frozenset[str]
    ) -> None:
        """A task id that was sent again begins anew: its answers may say the same as before."""
        for wire_id in open_ids & self._seen.keys():
            ended = any(marker in protocol.ENDS for marker, _ in self._seen[wire_id])
            if ended and not any(
                answer.marker in protocol.ENDS and str(answer.wire_id) == wire_id
                for answer in answers
            ):
                del self._seen[wire_id]

    def _new_answers(self, reading: protocol.Reading) -> list[protocol.Answer]:
        new = []
        for answer in reading.answers:
            seen = self._seen.setdefault(str(answer.wire_id), set())
            if (answer.marker, answer.text) not in seen:
                seen.add((answer.marker, answer.text))
                new.append(answer)
        return new

    def _new_near_misses(self, reading: protocol.Reading) -> list[protocol.NearMiss]:
        new = [near for near in reading.near_misses if near not in self._near]
        self._near.update(new)
        return new


def poll(
    gaze: Gaze,
    until: frozenset[protocol.Marker] | None,
    timeout_s: float,
    interval_s: float,
    on_near_miss: Callable[[protocol.NearMiss], None],
) -> Iterator[protocol.Answer]:
    """Yield the answers of *gaze* as they are seen, up to the one that ends the wait.

    Without *until* that is the first answer that comes while it looks, or an answer other than ACK
    that is there already. With *until* it is one of those markers, or the end of the task. It
    stops without one when *timeout_s* is over; 0 is one look.

    Raises:
        NotFoundError: the window is not there, or its pane is dead or died.
        TmuxError: tmux could not be asked.
    """
    deadline = clock.monotonic() + timeout_s
    first = True
    while True:
        answers, near_misses = gaze.look()
        for near in near_misses:
            on_near_miss(near)
        yield from answers
        if any(_satisfies(answer, until, first) for answer in answers):
            return
        left = deadline - clock.monotonic()
        if left <= 0:
            return
        first = False
        clock.sleep(min(interval_s, left))


def _satisfies(
    answer: protocol.Answer, until: frozenset[protocol.Marker] | None, first: bool
) -> bool:
    if until is None:
        return not (first and answer.marker is protocol.Marker.ACK)
    return answer.marker in until or answer.marker in protocol.ENDS


def watch(
    server: Server, session: str, windows: tuple[str, ...], interval_s: float
) -> Iterator[Event]:
    """Yield what happens on *windows*, for ever; what is already visible comes first.

    One tmux call a round for all windows, and one more for each in which something was printed.
    A window that goes away is one event without a marker.

    Raises:
        NotFoundError: there is no such session, or it went away.
        TmuxError: tmux could not be asked.
    """
    gazes = {window: Gaze(server, session, window, None) for window in windows}
    gone: set[str] = set()
    while True:
        panes = list_panes(server, session)
        for window, gaze in gazes.items():
            try:
                answers, near_misses = gaze.look(panes)
            except NotFoundError as error:
                if window not in gone:
                    gone.add(window)
                    yield Event(window, None, None, None, str(error), ("gone",), clock.now())
                continue
            gone.discard(window)
            for answer in answers:
                yield _event(window, answer)
            for near in near_misses:
                yield Event(window, None, None, None, near.line, (near.reason,), clock.now())
        clock.sleep(interval_s)


def _event(window: str, answer: protocol.Answer) -> Event:
    wire_id = answer.wire_id
    return Event(
        window,
        answer.marker,
        wire_id.task_id,
        str(wire_id),
        answer.text,
        answer.flags,
        clock.now(),
    )
