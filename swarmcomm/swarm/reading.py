"""Looking at windows and telling what is new on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmcomm import agents, clock, protocol, settings
from swarmcomm.swarm import witness
from swarmcomm.swarm.ledger import HOOK, SCREEN, Entry, Ledger, WitnessedAnswer
from swarmcomm.swarm.states import State, state_of, text_of
from swarmcomm.swarm.witness import Record, Spool
from swarmcomm.tmux.pane import (
    Manner,
    Pane,
    capture_all,
    capture_rows,
    list_panes,
    locate_pane,
    manner,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmcomm.tmux.server import Asked, Server


#: Near misses that are remembered, so that each is told once.
_NEAR_KEPT = 20_000

#: Records of hooks in which answers are looked for.
_RECORDS_KEPT = 5_000


@dataclass
class Gaze:
    """Repeated looks at one window for one ask; each answer comes out once.

    With *exact* a plain *ask* is never answered by a tagged task of the same id. A *ledger* that
    was restored holds what readers before this one told.
    """

    server: Server
    session: str
    window: str
    ask: str | None
    exact: bool = False
    #: What is asked for all but captures, where something faster than *server* is there.
    connection: Asked | None = None
    pane: Pane | None = None
    state: tuple[State, str] = (State.UNKNOWN, "")
    manner: Manner | None = None
    ledger: Ledger = field(default_factory=Ledger)
    #: What was seen last cannot be all: look again soon, also where nothing has changed.
    unsettled: bool = False
    _hooks: _Hooks | None = None
    _near: dict[protocol.NearMiss, None] = field(default_factory=dict)
    _at_pane: Pane | None = None
    _rows: list[str] = field(default_factory=list)
    _reading: protocol.Reading | None = None
    _open_ids: frozenset[str] = frozenset()
    _sent: Counter[str] | None = None

    def begin(self, ledger: Ledger) -> None:
        """Forget the pane that was looked at; *ledger* knows what was told of the next one."""
        self.ledger = ledger
        self.pane = self._sent = self._reading = self._at_pane = None
        self._near.clear()

    def look(
        self, panes: list[Pane] | None = None
    ) -> tuple[list[WitnessedAnswer], list[protocol.NearMiss]]:
        """Return the answers and the near misses that were not there at the look before.

        The first look also gives what a restored ledger knows and what still stands there. Where
        nothing has changed since, only the visible rows are captured. A dead pane is read as well:
        what it said before its end counts. *pane* and *state* are those of this look.

        Raises:
            NotFoundError: the window is not there.
            TmuxError: tmux could not be asked.
        """
        if panes is None:
            panes = list_panes(self.connection or self.server, self.session)
        pane = locate_pane(panes, self.session, self.window)
        manner = self.face(pane)
        # The hooks first: an answer is on the screen when its turn is over.
        records = self._hooks.spool.news() if self._hooks else []
        rows = capture_rows(self.server, pane)
        entries: list[Entry] = []
        near_misses: list[protocol.NearMiss] = []
        # A program that paints changes rows and leaves the cursor where it was, so both count.
        if self.unsettled or (pane, rows) != (self._at_pane, self._rows):
            self._at_pane, self._rows = pane, rows
            self.unsettled = False
            state = state_of(pane, manner, rows)
            self.state = (state, text_of(pane, rows, state))
            entries, near_misses = self.read(pane, capture_all(self.server, pane))
        if self._hooks and self._reading:
            entries += self._hooks.tell(records, self.ledger, self._reading, self._open_ids)
        return self.wanted(entries), near_misses

    def face(self, pane: Pane) -> Manner:
        """Turn to *pane*, which may be a new one, and return how its agent is typed to.

        Raises:
            NotFoundError: the pane is gone.
            TmuxError: tmux could not be asked, or the pane's options cannot be used.
        """
        known = self.pane
        if known is None or known.identity != pane.identity or not self.manner:
            self.manner = manner(self.connection or self.server, pane)
            folder = self.manner.witness
            self._hooks = _Hooks(Spool(folder, pane), self.ask) if folder else None
        self.pane = pane
        return self.manner

    def read(
        self, pane: Pane, text: str, alternate: bool = False
    ) -> tuple[list[Entry], list[protocol.NearMiss]]:
        """Return the new entries and near misses of *text*, history and screen of *pane*.

        What an *alternate* screen shows may be a part of a text, or one of long ago: on it no
        exchange begins that was over, and the screen behind it stays what it was.
        """
        style = self.style
        if alternate and style is None:
            read = protocol.read(text, self.ask, pane.width, style, self.exact)
            fresh = [a for a in read.answers if not self.ledger.is_over(SCREEN, str(a.wire_id))]
            full = _full_rows(read, text, pane.width)
            taken = [self.ledger.take(SCREEN, answer, answer.row in full) for answer in fresh]
            return [entry for entry in taken if entry], self.new_near(read.near_misses)
        self._open_ids = protocol.open_ids(text, pane.width, style)
        self._reading = read = protocol.read(text, self.ask, pane.width, style, self.exact)
        is_first = self._sent is None
        if style is None:
            # Even a task that came and ended between two looks has a [TASK] line more. A program
            # that paints may print such a line twice, so there it tells nothing.
            sent = protocol.task_counts(text, pane.width)
            if self._sent is not None:
                for wire_id in sent - self._sent:
                    self.ledger.seen_open(SCREEN, wire_id)
            self._sent = sent
        elif is_first:
            self._sent = Counter()
        return self._from_screen(read, _full_rows(read, text, pane.width), is_first), self.new_near(
            read.near_misses
        )

    def near_misses(self, pane: Pane) -> list[protocol.NearMiss]:
        """Return the near misses that are new on *pane*, whose answers are heard elsewhere.

        Raises:
            NotFoundError: the pane is gone.
            TmuxError: tmux could not be asked.
        """
        text = capture_all(self.server, pane)
        read = protocol.read(text, self.ask, pane.width, self.style, self.exact)
        return self.new_near(read.near_misses)

    def new_near(self, near_misses: Iterable[protocol.NearMiss]) -> list[protocol.NearMiss]:
        """Return those that were not told before."""
        new = [near for near in near_misses if near not in self._near]
        self._near.update(dict.fromkeys(new))
        for oldest in list(self._near)[:-_NEAR_KEPT]:
            del self._near[oldest]
        return new

    def see_state(self, pane: Pane) -> tuple[State, str]:
        """Return what the agent is doing, and what there is to say of it.

        Raises:
            NotFoundError: the pane is gone.
            TmuxError: tmux could not be asked.
        """
        if pane.dead:
            return State.GONE, text_of(pane, [], State.GONE)
        if pane != self._at_pane:
            rows = capture_rows(self.server, pane)
            state = state_of(pane, self.face(pane), rows)
            self.state = (state, text_of(pane, rows, state))
        return self.state

    @property
    def wire_id(self) -> protocol.WireId | None:
        """What is asked for, as an id; None where any task is."""
        return protocol.WireId.parse(self.ask) if self.ask else None

    @property
    def style(self) -> protocol.Style | None:
        """How the agent's screen is read; None where it prints lines, or nobody knows."""
        if self.pane is None or self.manner is None:
            return None
        return agents.style_of(self.pane.agent, self.manner.profile)

    def has_news(self) -> bool:
        """Tell whether the hooks have something to tell since the look before."""
        return self._hooks is not None and (self._hooks.is_in_doubt or self._hooks.spool.has_news())

    def heard(self, heard: protocol.Heard) -> list[WitnessedAnswer]:
        """Return what is new in a line that the window printed since the text that was read."""
        wire_id = str(heard.wire_id)
        if heard.is_task and self._sent is not None:
            self._sent[wire_id] += 1
        if heard.is_task or heard.begins:
            self.ledger.sent(SCREEN, wire_id)
        entry = self.ledger.take(SCREEN, heard.answer) if heard.answer else None
        return self.wanted([entry]) if entry else []

    def wanted(self, entries: list[Entry]) -> list[WitnessedAnswer]:
        """Return of *entries* those that the ask wants."""
        answers = [entry.witnessed() for entry in entries]
        if self.exact:
            answers = [answer for answer in answers if str(answer.wire_id) == self.ask]
        return answers

    def _from_screen(self, read: protocol.Reading, full: set[int], is_first: bool) -> list[Entry]:
        ended = {str(answer.wire_id) for answer in read.answers if answer.marker in protocol.ENDS}
        for wire_id in self._open_ids - ended:
            # A task id that was sent again begins anew: its answers may say the same as before.
            if not self.ledger.is_over(SCREEN, wire_id) or self._is_open(wire_id):
                self.ledger.seen_open(SCREEN, wire_id)
        taken = []
        for answer in read.answers:
            entry = self.ledger.take(SCREEN, answer, answer.row in full)
            if entry is None and is_first:
                entry = self.ledger.known(SCREEN, answer, answer.row in full)
            taken.append(entry)
        return [entry for entry in taken if entry]

    def _is_open(self, wire_id: str) -> bool:
        """Tell whether a task that had ended is open at one more look.

        A program that paints its whole transcript once more shows tasks before it shows their
        ends, and its input box last.
        """
        assert self.pane is not None
        assert self.manner is not None
        style = self.style
        if style is None or self.manner.ready is None:
            return True
        panes = list_panes(self.connection or self.server, self.session)
        pane = locate_pane(panes, self.session, self.window)
        state = state_of(pane, self.manner, capture_rows(self.server, pane))
        screen = capture_all(self.server, pane)
        if state is not State.DRAFT and wire_id in protocol.open_ids(screen, pane.width, style):
            return True
        self.unsettled = True
        return False


def _full_rows(read: protocol.Reading, text: str, width: int) -> set[int]:
    """Return which rows of answers reach to the edge, but for a character that did not fit."""
    rows = text.split("\n")
    return {
        answer.row for answer in read.answers if protocol.columns(rows[answer.row]) >= width - 1
    }


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

    @property
    def is_in_doubt(self) -> bool:
        """Whether something was told that is not believed yet."""
        return bool(self._doubted)

    def _take(self, told: list[protocol.Answer], ledger: Ledger) -> list[Entry]:
        believed = (answer for answer in told if str(answer.wire_id) not in self._doubted)
        taken = (ledger.take(HOOK, answer) for answer in believed)
        return [entry for entry in taken if entry]
