"""Looking at windows and telling what is new on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmcomm import agents, clock, protocol, settings
from swarmcomm.errors import NotFoundError
from swarmcomm.store import Event
from swarmcomm.swarm import witness
from swarmcomm.swarm.ledger import HOOK, SCREEN, Entry, Ledger, WitnessedAnswer
from swarmcomm.swarm.states import State, state_of, text_of
from swarmcomm.swarm.witness import Record, Spool
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

    from swarmcomm.tmux.server import Server


#: States that come and go with every send, or say nothing.
_UNTOLD = frozenset({State.DRAFT, State.UNKNOWN})

#: Records of hooks in which answers are looked for.
_RECORDS_KEPT = 5_000


@dataclass
class Gaze:
    """Repeated looks at one window for one ask; each answer comes out once.

    With *exact* a plain *ask* is never answered by a tagged task of the same id.
    """

    server: Server
    session: str
    window: str
    ask: str | None
    exact: bool = False
    pane: Pane | None = None
    state: tuple[State, str] = (State.UNKNOWN, "")
    _manner: Manner | None = None
    _ledger: Ledger = field(default_factory=Ledger)
    _hooks: _Hooks | None = None
    _near: set[protocol.NearMiss] = field(default_factory=set)
    _at: object = None
    _reading: protocol.Reading | None = None
    _open_ids: frozenset[str] = frozenset()
    _sent: Counter[str] = field(default_factory=Counter)

    def look(
        self, panes: list[Pane] | None = None
    ) -> tuple[list[WitnessedAnswer], list[protocol.NearMiss]]:
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
            folder = self._manner.witness
            self._hooks = _Hooks(Spool(folder, pane), self.ask) if folder else None
        # The hooks first: an answer is on the screen when its turn is over.
        records = self._hooks.spool.news() if self._hooks else []
        rows = capture_rows(self.server, pane)
        self.pane = pane
        entries: list[Entry] = []
        near_misses: list[protocol.NearMiss] = []
        # A program that paints changes rows and leaves the cursor where it was, so both count.
        at = (pane, rows)
        if at != self._at:
            self._at = at
            state = state_of(pane, self._manner, rows)
            self.state = (state, text_of(pane, rows, state))
            read = self._read(pane, self._manner)
            entries += self._from_screen(read)
            near_misses = self._new_near_misses(read)
        if self._hooks and self._reading:
            entries += self._hooks.tell(records, self._ledger, self._reading, self._open_ids)
        if self.exact:
            entries = [entry for entry in entries if str(entry.answer.wire_id) == self.ask]
        return [entry.witnessed() for entry in entries], near_misses

    def _read(self, pane: Pane, manner: Manner) -> protocol.Reading:
        screen = capture_all(self.server, pane)
        style = agents.style_of(pane.agent, manner.profile)
        self._open_ids = protocol.open_ids(screen, pane.width, style)
        self._reading = protocol.read(screen, self.ask, pane.width, style, self.exact)
        if style is None:
            # Even a task that came and ended between two looks has a [TASK] line more. A program
            # that paints may print such a line twice, so there it tells nothing.
            sent = protocol.task_counts(screen, pane.width)
            for wire_id in sent - self._sent:
                self._ledger.seen_open(SCREEN, wire_id)
            self._sent = sent
        return self._reading

    def _from_screen(self, read: protocol.Reading) -> list[Entry]:
        ended = {str(answer.wire_id) for answer in read.answers if answer.marker in protocol.ENDS}
        for wire_id in self._open_ids - ended:
            # A task id that was sent again begins anew: its answers may say the same as before.
            if not self._ledger.is_over(SCREEN, wire_id) or self._is_open(wire_id):
                self._ledger.seen_open(SCREEN, wire_id)
        taken = (self._ledger.take(SCREEN, answer) for answer in read.answers)
        return [entry for entry in taken if entry]

    def _is_open(self, wire_id: str) -> bool:
        """Tell whether a task that had ended is open at one more look.

        A program that paints its whole transcript once more shows tasks before it shows their
        ends, and its input box last.
        """
        assert self.pane is not None
        assert self._manner is not None
        style = agents.style_of(self.pane.agent, self._manner.profile)
        if style is None or self._manner.ready is None:
            return True
        pane = locate_pane(list_panes(self.server, self.session), self.session, self.window)
        state = state_of(pane, self._manner, capture_rows(self.server, pane))
        screen = capture_all(self.server, pane)
        if state is not State.DRAFT and wire_id in protocol.open_ids(screen, pane.width, style):
            return True
        self._at = None  # the next look reads, also where nothing has changed
        return False

    def _new_near_misses(self, reading: protocol.Reading) -> list[protocol.NearMiss]:
        new = [near for near in reading.near_misses if near not in self._near]
        self._near.update(new)
        return new


@dataclass
class _Hooks:
    """What the hooks of one window have told so far, for one ask."""

    spool: Spool
    ask: str | None
    _records: list[Record] = field(default_factory=list)
    _first: bool = True
    _doubted: set[str] = field(default_factory=set)
    _doubted_until: float = 0.0

    def tell(
        self,
        records: list[Record],
        ledger: Ledger,
        screen: protocol.Reading,
        open_ids: frozenset[str],
    ) -> list[Entry]:
        """Return the entries that *records* add to *ledger*.

        An end that was there already, of a task that is open on the screen, is doubted for a while:
        the task may have been sent again a moment ago, and its hook be still at work.
        """
        if self._first:
            self._first = False
            self._records = records
            for known in filter(None, map(witness.task_of, records)):
                ledger.sent_before(HOOK, known)
            told = witness.read(records, self.ask)
            self._doubted = {
                str(answer.wire_id)
                for answer in told
                if answer.marker in protocol.ENDS
                and (
                    str(answer.wire_id) in open_ids
                    or (screen.task_seen and screen.wire_id not in (None, answer.wire_id))
                )
            }
            self._doubted_until = clock.monotonic() + settings.HOOK_LATE_S
            return self._take(told, ledger)
        entries: list[Entry] = []
        for record in records:
            task = witness.task_of(record)
            if task is not None:
                self._doubted.discard(task)
                ledger.sent(HOOK, task)
            self._records.append(record)
            if record.event == witness.STOP:
                entries += self._take(witness.read(self._records, self.ask), ledger)
        del self._records[:-_RECORDS_KEPT]
        if self._doubted and clock.monotonic() >= self._doubted_until:
            self._doubted.clear()
            entries += self._take(witness.read(self._records, self.ask), ledger)
        return entries

    def _take(self, told: list[protocol.Answer], ledger: Ledger) -> list[Entry]:
        believed = (answer for answer in told if str(answer.wire_id) not in self._doubted)
        taken = (ledger.take(HOOK, answer) for answer in believed)
        return [entry for entry in taken if entry]


def poll(
    gaze: Gaze,
    until: frozenset[protocol.Marker] | None,
    timeout_s: float,
    interval_s: float,
    on_near_miss: Callable[[protocol.NearMiss], None],
) -> Iterator[WitnessedAnswer]:
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


def _answer_event(window: str, answer: WitnessedAnswer) -> Event:
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
        answer.witnesses,
    )


def _event(
    window: str, text: str, flags: tuple[str, ...] = (), state: State | None = None
) -> Event:
    return Event(window, None, None, None, text, flags, state, clock.now())
