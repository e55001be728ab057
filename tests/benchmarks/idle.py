"""What watching costs while nothing happens."""

from __future__ import annotations

import time

from tests.benchmarks import ways
from tests.benchmarks.rig import Plan, Row, cpu_s, room, server_pid

#: Of one core, for watcher and tmux server together.
_BUDGET_PERCENT = 0.5


def measure(plan: Plan) -> list[Row]:
    """Return processor time and started programs of each way at 4, 32 and 128 windows."""
    rows = []
    for count in (4,) if plan.quick else (4, 32, 128):
        windows = {f"w{i}": "exec cat" for i in range(count)}
        with room() as here, here.server(windows) as tmux:
            server = server_pid(tmux)
            for way in ways.WAYS:
                part = f"idle, {count} windows"
                plan.tell(f"{part}: {way.name}")
                span = plan.span(15.0, 0.5)
                with here.watcher(way, tmux, list(windows)) as watcher:
                    watcher.settle(plan.settle_s(2.0 + count / 20))
                    before = watcher.cpu_s(), cpu_s(server)
                    time.sleep(span)
                    after = watcher.cpu_s(), cpu_s(server)
                of_watcher, of_server = (
                    100 * (end - begin) / span for begin, end in zip(before, after, strict=True)
                )
                with here.watcher(way, tmux, list(windows), count=True) as watcher:
                    watcher.settle(plan.settle_s(2.0 + count / 20))
                    programs = watcher.programs()
                    counted = min(span, 4.0)
                    time.sleep(counted)
                    started = (watcher.programs() - programs) / counted
                row = Row(
                    part,
                    way.name,
                    {
                        "watcher % of a core": of_watcher,
                        "tmux server %": of_server,
                        "programs started a second": started,
                    },
                )
                if way is ways.SWARMCOMM and count == 128:
                    row.budget = f"< {_BUDGET_PERCENT} % in all, none started"
                    row.met = of_watcher + of_server < _BUDGET_PERCENT and not started
                rows.append(row)
    return rows
