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
from swarmcomm.swarm.ledger import HOOK, SCREEN
from swarmcomm.swarm.sight import Address, Sight, Start, wait_until
from swarmcomm.swarm.witness import Spool, task_of
from swarmcomm.tmux.lock import CLEAR_LINE, ENTER, KeysLostError, PaneLock, take
from swarmcomm.tmux.pane import Manner, Pane, capture_all
from swarmcomm.tmux.pane import manner as pane_manner

if TYPE_CHECKING:
    from collections.abc import Callable


_RAW = "raw"
_UNSEEN = "the text was not seen to arrive"


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


def send_task(
    address: Address, wire_id: protocol.WireId, description: str, wait_s: float, once: bool = False
) -> Delivery:
    """Type a task into a window and return its outcome; blocks up to *wait_s* and some seconds.

    With *once* a wire id that was submitted there with *once* before is not typed again, whoever
    did it and however that sender ended; the outcome is SUBMITTED then as well.

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

    return _send(address, compose, str(wire_id), wait_s, once)


def send_raw(address: Address, text: str, wait_s: float) -> Delivery:
    """Type *text* as it is and submit it; otherwise like :func:`send_task`."""
    protocol.check_description(text)
    return _send(address, lambda *_: text, _RAW, wait_s)


def _send(
    address: Address,
    compose: Callable[[str, Pane, Manner], str],
    mark: str,
    wait_s: float,
    once: bool = False,
) -> Delivery:
    deadline = clock.monotonic() + wait_s
    while True:
        pane = address.look()
        _check_input(pane)
        turn = take(address.server, pane, max(0.0, deadline - clock.monotonic()))
        try:
            sight = Sight(address, pane_manner(address.server, pane))
            if once and _went_before(sight, turn, compose, mark):
                return Delivery(Outcome.SUBMITTED)
            blocked = make_ready(sight, turn)
            if not blocked:
                text = compose(capture_all(address.server, pane), pane, sight.manner)
                _check_text(pane, sight, text, mark)
                start = sight.start()
                if start is not None:
                    enter = partial(turn.enter, mark) if once else partial(turn.type, ENTER)
                    return _submit(sight, turn, start, text, mark, enter)
                blocked = "its box was empty and is not any more"
        finally:
            turn.release()
        if clock.monotonic() >= deadline:
            raise RefusedError(
                f"window {address.window}: {blocked}; nothing was typed within {wait_s:g} s"
            )
        clock.sleep(settings.LOOK_S)


def _went_before(
    sight: Sight, turn: PaneLock, compose: Callable[[str, Pane, Manner], str], mark: str
) -> bool:
    """Tell whether the text of *mark* was submitted by a sender before us.

    One that went away behind its Enter may not have seen whether the agent took it.
    """
    if mark not in turn.entered:
        return False
    if turn.left_over != mark or sight.manner.ready is None:
        return True
    pane = turn.pane
    screen = capture_all(turn.server, pane)
    style = agents.style_of(pane.agent, sight.manner.profile)
    text = compose(screen, pane, sight.manner)
    if not protocol.read(screen, mark, pane.width, style, True).answers and not wait_until(
        settings.LEFT_AGAIN_S, lambda: not sight.stands(text, pane)
    ):
        turn.forget_entered(mark)
        return False
    turn.forget_left_over()
    return True


def _check_input(pane: Pane) -> None:
    if pane.input_off:
        raise RefusedError(f"window {pane.window}: its input is switched off (select-pane -e)")
    if pane.synchronized:
        raise RefusedError(
            f"window {pane.window}: synchronize-panes is on, so other panes would get the text too"
        )


def make_ready(sight: Sight, turn: PaneLock) -> str:
    """Bring the pane to take a text; return why it cannot yet, or an empty string."""
    pane = sight.address.look()
    if pane.in_mode:
        turn.server.ask("copy-mode", "-q", "-t", pane.pane_id)
    if turn.left_over and not clear_box(sight, turn):
        return sight.why_not_ready() or "the text of a sender that went away stands in its box"
    deadline = clock.monotonic() + settings.BACK_S
    while True:
        blocked = sight.why_not_ready()
        if not blocked or clock.monotonic() >= deadline:
            return blocked
        clock.sleep(settings.STEP_S)


def clear_box(sight: Sight, turn: PaneLock) -> bool:
    """Take back what a sender that went away left in the box, and return whether it is gone.

    C-u clears a line at the most. In a dialog nothing is pressed.
    """
    if sight.manner.ready is None:
        turn.type(CLEAR_LINE)
    else:
        for _ in range(settings.CLEAR_BURSTS):
            if sight.is_dialog():
                return False
            turn.type(CLEAR_LINE * settings.CLEAR_BURST)
            if wait_until(settings.CLEARED_S, sight.is_empty_box):
                break
        else:
            return False
    turn.forget_left_over()
    return True


def _submit(
    sight: Sight, turn: PaneLock, start: Start, text: str, mark: str, enter: Callable[[], None]
) -> Delivery:
    heard = _ear(sight, mark)
    delivery = _type_and_enter(sight, turn, start, text, mark, enter, heard)
    if delivery.outcome is Outcome.TYPED and heard():
        with suppress(KeysLostError, NotFoundError):
            turn.forget_left_over()
        return Delivery(Outcome.SUBMITTED, witnesses=(HOOK,))
    return delivery


def _type_and_enter(
    sight: Sight,
    turn: PaneLock,
    start: Start,
    text: str,
    mark: str,
    enter: Callable[[], None],
    heard: Callable[[], bool],
) -> Delivery:
    try:
        unseen = type_text(sight, turn, start, text, mark)
        if unseen:
            return Delivery(Outcome.TYPED, f"{unseen}, so Enter was not pressed")
        clock.sleep(sight.manner.pause_s)
        typed: Pane | None = None
        for patience in (settings.LEFT_S, settings.LEFT_AGAIN_S):
            # A single look may fall into a repaint.
            if wait_until(settings.BACK_S, partial(sight.still_stands, text, start.pane)):
                typed = sight.address.look()
                enter()
            elif typed is None:
                # A dialog may have opened, or a person has typed: no Enter into that.
                return Delivery(Outcome.TYPED, "the text no longer stood at the cursor at Enter")
            left = partial(sight.has_left, text, start.pane, typed)
            if wait_until(patience, partial(_either, left, heard)):
                turn.forget_left_over()
                if not heard():
                    return Delivery(Outcome.SUBMITTED, witnesses=(SCREEN,))
                seen = (SCREEN, HOOK) if left() else (HOOK,)
                return Delivery(Outcome.SUBMITTED, witnesses=seen)
    except (KeysLostError, NotFoundError) as error:
        return Delivery(Outcome.TYPED, str(error))
    return Delivery(Outcome.TYPED, "Enter was pressed and the text was not seen to leave")


def _ear(sight: Sight, mark: str) -> Callable[[], bool]:
    """Return what tells whether the agent's hooks heard the task *mark* since now."""
    if not sight.manner.witness or mark == _RAW:
        return lambda: False
    spool = Spool(sight.manner.witness, sight.address.look())
    spool.news()
    told: set[str | None] = set()

    def heard() -> bool:
        told.update(map(task_of, spool.news()))
        return mark in told

    return heard


