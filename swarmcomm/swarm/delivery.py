"""Submitting a text: seen to arrive before Enter is pressed, seen to leave after it.

The steps are those of protocol.md, "On the wire"; the bash scripts take the same ones.
"""

from __future__ import annotations

import os
import re
import sys
import termios
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from swarmcomm import agents, clock, protocol, settings
from swarmcomm.errors import NotFoundError, RefusedError, TextTooLongError, TmuxError
from swarmcomm.swarm.states import State, state_of
from swarmcomm.swarm.witness import HOOK, SCREEN, Spool, task_of
from swarmcomm.tmux.lock import CLEAR_LINE, ENTER, KeysLostError, PaneLock, take
from swarmcomm.tmux.pane import (
    Manner,
    Pane,
    capture_all,
    capture_rows,
    cursor_row,
    find_pane,
    list_panes,
)
from swarmcomm.tmux.pane import manner as pane_manner

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
    """The outcome of a send, the reason where it is not a full one, and who saw the text leave.

    *witnesses* are screen, hook, or both.
    """

    outcome: Outcome
    reason: str = ""
    witnesses: tuple[str, ...] = field(default=(), compare=False)


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

    def compose(screen: str, pane: Pane, manner: Manner) -> str:
        style = agents.style_of(pane.agent, manner.profile)
        open_ids = protocol.open_ids(screen, pane.width, style)
        return protocol.compose(wire_id, description, open_ids)

    return _send(address, compose, str(wire_id), wait_s)


def send_raw(address: Address, text: str, wait_s: float) -> Delivery:
    """Type *text* as it is and submit it; otherwise like :func:`send_task`."""
    protocol.check_description(text)
    return _send(address, lambda *_: text, _RAW, wait_s)


def _send(
    address: Address, compose: Callable[[str, Pane, Manner], str], mark: str, wait_s: float
) -> Delivery:
    deadline = clock.monotonic() + wait_s
    while True:
        pane = address.look()
        _check_input(pane)
        turn = take(address.server, pane, max(0.0, deadline - clock.monotonic()))
        try:
            manner = pane_manner(address.server, pane)
            blocked = make_ready(address, turn, manner)
            if not blocked:
                text = compose(capture_all(address.server, pane), pane, manner)
                _check_text(pane, manner, text)
                return _submit(address, turn, manner, text, mark)
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


def make_ready(address: Address, turn: PaneLock, manner: Manner) -> str:
    """Bring the pane to take a text; return why it cannot yet, or an empty string."""
    server, pane = turn.server, address.look()
    if pane.in_mode:
        server.ask("copy-mode", "-q", "-t", pane.pane_id)
    if turn.left_over:
        clear_box(address, turn, manner)
    deadline = clock.monotonic() + settings.LEFT_S
    while True:
        blocked = _why_not_ready(address, manner)
        if not blocked or clock.monotonic() >= deadline:
            return blocked
        clock.sleep(settings.STEP_S)


def clear_box(address: Address, turn: PaneLock, manner: Manner) -> None:
    """Take back what a sender that went away left in the box; C-u clears a line at the most."""
    for _ in range(1 if manner.ready is None else settings.CLEAR_PRESSES):
        turn.type(CLEAR_LINE)
        if manner.ready is None or _wait(settings.CLEARED_S, partial(_is_empty, address, manner)):
            break
    turn.forget_left_over()


def _is_empty(address: Address, manner: Manner) -> bool:
    pane = address.look()
    return manner.is_empty_box(pane, capture_rows(address.server, pane))


def _why_not_ready(address: Address, manner: Manner) -> str:
    if manner.ready is None:
        return ""
    pane = address.look()
    rows = capture_rows(address.server, pane)
    state = state_of(pane, manner, rows)
    if state is State.WAITING:
        return "a dialog is open and waits for a person"
    if state is State.BUSY:
        return "the agent is busy"
    if not manner.is_empty_box(pane, rows):
        row = cursor_row(pane, rows).strip()
        return f"the agent is not ready for a text (at its cursor stands {row[:60]!r})"
    return ""


def _submit(address: Address, turn: PaneLock, manner: Manner, text: str, mark: str) -> Delivery:
    heard = _ear(address, manner, mark)
    delivery = _type_and_enter(address, turn, manner, text, mark, heard)
    if delivery.outcome is Outcome.TYPED and heard():
        with suppress(KeysLostError, NotFoundError):
            turn.forget_left_over()
        return Delivery(Outcome.SUBMITTED, witnesses=(HOOK,))
    return delivery


