"""The lock of a pane, and typing under it (protocol.md, "On the wire").

The lock is the pane option ``@swarm_lock``, taken by compare-and-swap inside tmux, so that it works
between bash and Python whatever their state directories are. Each key is sent by a tmux command
that first compares the lock with our token: a sender that was frozen and lost its lock types
nothing more.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmcomm import clock, settings
from swarmcomm.errors import NotFoundError, RefusedError, TmuxError
from swarmcomm.tmux.pane import find_pane, list_panes

if TYPE_CHECKING:
    from swarmcomm.tmux.pane import Pane
    from swarmcomm.tmux.server import Server

ENTER = b"\r"
CLEAR_LINE = b"\x15"
INTERRUPT = b"\x03"

_TOKEN = re.compile(r"[0-9]+\.[a-z0-9]{8}")
_TAKEN = "taken"
_LOST = "lost"


class KeysLostError(TmuxError):
    """A key was not sent: the pane died, entered a mode, or another sender has its lock."""


@dataclass(frozen=True)
class PaneLock:
    """Our turn on one pane; made by :func:`take`, ended by :meth:`release`.

    *left_over* is the mark of the text that a sender which went away left in the window; "": none.
    *entered* are the marks that Enter was pressed behind with :meth:`enter`, the newest last.
    """

    server: Server
    pane: Pane
    token: str
    left_over: str
    entered: tuple[str, ...] = ()

    def type(self, data: bytes, mark: str | None = None) -> None:
        """Send *data* to the pane byte for byte, in one command of tmux.

        With *mark*, note that it stands there and is not submitted.

        Raises:
            KeysLostError: it did not reach the pane.
            TmuxError: tmux could not be asked.
        """
        keys = f"send-keys -t {self.pane.pane_id} -H {data.hex(' ')}"
        if mark:
            keys = f"set -p -t {self.pane.pane_id} @swarm_typing {mark} ; {keys}"
        self._guarded(keys)

    def enter(self, mark: str) -> None:
        """Press Enter and note it behind *mark*, in one command of tmux; raises like :meth:`type`.

        Whoever is killed has done both or neither.
        """
        enter = f"send-keys -t {self.pane.pane_id} -H {ENTER.hex()}"
        self._guarded(f"{self._noting([*self._others(mark), mark])} ; {enter}")

    def forget_entered(self, mark: str) -> None:
        """Note that Enter was not pressed behind *mark*, or not taken."""
        self._guarded(self._noting(self._others(mark)))

    def _others(self, mark: str) -> list[str]:
        return [each for each in self.entered if each != mark]

    def _noting(self, marks: list[str]) -> str:
        kept = ",".join(marks[-settings.ENTERED_KEPT :])
        return f'set -p -t {self.pane.pane_id} @swarm_entered "{kept}"'

    def forget_left_over(self) -> None:
        """Note that no text of ours stands in the pane any more."""
        self._guarded(f"set -pu -t {self.pane.pane_id} @swarm_typing")

    def release(self) -> None:
        """Give the turn away; nothing happens where another sender has it already."""
        unset = f"set -pu -t {self.pane.pane_id} @swarm_lock"
        mine = f"#{{==:#{{@swarm_lock}},{self.token}}}"
        self.server.cmd("if-shell", "-F", "-t", self.pane.pane_id, mine, unset)

    def _guarded(self, command: str) -> None:
        same = (
            f"#{{&&:#{{==:#{{@swarm_lock}},{self.token}}},#{{==:#{{pid}},{self.pane.server_pid}}}}}"
        )
        able = "#{?#{||:#{pane_dead},#{||:#{pane_in_mode},#{pane_input_off}}},0,1}"
        said = self.server.ask(
            "if-shell",
            "-F",
            "-t",
            self.pane.pane_id,
            f"#{{&&:{same},{able}}}",
            command,
            f"display-message -p {_LOST}",
        )
        if said.strip() == _LOST:
            raise KeysLostError(
                f"window {self.pane.window}: the text could not be typed to its end"
                " (the program ended, the window entered a mode, or another sender took over)"
            )


def take(server: Server, pane: Pane, wait_s: float) -> PaneLock:
    """Return our turn on *pane*; blocks up to *wait_s* seconds while others have it.

    A holder that has died, or that has not let go for LOCK_STALE_S, is replaced.

    Raises:
        RefusedError: others had it all the time.
        TmuxError: tmux could not be asked.
    """
    token = f"{os.getpid()}.{os.urandom(4).hex()}"
    deadline = clock.monotonic() + wait_s
    seen, since = "", clock.monotonic()
    expected = ""
    while True:
        taken, holder, noted = _swap(server, pane, expected, token)
        if taken:
            typing, _, entered = noted.partition(" ")
            return PaneLock(server, pane, token, typing, tuple(filter(None, entered.split(","))))
        now = clock.monotonic()
        if holder != seen:
            seen, since = holder, now
        stale = now - since > settings.LOCK_STALE_S
        if _TOKEN.fullmatch(holder) and (stale or not _alive(holder)):
            expected = holder
            continue
        if stale and not _TOKEN.fullmatch(holder):
            # No sender of ours wrote this, and it cannot stand in a comparison.
            server.ask("set-option", "-pu", "-t", pane.pane_id, "@swarm_lock")
        expected = ""
        if now >= deadline:
            raise RefusedError(f"window {pane.window}: another sender is typing into it; try again")
        clock.sleep(settings.TURN_S)


def press(server: Server, session: str, window: str, key: bytes) -> None:
    """Send one key that no text goes with, such as INTERRUPT, to *window*; takes no turn.

    Raises:
        NotFoundError: no such window, or its pane is dead.
        TmuxError: tmux could not be asked.
    """
    pane = find_pane(list_panes(server, session), session, window)
    if pane.in_mode:
        server.ask("copy-mode", "-q", "-t", pane.pane_id)
    server.ask("send-keys", "-t", pane.pane_id, "-H", key.hex())


def _swap(server: Server, pane: Pane, old: str, new: str) -> tuple[bool, str, str]:
    """Return whether the lock went from *old* to *new*, who had it, and what is noted there."""
    here = f"-t {pane.pane_id}"
    said = server.ask(
        "if-shell",
        "-F",
        "-t",
        pane.pane_id,
        f"#{{&&:#{{==:#{{@swarm_lock}},{old}}},#{{==:#{{pid}},{pane.server_pid}}}}}",
        f"set -p {here} @swarm_lock {new} ;"
        f' display-message -p {here} "{_TAKEN} #{{@swarm_typing}} #{{@swarm_entered}}"',
        f'display-message -p {here} "held #{{@swarm_lock}} #{{pid}}"',
    )
    word, _, rest = said.rstrip("\n").partition(" ")
    if word == _TAKEN:
        return True, "", rest
    holder, _, pid = rest.rpartition(" ")
    if pid != str(pane.server_pid):
        raise NotFoundError(f"window {pane.window} is gone: the tmux server was restarted")
    return False, holder, ""


def _alive(holder: str) -> bool:
    try:
        os.kill(int(holder.partition(".")[0]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
