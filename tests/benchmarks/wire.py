"""Import, hooks, sends and polls: milliseconds of each way, beside the first of its part."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swarmcomm import Coordinator, Swarm
from swarmcomm.sessions.hook_settings import own_hooks
from tests.benchmarks.rig import Plan, Row, median
from tests.conftest import ROOT

SESSION = "bench"
PYTHON = sys.executable

#: Milliseconds that `import swarmcomm` may take over bare Python, a poll that finds its marker, and
#: a hook of a session.
_IMPORT_MS = 40.0
_POLL_MS = 30.0
_HOOK_MS = 100.0

#: Measured in place of a command; the number is that of the run.
Action = Callable[[int], object]


@dataclass
class Timed:
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


def imports(made: Rig) -> list[Timed]:
    def starting(*words: str) -> Action:
        return lambda _number: made.run(PYTHON, *words)

    return [
        Timed("bare python", starting("-c", "pass")),
        Timed("import swarmcomm", starting("-c", "import swarmcomm")),
        Timed("swarmcomm --help", starting("-m", "swarmcomm", "--help")),
        Timed("import libtmux", starting("-c", "import libtmux")),
        Timed("from swarmcomm import Swarm", starting("-c", "from swarmcomm import Swarm")),
    ]


def hooks(made: Rig, folder: Path) -> list[Timed]:
    """What an agent waits for at each event that it tells its hooks."""
    folder.mkdir(mode=0o700)
    program = str(ROOT / "swarmcomm" / "frontends" / "hooks" / "witness.py")
    window = {"TMUX": "/tmp/tmux/default,1,0", "TMUX_PANE": "%0"}
    environ = {**made.environ, **window}

    def hook(event: dict[str, str]) -> Action:
        told = json.dumps(event).encode()
        words = [PYTHON, "-I", "-S", program, str(folder)]
        return lambda _n: subprocess.run(words, input=told, env=environ, check=True, timeout=60)

    prompt = {"hook_event_name": "UserPromptSubmit", "prompt": "[TASK] t1\n" + "x" * 20_000}
    stop = {"hook_event_name": "Stop", "last_assistant_message": "x" * 200_000 + "\n[DONE] t1"}
    return [
        Timed("bare python3 -I -S", lambda _n: made.run(PYTHON, "-I", "-S", "-c", "pass")),
        Timed("a prompt of 20 KB", hook(prompt)),
        Timed("a last message of 200 KB", hook(stop)),
    ]


def session_hooks(made: Rig) -> list[Timed]:
    """What an agent waits for where its session reports by itself, each time by its own store."""
    ids = {"PROJECT_ID": "web", "TASK_ID": "3", "SESSION_ROLE": "child", "SWARM_HOOK_INTERVAL": "0"}
    (group,) = own_hooks()["Stop"]
    words = [group["hooks"][0]["command"], *group["hooks"][0]["args"]]
    text = json.dumps(["x" * 400] * 10)

    def hook(ids: dict[str, str], **event: object) -> Action:
        told = json.dumps(event).encode()
        environ = {**made.environ, **ids}
        return lambda _n: subprocess.run(
            words, input=told, env=environ, stdout=subprocess.DEVNULL, check=True, timeout=60
        )

    with Coordinator.attach({**made.environ, **ids}) as coordinator:
        coordinator.register_session("child_web_task_3")
    master = Coordinator.attach(made.environ)

    def given(number: int) -> None:
        master.send_message_to_session("master_project_web", "child_web_task_3", text)
        prompt(number)

    prompt = hook(ids, hook_event_name="UserPromptSubmit", prompt="go on")
    tool = hook(ids, hook_event_name="PostToolBatch", tool_calls=[{"tool_name": "Bash"}])
    return [
        Timed("bare python3 -I -c pass", lambda _n: made.run(PYTHON, "-I", "-c", "pass")),
        Timed("in a session of others", hook({}, hook_event_name="UserPromptSubmit")),
        Timed("a prompt", prompt),
        Timed("a prompt that is given a message of 4 KB", given),
        Timed("tools ran, reported", tool),
        Timed("a turn ended", hook(ids, hook_event_name="Stop", last_assistant_message="x" * 9999)),
    ]


def sends(made: Rig, swarm: Swarm) -> list[Timed]:
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
        swarm["worker-2"].send("true", task_id=f"lib-{number}")

    return [
        Timed("tmux send-keys twice, unverified", raw),
        Timed("claude_comm.sh send", bash),
        Timed("swarmcomm send", cli),
        Timed("Window.send, in a running program", library),
    ]


def polls(made: Rig, swarm: Swarm) -> list[Timed]:
    """One look that finds a marker which is there already."""
    made.script("claude_comm.sh", "send", "worker-1", "found", "true")
    made.script("claude_comm.sh", "poll", "worker-1", "30", "found", "--until", "DONE")
    grep = f"tmux -L {made.environ['SWARM_SOCKET']} capture-pane -p -S - -t {SESSION}:worker-1"

    def library(_number: int) -> None:
        next(swarm["worker-1"].poll("found"))

    return [
        Timed("capture-pane | tail | grep", lambda _n: made.run(
            "bash", "-c", rf"{grep} | tail -200 | grep '\[DONE\] found'")),
        Timed("claude_comm.sh poll", lambda _n: made.script(
            "claude_comm.sh", "poll", "worker-1", "5", "found")),
        Timed("swarmcomm poll", lambda _n: made.command("poll", "worker-1", "5", "found")),
        Timed("Window.poll, in a running program", library),
    ]  # fmt: skip


def measure(plan: Plan) -> list[Row]:
    """Return the rows of all parts; the ways of a part take turns, so a busy moment meets all."""
    found = []
    with rig() as made, _environment(made.environ), Swarm.attach() as swarm:
        spool = Path(made.environ["HOME"], "witness")
        for part, ways in (
            ("import", imports(made)),
            ("hook", hooks(made, spool)),
            ("hook of a session", session_hooks(made)),
            ("send", sends(made, swarm)),
            ("poll", polls(made, swarm)),
        ):
            runs = 1 if plan.quick else plan.runs
            plan.tell(f"{part}: {len(ways)} ways, {runs} runs")
            found += _rows(part, ways, runs)
        plan.tell("send: throughput")
        found += throughput(made, swarm, 3 if plan.quick else 40)
    return found


def _rows(part: str, ways: list[Timed], runs: int) -> list[Row]:
    took: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(runs):
        for way in ways:
            begin = time.perf_counter()
            way.action(number)
            took[way.name].append((time.perf_counter() - begin) * 1000)
    beside = median(took[ways[0].name]) or 0.0
    rows = []
    for way in ways:
        middle = median(took[way.name]) or 0.0
        row = Row(
            part, way.name, {"ms": middle, "best": min(took[way.name]), "ratio": middle / beside}
        )
        if way.name == "import swarmcomm":
            row.budget, row.met = f"< {_IMPORT_MS:g} ms over bare", middle - beside < _IMPORT_MS
        if part == "hook of a session" and way is not ways[0]:
            row.budget, row.met = f"< {_HOOK_MS:g} ms", middle < _HOOK_MS
        if way.name == "claude_comm.sh poll":
            row.budget, row.met = f"< {_POLL_MS:g} ms", middle < _POLL_MS
        rows.append(row)
    return rows


def throughput(made: Rig, swarm: Swarm, count: int) -> list[Row]:
    """Tasks a second, one after the other into one window."""
    import libtmux

    pane = libtmux.Server(socket_name=made.environ["SWARM_SOCKET"]).sessions[0].windows[1].panes[0]
    window = swarm["worker-2"]

    def unverified(number: int) -> None:
        pane.send_keys(f"[TASK] many-{number}", enter=True)

    def verified(number: int) -> None:
        window.send("true", task_id=f"many-{number}")

    rows = []
    for name, send in (
        ("libtmux send_keys, unverified", unverified),
        ("Window.send, seen to leave", verified),
    ):
        begin = time.perf_counter()
        for number in range(count):
            send(number)
        took = time.perf_counter() - begin
        rows.append(Row("send throughput", name, {"tasks a second": count / took}))
    return rows


@contextmanager
def _environment(environ: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
