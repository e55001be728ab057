"""A swarm of real agents on a private tmux server, with the stand-in behind them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.agents import cli
from tests.conftest import ROOT, Tmux, wait_for

STAND_IN = Path(__file__).parent / "stand_in.py"
SESSION = "s"
FACES = {
    "bash": [str(ROOT / "scripts" / "claude_comm.sh")],
    "python": [sys.executable, "-m", "swarmcomm"],
}
face = pytest.mark.parametrize("face", sorted(FACES))  # what bash and Python do alike
# The input box, empty: between rules, with a no-break space that stands nowhere else.
READY = re.compile(r"^─{20,}\n❯\u00a0?\n─{20,}$", re.MULTILINE)
DIALOG = r"^ Do you want to proceed\?"
MODE = re.compile(r"^  \S+ (auto mode|manual mode|accept edits|plan mode) on\b", re.MULTILINE)
BUSY = re.compile(r"esc to i")


class Rig:
    """What a test does with the swarm; `start_rig` makes one."""

    DIALOG = DIALOG
    CLOSED = r"Interrupted|rejected"

    def __init__(self, tmux: Tmux, log: Path, workdir: Path) -> None:
        self.tmux = tmux
        self.log = log
        self.workdir = workdir
        self.keys = log.with_name("enters")
        self.environ = {
            **tmux.environ,
            "SWARM_SOCKET": tmux.socket,
            "SWARM_SESSION": SESSION,
            "SWARM_TMUX": str(counting_tmux(self.keys)),
            "PYTHONPATH": str(ROOT),
        }

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

    def launch(self, *agent: str, windows: str) -> None:
        """Start a swarm of an agent; returns when every window has its empty box."""
        options = ("--no-attach", "--workdir", str(self.workdir), *agent)
        done = self.run("run_claude_swarm.sh", *options, SWARM_WINDOWS=windows)
        assert done.returncode == 0, done.stderr

    def face(
        self, face: str, *args: str, stdin: str | None = None, timeout: float = 90
    ) -> subprocess.CompletedProcess[str]:
        """Run ``send``, ``poll`` and so on of "bash" or "python"."""
        return subprocess.run(
            [*FACES[face], *args],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env=self.environ,
            timeout=timeout,
            check=False,
        )

    def send(
        self, face: str, window: str, task: str, text: str, wait_s: float = 30
    ) -> subprocess.CompletedProcess[str]:
        return self.face(face, "send", "--wait", str(wait_s), window, task, "-", stdin=text)

    def submit(self, face: str, window: str, task: str, text: str) -> None:
        """Send what has to be taken."""
        done = self.send(face, window, task, text)
        assert (done.returncode, done.stdout) == (0, f"submitted {window} {task}\n"), done.stderr

    def poll(
        self, face: str, window: str, task: str, timeout_s: float = 20, until: str = "DONE"
    ) -> tuple[int, str]:
        """Return status and output of a poll."""
        words = ("poll", window, str(timeout_s), task, "--until", until)
        done = self.face(face, *words, timeout=timeout_s + 60)
        return done.returncode, done.stdout

    def start(self, face: str, *args: str) -> subprocess.Popen[str]:
        """Start what goes on beside the test."""
        return subprocess.Popen(
            [*FACES[face], *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ,
        )

    def enters(self) -> int:
        """Return how many times Enter was pressed by one of us."""
        return len(self.keys.read_text().splitlines()) if self.keys.exists() else 0

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
        text = ""

        def look() -> bool:
            nonlocal text
            text = self.visible(window)
            return bool(wanted.search(text))

        try:
            wait_for(look, pattern, deadline_s)
        except pytest.fail.Exception:
            pytest.fail(f"{pattern} not seen in {window}; its screen:\n{text}")
        return text

    def make_manual(self, window: str) -> None:
        """Have claude ask about every tool call; shift+tab goes from mode to mode."""

        def mode() -> str:
            found = MODE.search(self.visible(window))
            return found[1] if found else ""

        while (before := wait_for(mode, "a mode")) != "manual mode":
            self.press(window, "BTab")
            wait_for(lambda before=before: mode() not in ("", before), "another mode")  # type: ignore[misc]

    def open_dialog(self, window: str, task: str) -> None:
        """Have claude ask whether it may make the folder ``approved``; it has to be manual."""
        self.submit("python", window, task, "{fake:bash=mkdir approved}")
        self.wait_screen(window, self.DIALOG)

    def close_dialog(self, window: str) -> None:
        """Say no, as a person does who does not want it."""
        self.wait_screen(window, self.DIALOG)
        self.press(window, "Escape")
        self.wait_screen(window, self.CLOSED)

    def has_dialog(self, window: str) -> bool:
        return bool(re.search(self.DIALOG, self.visible(window), re.MULTILINE))

    def approved(self) -> bool:
        return (self.workdir / "approved").exists()

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

    def results(self) -> list[str]:
        """Return what tools gave back, each once, in the order in which the model was told."""
        told = [text for request in self.requests() for text in request.get("results", ())]
        return list(dict.fromkeys(told))

    def said(self, marker: str) -> dict[str, float]:
        """Return when the model began to say *marker* (epoch seconds), by wire id."""
        wanted = (f"{marker} ",)
        return {
            request["said"].partition(" ")[2]: request["at"]
            for request in self.requests()
            if request.get("said", "").startswith(wanted)
        }


def counting_tmux(log: Path) -> Path:
    """Return a tmux that notes each Enter in *log*."""
    program = log.with_name("tmux-that-counts")
    program.write_text(
        "#!/bin/sh\n"
        f"for word; do case $word in *'-H 0d') echo Enter >>'{log}' ;; esac; done\n"
        'exec tmux "$@"\n'
    )
    program.chmod(0o755)
    return program


@contextmanager
def start_rig(
    folder: Path, *, fullscreen: bool = False, sessions: dict[str, str] | None = None
) -> Iterator[Rig]:
    """Yield a rig: stand-in and tmux server run, no window yet. All ends with it.

    With *sessions* its claude has the MCP server, as the session that it says for the window.
    As root on Linux both have a network of their own with nothing but loopback in it.
    """
    home, programs = folder / "home", cli.fetch()
    cli.make_home(home, folder / "work")
    if fullscreen:
        programs = cli.fullscreen(programs, folder)
    if sessions:
        programs = cli.coordinating(programs, folder, sessions)
    with start_tmux(folder, STAND_IN, lambda port: cli.environment(home, port, programs)) as rig:
        yield rig


@contextmanager
def start_tmux(
    folder: Path,
    program: Path,
    environment: Callable[[int], dict[str, str]],
    kind: type[Rig] = Rig,
) -> Iterator[Rig]:
    """Yield a rig with the stand-in *program* and the environment for its port."""
    log, workdir = folder / "requests.jsonl", folder / "work"
    workdir.mkdir()
    with own_stand_in(program, log) as (port, entered):
        tmux = Tmux(environment(port))
        start = ["tmux", "-u", "-L", tmux.socket, "-f", "/dev/null"]
        keep = ["new-session", "-d", "-s", "keep", "-x", "20", "-y", "5", "sleep 3600"]
        subprocess.run([*entered, *start, *keep], env=tmux.environ, timeout=30, check=True)
        try:
            yield kind(tmux, log, workdir)
        finally:
            end(tmux)


def end(tmux: Tmux) -> None:
    """End the server and see its programs end: until then they write into their home."""
    pids = [int(pid) for pid in tmux.run("list-panes", "-a", "-F", "#{pane_pid}").split()]
    tmux.run("kill-server", check=False)
    wait_for(lambda: not any(map(is_alive, pids)), "the end of the agents")


def is_alive(pid: int) -> bool:
    """Tell whether the process *pid* is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def own_stand_in(program: Path, log: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the port of a stand-in, and the words that start a program in its network."""
    private = sys.platform == "linux" and os.geteuid() == 0
    command = [sys.executable, str(program), "--log", str(log)]
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
