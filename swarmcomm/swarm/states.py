"""What a window's agent is doing, as far as its screen tells."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from swarmcomm.tmux.pane import capture_rows, manner

if TYPE_CHECKING:
    from swarmcomm.tmux.pane import Manner, Pane
    from swarmcomm.tmux.server import Server

_RULE = re.compile(r"^[─-]{20,}$")


class State(StrEnum):
    """The state of a window; UNKNOWN where nobody knows how its screen is read."""

    IDLE = "idle"
    DRAFT = "draft"
    BUSY = "busy"
    WAITING = "waiting"
    ERROR = "error"
    GONE = "gone"
    UNKNOWN = "unknown"


def look(server: Server, pane: Pane) -> tuple[State, str]:
    """Return the state of *pane* and what there is to say of it; two tmux calls.

    Raises:
        NotFoundError: the pane is gone.
        TmuxError: tmux could not be asked, or the pane's options cannot be used.
    """
    how = manner(server, pane)
    rows = capture_rows(server, pane)
    state = state_of(pane, how, rows)
    return state, text_of(pane, rows, state)


def state_of(pane: Pane, manner: Manner, rows: list[str]) -> State:
    """Return what the agent is doing; *rows* are the visible ones.

    WAITING is for a person: a dialog is open. ERROR is what stands last above the input box.
    """
    if pane.dead:
        return State.GONE
    if manner.ready is None:
        return State.UNKNOWN
    if manner.is_dialog(pane, rows):
        return State.WAITING
    if manner.error and manner.error.search(_last_said(pane, rows)):
        return State.ERROR
    if manner.is_busy(pane, rows):
        return State.BUSY
    return State.IDLE if manner.is_empty_box(pane, rows) else State.DRAFT


def text_of(pane: Pane, rows: list[str], state: State) -> str:
    """Return what there is to say of *state*: a dialog's text, an error's row, else ""."""
    if state is State.GONE:
        return "its program has ended (the pane is dead)"
    if state is State.ERROR:
        return _last_said(pane, rows).strip()
    if state is not State.WAITING:
        return ""
    rule = _rule_above(pane, rows)
    begin = _edge_above(rows) if rule is None else rule + 1
    return " / ".join(row.strip() for row in rows[begin:] if row.strip(" ╌─"))


def _rule_above(pane: Pane, rows: list[str]) -> int | None:
    """Return the index of the rule that the input box or dialog begins with."""
    above = range(min(pane.cursor[1], len(rows) - 1), -1, -1)
    return next((at for at in above if _RULE.match(rows[at])), None)


def _edge_above(rows: list[str]) -> int:
    """Return where a dialog without a rule begins: its rows stand in, but for the choice it is on.

    What was said above it begins at the edge.
    """
    edge = [at for at, row in enumerate(rows) if row and not row.startswith(" ")]
    return edge[-2] + 1 if len(edge) > 1 else 0


def _last_said(pane: Pane, rows: list[str]) -> str:
    rule = _rule_above(pane, rows)
    above = rows[: pane.cursor[1] if rule is None else rule]
    return next((row for row in reversed(above) if row.strip()), "")
