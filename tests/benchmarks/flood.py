"""What is kept of the answers in a flood, and how much watching slows it down."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from tests.benchmarks import ways
from tests.benchmarks.rig import Plan, Row, Watcher, median, python, room
from tests.conftest import wait_for

PRINTER = str(Path(__file__).with_name("printer.py"))
_NOBODY = "nobody watches"
_SLOWER = 2.5


def measure(plan: Plan) -> list[Row]:
    """Return how many of the markers each way told, how many twice, and the worker's slowdown."""
    lines, answers = (20_000, 200) if plan.quick else (1_000_000, 10_000)
    took: dict[str, list[float]] = {}
    kept: dict[str, list[float]] = {}
    twice: dict[str, list[float]] = {}
    ended: dict[str, list[float]] = {}
    for turn in range(1 if plan.quick else 3):
        for way in (None, *ways.WAYS):
            name = way.name if way else _NOBODY
            plan.tell(f"flood: {name}, turn {turn + 1}")
            seconds, told, late = _flood(way, lines, answers, plan.settle_s(2.0))
            took.setdefault(name, []).append(seconds)
            if way:
                kept.setdefault(name, []).append(len(told))
                twice.setdefault(name, []).append(sum(told.values()) - len(told))
                ended.setdefault(name, []).append(late)
    alone = median(took[_NOBODY]) or 0.0
    rows = []
    for name, times in took.items():
        middle = median(times) or 0.0
        row = Row(
            f"flood, {answers} markers among {lines} lines",
            name,
            {
                "kept (worst)": min(kept[name]) if name in kept else None,
                "twice": max(twice[name]) if name in twice else None,
                "worker s": middle,
                "times slower": middle / alone if alone else None,
                "behind at its end, s": median(ended[name]) if name in ended else None,
            },
        )
        if name == ways.SWARMCOMM.name:
            row.budget = f"all, none twice, at most {_SLOWER} times slower"
            row.met = (
                min(kept[name]) == answers and not max(twice[name]) and middle <= _SLOWER * alone
            )
        rows.append(row)
    return rows


def _flood(
    way: ways.Way | None, lines: int, answers: int, settle_s: float
) -> tuple[float, Counter[str], float]:
    """Return the worker's seconds, how often each marker was told, and how late the last was."""
    with room() as here:
        go, done = here.folder / "go", here.folder / "done"
        words = ("flood", str(go), str(done), str(lines), str(answers))
        windows = {"w0": python(PRINTER, *words), **{f"w{i}": "exec cat" for i in range(1, 4)}}
        with here.server(windows) as tmux:
            if way is None:
                go.touch()
                wait_for(done.exists, "the end of the flood", 300)
                return _worker_s(done), Counter(), 0.0
            with here.watcher(way, tmux, list(windows)) as watcher:
                watcher.settle(settle_s)
                go.touch()
                told, late = _told(watcher, done)
                return _worker_s(done), told, late


def _told(watcher: Watcher, done: Path) -> tuple[Counter[str], float]:
    """Return how often each marker was told, and the seconds from the worker's end to the last."""
    told: Counter[str] = Counter()
    last = 0
    given_up: float | None = None
    while "f-end" not in told and (given_up is None or time.monotonic() < given_up):
        for line in watcher.wait_for("f-end", 1.0):
            words = line.text.split("[DONE] ", 1)
            if len(words) == 2:
                told[words[1].split()[0]] += 1
                last = line.at
        if given_up is None and done.exists():
            given_up = time.monotonic() + 60
    wait_for(done.exists, "the end of the flood", 300)
    del told["f-end"]
    return told, (last - int(done.read_text().split()[1])) / 1e9


def _worker_s(done: Path) -> float:
    return float(done.read_text().split()[0])
