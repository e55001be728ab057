"""One window that is watched: what it prints is heard, its screen is looked at when it is due."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmcomm import clock, protocol, settings
from swarmcomm.errors import TmuxError
from swarmcomm.protocol import Anchor, Hearer, LineBuffer
from swarmcomm.swarm.ledger import SCREEN, Ledger, WitnessedAnswer
from swarmcomm.swarm.states import State
from swarmcomm.tmux.pane import ask_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from swarmcomm.store import Place
    from swarmcomm.swarm.reading import Gaze
    from swarmcomm.tmux.connection import Connection, Snapshot
    from swarmcomm.tmux.pane import Pane

#: States that come and go with every send, or say nothing.
_UNTOLD = frozenset({State.DRAFT, State.UNKNOWN})


@dataclass(frozen=True)
class Sighting:
    """One thing that was seen at a place; one of the fields behind it says what.

    *again*: it was told before, and only its witnesses are new. *notice* is the name of something
    that concerns the reading itself, and a sentence. *time* is that of the look.
    """

    place: Place
    answer: WitnessedAnswer | None = None
    near_miss: protocol.NearMiss | None = None
    state: tuple[State, str] | None = None
    notice: tuple[str, str] | None = None
    again: bool = False
    time: datetime = field(default_factory=clock.now, compare=False)


@dataclass(frozen=True)
class Memory:
    """What was told of a pane by readers that are gone.

    *told* returns the answers of a wire id, *above* those that stand above the place that *anchor*
    says; None where what was told is known already. *state* is the one that was told last.
    """

    told: Callable[[str], Sequence[WitnessedAnswer]] | None = None
    above: Callable[[str], Sequence[WitnessedAnswer]] | None = None
    anchor: str = ""
    state: tuple[State, str] | None = None


class Watched:
    """One window; :class:`~swarmcomm.swarm.lookout.Lookout` calls it when something happens."""

    def __init__(self, connection: Connection, gaze: Gaze) -> None:
        self.gaze = gaze
        gaze.connection = connection
        self.place: Place | None = None
        self.due: float | None = 0.0
        self._connection = connection
        self._is_lost = True
        self._trouble = ""
        self._not_before = 0.0
        self._told_state: tuple[State, str] = (State.IDLE, "")
        self._paints_until = 0.0
        self._elsewhere = False  # an alternate screen hides what was printed
        self._row = ("", 0.0)  # the unfinished one, and since when it has been so
        self._looked_at: Pane | None = None
        self._lines: LineBuffer | None = None
        self._hearer: Hearer | None = None
        self._anchor: Anchor | None = None
        self._saved: Anchor | None = None
        self._told_before: Callable[[str], Sequence[WitnessedAnswer]] | None = None
        self._program = ""  # the one that began the row

    def begin(self, place: Place, memory: Memory) -> None:
        """Turn to a pane that was not watched before."""
        self._forget_reading()
        self.place = place
        if memory.told:
            # What stands below the place is read, and numbered, once more.
            above = memory.above if memory.anchor else None
            self.gaze.begin(Ledger(above or memory.told))
            self._told_before = memory.told if above else None
        if memory.state:
            # What is still another state than idle is visible already: it comes first, and the
            # store knows its number.
            is_idle = memory.state[0] is State.IDLE
            self._told_state = memory.state if is_idle else (State.UNKNOWN, "")
        if memory.anchor:
            above, *words = json.loads(memory.anchor)
            self._anchor = self._saved = Anchor(above, tuple(words))

    def forget(self) -> None:
        """Know nothing of the pane any more."""
        self.place = self.gaze.pane = None
        self._forget_reading()

    def _forget_reading(self) -> None:
        self._lines = self._hearer = self._anchor = self._saved = self._looked_at = None
        self._told_before = None
        self._is_lost = True
        self.due = 0.0

    def moved_anchor(self) -> str | None:
        """Return the place where reading stands if it has moved since the last call, else None.

        "" is no place any more: what was painted is not read on from a place.
        """
        if self._anchor is None and self._saved is not None:
            self._saved = None
            return ""
        anchor = self._hearer.anchor if self._hearer else None
        if anchor is None or anchor == self._saved:
            return None
        self._saved = anchor
        return json.dumps([anchor.above, *anchor.words])

    def is_due(self, now: float) -> bool:
        """Tell whether the window wants a look at its screen."""
        return self.due is not None and self.due <= now

    def lose(self) -> None:
        """Note that something it printed may not have been heard."""
        self._is_lost = True
        self._look_in(0.0)

    def fail(self, error: TmuxError) -> list[Sighting]:
        """Return that the window could not be looked at, once; it is tried again."""
        self.due = clock.monotonic() + settings.BEAT_S
        if self.place is None or self._trouble == str(error):
            return []
        self._trouble = str(error)
        return [Sighting(self.place, notice=("silent", str(error)))]

    def beat(self, pane: Pane, now: float) -> None:
        """See what nothing wakes us for: an end of the program, hooks, an unfinished row."""
        known = self.gaze.pane
        if pane.program != self._program:
            if self._lines and "[" in self._lines.unfinished:
                self.lose()
            elif self._lines:
                self._lines = LineBuffer()
            self._program = pane.program
        reads_on = self._prints and not self._elsewhere and now >= self._paints_until
        gone_on = self._hearer is None and reads_on
        if (
            known is None
            or (pane.dead, pane.agent, pane.width) != (known.dead, known.agent, known.width)
            or self.gaze.has_news()
            or gone_on
        ):
            self._look_in(0.0)

    def hear(self, data: bytes) -> list[Sighting]:
        """Return what is new in what the program has just printed."""
        now = clock.monotonic()
        self._elsewhere = False
        if self._is_lost or self._hearer is None:
            self._look_in(settings.SETTLE_S)
        if self._is_lost or self._lines is None:
            return []
        if not self._lines.takes(data):
            # The look before was taken in the middle of a character.
            self.lose()
            return []
        is_begun = self._lines.is_begun
        lines = self._lines.feed(data)
        if is_begun and lines and protocol.MARKER.search(lines[0]) and self._is_another_program():
            # What one program began another one has ended, and the screen was cleared between them.
            self.lose()
            return []
        if self._lines.painted:
            self._lines.painted = False
            self._paints_until = now + settings.PAINTS_S
        seen = self._told(lines)
        if self._paints_until > now:
            self._leave_place()
            self._look_in(settings.SETTLE_S)
        elif self._wants_screen:
            self._look_in(settings.SETTLE_S)
        else:
            self._is_still(self._lines.unfinished)
        return seen

    def look(self, pane: Pane) -> list[Sighting]:
        """Return what is new on the screen, or in the history since it was read.

        Raises:
            NotFoundError: the pane is gone.
            TmuxError: tmux could not be asked.
        """
        began = clock.monotonic()
        self.due = None
        manner = self.gaze.face(pane)
        # What is taken from a window must be told, so all that can fail comes before it.
        if not self._prints:
            seen = self._look_at_screen(pane)
            state = self.gaze.see_state(pane)
        else:
            has_state = pane.dead or manner.ready
            state = self.gaze.see_state(pane) if has_state else (State.UNKNOWN, "")
            if began < self._paints_until:
                seen = self._read_painted(pane, self._connection.snapshot(pane.pane_id))
            else:
                seen = self._go_on_reading(pane)
        if pane.dead or manner.ready:
            seen += self.tell_state(self._at, state)
        self._looked_at, self._is_lost, self._trouble = pane, self._lines is None, ""
        seconded, self.gaze.ledger.seconded = self.gaze.ledger.seconded, []
        seen += [Sighting(self._at, e.witnessed(), again=True) for e in seconded]
        # However fast it changes, looking at it takes a part of the time only.
        now = clock.monotonic()
        self._not_before = now + (now - began) * settings.LOOK_REST
        if self.gaze.unsettled:
            self._look_in(settings.STEP_S)
        return seen

    def tell_state(self, place: Place, state: tuple[State, str]) -> list[Sighting]:
        """Return *state* where it is another one than was told last."""
        if state[0] in _UNTOLD or state == self._told_state:
            return []
        self._told_state = state
        return [Sighting(place, state=state)]

    @property
    def _at(self) -> Place:
        assert self.place is not None
        return self.place

    @property
    def _prints(self) -> bool:
        """Whether the agent prints lines, and tells nothing in another way."""
        manner = self.gaze.manner
        return self.gaze.style is None and not (manner and manner.witness)

    @property
    def _wants_screen(self) -> bool:
        manner = self.gaze.manner
        has_states = manner and (manner.busy or manner.dialog or manner.error)
        return not self._prints or bool(has_states) or self.gaze.ask is not None

    def _look_in(self, seconds: float) -> None:
        at = max(clock.monotonic() + seconds, self._not_before)
        self.due = at if self.due is None else min(self.due, at)

    def _go_on_reading(self, pane: Pane) -> list[Sighting]:
        is_new = self._connection.streams or pane != self._looked_at
        if self._hearer is None or (self._is_lost and is_new):
            return self._read_on(pane)
        near_misses = self.gaze.near_misses(pane) if self.gaze.ask else []
        return [*self._take_unfinished(pane), *self._near(near_misses)]

    def _look_at_screen(self, pane: Pane) -> list[Sighting]:
        if self._lines is None:
            self._lines = LineBuffer()
        answers, near_misses = self.gaze.look([pane])
        return [*(Sighting(self._at, each) for each in answers), *self._near(near_misses)]

    def _read_painted(self, pane: Pane, snapshot: Snapshot) -> list[Sighting]:
        """Read what stands there, but for the row that is being written."""
        self._elsewhere = snapshot.alternate
        self._leave_place()
        _, self._lines = _lines_of(snapshot, pane.width)
        rows = snapshot.text.removesuffix("\n").split("\n")
        if snapshot.alternate:
            rows = _visible(rows, snapshot.height, pane.width)
        at = _row_of_cursor(snapshot, rows)
        if not pane.dead and not self._is_still(rows[at]):
            rows[at] = ""
        entries, near_misses = self.gaze.read(pane, "\n".join(rows), snapshot.alternate)
        seen = [Sighting(self._at, each) for each in self.gaze.wanted(entries)]
        return seen + self._near(near_misses)

    def _read_on(self, pane: Pane) -> list[Sighting]:
        """Go on behind the last line that was read, wherever it stands by now."""
        snapshot = self._connection.snapshot(pane.pane_id)
        if snapshot.alternate:
            return self._read_painted(pane, snapshot)
        whole, self._lines = _lines_of(snapshot, pane.width)
        seen: list[Sighting] = []
        found = self._anchor.find(whole, snapshot.may_be_cut) if self._anchor else None
        if self._anchor and found is None:
            gap = "lines of it scrolled away, or were cleared, before they were read"
            seen.append(Sighting(self._at, notice=("gap", gap)))
            self._leave_place()
        known = whole if found is None else whole[:found]
        if self._hearer is None or found is None:
            self._hearer = Hearer(pane.width, self.gaze.wire_id)
            for heard in self._hearer.take(known):
                if heard.is_task:
                    self.gaze.ledger.sent_before(SCREEN, str(heard.wire_id))
            entries, near_misses = self.gaze.read(pane, "\n".join(known))
            seen += (Sighting(self._at, each) for each in self.gaze.wanted(entries))
            seen += self._near(near_misses)
        self._hearer.go_on(pane.width, len(known))
        seen += self._told(whole[len(known) :])
        self._told_before = None
        row = self._lines.unfinished
        if pane.dead or self._is_still(row):
            seen += self._take_unfinished(pane)
        elif self._connection.streams and not row.isascii():
            # Nobody agrees on the cells of emoji: where it goes on is seen when it has.
            self._lines = None
        return seen

    def _told(self, lines: list[str]) -> list[Sighting]:
        if self._hearer is None:
            return []
        seen: list[Sighting] = []
        for heard in self._hearer.take(lines):
            seen += self._sightings(heard)
        self._anchor = self._hearer.anchor
        return seen

    def _sightings(self, heard: protocol.Heard) -> list[Sighting]:
        if heard.near_miss:
            return [] if self.gaze.ask else self._near(self.gaze.new_near([heard.near_miss]))
        answers = self.gaze.heard(heard)
        return [Sighting(self._at, each) for each in answers if self._is_asked(each.wire_id)]

    def _is_asked(self, wire_id: protocol.WireId) -> bool:
        ask = self.gaze.ask
        if ask is None or str(wire_id) == ask or self.gaze.exact:
            return ask is None or str(wire_id) == ask
        return self._hearer is not None and self._hearer.newest(ask) == wire_id

    def _take_unfinished(self, pane: Pane) -> list[Sighting]:
        """Take a row without a newline as it stands when nothing is added to it any more."""
        assert self._lines is not None
        assert self._hearer is not None
        row = self._lines.unfinished
        if not pane.dead and not self._is_still(row):
            return []
        heard = self._hearer.tentative(row)
        return self._sightings(heard) if heard else []

    def _is_another_program(self) -> bool:
        """Tell whether the program in the pane is not the one that began the row."""
        try:
            return ask_program(self._connection, self._at.pane_id) != self._program
        except TmuxError:
            return True

    def _leave_place(self) -> None:
        """Read no more on from a place: whatever was told counts as read."""
        self._hearer = self._anchor = None
        if self._told_before:
            self.gaze.ledger = Ledger(self._told_before)
            self._told_before = None

    def _is_still(self, row: str) -> bool:
        """Tell whether *row* is not written any more, though nothing ended it; else look later."""
        now = clock.monotonic()
        row = row.rstrip()
        if row != self._row[0]:
            self._row = (row, now)
        left = self._row[1] + settings.UNFINISHED_S - now
        if "[" not in row or left <= 0:
            return True
        self._look_in(left)
        return False

    def _near(self, near_misses: Iterable[protocol.NearMiss]) -> list[Sighting]:
        return [Sighting(self._at, near_miss=near) for near in near_misses]


def _lines_of(snapshot: Snapshot, width: int) -> tuple[list[str], LineBuffer]:
    """Return the lines that have ended, and the row of the cursor, in which printing goes on."""
    column = snapshot.cursor[0]
    rows = snapshot.text.removesuffix("\n").split("\n")
    rows = rows[: _row_of_cursor(snapshot, rows) + 1]
    unfinished = rows.pop()
    if len(unfinished) > width:
        column = len(unfinished)
    return rows, LineBuffer(unfinished.rstrip(), column)


def _row_of_cursor(snapshot: Snapshot, rows: Sequence[str]) -> int:
    """Return which of *rows* the cursor stands in, if those below it are not wrapped."""
    return max(0, len(rows) - (snapshot.height - snapshot.cursor[1]))


def _visible(rows: list[str], height: int, width: int) -> list[str]:
    """Return the last of *rows*, which fill a screen: above it is the history of another one."""
    used, at = 0, len(rows)
    while at > 0 and used < height:
        at -= 1
        used += max(1, -(-protocol.columns(rows[at]) // width))
    return rows[at:]