def type_text(sight: Sight, turn: PaneLock, start: Start, text: str, mark: str) -> str:
    """Type *text*; return why it was not seen to arrive, or an empty string.

    In a box the first piece is seen to stand alone: an agent takes keys in their order, so nothing
    that was typed before it can appear any more. Where the agent wants pieces, each is seen before
    the next is typed.
    """
    manner = sight.manner
    before = start.pane
    end = 0
    by_line = sight.must_be_still(text)
    for piece in _cut(text, manner, start.pane, by_line):
        if by_line:
            wait_until(settings.STILL_S, sight.stillness())
        keys = protocol.in_paste_brackets(piece) if manner.paste else piece
        turn.type(keys.encode(), mark)
        end += len(piece)
        if manner.ready is not None and end == len(piece):
            if not wait_until(settings.SEEN_S, partial(sight.box_holds, piece, start)):
                if sight.shows(piece):
                    return "something else stands in its box beside the text"
                return _UNSEEN
            before = sight.address.look()
            continue
        if manner.piece_bytes is None and end < len(text):
            continue
        already = text[: end - len(piece)]
        if not wait_until(settings.SEEN_S, sight.arrival(text[:end], before, already)):
            return _UNSEEN
        before = sight.address.look()
    return ""


def _cut(text: str, manner: Manner, pane: Pane, by_line: bool) -> list[str]:
    limit = manner.piece_bytes or settings.PIECE_BYTES
    if by_line:
        return protocol.lines(text, limit)
    if manner.ready is None:
        return protocol.pieces(text, limit)
    return protocol.box_pieces(text, pane.width - pane.cursor[0] - settings.ROW_SPARE, limit)


def _either(one: Callable[[], bool], other: Callable[[], bool]) -> bool:
    return one() or other()


def _check_text(pane: Pane, sight: Sight, text: str, mark: str) -> None:
    """Refuse what the agent would take for a command, and a line that a cooked terminal would cut.

    Raises:
        RefusedError: it would be a command.
        TextTooLongError: a line is longer than the terminal keeps.
        TmuxError: the terminal could not be asked.
    """
    manner = sight.manner
    if (
        mark == _RAW
        and manner.refuse
        and manner.refuse.search(" ".join(re.split(r"[ \t\n]+", text)))
    ):
        raise RefusedError(
            f"window {pane.window}: the agent would take this text for a command of its own;"
            " put a word before it"
        )
    lines = text.count("\n") + 1
    if lines > settings.PLAIN_ESCAPED_LINES and sight.must_be_still(text):
        raise RefusedError(
            f"window {pane.window} is a plain terminal, and the text names its own answers in"
            f" {lines} lines; the limit there is {settings.PLAIN_ESCAPED_LINES}"
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
