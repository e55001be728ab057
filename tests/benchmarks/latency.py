"""How long it takes from a marker being written to its event."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.benchmarks import ways
from tests.benchmarks.rig import Plan, Row, Seen, median, python, quantile, room

PRINTER = str(Path(__file__).with_name("printer.py"))

#: Markers that a window prints in a second, at random times.
_RATE = 4.0
_LOUD = "a neighbour floods"


def measure(plan: Plan) -> list[Row]:
    """Return p50 and p99 of each way, with three idle neighbours and with one that floods."""
    rows = []
    parts = {"latency": "exec cat", f"latency, {_LOUD}": python(PRINTER, "noise")}
    for part, neighbour in list(parts.items())[: 1 if plan.quick else 2]:
        windows = {f"w{i}": python(PRINTER, "markers", f"m{i}", str(_RATE)) for i in range(3)}
        windows["w3"] = neighbour
        took: dict[str, list[float]] = {way.name: [] for way in ways.WAYS}
        with room() as here, here.server(windows) as tmux:
            for turn in range(1 if plan.quick else 2):
                for way in ways.WAYS:
                    plan.tell(f"{part}: {way.name}, turn {turn + 1}")
                    with here.watcher(way, tmux, list(windows)) as watcher:
                        watcher.settle(plan.settle_s(3.0))
                        begin = time.monotonic_ns()
                        seen = watcher.wait_for("for ever", plan.span(10.0, 1.0))
                        took[way.name] += times(seen, begin)
        for way in ways.WAYS:
            ours = way is ways.SWARMCOMM
            p50, p99 = median(took[way.name]), quantile(took[way.name], 0.99)
            budget = "p50 < 2 ms, p99 < 25 ms" if ours and part == "latency" else ""
            rows.append(
                Row(
                    part,
                    way.name,
                    {"markers": len(took[way.name]), "p50 ms": p50, "p99 ms": p99},
                    budget,
                    (p50 is not None and p99 is not None and p50 < 2 and p99 < 25)
                    if budget
                    else None,
                )
            )
    return rows


def times(seen: list[Seen], begin: int) -> list[float]:
    """Return the milliseconds between each marker and when it was known.

    Those that were there before the time *begin* say nothing of it.
    """
    found = (re.search(r" m\d+-\d+ (\d+)$", line.text) for line in seen)
    return [
        (line.at - int(written[1])) / 1e6
        for line, written in zip(seen, found, strict=True)
        if written and int(written[1]) >= begin
    ]
