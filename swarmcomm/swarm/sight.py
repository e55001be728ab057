"""What a sender sees of a window: whether its box is free, and where a typed text stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmcomm import clock, protocol, settings
from swarmcomm.tmux.pane import (
    Manner,
    Pane,
    capture_rows,
    capture_span,
    cursor_row,
    find_pane,
    list_panes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmcomm.tmux.server import Server


@dataclass(frozen=True)
class Address:
    """One window of one session on one server."""

    server: Server
    session: str
    window: str

    def look(self) -> Pane:
        """Return the window's pane as it is now.

        Raises:
            NotFoundError: there is no such live pane.
            TmuxError: tmux could not be asked.
        """
        return find_pane(list_panes(self.server, self.session), self.session, self.window)


@dataclass(frozen=True)
class Start:
    """The look before a text is typed; *prompt* is its row up to the cursor, "" without a box."""

    pane: Pane
    prompt: str


@dataclass(frozen=True)
class Sight:
    """Looks at a window whose agent is typed to in *manner*; each look is a few tmux calls."""

    address: Address
    manner: Manner

    def why_not_ready(self) -> str:
        """Return why the agent cannot take a text now, or an empty string."""
        if self.manner.ready is None:
            return ""
        pane = self.address.look()
        rows = capture_rows(self.address.server, pane)
        if self.manner.is_dialog(pane, rows):
            return "a dialog is open and waits for a person"
        if self.manner.is_busy(pane, rows):
            return "the agent is busy"
        if not self.manner.is_empty_box(pane, rows):
            row = cursor_row(pane, rows).strip()
            return f"the agent is not ready for a text (at its cursor stands {row[:60]!r})"
        return ""

    def start(self) -> Start | None:
        """Return where a text would begin, or None where the box is no longer empty."""
        pane = self.address.look()
        if self.manner.ready is None:
            return Start(pane, "")
        rows = capture_rows(self.address.server, pane)
        if not self.manner.is_empty_box(pane, rows):
            return None
        return Start(pane, cursor_row(pane, rows)[: pane.cursor[0]].rstrip(" "))

    def is_dialog(self) -> bool:
        """Tell whether a dialog is open, which no key may reach."""
        pane = self.address.look()
        return self.manner.is_dialog(pane, capture_rows(self.address.server, pane))

    def is_empty_box(self) -> bool:
        """Tell whether the cursor stands in an empty input box."""
        pane = self.address.look()
        return self.manner.is_empty_box(pane, capture_rows(self.address.server, pane))

    def box_holds(self, text: str, start: Start) -> bool:
        """Tell whether the box holds *text* and nothing else (W7)."""
        pane = self.address.look()
        rows = capture_rows(self.address.server, pane)
        above = rows[: pane.cursor[1] + 1]
        return not self.manner.is_empty_box(pane, rows) and protocol.box_holds(
            above, start.prompt, text
        )

    def shows(self, text: str) -> bool:
        """Tell whether the end of *text* is on the screen, with anything behind it."""
        rows = capture_rows(self.address.server, self.address.look())
        return protocol.shows_tail("\n".join(rows), protocol.tail(text))

    def arrival(self, text: str, before: Pane, already: str = "") -> Callable[[], bool]:
        """Return what tells, look by look, whether *text* has arrived since *before* (W7).

        Of it *already* stood there before.
        """
        if self.manner.ready is None:
            return self._plain_arrival(text, before)
        began = clock.monotonic()
        looks_alike = bool(already) and protocol.may_end_alike(already, text)

        def has_arrived() -> bool:
            pane = self.address.look()
            if not self.stands(text, before, pane):
                return False
            # In a full box a piece can end where the one before it ended, with the same words.
            waited = clock.monotonic() - began >= settings.SAME_END_S
            return not looks_alike or pane.cursor != before.cursor or waited

        return has_arrived

    def _plain_arrival(self, text: str, before: Pane) -> Callable[[], bool]:
        stood: list[tuple[int, int, int]] = []

        def has_arrived() -> bool:
            pane = self.address.look()
            if pane.cursor == before.cursor:
                return False
            if self.stands(text, before, pane):
                return True
            stood.append(pane.cursor)
            still = stood[-2:] == [pane.cursor] * 2
            return still and self._is_by_line(text) and self._is_scattered(text, before, pane)

        return has_arrived

    def must_be_still(self, text: str) -> bool:
        """Tell whether *text* is typed line by line, so that output never cuts an escaped echo."""
        return self._is_by_line(text) and protocol.has_escape(text)

    def stillness(self) -> Callable[[], bool]:
        """Return what tells, look by look, whether the cursor stands where it stood before."""
        stood: list[tuple[int, int, int]] = []

        def is_still() -> bool:
            stood.append(self.address.look().cursor)
            return stood[-2:] == [stood[-1]] * 2

        return is_still

    def stands(self, text: str, before: Pane, pane: Pane | None = None) -> bool:
        """Tell whether the end of *text* stands where it was typed since *before* (W7)."""
        pane = pane or self.address.look()
        tail = protocol.tail(text)
        if self._is_by_line(text):
            return protocol.shows_tail(self._since(before, pane), tail)
        rows = capture_rows(self.address.server, pane)
        above = "\n".join(rows[: pane.cursor[1] + 1])
        return not self.manner.is_empty_box(pane, rows) and protocol.ends_with_tail(above, tail)

    def still_stands(self, text: str, before: Pane) -> bool:
        """Tell the same at a fresh look before Enter."""
        pane = self.address.look()
        return self.stands(text, before, pane) or (
            self._is_by_line(text) and self._is_scattered(text, before, pane)
        )

    def has_left(self, text: str, before: Pane, typed: Pane) -> bool:
        """Tell whether *text* went (W8); an agent takes an Enter that it swallows for a newline."""
        pane = self.address.look()
        if self.manner.ready is None:
            return pane.cursor != typed.cursor
        return not self.stands(text, before, pane)

    def _is_by_line(self, text: str) -> bool:
        """A plain terminal acts on each line, and prints between and behind what is typed."""
        return self.manner.ready is None and "\n" in text

    def _is_scattered(self, text: str, before: Pane, pane: Pane) -> bool:
        return protocol.scatters_tail(self._since(before, pane), protocol.tail(text))

    def _since(self, before: Pane, pane: Pane) -> str:
        """Return the rows from where the cursor was *before* to where it is."""
        history_before, history = before.cursor[2], pane.cursor[2]
        first = before.cursor[1] + history_before - history if history >= history_before else 0
        return capture_span(self.address.server, pane, first, pane.cursor[1])


def wait_until(patience_s: float, seen: Callable[[], bool]) -> bool:
    """Return whether *seen* comes true within *patience_s* seconds."""
    deadline = clock.monotonic() + patience_s
    while not seen():
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(settings.STEP_S)
    return True
