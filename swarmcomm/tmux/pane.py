"""Finding a window's pane, looking at it and reading it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmcomm.errors import NotFoundError, TmuxError

if TYPE_CHECKING:
    from swarmcomm.tmux.server import Asked, Server

_FORMAT = (
    "#{pane_id} #{pane_index} #{?pane_dead,1,0} #{?pane_in_mode,1,0} #{?pane_synchronized,1,0}"
    " #{?pane_input_off,1,0} #{pid} #{cursor_x} #{cursor_y} #{history_size} #{pane_width}"
    " #{window_id} x#{pane_tty} x#{pane_pid} x#{@swarm_agent} #{window_name}"
)
_FIELDS = 15


@dataclass(frozen=True)
class Pane:
    """One look at a window's pane.

    *cursor* is column, row and lines of history: it moves with everything that is printed.
    *program* is the pid of what was started in it.
    """

    window: str
    window_id: str
    pane_id: str
    index: int
    dead: bool
    in_mode: bool
    synchronized: bool
    input_off: bool
    server_pid: int
    cursor: tuple[int, int, int]
    width: int
    tty: str
    program: str
    agent: str

    @property
    def identity(self) -> tuple[int, str]:
        """Server and pane: pane ids begin again where the server does."""
        return self.server_pid, self.pane_id


def list_panes(server: Asked, session: str) -> list[Pane]:
    """Return every pane of *session*, in tmux's order; one tmux call.

    Raises:
        NotFoundError: no server, or no such session on it.
        TmuxError: tmux could not be asked.
    """
    return read_panes(ask_panes(server, session))


def ask_panes(server: Asked, session: str) -> str:
    """Return what :func:`read_panes` reads; raises like :func:`list_panes`."""
    try:
        # Without the colon tmux takes "=foo" for a window, and then for the session foobar.
        return server.ask("list-panes", "-s", "-t", f"={session}:", "-F", _FORMAT)
    except NotFoundError as error:
        raise NotFoundError(
            f"no session {session} ({error}); start it with run_claude_swarm.sh or swarmcomm up"
        ) from error


def read_panes(said: str) -> list[Pane]:
    """Return the panes that tmux listed, in its order."""
    return [_pane(line) for line in said.splitlines()]


def ask_program(server: Asked, pane_id: str) -> str:
    """Return :attr:`Pane.program` of a pane now, "" where there is none; one tmux call.

    Raises:
        TmuxError: tmux could not be asked.
    """
    return server.ask("display-message", "-p", "-t", pane_id, "#{pane_pid}").strip()


def find_pane(panes: list[Pane], session: str, window: str) -> Pane:
    """Return the live pane of the one window that is called *window*.

    Raises:
        NotFoundError: there is no such window, there are two of the name, or its pane is dead.
    """
    found = locate_pane(panes, session, window)
    if found.dead:
        raise NotFoundError(f"the program in window {window} has ended (its pane is dead)")
    return found


def locate_pane(panes: list[Pane], session: str, window: str) -> Pane:
    """Return the pane of the one window that is called *window*, dead or alive.

    Names are compared here, since tmux resolves a target that does not exist to another one. Of
    several panes it is the one that carries an agent, else the lowest index.

    Raises:
        NotFoundError: there is no such window, or there are two of the name.
    """
    mine = [pane for pane in panes if pane.window == window]
    if not mine:
        names = ", ".join(dict.fromkeys(pane.window for pane in panes))
        raise NotFoundError(f"no window {window} in session {session}; it has {names}")
    if len({pane.window_id for pane in mine}) > 1:
        raise NotFoundError(
            f"session {session} has two windows called {window}; rename one of them"
        )
    return min(mine, key=lambda pane: (not pane.agent, pane.index))


def capture_all(server: Asked, pane: Pane) -> str:
    """Return history and screen of *pane*, oldest row first, rows that tmux wrapped joined.

    Raises:
        NotFoundError: the pane is gone.
        TmuxError: tmux could not be asked.
    """
    return server.ask("capture-pane", "-p", "-J", "-t", pane.pane_id, "-S", "-")


def capture_rows(server: Server, pane: Pane) -> list[str]:
    """Return the visible rows of *pane* as they stand, without the blanks at their ends.

    Row 0 is the top one, so ``pane.cursor[1]`` is the index of the cursor's row.

    Raises:
        NotFoundError: the pane is gone.
        TmuxError: tmux could not be asked.
    """
    rows = server.ask("capture-pane", "-p", "-t", pane.pane_id).removesuffix("\n").split("\n")
    return [row.rstrip(" ") for row in rows]


def capture_span(server: Server, pane: Pane, first: int, last: int) -> str:
    """Return the rows of *pane* from *first* to *last*; below 0 they are in the history.

    Raises:
        NotFoundError: the pane is gone.
        TmuxError: tmux could not be asked.
    """
    span = ("-S", str(first), "-E", str(last))
    return server.ask("capture-pane", "-p", "-t", pane.pane_id, *span)


_MANNERS = (
    "ready",
    "column",
    "busy",
    "dialog",
    "error",
    "refuse",
    "pause",
    "piece",
    "paste",
    "profile",
    "witness",
)
_MANNER_FORMAT = "\n".join(f"#{{@swarm_{name}}}" for name in _MANNERS)


@dataclass(frozen=True)
class Manner:
    """How the agent of a pane is typed to, as its launcher wrote it on the pane.

    The patterns and *column* are as in a profile; without *ready* it is a plain terminal.
    *profile* is the file of a profile that does not ship, *witness* the folder that its hooks write
    to, each else "".
    """

    ready: re.Pattern[str] | None
    column: int | None
    busy: re.Pattern[str] | None
    dialog: re.Pattern[str] | None
    error: re.Pattern[str] | None
    refuse: re.Pattern[str] | None
    pause_s: float
    piece_bytes: int | None
    paste: bool
    profile: str
    witness: str

    def is_empty_box(self, pane: Pane, rows: list[str]) -> bool:
        """Tell whether the cursor stands in an empty input box; *rows* are the visible ones."""
        return (
            self.ready is not None
            and self.ready.search(cursor_row(pane, rows)) is not None
            and self.column in (None, pane.cursor[0])
        )

    def is_dialog(self, pane: Pane, rows: list[str]) -> bool:
        """Tell whether a dialog is open; *rows* are the visible ones."""
        return self.dialog_row(pane, rows) is not None

    def dialog_row(self, pane: Pane, rows: list[str]) -> int | None:
        """Return the index of the row that shows a dialog, None where none is open.

        An agent that hides its cursor in a dialog leaves it where it painted last.
        """
        if self.dialog is None:
            return None
        first = pane.cursor[1]
        return next((at for at in range(first, len(rows)) if self.dialog.search(rows[at])), None)

    def is_busy(self, pane: Pane, rows: list[str]) -> bool:
        """Tell whether the agent is at work; *rows* are the visible ones."""
        below = rows[pane.cursor[1] + 1 :]
        return self.busy is not None and any(self.busy.search(row) for row in below)


def cursor_row(pane: Pane, rows: list[str]) -> str:
    """Return the row of *rows* that the cursor of *pane* stands in; "" where it is below them."""
    return rows[pane.cursor[1]] if pane.cursor[1] < len(rows) else ""


def manner(server: Asked, pane: Pane) -> Manner:
    """Return how the agent of *pane* is typed to; one tmux call.

    Raises:
        TmuxError: the pane's options cannot be used or read.
    """
    found = dict.fromkeys(_MANNERS, "")
    said = server.ask("display-message", "-p", "-t", pane.pane_id, _MANNER_FORMAT)
    found.update(zip(_MANNERS, said.split("\n"), strict=False))

    def pattern(name: str) -> re.Pattern[str] | None:
        try:
            return re.compile(found[name]) if found[name] else None
        except re.error as error:
            raise TmuxError(
                f"window {pane.window}: @swarm_{name} {found[name]!r} is no pattern: {error}"
            ) from error

    def number(name: str) -> int | None:
        if found[name] and not found[name].isdigit():
            raise TmuxError(f"window {pane.window}: @swarm_{name} {found[name]!r} is no number")
        return int(found[name]) if found[name] else None

    return Manner(
        ready=pattern("ready"),
        column=number("column"),
        busy=pattern("busy"),
        dialog=pattern("dialog"),
        error=pattern("error"),
        refuse=pattern("refuse"),
        pause_s=(number("pause") or 0) / 1000,
        piece_bytes=number("piece"),
        paste=found["paste"] == "on",
        profile=found["profile"],
        witness=found["witness"],
    )


def _pane(line: str) -> Pane:
    fields = line.split(" ", _FIELDS)
    return Pane(
        pane_id=fields[0],
        index=int(fields[1]),
        dead=fields[2] == "1",
        in_mode=fields[3] == "1",
        synchronized=fields[4] == "1",
        input_off=fields[5] == "1",
        server_pid=int(fields[6]),
        cursor=(int(fields[7]), int(fields[8]), int(fields[9])),
        width=int(fields[10]),
        window_id=fields[11],
        tty=fields[12][1:],
        program=fields[13][1:],
        agent=fields[14][1:],
        window=fields[_FIELDS],
    )
