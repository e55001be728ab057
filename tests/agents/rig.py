"""A swarm of real agents on a private tmux server, with the stand-in behind them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.agents import cli
from tests.conftest import ROOT, Tmux, wait_for

STAND_IN = Path(__file__).parent / "stand_in.py"
SESSION = "s"
# The input box, empty: between rules, with a no-break space that stands nowhere else.
READY = re.compile(r"^─{20,}\n❯\u00a0?\n─{20,}$", re.MULTILINE)
BUSY = re.compile(r"esc to i")


class Rig:
    """What a test does with the swarm; `start_rig` makes one."""

    def __init__(self, tmux: Tmux, log: Path, workdir: Path) -> None:
        self.tmux = tmux
        self.log = log
        self.workdir = workdir
        self.environ = {**tmux.environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": SESSION}

    def run(
        self, program: str, *args: str, stdin: str | None = None, timeout: float = 90, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the launcher or one of the scripts on this swarm."""
        return subprocess.run(
            [str(ROOT / program), *args],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env={**self.environ, **extra},
            timeout=timeout,
            check=False,
        )

    def launch(self, *options: str, windows: str) -> None:
        """Start a swarm of claude; returns when every window has its empty box."""
        done = self.run(
            "run_claude_swarm.sh",
            *("--no-attach", "--agent", "claude", "--workdir", str(self.workdir), *options),
            SWARM_WINDOWS=windows,
        )
        assert done.returncode == 0, done.stderr
        for window in windows.split():
            self.wait_ready(window)

    def comm(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return self.run("scripts/claude_comm.sh", *args, stdin=stdin)

    def swarmcomm(self, *args: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "swarmcomm", *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**self.environ, "PYTHONPATH": str(ROOT)},
            timeout=timeout,
            check=False,
        )

    def start_send(self, *args: str) -> subprocess.Popen[str]:
        """Start a send from bash that goes on beside the test."""
        return subprocess.Popen(
            [str(ROOT / "scripts/claude_comm.sh"), "send", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ,
        )

    def pane(self, window: str) -> str:
        return self.tmux.pane(SESSION, window)

    def all_text(self, window: str) -> str:
        return self.tmux.screen(SESSION, window)

    def visible(self, window: str) -> str:
        text = self.tmux.run("capture-pane", "-p", "-J", "-t", self.pane(window))
        return "\n".join(row.rstrip() for row in text.split("\n"))

    def press(self, window: str, *keys: str) -> None:
        self.tmux.run("send-keys", "-t", self.pane(window), *keys)

    def type(self, window: str, text: str) -> None:
        """Type as a person does."""
        self.tmux.run("send-keys", "-t", self.pane(window), "-l", "--", text)

    def is_ready(self, window: str) -> bool:
        screen = self.visible(window)
        return bool(READY.search(screen)) and not BUSY.search(screen)

    def wait_ready(self, window: str, deadline_s: float = 30) -> None:
        wait_for(lambda: self.is_ready(window), f"an empty box in {window}", deadline_s)

    def wait_screen(self, window: str, pattern: str, deadline_s: float = 30) -> str:
        wanted = re.compile(pattern, re.MULTILINE)
        return wait_for(
            lambda: text if wanted.search(text := self.visible(window)) else "",
            f"{pattern} in {window}; its screen:\n{self.visible(window)}",
            deadline_s,
        )

    def requests(self) -> list[dict[str, Any]]:
        """Return what the stand-in was asked so far."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().split("\n")
        return [json.loads(line) for line in lines[:-1]]  # behind the last newline: half a line

    def received(self, wire_id: str) -> list[str]:
        """Return the user texts that held this task, one for each request that had it newest."""
        return [
            text
            for request in self.requests()
            if wire_id in request.get("tasks", ()) and request["status"] == 200
            for text in request["texts"]
            if f"[TASK] {wire_id}" in text
        ]


@contextmanager
def start_rig(folder: Path) -> Iterator[Rig]:
    """Yield a rig: stand-in and tmux server run, no window yet. All ends with it.

    As root on Linux both have a network of their own with nothing but loopback in it.
    """
    log, workdir, home = folder / "requests.jsonl", folder / "work", folder / "home"
    workdir.mkdir()
    cli.make_home(home, workdir)
    programs = cli.fetch()
    with own_stand_in(log) as (port, entered):
        tmux = Tmux(cli.environment(home, port, programs))
        start = ["tmux", "-u", "-L", tmux.socket, "-f", "/dev/null"]
        keep = ["new-session", "-d", "-s", "keep", "-x", "20", "-y", "5", "sleep 3600"]
        subprocess.run([*entered, *start, *keep], env=tmux.environ, timeout=30, check=True)
        try:
            yield Rig(tmux, log, workdir)
        finally:
            tmux.run("kill-server", check=False)


@contextmanager
def own_stand_in(log: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the port of a stand-in, and the words that start a program in its network."""
    private = sys.platform == "linux" and os.geteuid() == 0
    command = [sys.executable, str(STAND_IN), "--log", str(log)]
    if private:
        command = ["unshare", "-n", *command, "--own-network"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = read_port(process.stdout)
        yield port, ["nsenter", "-n", "-t", str(process.pid)] if private else []
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def read_port(stream: IO[str] | None) -> int:
    line = stream.readline() if stream else ""
    assert line.strip().isdigit(), "the stand-in did not start"
    return int(line)
