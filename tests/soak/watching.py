"""Watching many windows for long, while other watchers come and are killed; what became of it."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from swarmcomm import Swarm, errors
from swarmcomm.protocol import without_marks
from swarmcomm.store import FILE
from tests.benchmarks.rig import cpu_s, resident_mib, room, server_pid
from tests.conftest import Tmux, worker_command
from tests.swarm.test_watching import Watcher

AGENT = Path(__file__).with_name("agent.py")
KINDS = {"lines": 12, "flood": 8, "paint": 8, "worker": 4}

#: Rows of history of each window: full soon, so that only what grows for ever is seen to grow.
HISTORY = 500
COLUMNS = 100

#: Seconds that a watcher lives before it is killed: at most.
LIFE_S = 15.0

#: Times at which memory is taken.
SAMPLES = 12

#: What a watcher keeps of an answer, and what its memory may vary by beside that.
ID_KIB = 1.0
SLACK_MIB = 4.0

#: What the windows' histories take in all, and some room.
HISTORIES_MIB = 16.0

#: Seconds for what was printed last to be told.
LATE_S = 60.0

#: Seconds for which nothing happens, at the end.
QUIET_S = 5.0

Answer = tuple[str, str, str, str]


@dataclass
class Crowd:
    """The windows of a server, and what was answered in them."""

    tmux: Tmux
    folder: Path
    windows: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    refused: int = 0

    def start(self) -> None:
        """Start a program in each window."""
        for kind, count in KINDS.items():
            for number in range(count):
                name = f"{kind}-{number}"
                self.windows[name] = self._command(kind, name)
        size = ("-x", str(COLUMNS), "-y", "40")
        self.tmux.run("new-session", "-d", "-s", "s", *size, "-n", "first", "cat")
        self.tmux.run("set", "-g", "history-limit", str(HISTORY))
        self.tmux.run("set", "-t", "s", "window-size", "manual")
        self.tmux.run("set", "-g", "automatic-rename", "off")
        for name, command in self.windows.items():
            self.tmux.run("new-window", "-d", "-t", "=s:", "-n", name, command)
        self.tmux.run("kill-window", "-t", "=s:first")

    def _command(self, kind: str, name: str) -> str:
        if kind == "worker":
            return worker_command()
        words = [sys.executable, AGENT, kind, name, self._log(name), self._go, self._quiet]
        return shlex.join(map(str, words))

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    @property
    def _go(self) -> Path:
        return self.folder / "go"

    @property
    def _quiet(self) -> Path:
        return self.folder / "quiet"

    def send(self, environ: dict[str, str], until: float) -> None:
        """Send tasks at random times to the workers until then."""
        order = random.Random(3)
        workers = [name for name in self.windows if name.startswith("worker")]
        with Swarm.attach("s", self.tmux.socket, environ) as swarm:
            while time.monotonic() < until:
                name, number = order.choice(workers), len(self.sent)
                wire = f"{name}-{number - number % order.choice([1, 1, 20])}"
                try:
                    task = swarm[name].send("true", task_id=wire, tag=order.random() < 0.3)
                except errors.SwarmError as error:
                    self.refused += 1
                    print(f"{name}: {error}", flush=True)
                else:
                    self.sent.append((name, str(task.wire_id)))
                time.sleep(order.expovariate(1.0))

    def go(self) -> None:
        """Let them begin."""
        self._go.touch()

    def hush(self) -> None:
        """Wait until every program has answered its last."""
        self._quiet.touch()
        logs = [self._log(name) for name in self.windows if not name.startswith("worker")]
        wait(lambda: all(Path(f"{log}.over").exists() for log in logs), LATE_S)

    def answers(self) -> Counter[Answer]:
        """Return what was printed."""
        counted: Counter[Answer] = Counter()
        for name in self.windows:
            if self._log(name).exists():
                counted[name, "DONE", "ready", ""] += 1
                for line in self._log(name).read_text(encoding="utf-8").splitlines():
                    marker, wire_id, text = json.loads(line)
                    counted[name, marker, wire_id, without_marks(text.strip())] += 1
        for name, wire_id in self.sent:
            counted.update([(name, "ACK", wire_id, ""), (name, "DONE", wire_id, "")])
        return counted


@dataclass
class Told:
    """What watchers told."""

    answers: Counter[Answer] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    numbers: list[int] = field(default_factory=list)

    def take(self, events: list[dict[str, object]]) -> None:
        """Count *events*, the next ones."""
        for event in events:
            if event["marker"]:
                window, marker, wire_id, text = (
                    str(event[word]) for word in ("window", "marker", "wire_id", "text")
                )
                self.answers[window, marker, wire_id, without_marks(text)] += 1
            else:
                flags = event["flags"]
                assert isinstance(flags, list)
                self.others[str(flags[0] if flags else event["state"])] += 1
            if isinstance(event["number"], int):
                self.numbers.append(event["number"])

    def in_order(self) -> bool:
        return all(one < two for one, two in zip(self.numbers, self.numbers[1:], strict=False))


class Relay:
    """Watchers one after the other: each is killed, and the next goes on behind its last number."""

    def __init__(self, start: Callable[..., Watcher], windows: list[str], seed: int) -> None:
        self.told = Told()
        self.watchers = 0
        self._start, self._windows, self._random = start, windows, random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            watcher = self._next()
            self._stop.wait(self._random.uniform(0.1, LIFE_S))
            watcher.end(signal.SIGKILL)
            self.told.take(watcher.events)

    def _next(self) -> Watcher:
        self.watchers += 1
        last = self.told.numbers[-1] if self.told.numbers else 0
        return self._start("--since", str(last), *self._windows)

    def finish(self, expected: int) -> None:
        """End the one that is at work, and let a last one tell the rest."""
        self._stop.set()
        self._thread.join()
        watcher = self._next()
        missing = expected - self.told.answers.total()
        wait(lambda: len(watcher.answers()) >= missing, LATE_S)
        time.sleep(1)  # a doubled one would come now
        watcher.end()
        self.told.take(watcher.events)


def wait(condition: Callable[[], bool], deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)


def compare(printed: Counter[Answer], told: Counter[Answer]) -> tuple[int, int, int]:
    """Return how many answers were lost, told too often, and told but never printed."""
    lost = (printed - told).total()
    more = told - printed
    invented = sum(count for answer, count in more.items() if answer not in printed)
    return lost, more.total() - invented, invented


class Report:
    """A table of figures, each with its bound."""

    def __init__(self) -> None:
        self.broken: list[str] = []

    def row(self, name: str, figure: object, bound: str = "", kept: bool = True) -> None:
        said = "" if kept else "  BROKEN"
        print(f"  {name:44}{figure!s:>14}  {bound}{said}", flush=True)
        if not kept:
            self.broken.append(name.strip())

    def answers(self, name: str, printed: Counter[Answer], told: Told) -> None:
        """Compare what was *told* with what was *printed*."""
        self.row(f"{name}: told", told.answers.total())
        lost, doubled, invented = compare(printed, told.answers)
        self.row("  lost", lost, "0", lost == 0)
        self.row("  doubled", doubled, "0", doubled == 0)
        self.row("  invented", invented, "0", invented == 0)
        self.row("  in the order of the numbers", told.in_order(), "True", told.in_order())
        for answer in [*(printed - told.answers), *(told.answers - printed)][:10]:
            print(f"    {answer}: printed {printed[answer]}, told {told.answers[answer]}")


@dataclass
class Figures:
    """Memory in MiB, open files and started programs of a watcher and its tmux server."""

    watcher: int
    server: int
    programs: Path
    memory: list[tuple[float, int, float, float]] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    started: int = 0
    cpu: list[float] = field(default_factory=list)

    def sample(self, at: float, events: int) -> None:
        """Take memory and files now, *at* seconds after the begin, so many *events* told."""
        self.memory.append((at, events, resident_mib(self.watcher), resident_mib(self.server)))
        self.files.append(len(list(Path(f"/proc/{self.watcher}/fd").iterdir())))

    def be_quiet(self) -> None:
        """See what it does while nothing happens."""
        used, started = self._used(), self.programs.stat().st_size
        time.sleep(QUIET_S)
        self.started = self.programs.stat().st_size - started
        self.cpu = [now - before for before, now in zip(used, self._used(), strict=True)]
        self.files.append(len(list(Path(f"/proc/{self.watcher}/fd").iterdir())))

    def _used(self) -> tuple[float, float]:
        return cpu_s(self.watcher), cpu_s(self.server)

    def show(self, report: Report) -> None:
        """Print all, with its bounds."""
        print("  memory in MiB: time, events told, watcher, tmux server")
        for at, told, watcher, server in self.memory:
            print(f"  {at:8.0f} s{told:10}{watcher:10.1f}{server:10.1f}")
        half = self.memory[len(self.memory) // 2]
        last = self.memory[-1]
        # What is remembered of each id is bounded, at 50,000 ids a window: it is not flat before.
        most = SLACK_MIB + (last[1] - half[1]) * ID_KIB / 1024
        grown = last[2] - half[2]
        bound = f"at most {most:.1f}"
        report.row("watcher grown in the second half, MiB", f"{grown:.1f}", bound, grown <= most)
        # Of the server only its windows' histories grow, until they are full.
        grown, bound = last[3] - half[3], f"at most {HISTORIES_MIB}"
        report.row("tmux server grown in it, MiB", f"{grown:.1f}", bound, grown <= HISTORIES_MIB)
        first, final = self.files[0], self.files[-1]
        report.row("open files of the watcher", f"{first}, {final}", "no more", final <= first)
        name = f"programs started in {QUIET_S:g} quiet s"
        report.row(name, self.started, "0", not self.started)
        shares = " ".join(f"{100 * each / QUIET_S:.1f}" for each in self.cpu)
        report.row("  CPU then, watcher and tmux server, %", shares)


def run(seconds: float) -> bool:
    """Watch for so long, print what became of it and return whether all is as it has to be."""
    with room() as here, crowd(here.environ, here.folder) as windows:
        return watch(windows, here.environ, seconds)


@contextmanager
def crowd(environ: dict[str, str], folder: Path) -> Iterator[Crowd]:
    tmux = Tmux(environ)
    os.environ["TMUX_TMPDIR"] = environ["TMUX_TMPDIR"]  # libtmux takes it from there
    made = Crowd(tmux, folder)
    try:
        made.start()
        yield made
    finally:
        tmux.run("kill-server", check=False)


def watch(crowd: Crowd, environ: dict[str, str], seconds: float) -> bool:
    """Watch *crowd* for so long; return whether all is as it has to be."""
    log = crowd.folder / "programs"
    shim = crowd.folder / "tmux-that-counts"
    shim.write_text(f'#!/bin/sh\necho >>{log}\nexec tmux "$@"\n')
    shim.chmod(0o700)
    log.touch()
    names = list(crowd.windows)

    def start(*args: str, **extra: str) -> Watcher:
        return Watcher({**environ, **extra}, crowd.tmux, *args)

    long = start("--since", "0", *names, SWARM_TMUX=str(shim))
    relays = [Relay(start, names, seed) for seed in range(2)]
    agents = sum(count for kind, count in KINDS.items() if kind != "worker")
    wait(lambda: len(long.answers()) == agents, LATE_S)
    figures = Figures(long.process.pid, server_pid(crowd.tmux), log)
    crowd.go()
    begin = time.monotonic()
    sender = threading.Thread(target=crowd.send, args=(environ, begin + seconds))
    sender.start()
    for number in range(SAMPLES + 1):
        time.sleep(max(0.0, begin + seconds * number / SAMPLES - time.monotonic()))
        figures.sample(time.monotonic() - begin, len(long.events))
    sender.join()
    crowd.hush()
    printed = crowd.answers()
    wait(lambda: len(long.answers()) >= printed.total(), LATE_S)
    for relay in relays:
        relay.finish(printed.total())
    figures.be_quiet()
    status = long.end()
    told = Told()
    told.take(long.events)

    print(f"\nwatching {len(names)} windows for {seconds:g} s")
    report = Report()
    report.row("answers printed", printed.total())
    report.answers("one watcher", printed, told)
    for relay in relays:
        report.answers(f"{relay.watchers} watchers, each but the last killed", printed, relay.told)
    report.row("other events", dict(told.others))
    report.row("sends that were refused", crowd.refused, "0", not crowd.refused)
    report.row("status of the watcher", status, "0", status == 0)
    figures.show(report)
    store = Path(environ["HOME"], ".local/state/swarmcomm", FILE)
    size = sum(path.stat().st_size for path in store.parent.glob(f"{FILE}*"))
    report.row("events.db, KiB", size // 1024)
    each = size // max(1, told.numbers[-1])
    report.row("  bytes an event", each, "under 1024", each < 1024)
    print("all as it has to be" if not report.broken else f"BROKEN: {', '.join(report.broken)}")
    return not report.broken


if __name__ == "__main__":
    # A shell lets what it starts in the background ignore an interrupt, and so would our watchers.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(not run(float(sys.argv[1]) if sys.argv[1:] else 3600.0))
