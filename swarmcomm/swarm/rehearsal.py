"""Trying a profile in a window: what is seen of its box when a text is typed and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmcomm import clock
from swarmcomm.swarm.delivery import clear_box, make_ready, type_text
from swarmcomm.tmux.lock import take
from swarmcomm.tmux.pane import capture_rows, cursor_row, manner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmcomm.swarm.delivery import Address
    from swarmcomm.tmux.lock import PaneLock

TEXT = "first line of a text that is never submitted\nand its second line"


def rehearse(address: Address, wait_s: float) -> Iterator[tuple[bool, str]]:
    """Yield what was tried and whether it was seen, up to the first thing that was not.

    Types a text into the window, sees it, and takes it back; Enter is never pressed. Blocks up to
    *wait_s* seconds for the window to be ready, and some more.

    Raises:
        SwarmError: the window is not there, or tmux could not be asked.
    """
    how = manner(address.server, address.look())
    turn = take(address.server, address.look(), wait_s)
    try:
        if how.ready is None:
            yield False, 'its profile has no pattern "ready", so it is typed to unseen'
            return
        blocked = _wait_ready(address, turn, wait_s)
        yield not blocked, blocked or f"an empty box is seen: {_row(address)!r}"
        if blocked:
            return
        arrived = type_text(address, turn, how, TEXT, "raw")
        yield (
            arrived,
            (
                "a text of two lines is seen at the cursor"
                if arrived
                else f"a text is not seen at the cursor; there stands {_row(address)!r}"
            ),
        )
        clear_box(address, turn, how)
        cleared = not make_ready(address, turn, how)
        yield (
            cleared,
            (
                "C-u takes it back"
                if cleared
                else f"C-u does not take it back; at the cursor stands {_row(address)!r}"
            ),
        )
    finally:
        turn.release()


def _wait_ready(address: Address, turn: PaneLock, wait_s: float) -> str:
    deadline = clock.monotonic() + wait_s
    while True:
        blocked = make_ready(address, turn, manner(address.server, address.look()))
        if not blocked or clock.monotonic() >= deadline:
            return blocked


def _row(address: Address) -> str:
    pane = address.look()
    return cursor_row(pane, capture_rows(address.server, pane))
