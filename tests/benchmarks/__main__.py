"""What the wire costs, beside what one would do without it; ``python -m tests.benchmarks``.

Prints a table of medians in milliseconds and their ratio to the first row of each part, measured
side by side in one run. ``--runs N`` says how often (default 15).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
SESSION = "bench"
PYTHON = sys.executable

#: Measured in place of a command: True if it did what it should.
Action = Callable[[int], object]


@dataclass
class Row:
    part: str
    name: str
    action: Action


class Rig:
    """A swarm of plain ``cat`` windows and one built-in worker on a private server."""

    def __init__(self, folder: Path) -> None:
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SWARM_", "TMUX"))},
            "TMUX_TMPDIR": str(folder),
            "HOME": str(folder),
            "SWARM_SOCKET": "swarmtest-bench",
            "SWARM_SESSION": SESSION,
            "SWARM_WORKDIR": str(folder),
            "PYTHONPATH": str(ROOT),
        }

    def run(self, *words: str) -> str:
        done = subprocess.run(
            words,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: status {done.returncode}: {done.stderr}")
        return done.stdout

    def tmux(self, *words: str) -> str:
        return self.run("tmux", "-u", "-L", self.environ["SWARM_SOCKET"], *words)

    def script(self, name: str, *words: str) -> str:
        return self.run("bash", str(ROOT / "scripts" / name), *words)

    def command(self, *words: str) -> str:
        return self.run(PYTHON, "-m", "swarmcomm", *words)


@contextmanager
def rig() -> Iterator[Rig]:
    folder = Path(tempfile.mkdtemp(prefix="swarmcomm-bench-"))
    made = Rig(folder)
    try:
        made.command("up", "--agent", "shell")
        yield made
    finally:
        subprocess.run(
            ["tmux", "-L", made.environ["SWARM_SOCKET"], "kill-server"],
            env=made.environ,
            capture_output=True,
            check=False,
        )
        shutil.rmtree(folder, ignore_errors=True)


def imports(made: Rig) -> list[Row]:
    def starting(*words: str) -> Action:
        return lambda _number: made.run(PYTHON, *words)

    return [
        Row("import", "bare python", starting("-c", "pass")),
        Row("import", "import swarmcomm", starting("-c", "import swarmcomm")),
        Row("import", "swarmcomm --help", starting("-m", "swarmcomm", "--help")),
        Row("import", "import libtmux", starting("-c", "import libtmux")),
        Row("import", "from swarmcomm import Swarm", starting("-c", "from swarmcomm import Swarm")),
    ]


def hooks(made: Rig, folder: Path) -> list[Row]:
    """What an agent waits for at each event that it tells its hooks."""
    folder.mkdir(mode=0o700)
    program = str(ROOT / "swarmcomm" / "frontends" / "hook.py")
    window = {"TMUX": "/tmp/tmux/default,1,0", "TMUX_PANE": "%0"}
    environ = {**made.environ, **window}

    def hook(event: dict[str, str]) -> Action:
        told = json.dumps(event).encode()
        words = [PYTHON, "-I", "-S", program, str(folder)]
        return lambda _n: subprocess.run(words, input=told, env=environ, check=True, timeout=60)

    prompt = {"hook_event_name": "UserPromptSubmit", "prompt": "[TASK] t1\n" + "x" * 20_000}
    stop = {"hook_event_name": "Stop", "last_assistant_message": "x" * 200_000 + "\n[DONE] t1"}
    return [
        Row("hook", "bare python3 -I -S", lambda _n: made.run(PYTHON, "-I", "-S", "-c", "pass")),
        Row("hook", "a prompt of 20 KB", hook(prompt)),
        Row("hook", "a last message of 200 KB", hook(stop)),
    ]


def sends(made: Rig, swarm: object) -> list[Row]:
    """One task into a window: typed blindly, then seen to arrive and to leave."""

    def raw(number: int) -> None:
        target = f"{SESSION}:worker-0"
        made.tmux("send-keys", "-t", target, f"[TASK] raw-{number}", "Enter")
        made.tmux("send-keys", "-t", target, "true", "Enter")

    def bash(number: int) -> None:
        made.script("claude_comm.sh", "send", "worker-1", f"bash-{number}", "true")

    def cli(number: int) -> None:
        made.command("send", "worker-2", f"cli-{number}", "true")

    def library(number: int) -> None:
        swarm["worker-2"].send("true", task_id=f"lib-{number}")  # type: ignore[index]

    return [
        Row("send", "tmux send-keys twice, unverified", raw),
        Row("send", "claude_comm.sh send", bash),
        Row("send", "swarmcomm send", cli),
        Row("send", "Window.send, in a running program", library),
    ]


def polls(made: Rig, swarm: object) -> list[Row]:
    """One look that finds a marker which is there already."""
    made.script("claude_comm.sh", "send", "worker-1", "found", "true")
    made.script("claude_comm.sh", "poll", "worker-1", "30", "found", "--until", "DONE")
    grep = f"tmux -L {made.environ['SWARM_SOCKET']} capture-pane -p -S - -t {SESSION}:worker-1"

    def library(_number: int) -> None:
        next(swarm["worker-1"].poll("found"))  # type: ignore[index]

    return [
        Row("poll", "capture-pane | tail | grep", lambda _n: made.run(
            "bash", "-c", rf"{grep} | tail -200 | grep '\[DONE\] found'")),
        Row("poll", "claude_comm.sh poll", lambda _n: made.script(
            "claude_comm.sh", "poll", "worker-1", "5", "found")),
        Row("poll", "swarmcomm poll", lambda _n: made.command("poll", "worker-1", "5", "found")),
        Row("poll", "Window.poll, in a running program", library),
    ]  # fmt: skip


def measure(rows: list[Row], runs: int) -> dict[str, list[float]]:
    """Return milliseconds by row; the rows take turns, so that a busy moment meets them all."""
    took: dict[str, list[float]] = {row.name: [] for row in rows}
    for number in range(runs):
        for row in rows:
            begin = time.perf_counter()
            row.action(number)
            took[row.name].append((time.perf_counter() - begin) * 1000)
    return took


def show(console: Console, rows: list[Row], took: dict[str, list[float]]) -> None:
    table = Table("", "what", "ms (median)", "ms (best)", "ratio", box=None)
    first: dict[str, float] = {}
    for row in rows:
        median = statistics.median(took[row.name])
        beside = first.setdefault(row.part, median)
        label = row.part if beside is median else ""
        best = min(took[row.name])
        table.add_row(label, row.name, f"{median:.1f}", f"{best:.1f}", f"{median / beside:.2f}")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    with rig() as made:
        os.environ.update(made.environ)
        for name in ("TMUX", "TMUX_PANE"):
            os.environ.pop(name, None)
        from swarmcomm import Swarm

        with Swarm.attach() as swarm:
            spool = Path(made.environ["HOME"], "witness")
            for part in (imports(made), hooks(made, spool), sends(made, swarm), polls(made, swarm)):
                show(Console(), part, measure(part, runs))


if __name__ == "__main__":
    main()
