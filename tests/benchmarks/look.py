"""One look at many windows."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

import libtmux

from swarmcomm.tmux.connection import Connection, connect
from swarmcomm.tmux.server import Server
from tests.benchmarks.rig import SESSION, Plan, Room, Row, median, room
from tests.conftest import ROOT, Tmux

_BUDGET = 20.0


def measure(plan: Plan) -> list[Row]:
    """Return the milliseconds of a look by each way, and how many times cheaper than libtmux's."""
    count = 4 if plan.quick else 128
    windows = {
        f"w{i}": f"seq -f 'line %g of a worker' 200; echo '[DONE] t{i}'; exec cat"
        for i in range(count)
    }
    rows = []
    with room() as here, here.server(windows) as tmux:
        time.sleep(1.0)
        os.environ["TMUX_TMPDIR"] = here.environ["TMUX_TMPDIR"]
        # With an open connection kill-server hangs, so it is closed first.
        with connect(Server(tmux.socket), SESSION) as connection:
            looks = _looks(here, tmux, list(windows), connection)
            took: dict[str, list[float]] = {name: [] for name in looks}
            for turn in range(2 if plan.quick else min(plan.runs, 10)):
                plan.tell(f"look at {count} windows, turn {turn + 1}")
                for name, look in looks.items():
                    begin = time.perf_counter()
                    look()
                    took[name].append((time.perf_counter() - begin) * 1000)
        took[_FIRST] = _first_events(here, tmux, count, plan)
    beside = median(took[_LIBTMUX]) or 0.0
    for name, times in took.items():
        middle = median(times) or 0.0
        times_cheaper = beside / middle if middle else None
        row = Row(
            f"one look at {count} windows",
            name,
            {"ms": middle, "best": min(times), "times cheaper": times_cheaper},
        )
        if name == _OURS and not plan.quick:
            row.budget = f"{_BUDGET:g} times cheaper"
            row.met = times_cheaper is not None and times_cheaper >= _BUDGET
        rows.append(row)
    return rows


_LIBTMUX = "libtmux, one call per window"
_OURS = "the connection: which windows have changed"
_FIRST = "Swarm.watch from its start to the last of the answers that are there"


def _looks(
    here: Room, tmux: Tmux, windows: list[str], connection: Connection
) -> dict[str, Callable[[], object]]:
    server = libtmux.Server(socket_name=tmux.socket)
    panes = [window.panes[0] for window in server.sessions[0].windows]
    joined = [
        word for pane in panes for word in (";", "capture-pane", "-pJS", "-", "-t", pane.pane_id)
    ]
    argv = ["tmux", "-L", tmux.socket, *map(str, joined[1:])]
    poll = ["bash", str(ROOT / "scripts" / "claude_poll.sh"), "--once", *windows]
    environ = {**here.environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": SESSION}

    def run(words: list[str]) -> None:
        subprocess.run(words, env=environ, capture_output=True, check=True, timeout=60)

    changed = ("list-panes", "-s", "-t", f"={SESSION}:", "-F",
               "#{pane_id} #{history_size} #{cursor_x} #{cursor_y} #{window_activity}")  # fmt: skip
    return {
        _LIBTMUX: lambda: [pane.capture_pane(start=-200) for pane in panes],
        "one tmux process for all": lambda: run(argv),
        "claude_poll.sh --once": lambda: run(poll),
        _OURS: lambda: connection.ask(*changed),
    }


def _first_events(here: Room, tmux: Tmux, count: int, plan: Plan) -> list[float]:
    from tests.benchmarks.ways import SWARMCOMM

    took = []
    for turn in range(1 if plan.quick else 3):
        plan.tell(f"first events of {count} windows, turn {turn + 1}")
        windows = [f"w{i}" for i in range(count)]
        begin = time.monotonic_ns()
        with here.watcher(SWARMCOMM, tmux, windows) as watcher:
            seen = []
            while len(seen) < count and time.monotonic_ns() - begin < 60e9:
                seen += [line for line in watcher.wait_for(".", 1.0) if "[DONE]" in line.text]
        if len(seen) == count:
            took.append((seen[-1].at - begin) / 1e6)
    return took or [float("nan")]
