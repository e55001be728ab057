"""Small files beside the store: the agent of a session, its turn, and who waits for messages."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from swarmcomm.sessions.processes import is_alive, life

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "hooks"

_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Turn:
    """The turn of one session; one byte in its file for each tool that ran."""

    def __init__(self, state: Path, name: str) -> None:
        """Take the state folder and the session's name; nothing is made yet."""
        self._file = state / FOLDER / f"{name}.turn"
        self._known = state / FOLDER / f"{name}.known"

    def begin(self) -> None:
        """Note that a turn runs, in which no tool has run yet."""
        _write(self._file, b"", os.O_TRUNC)

    def count(self, tools: int) -> int:
        """Add *tools* that ran, and return how many that are in this turn."""
        return _write(self._file, b"." * tools, os.O_APPEND)

    def end(self) -> None:
        """Note that no turn runs."""
        with suppress(OSError):
            self._file.unlink()

    def runs(self) -> bool:
        """Tell whether a turn runs, or was interrupted: of that an agent tells nobody."""
        return self._file.exists()

    def is_known(self) -> bool:
        """Tell whether the agent was told who it is."""
        return self._known.exists()

    def know(self) -> None:
        """Note that it was."""
        _write(self._known, b"", os.O_TRUNC)

    def forget(self) -> None:
        """Note that it is another one, or one that begins with nothing in mind."""
        with suppress(OSError):
            self._known.unlink()


class Turnstile:
    """Lets one through of all that wait for the messages of one session: the newest."""

    def __init__(self, state: Path, name: str) -> None:
        """Take the state folder and the session's name; nothing is made yet."""
        self._file = state / FOLDER / f"{name}.waits"
        self._token = b"%d-%s" % (os.getpid(), os.urandom(8).hex().encode())

    def enter(self) -> None:
        """Become the newest."""
        new = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        _write(new, self._token, os.O_TRUNC)
        new.replace(self._file)

    def is_mine(self) -> bool:
        """Tell whether nobody came later."""
        try:
            return self._file.read_bytes() == self._token
        except OSError:
            return False


class Wake:
    """What wakes an agent, until its next prompt, in which it has that: it may end before."""

    def __init__(self, state: Path, name: str) -> None:
        """Take the state folder and the session's name; nothing is made yet."""
        self._file = state / FOLDER / f"{name}.wakes"
        self._agent = os.environ.get("CLAUDE_PID", "").encode()

    def keep(self, text: str) -> None:
        """Note what this agent is to hear."""
        _write(self._file, self._agent + b"\n" + text.encode(), os.O_TRUNC)

    def heard(self) -> None:
        """Note that it did."""
        with suppress(OSError):
            if self._read(self._file)[0] == self._agent:
                self._file.unlink()

    def again(self) -> str:
        """Return what an agent before this one did not hear, "" if there is none; only once."""
        own = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            if self._read(self._file)[0] == self._agent:
                return ""
            self._file.rename(own)
            text = self._read(own)[1]
            own.unlink()
        except OSError:
            return ""
        return text.decode("utf-8", "replace")

    @staticmethod
    def _read(file: Path) -> tuple[bytes, bytes]:
        agent, _, text = file.read_bytes().partition(b"\n")
        return agent, text


class Seat:
    """The agent of one session: the first process that is there, until it ends.

    Another one has the same name where an agent starts an agent, which inherits who it is.
    """

    def __init__(self, state: Path, name: str) -> None:
        """Take the state folder and the session's name; nothing is made yet."""
        self._file = state / FOLDER / f"{name}.agent"

    def take(self, pid: int) -> int | None:
        """Take it for the agent *pid*; return the process that has it already, None: it is ours."""
        own = f"{pid}:{life(pid)}"
        try:
            holder = self._file.read_text(encoding="ascii")
            if holder == own:
                return None
            if is_alive(holder):
                return int(holder.partition(":")[0])
        except (OSError, ValueError):
            pass  # nobody has it, or nobody can say who
        new = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        _write(new, own.encode(), os.O_TRUNC)
        new.replace(self._file)
        return None


def _write(file: Path, data: bytes, how: int) -> int:
    """Write to a file that nobody else can read, and return its size; both are made if missing."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | how | _FLAGS, 0o600)
    try:
        os.write(opened, data)
        return os.fstat(opened).st_size
    finally:
        os.close(opened)
