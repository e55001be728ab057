"""Finding a window's pane, looking at it and reading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmcomm.errors import NotFoundError, TmuxError

if TYPE_CHECKING:
    from swarmcomm.tmux.server import Server

_FORMAT = (
    "#{pane_id} #{pane_index} #{?pane_dead,1,0} #{?pane_in_mode,1,0} #{?pane_synchronized,1,0}"
    " #{?pane_input_off,1,0} #{pid} #{cursor_x} #{cursor_y} #{history_size} #{pane_width}"
    " #{window_id} x#{pane_tty} x#{@swarm_agent} #{window_name}"
)
_FIELDS = 14


@dataclass(frozen=True)
class Pane:
    """One look at a window's pane.

    *cursor* is column, row and lines of history: it moves with everything that is printed.
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
    agent: str


def list_panes(server: Server, session: str) -> list[Pane]:
    """Return every pane of *session*, in tmux's order; one tmux call.

    Raises:
        NotFoundError: no server, or no such session on it.
        TmuxError: tmux could not be asked.
    """
    try:
        # Without the colon tmux takes "=foo" for a window, and then for the session foobar.
        said = server.ask("list-panes", "-s", "-t", f"={session}:", "-F", _FORMAT)
    except NotFoundError as error:
        raise NotFoundError(
            f"no session {session} ({error}); start it with run_claude_swarm.sh or swarmcomm up"
        ) from error
    return [_pane(line) for line in said.splitlines()]


def find_pane(panes: list[Pane], session: str, window: str) -> Pane:
    """Return the pane of the one window that is called *window*.

    Names are compared here, since tmux resolves a target that does not exist to another one. Of
    several panes it is the one that carries an agent, else the lowest index.

    Raises:
        NotFoundError: there is no such window, there are two of the name, or its pane is dead.
    """
    mine = [pane for pane in panes if pane.window == window]
    if not mine:
        names = ", ".join(dict.fromkeys(pane.window for pane in panes))
        raise NotFoundError(f"no window {window} in session {session}; it has {names}")
    if len({pane.window_id for pane in mine}) > 1:
        raise NotFoundError(
            f"session {session} has two windows called {window}; rename one of them"
        )
    found = min(mine, key=lambda pane: (not pane.agent, pane.index))
    if found.dead:
        raise NotFoundError(f"the program in window {window} has ended (its pane is dead)")
    return found


def capture_all(server: Server, pane: Pane) -> str:
    """Return history and screen of *pane*, oldest row first, rows that tmux wrapped joined.

    Raises:
        NotFoundError: the pane is gone.
        TmuxError: tmux could not be asked.
    """
    return server.ask("capture-pane", "-p", "-J", "-t", pane.pane_id, "-S", "-")


def capture_screen(server: Server, pane: Pane, last_row: int | None = None) -> str:
    """Return what is visible of *pane*, down to *last_row*; otherwise like :func:`capture_all`."""
    end = [] if last_row is None else ["-S", "0", "-E", str(last_row)]
    return server.ask("capture-pane", "-p", "-J", "-t", pane.pane_id, *end)


def options(server: Server, pane: Pane) -> tuple[str | None, float]:
    """Return *pane*'s pattern of a ready box (None where it has none) and its pause in seconds.

    Raises:
        TmuxError: the pane's options cannot be used or read.
    """
    said = server.ask(
        "display-message", "-p", "-t", pane.pane_id, "x#{@swarm_pause} #{@swarm_ready}"
    )
    pause, _, ready = said.rstrip("\n").partition(" ")
    if not (pause == "x" or pause[1:].isdigit()):
        raise TmuxError(f"window {pane.window}: @swarm_pause is {pause[1:]!r}, not milliseconds")
    return ready or None, int(pause[1:] or 0) / 1000


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
        agent=fields[13][1:],
        window=fields[_FIELDS],
    )