def _type_and_enter(
    address: Address,
    turn: PaneLock,
    manner: Manner,
    text: str,
    mark: str,
    heard: Callable[[], bool],
) -> Delivery:
    try:
        if not type_text(address, turn, manner, text, mark):
            return Delivery(
                Outcome.TYPED, "the text was not seen to arrive, so Enter was not pressed"
            )
        clock.sleep(manner.pause_s)
        for patience in (settings.LEFT_S, settings.LEFT_AGAIN_S):
            typed = address.look()
            if not _stands(typed, address, manner, text):
                # A dialog may have opened, or a person has typed: no Enter into that.
                return Delivery(Outcome.TYPED, "the text no longer stood at the cursor at Enter")
            turn.type(ENTER)
            left = partial(_has_left, address, manner, text, typed)
            if _wait(patience, partial(_either, left, heard)):
                turn.forget_left_over()
                if not heard():
                    return Delivery(Outcome.SUBMITTED, witnesses=(SCREEN,))
                seen = (SCREEN, HOOK) if left() else (HOOK,)
                return Delivery(Outcome.SUBMITTED, witnesses=seen)
    except (KeysLostError, NotFoundError) as error:
        return Delivery(Outcome.TYPED, str(error))
    return Delivery(Outcome.TYPED, "Enter was pressed and the text was not seen to leave")


def _ear(address: Address, manner: Manner, mark: str) -> Callable[[], bool]:
    """Return what tells whether the agent's hooks heard the task *mark* since now."""
    if not manner.witness or mark == _RAW:
        return lambda: False
    spool = Spool(manner.witness, address.look())
    spool.news()
    told: set[str | None] = set()

    def heard() -> bool:
        told.update(map(task_of, spool.news()))
        return mark in told

    return heard


def type_text(address: Address, turn: PaneLock, manner: Manner, text: str, mark: str) -> bool:
    """Type *text* and return whether its end, or the end of each piece, was seen to arrive."""
    before = address.look()
    end = 0
    for piece in protocol.pieces(text, manner.piece_bytes or settings.PIECE_BYTES):
        keys = protocol.in_paste_brackets(piece) if manner.paste else piece
        turn.type(keys.encode(), mark)
        end += len(piece)
        if (manner.piece_bytes is not None or end == len(text)) and not _wait(
            settings.SEEN_S, partial(_has_arrived, address, manner, text[:end], before)
        ):
            return False
        if manner.piece_bytes is not None:
            before = address.look()
    return True


def _has_arrived(address: Address, manner: Manner, text: str, before: Pane) -> bool:
    """Tell whether the end of *text* stands at the cursor, which was elsewhere *before*."""
    pane = address.look()
    return pane.cursor != before.cursor and _stands(pane, address, manner, text)


def _stands(pane: Pane, address: Address, manner: Manner, text: str) -> bool:
    rows = capture_rows(address.server, pane)
    above = "\n".join(rows[: pane.cursor[1] + 1])
    tail = protocol.tail(text)
    if manner.ready is not None:
        return not manner.is_empty_box(pane, rows) and protocol.ends_with_tail(above, tail)
    # A plain terminal acts on each line, and what it prints may come behind our last one.
    holds = protocol.shows_tail if "\n" in text else protocol.ends_with_tail
    return holds(above, tail)


def _has_left(address: Address, manner: Manner, text: str, typed: Pane) -> bool:
    """Tell whether *text* went; an agent takes an Enter that it swallows for a newline."""
    pane = address.look()
    if manner.ready is None:
        return pane.cursor != typed.cursor
    return not _stands(pane, address, manner, text)


def _either(one: Callable[[], bool], other: Callable[[], bool]) -> bool:
    return one() or other()


def _wait(patience_s: float, seen: Callable[[], bool]) -> bool:
    deadline = clock.monotonic() + patience_s
    while not seen():
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(settings.STEP_S)
    return True


def _check_text(pane: Pane, manner: Manner, text: str) -> None:
    """Refuse what the agent would take for a command, and a line that a cooked terminal would cut.

    Raises:
        RefusedError: it would be a command.
        TextTooLongError: a line is longer than the terminal keeps.
        TmuxError: the terminal could not be asked.
    """
    if manner.refuse and manner.refuse.search(" ".join(re.split(r"[ \t\n]+", text))):
        raise RefusedError(
            f"window {pane.window}: the agent would take this text for a command of its own;"
            " put a word before it"
        )
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
