"""A private tmux server for each test; the user's own is never touched."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
FAKE_AGENT = ROOT / "tests" / "faults" / "fake_agent.py"


def wait_for(condition: Callable[[], T], what: str, deadline_s: float = 20.0) -> T:
    """Return the first true value of *condition*; fail when *deadline_s* is over."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"not seen within {deadline_s} s: {what}")
        time.sleep(0.02)


class Tmux:
    """A tmux server on a socket of its own."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.socket = f"swarmtest-{uuid.uuid4().hex[:12]}"
        self.environ = environ

    def run(self, *args: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-L", self.socket, "-f", "/dev/null", *args],
            capture_output=True,
            text=True,
            env=self.environ,
            timeout=30,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"tmux {args}: {done.stderr}")
        return done.stdout

    def session(
        self, name: str, windows: dict[str, str], width: int = 120, height: int = 40
    ) -> None:
        """Make a session by hand, with a shell command in each window."""
        first = True
        for window, command in windows.items():
            if first:
                size = ["-x", str(width), "-y", str(height)]
                self.run("new-session", "-d", "-s", name, *size, "-n", window, command)
                self.run("set", "-t", name, "window-size", "manual")
                self.run("set", "-t", name, "automatic-rename", "off")
            else:
                self.run("new-window", "-d", "-t", f"={name}:", "-n", window, command)
            first = False

    def pane(self, session: str, window: str) -> str:
        rows = self.run("list-panes", "-s", "-t", f"={session}", "-F", "#{pane_id} #{window_name}")
        return next(row.split(" ", 1)[0] for row in rows.splitlines() if row.endswith(f" {window}"))

    def screen(self, session: str, window: str) -> str:
        pane = self.pane(session, window)
        return self.run("capture-pane", "-p", "-J", "-S", "-", "-t", pane)

    def type(self, session: str, window: str, *lines: str) -> None:
        """Type lines as a person does."""
        pane = self.pane(session, window)
        for line in lines:
            self.run("send-keys", "-t", pane, "-l", "--", line)
            self.run("send-keys", "-t", pane, "Enter")


@pytest.fixture(scope="session")
def sockets() -> Iterator[str]:
    """A folder for tmux's sockets, short since a socket's path may have only 100 characters."""
    given = os.environ.get("TMUX_TMPDIR")
    if given:
        yield given
    else:
        with tempfile.TemporaryDirectory(prefix="swt") as folder:
            yield folder


@pytest.fixture
def environ(
    tmp_path_factory: pytest.TempPathFactory, sockets: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """An environment that names no other swarm, with a home of its own."""
    monkeypatch.setenv("TMUX_TMPDIR", sockets)
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("SWARM_", "CLAUDE", "TMUX", "XDG_"))
    }
    home = tmp_path_factory.mktemp("home")
    return {
        **kept,
        "TMUX_TMPDIR": sockets,
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def tmux(environ: dict[str, str]) -> Iterator[Tmux]:
    """A tmux server that ends with the test."""
    server = Tmux(environ)
    yield server
    server.run("kill-server", check=False)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def on_server(tmux: Tmux, environ: dict[str, str]) -> Run:
    """Run a command, its words in one list, on the private server, session ``s``."""

    def run(
        command: list[str], stdin: str | bytes | None = None, timeout: float = 60, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            command,
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            env={**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s", **extra},
            timeout=timeout,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run


@pytest.fixture
def swarmcomm(on_server: Run) -> Run:
    """Run the ``swarmcomm`` command."""
    return lambda *args, **rest: on_server([sys.executable, "-m", "swarmcomm", *args], **rest)


@pytest.fixture
def script(on_server: Run) -> Run:
    """Run one of the scripts, named first."""
    return lambda name, *args, **rest: on_server([str(ROOT / "scripts" / name), *args], **rest)


def fake_agent(log: Path, *options: str) -> str:
    """Return the shell command of a fake agent that writes each message it takes to *log*."""
    return shlex.join([sys.executable, str(FAKE_AGENT), str(log), *options])


def worker_command(*options: str) -> str:
    """Return the shell command of the built-in worker."""
    return f"PYTHONPATH={shlex.quote(str(ROOT))} " + shlex.join(
        [sys.executable, "-m", "swarmcomm", "worker", *options]
    )
