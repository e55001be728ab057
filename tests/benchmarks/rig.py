"""What all parts measure with: a private tmux server, and watchers as processes of their own."""

from __future__ import annotations

import math
import os
import queue
import re
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.ways import Way
from tests.conftest import ROOT, Tmux

SESSION = "bench"

#: Of a process that belongs to a watcher, however it was started.
_TOKEN = "SWARM_BENCH"
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_PROGRAMS = ("tmux", "awk", "grep", "tail", "sleep", "date", "ps", "stty")


@dataclass
class Row:
    """One line of the table; *met* tells whether its *budget* is kept, None where it has none."""

    part: str
    name: str
    figures: dict[str, float | None]
    budget: str = ""
    met: bool | None = None


@dataclass
class Plan:
    """How much is measured; *quick* is only to see that it runs. *tell* says what goes on."""

    quick: bool = False
    runs: int = 15
    seconds: float | None = None
    tell: Callable[[str], None] = lambda _text: None

    def settle_s(self, usual: float) -> float:
        """Return the seconds that a watcher gets to start and to look for the first time."""
        return min(usual, 0.6) if self.quick else usual

    def span(self, usual: float, quick: float) -> float:
        """Return the seconds that a measurement takes."""
        return quick if self.quick else self.seconds or usual


@dataclass
class Seen:
    """A line of a watcher: *at* is CLOCK_MONOTONIC in nanoseconds, when it was known."""

    at: int
    text: str


@dataclass
class Room:
    """A folder and an environment that name no other swarm."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def server(self, windows: Mapping[str, str], history: int = 2000) -> Iterator[Tmux]:
        """Give a tmux server with these windows, each with a shell command."""
        tmux = Tmux(self.environ)
        names = list(windows)
        try:
            size = ("-x", "200", "-y", "50")
            # The limit counts for windows that are made after it was set.
            tmux.run("new-session", "-d", "-s", SESSION, *size, "-n", "first", "cat")
            tmux.run("set", "-g", "history-limit", str(history))
            tmux.run("set", "-t", SESSION, "window-size", "manual")
            tmux.run("set", "-g", "automatic-rename", "off")
            for name in names:
                tmux.run("new-window", "-d", "-t", f"={SESSION}:", "-n", name, windows[name])
            tmux.run("kill-window", "-t", f"={SESSION}:first")
            yield tmux
        finally:
            tmux.run("kill-server", check=False)

    @contextmanager
    def watcher(
        self, way: Way, tmux: Tmux, windows: list[str], count: bool = False
    ) -> Iterator[Watcher]:
        """Give a watcher of these windows that is at work; with *count* its programs are noted."""
        environ = {
            **self.environ,
            "SWARM_SOCKET": tmux.socket,
            "SWARM_SESSION": SESSION,
            "SWARM_STATE_DIR": str(self.folder / f"state-{secrets.token_hex(4)}"),
            _TOKEN: secrets.token_hex(8),
        }
        log = self.folder / f"programs-{secrets.token_hex(4)}"
        if count:
            environ["PATH"] = f"{self._counting(log)}:{environ['PATH']}"
        made = Watcher(way.command(windows), environ, log)
        try:
            yield made
        finally:
            made.stop()

    def _counting(self, log: Path) -> Path:
        """Return a folder of programs that note their name in *log* when they start."""
        shims = log.with_name(f"{log.name}-shims")
        shims.mkdir()
        for name in _PROGRAMS:
            real = shutil.which(name)
            if real:
                shim = shims / name
                shim.write_text(f'#!/bin/sh\necho {name} >>{log}\nexec {real} "$@"\n')
                shim.chmod(0o700)
        return shims


@contextmanager
def room() -> Iterator[Room]:
    """Give a room, and leave nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="swb-"))
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SWARM_", "TMUX", "CLAUDE", "XDG_"))
    }
    environ = {**kept, "TMUX_TMPDIR": str(folder), "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    try:
        yield Room(folder, environ)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Watcher:
    """A process that says what it sees; its lines are read on a thread."""

    def __init__(self, argv: list[str], environ: dict[str, str], log: Path) -> None:
        self._token = f"{_TOKEN}={environ[_TOKEN]}".encode()
        self._log = log
        self._lines: queue.SimpleQueue[Seen] = queue.SimpleQueue()
        self._errors = log.with_name(f"{log.name}-errors")
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                argv,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            now = time.monotonic_ns()
            said = line.decode(errors="replace").rstrip("\n")
            # Who can tells when it knew; of the others it is when they said so.
            known = re.match(r"@(\d+) ", said)
            self._lines.put(Seen(int(known[1]) if known else now, said))

    def take(self) -> list[Seen]:
        """Return what it said since the last call."""
        found = []
        while not self._lines.empty():
            found.append(self._lines.get())
        return found

    def wait_for(self, pattern: str, deadline_s: float) -> list[Seen]:
        """Return what it said up to a line with *pattern*, or to the deadline."""
        found: list[Seen] = []
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            try:
                found.append(self._lines.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                break
            if re.search(pattern, found[-1].text):
                break
        return found

    def settle(self, seconds: float) -> None:
        """Let it start and read what is there; its lines so far are forgotten."""
        time.sleep(seconds)
        self._alive()
        self.take()

    def _alive(self) -> None:
        if self._process.poll() is not None:
            raise SystemExit(f"a watcher ended: {self._errors.read_text()}")

    def processes(self) -> list[int]:
        """Return the processes that belong to it now."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if self._token in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def cpu_s(self) -> float:
        """Return the processor seconds of its processes, and of those that ended."""
        self._alive()
        return sum(cpu_s(pid) for pid in self.processes())

    def resident_mib(self) -> float:
        """Return its memory."""
        return sum(resident_mib(pid) for pid in self.processes())

    def programs(self) -> int:
        """Return how many programs it has started; only where they are counted."""
        return len(self._log.read_text().splitlines()) if self._log.exists() else 0

    def stop(self) -> None:
        """End it and what belongs to it."""
        try:
            os.killpg(self._process.pid, signal.SIGINT)
            self._process.wait(5)
        except ProcessLookupError:
            self._process.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._thread.join(5)


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu_s(pid: int) -> float:
    """Return the processor seconds of *pid* and of its children that ended; 0 if it is gone."""
    try:
        return sum(map(int, _stat(pid)[11:15])) / _TICKS
    except OSError:
        return 0.0


def resident_mib(pid: int) -> float:
    """Return the resident memory of *pid*; 0 if it is gone."""
    try:
        return int(_stat(pid)[21]) * _PAGE_KIB / 1024
    except OSError:
        return 0.0


def server_pid(tmux: Tmux) -> int:
    """Return the process of a tmux server."""
    return int(tmux.run("display-message", "-p", "#{pid}"))


def quantile(values: list[float], share: float) -> float | None:
    """Return the smallest of *values* that *share* of them do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else None


def median(values: list[float]) -> float | None:
    """Return the median, None of nothing."""
    return statistics.median(values) if values else None


def python(*words: str) -> str:
    """Return a shell command that runs this Python."""
    return " ".join([sys.executable, *words])
