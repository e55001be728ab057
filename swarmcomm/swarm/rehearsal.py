"""Trying a profile in a window: what is seen of its box when a text is typed and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmcomm import clock
from swarmcomm.swarm.delivery import clear_box, make_ready, type_text
from swarmcomm.swarm.sight import Address, Sight
from swarmcomm.tmux.lock import take
from swarmcomm.tmux.pane import capture_rows, cursor_row, manner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmcomm.tmux.lock import PaneLock

TEXT = "first line of a text that is never submitted\nand its second line"


def rehearse(address: Address, wait_s: float) -> Iterator[tuple[bool, str]]:
    """Yield whether each thing that was tried was seen, and what was, up to the first that was not.

    Types a text into the window, sees it, and takes it back; Enter is never pressed. Blocks up to
    *wait_s* seconds for the window to be ready, and some more.

    Raises:
        SwarmError: the window is not there, or tmux could not be asked.
    """
    pane = address.look()
    sight = Sight(address, manner(address.server, pane))
    turn = take(address.server, pane, wait_s)
    try:
        if sight.manner.ready is None:
            yield False, 'its profile has no pattern "ready", so it is typed to unseen'
            return
        blocked = _wait_ready(sight, turn, wait_s)
        yield not blocked, blocked or f"an empty box is seen: {_row(address)!r}"
        if blocked:
            return
        start = sight.start()
        if start is None:
            yield False, "the box was empty and is not any more"
            return
        unseen = type_text(sight, turn, start, TEXT, "raw")
        if unseen:
            yield False, f"{unseen}; at the cursor stands {_row(address)!r}"
        else:
            yield True, "a text of two lines is seen at the cursor"
        if clear_box(sight, turn):
            yield True, "C-u takes it back"
        else:
            yield False, f"C-u does not take it back; at the cursor stands {_row(address)!r}"
    finally:
        turn.release()


def _wait_ready(sight: Sight, turn: PaneLock, wait_s: float) -> str:
    deadline = clock.monotonic() + wait_s
    while True:
        blocked = make_ready(sight, turn)
        if not blocked or clock.monotonic() >= deadline:
            return blocked


def _row(address: Address) -> str:
    pane = address.look()
    return cursor_row(pane, capture_rows(address.server, pane))
