"""Looking at windows and telling what is new on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmcomm import agents, clock, protocol
from swarmcomm.errors import NotFoundError
from swarmcomm.swarm.states import State, state_of, text_of
from swarmcomm.tmux.pane import (
    Manner,
    Pane,
    capture_all,
    capture_rows,
    find_pane,
    list_panes,
    locate_pane,
    manner,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from swarmcomm.tmux.server import Server


#: States that come and go with every send, or say nothing.
_UNTOLD = frozenset({State.DRAFT, State.UNKNOWN})


@dataclass(frozen=True)
class Event:
    """One thing that a watcher saw on a window.

    An answer has a *marker*, its ids and its *flags* (protocol.md). A change of what the agent is
    doing has a *state*, and *text* says more: a dialog's words, an error. A near miss has neither;
    its reason is in *flags* and *text* is its line.
    """

    window: str
    marker: protocol.Marker | None
    task_id: str | None
    wire_id: str | None
    text: str
    flags: tuple[str, ...]
    state: State | None
    time: datetime


@dataclass
class Gaze:
    """Repeated looks at one window for one ask; each answer comes out once."""

    server: Server
    session: str
    window: str
    ask: str | None
    pane: Pane | None = None
    state: tuple[State, str] = (State.UNKNOWN, "")
    _manner: Manner | None = None
    _seen: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    _near: set[protocol.NearMiss] = field(default_factory=set)
    _at: object = None

    def look(
        self, panes: list[Pane] | None = None
    ) -> tuple[list[protocol.Answer], list[protocol.NearMiss]]:
        """Return the answers and the near misses that were not there at the look before.

        Where nothing has changed since, only the visible rows are captured. A dead pane is read
        as well: what it said before its end counts. *pane* and *state* are those of this look.

        Raises:
            NotFoundError: the window is not there.
            TmuxError: tmux could not be asked.
        """
        if panes is None:
            panes = list_panes(self.server, self.session)
        pane = locate_pane(panes, self.session, self.window)
        if self.pane is None or pane.pane_id != self.pane.pane_id or not self._manner:
            self._manner = manner(self.server, pane)
        rows = capture_rows(self.server, pane)
        self.pane = pane
        # A program that paints changes rows and leaves the cursor where it was, so both count.
        at = (pane, rows)
        if at == self._at:
            return [], []
        self._at = at
        state = state_of(pane, self._manner, rows)
        self.state = (state, text_of(pane, rows, state))
        screen = capture_all(self.server, pane)
        style = agents.style_of(pane.agent, self._manner.profile)
        read = protocol.read(screen, self.ask, pane.width, style)
        self._forget_ended_exchanges(read.answers, protocol.open_ids(screen, pane.width, style))
        return self._new_answers(read), self._new_near_misses(read)

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
        find_pane([gaze.pane] if gaze.pane else [], gaze.session, gaze.window)
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

    Answers, near misses, and each change of a window's state: idle, busy, a dialog that waits for
    a person, an error, gone. Two tmux calls a round and window, and one more where something
    changed.

    Raises:
        NotFoundError: there is no such session, or it went away.
        TmuxError: tmux could not be asked.
    """
    gazes = {window: Gaze(server, session, window, None) for window in windows}
    states: dict[str, tuple[State, str]] = {}
    while True:
        panes = list_panes(server, session)
        for window, gaze in gazes.items():
            try:
                answers, near_misses = gaze.look(panes)
                state = gaze.state
            except NotFoundError as error:
                answers, near_misses, state = [], [], (State.GONE, str(error))
            for answer in answers:
                yield _answer_event(window, answer)
            for near in near_misses:
                yield _event(window, near.line, flags=(near.reason,))
            if state[0] not in _UNTOLD and state != states.get(window, (State.IDLE, "")):
                states[window] = state
                yield _event(window, state[1], state=state[0])
        clock.sleep(interval_s)


def _answer_event(window: str, answer: protocol.Answer) -> Event:
    wire_id = answer.wire_id
    return Event(
        window,
        answer.marker,
        wire_id.task_id,
        str(wire_id),
        answer.text,
        answer.flags,
        None,
        clock.now(),
    )


def _event(
    window: str, text: str, flags: tuple[str, ...] = (), state: State | None = None
) -> Event:
    return Event(window, None, None, None, text, flags, state, clock.now())
