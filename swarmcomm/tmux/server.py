"""One way to tmux: libtmux, with a deadline on every call and UTF-8 whatever the locale is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Protocol

import libtmux
from libtmux.common import tmux_cmd

from swarmcomm import settings
from swarmcomm.errors import MissingProgramError, NotFoundError, TmuxError
from swarmcomm.tmux import attaching

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VERSION = re.compile(r"(\d+)\.(\d+)")
_GONE = re.compile(
    r"no server running|error connecting|can't find|no such session|server exited|lost server"
    r"|no sessions"
)


def failure(command: str, said: str) -> TmuxError:
    """Return the error for *command*, which tmux answered with *said*."""
    if _GONE.search(said):
        return NotFoundError(f"tmux: {said}")
    return TmuxError(f"tmux {command} failed: {said}")


def no_answer(deadline_s: float) -> TmuxError:
    """Return the error for a call that took longer than *deadline_s*."""
    return TmuxError(
        f"tmux did not answer within {deadline_s:g} s; nothing is known about the window"
    )


class Reply(tmux_cmd):
    """What tmux answered: *returncode*, *stdout* and *stderr* as lists of lines, and *text*."""

    def __init__(
        self, argv: list[str], deadline_s: float, environ: Mapping[str, str] | None = None
    ) -> None:
        self.cmd = argv
        try:
            done = subprocess.run(
                argv,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=deadline_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise no_answer(deadline_s) from None
        except OSError as error:
            raise MissingProgramError(
                f"{argv[0]} cannot be run ({error.strerror}); install tmux"
                f" {settings.TMUX_MINIMUM[0]}.{settings.TMUX_MINIMUM[1]} or later"
            ) from error
        self.returncode = done.returncode
        self.text = done.stdout.decode("utf-8", "replace")
        # libtmux reads its objects from these two; it expects no empty lines at the end.
        self.stdout = self.text.rstrip("\n").split("\n") if self.text.rstrip("\n") else []
        self.stderr = done.stderr.decode("utf-8", "replace").split("\n") if done.returncode else []
        self.stderr = [line for line in self.stderr if line]


class Asked(Protocol):
    """What answers one tmux command: a process for each, or a connection that lasts."""

    def ask(self, *args: str) -> str:
        """Return what the command printed; raises NotFoundError and TmuxError."""


def server_id(tmux: Asked) -> str:
    """Return what tells a server's life from every other one; one tmux call.

    Raises:
        NotFoundError: no server.
        TmuxError: tmux could not be asked.
    """
    return tmux.ask("display-message", "-p", "#{socket_path}:#{pid}:#{start_time}").strip()


def socket_path(tmux: Asked) -> str:
    """Return the path of the server's socket; one tmux call, raises like :func:`server_id`."""
    return tmux.ask("display-message", "-p", "#{socket_path}").strip()


class Server(libtmux.Server):
    """A tmux server. Calls block at most *deadline_s* seconds each.

    libtmux's own objects work on it, since all of them go through :meth:`cmd`. *environ* is what a
    tmux process begins with, and so the server that it may start; None: what this process has.
    """

    environ: Mapping[str, str] | None = None

    def __init__(
        self,
        socket_name: str | None = None,
        tmux: str | Path = "tmux",
        config_file: str | None = None,
        deadline_s: float = settings.TMUX_DEADLINE_S,
    ) -> None:
        program = shutil.which(str(tmux))
        if program is None:
            low = ".".join(map(str, settings.TMUX_MINIMUM))
            raise MissingProgramError(f"{tmux} is not installed; install tmux {low} or later")
        self.deadline_s = deadline_s
        super().__init__(socket_name=socket_name, tmux_bin=program, config_file=config_file)
        self._check_version()

    # libtmux's own override is at odds with its protocol in the same way.
    def cmd(  # type: ignore[override]
        self, cmd: str, *args: Any, target: str | int | None = None
    ) -> Reply:
        """Run one tmux command and return its reply, whatever its status is.

        Raises:
            TmuxError: no answer within the deadline.
            MissingProgramError: tmux cannot be run.
        """
        where = () if target is None else ("-t", str(target))
        return Reply(self.argv(cmd, *where, *map(str, args)), self.deadline_s, self.environ)

    def argv(self, *args: str) -> list[str]:
        """Return the command line of a tmux process that *args* are given to."""
        argv = [str(self.tmux_bin), "-u"]
        if self.socket_name:
            argv.append(f"-L{self.socket_name}")
        if self.config_file:
            argv.append(f"-f{self.config_file}")
        return [*argv, *args]

    def ask(self, *args: str, deadline_s: float | None = None) -> str:
        """Run one tmux command and return what it printed; *deadline_s* is its own, if given.

        Raises:
            NotFoundError: tmux says that server, session, window or pane is not there.
            TmuxError: it failed in another way, or did not answer.
        """
        reply = Reply(self.argv(*args), deadline_s or self.deadline_s, self.environ)
        if reply.returncode == 0:
            return reply.text
        raise failure(args[0], " ".join(reply.stderr) or f"status {reply.returncode}")

    @property
    def sockets(self) -> Path:
        """The folder in which the server's socket is."""
        return attaching.sockets(self.socket_name, self.environ or os.environ)

    def _check_version(self) -> None:
        said = Reply([str(self.tmux_bin), "-V"], self.deadline_s).text.strip()
        found = _VERSION.search(said)
        # "tmux master" has no number and is newer than any that has one.
        self.release = (int(found[1]), int(found[2])) if found else (99, 0)
        if self.release < settings.TMUX_MINIMUM:
            low = ".".join(map(str, settings.TMUX_MINIMUM))
            raise MissingProgramError(f"{said} is too old; install tmux {low} or later")
