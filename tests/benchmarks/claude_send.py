"""How long ``send`` takes until a real, idle claude has the task; ``python -m
tests.benchmarks.claude_send``.

Prints milliseconds beside those of typing blindly with a fixed wait of 2.0 s before Enter. claude
is fetched as in tests/agents; its model is a stand-in.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from swarmcomm import Swarm
from tests.agents.rig import Rig, start_rig
from tests.agents.soak import description
from tests.conftest import wait_for

WINDOW = "worker-0"
FIXED_WAIT_S = 2.0

#: Sends a text as the task of that id, and returns when it is sure that it was submitted.
Send = Callable[[str, str], object]


def ways(rig: Rig, swarm: Swarm) -> dict[str, Send]:
    def library(task: str, text: str) -> None:
        assert swarm[WINDOW].send(text, task_id=task).outcome == "submitted"

    def blindly(task: str, text: str) -> None:
        rig.type(WINDOW, f"[TASK] {task}\n{text}")
        time.sleep(FIXED_WAIT_S)
        rig.press(WINDOW, "Enter")

    return {
        "Window.send, in a running program": library,
        "swarmcomm send": lambda task, text: rig.submit("python", WINDOW, task, text),
        "claude_comm.sh send": lambda task, text: rig.submit("bash", WINDOW, task, text),
        f"typed blindly, {FIXED_WAIT_S:g} s, Enter": blindly,
    }


def measure(rig: Rig, send: Send, name: str, size: int, runs: int) -> list[float]:
    """Return the milliseconds of *runs* sends, each into an agent that is idle."""
    took = []
    for number in range(runs):
        task = f"{name}-{size}-{number}"
        text = description(task, size)
        rig.wait_ready(WINDOW)
        begin = time.perf_counter()
        send(task, text)
        took.append((time.perf_counter() - begin) * 1000)
        wait_for(lambda task=task: task in rig.said("DONE"), f"the end of {task}")  # type: ignore[misc]
    return took


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.claude_send")
    parser.add_argument("--runs", type=int, default=50, help="sends of 200 B (default 50)")
    runs = parser.parse_args().runs
    for name in [name for name in os.environ if name.startswith(("SWARM_", "TMUX"))]:
        if name != "TMUX_TMPDIR":
            del os.environ[name]
    table = Table("bytes", "way", "sends", "p50 ms", "p99 ms", "best", box=None)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, start_rig(Path(folder)) as rig:
        del rig.environ["SWARM_TMUX"]
        rig.launch("--agent", "claude", windows=WINDOW)
        with Swarm.attach(environ=rig.environ) as swarm:
            for size, count in ((200, runs), (2_000, runs // 2), (20_000, runs // 5)):
                for number, (way, send) in enumerate(ways(rig, swarm).items()):
                    if way.startswith("typed") and size > 200:
                        continue  # it would be folded into "pasted text"
                    count = max(1, count if not way.startswith("typed") else runs // 10)
                    took = measure(rig, send, f"way{number}", size, count)
                    p50, p99 = statistics.median(took), quantile(took, 0.99)
                    cells = (f"{p50:.0f}", f"{p99:.0f}", f"{min(took):.0f}")
                    table.add_row(str(size), way, str(count), *cells)
    Console().print(table)


def quantile(values: list[float], share: float) -> float:
    """Return the smallest of *values* that *share* of them do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


if __name__ == "__main__":
    main()
