"""Memory of watcher and tmux server while 32 windows answer at random times."""

from __future__ import annotations

import time
from pathlib import Path

from tests.benchmarks import ways
from tests.benchmarks.rig import Plan, Row, python, resident_mib, room, server_pid

PRINTER = str(Path(__file__).with_name("printer.py"))

#: Rows of history of each window: full soon, so that only what grows for ever is seen to grow.
_HISTORY = 100


def measure(plan: Plan) -> list[Row]:
    """Return the memory after a third of the time and at its end."""
    count = 4 if plan.quick else 32
    windows = {f"w{i}": python(PRINTER, "markers", f"m{i}", "2") for i in range(count)}
    rows = []
    for way in ways.WAYS:
        span = plan.span(60.0, 1.0)
        plan.tell(f"memory: {way.name}, {span:g} s")
        with room() as here, here.server(windows, _HISTORY) as tmux:
            server = server_pid(tmux)
            with here.watcher(way, tmux, list(windows)) as watcher:
                time.sleep(span / 3)
                first = watcher.resident_mib(), resident_mib(server)
                time.sleep(span * 2 / 3)
                last = watcher.resident_mib(), resident_mib(server)
        rows.append(
            Row(
                f"memory, {count} windows, {span:g} s",
                way.name,
                {
                    "watcher MiB": last[0],
                    "grown": last[0] - first[0],
                    "tmux server MiB": last[1],
                    "server grown": last[1] - first[1],
                },
            )
        )
    return rows
