"""Submitting a text: seen to arrive before Enter is pressed, seen to leave after it.

The steps are those of protocol.md, "On the wire"; the bash scripts take the same ones.
"""

from __future__ import annotations

import os
import re
import sys
import termios
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from swarmcomm import agents, clock, protocol, settings
from swarmcomm.errors import NotFoundError, RefusedError, TextTooLongError, TmuxError
from swarmcomm.tmux.lock import CLEAR_LINE, ENTER, KeysLostError, PaneLock, take
from swarmcomm.tmux.pane import Pane, capture_all, capture_screen, find_pane, list_panes, options

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmcomm.tmux.server import Server

_RAW = "raw"


class Outcome(StrEnum):
    """How a send ended; a refused one raises instead."""

    SUBMITTED = "submitted"
    ACKNOWLEDGED = "acknowledged"
    TYPED = "typed"


@dataclass(frozen=True)
class Delivery:
    """The outcome of a send, and the reason where it is not a full one."""

    outcome: Outcome
    reason: str = ""


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


def send_task(
    address: Address, wire_id: protocol.WireId, description: str, wait_s: float
) -> Delivery:
    """Type a task into a window and return its outcome; blocks up to *wait_s* and some seconds.

    Raises:
        InvalidInputError, UnsafeTextError, TextTooLongError: the description cannot be sent.
        RefusedError: the window could not take it within *wait_s*; nothing was typed.
        NotFoundError: there is no such window, or its pane is dead.
        TmuxError: tmux could not be asked.
    """
    protocol.check_description(description)

    def compose(screen: str, pane: Pane) -> str:
        style = agents.style_of(pane.agent)
        open_ids = protocol.open_ids(screen, pane.width, style)
        return protocol.compose(wire_id, description, open_ids)

    return _send(address, compose, str(wire_id), wait_s)


def send_raw(address: Address, text: str, wait_s: float) -> Delivery:
    """Type *text* as it is and submit it; otherwise like :func:`send_task`."""
    protocol.check_description(text)
    return _send(address, lambda _screen, _pane: text, _RAW, wait_s)


def _send(
    address: Address, compose: Callable[[str, Pane], str], mark: str, wait_s: float
) -> Delivery:
    deadline = clock.monotonic() + wait_s
    while True:
        pane = address.look()
        _check_input(pane)
        turn = take(address.server, pane, max(0.0, deadline - clock.monotonic()))
        try:
            blocked = _make_ready(address, turn)
            if not blocked:
                screen = capture_all(address.server, pane)
                text = compose(screen, pane)
                _check_cooked(pane, text)
                return _submit(address, turn, text, mark)
        finally:
            turn.release()
        if clock.monotonic() >= deadline:
            raise RefusedError(
                f"window {address.window}: {blocked}; nothing was typed within {wait_s:g} s"
            )
        clock.sleep(settings.LOOK_S)


def _check_input(pane: Pane) -> None:
    if pane.input_off:
        raise RefusedError(f"window {pane.window}: its input is switched off (select-pane -e)")
    if pane.synchronized:
        raise RefusedError(
            f"window {pane.window}: synchronize-panes is on, so other panes would get the text too"
        )


def _make_ready(address: Address, turn: PaneLock) -> str:
    """Bring the pane to take a text; return why it cannot yet, or an empty string."""
    server, pane = turn.server, address.look()
    if pane.in_mode:
        server.ask("copy-mode", "-q", "-t", pane.pane_id)
    if turn.left_over:
        turn.type(CLEAR_LINE)
        turn.forget_left_over()
    ready, _ = options(server, pane)
    if ready is None:
        return ""
    try:
        pattern = re.compile(ready)
    except re.error as error:
        raise RefusedError(
            f"window {pane.window}: its @swarm_ready {ready!r} is no pattern ({error})"
        ) from error
    deadline = clock.monotonic() + settings.LEFT_S
    while True:
        row = capture_screen(server, pane, pane.cursor[1]).removesuffix("\n").rpartition("\n")[2]
        if pattern.search(row.rstrip()) or pattern.search(row):
            return ""
        if clock.monotonic() >= deadline:
            return f"the agent is not ready for a text (at its cursor stands {row.strip()[:60]!r})"
        clock.sleep(settings.STEP_S)
        pane = address.look()


def _submit(address: Address, turn: PaneLock, text: str, mark: str) -> Delivery:
    before = address.look()
    try:
        turn.type(text.encode(), mark)
        if not _wait(settings.SEEN_S, lambda: _stands(address, text, before)):
            return Delivery(
                Outcome.TYPED, "the text was not seen to arrive, so Enter was not pressed"
            )
        clock.sleep(options(turn.server, before)[1])
        for patience in (settings.LEFT_S, settings.LEFT_AGAIN_S):
            typed = address.look()
            turn.type(ENTER)
            if _wait(patience, partial(_moved, address, typed)):
                turn.forget_left_over()
                return Delivery(Outcome.SUBMITTED)
            if not _stands(address, text, before):  # a dialog may have opened: no second Enter
                break
    except (KeysLostError, NotFoundError) as error:
        return Delivery(Outcome.TYPED, str(error))
    return Delivery(Outcome.TYPED, "Enter was pressed and the text was not seen to leave")


def _stands(address: Address, text: str, before: Pane) -> bool:
    """Tell whether the end of *text* stands at the cursor, which was elsewhere *before*."""
    pane = address.look()
    if pane.cursor == before.cursor:
        return False
    screen = capture_screen(address.server, pane, pane.cursor[1])
    if "\n" in text and not pane.agent:
        # A plain terminal acts on each line, and what it prints may come behind our last one.
        return protocol.shows_tail(screen, protocol.tail(text))
    return protocol.ends_with_tail(screen, protocol.tail(text))


def _moved(address: Address, before: Pane) -> bool:
    return address.look().cursor != before.cursor


def _wait(patience_s: float, seen: Callable[[], bool]) -> bool:
    deadline = clock.monotonic() + patience_s
    while not seen():
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(settings.STEP_S)
    return True


def _check_cooked(pane: Pane, text: str) -> None:
    """Refuse a line that a cooked terminal would cut.

    Raises:
        TextTooLongError: a line is longer than the terminal keeps.
        TmuxError: the terminal could not be asked.
    """
    longest = max(len(line.encode()) for line in text.split("\n"))
    limit = settings.COOKED_LINE_BYTES.get(sys.platform, settings.COOKED_LINE_BYTES_DEFAULT)
    if longest > limit and _is_cooked(pane):
        raise TextTooLongError(
            longest, limit, f"window {pane.window} reads line by line, and a line of the text"
        )


def _is_cooked(pane: Pane) -> bool:
    try:
        terminal = os.open(pane.tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            local_flags = termios.tcgetattr(terminal)[3]
        finally:
            os.close(terminal)
    except (OSError, termios.error) as error:
        raise TmuxError(f"window {pane.window}: cannot look at its terminal: {error}") from error
    return bool(local_flags & termios.ICANON)
