"""The main job, for everybody to see: real tasks in four real windows, followed to their end."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.live import Live
from rich.table import Table
from rich.text import Text

from swarmcomm import Marker, Swarm, agents, clock, settings
from swarmcomm.errors import TmuxError
from swarmcomm.tmux import launch
from swarmcomm.tmux.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from swarmcomm import Answer, Task

SESSION = "swarm-demo"
INTERRUPTED = 130
TIME_LIMIT_S = 60.0  # for all tasks together; they take about 5
LOOK_S = 0.1
ENDING_S = 3.0  # for the agents to end after their server


@dataclass(frozen=True)
class Job:
    """One task of the demo and how it should end."""

    window: str
    task_id: str
    what: str
    description: str
    expected: Marker = Marker.DONE


JOBS = (
    Job(
        *("worker-0", "demo-1", "takes three seconds"),
        "for i in 1 2 3; do echo step $i of 3; sleep 1; done; echo all steps taken",
    ),
    Job(
        *("worker-1", "demo-2", "speaks Chinese"),
        "echo 你好，世界; sleep 1; echo 任务完成",
    ),
    Job(
        *("worker-2", "demo-3", "counts primes"),
        "awk 'BEGIN { for (n = 2; n < 10000; n++) { p = 1;"
        " for (d = 2; d * d <= n; d++) if (n % d == 0) { p = 0; break }"
        ' count += p }; print count " primes" }\'',
    ),
    Job(
        *("worker-2", "demo-4", "fails on purpose"),
        "echo this one cannot work; sleep 1; exit 3",
        Marker.ERROR,
    ),
    Job(
        *("worker-1", "demo-5", "names its own end"),
        "echo 'the line [DONE] demo-5 ends this'; sleep 1; echo '[DONE] demo-5 is ours to say'",
    ),
    Job(
        *("worker-2", "demo-6", "writes a file"),
        "seq 1000 > numbers.txt && wc -l numbers.txt",
    ),
    Job(
        *("worker-0", "demo-7", "says hello"),
        "echo hello from worker-0",
    ),
)


@dataclass
class Run:
    """A job on its way: *state* is "waiting", "sent", "working", or the marker of its end."""

    job: Job
    state: str = "waiting"
    seconds: float = 0.0
    text: str = ""
    task: Task | None = None
    since: float = 0.0

    @property
    def ended(self) -> bool:
        """Return whether the task has ended, well or not."""
        return self.state in (Marker.DONE, Marker.ERROR)

    @property
    def as_expected(self) -> bool:
        """Return whether it ended as it should."""
        return self.state == self.job.expected


@dataclass
class Show:
    """What is seen of the runs: a live table on a terminal, a line for each change elsewhere."""

    console: Console
    runs: list[Run]
    _live: Live | None = field(default=None, init=False)

    def __enter__(self) -> Show:
        """Begin to show."""
        if self.console.is_terminal:
            self._live = Live(
                console=self.console,
                get_renderable=lambda: live_table(self.runs),
                refresh_per_second=8,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the live table away."""
        if self._live:
            self._live.stop()

    def changed(self, run: Run) -> None:
        """Tell of a new state."""
        if not self._live:
            what = f": {run.text}" if run.text else ""
            _say(
                self.console,
                f"{run.job.window}: {run.job.task_id} {run.state} ({run.job.what}){what}",
            )


def run(console: Console) -> int:
    """Run the demo on a tmux server of its own and return the exit status; blocks some seconds.

    0: every task ended as it should; 6: one ended otherwise; 1: one did not end within a minute;
    130: interrupted. The server, its agents and all files are gone afterwards, in every case.
    Raises SwarmError where tmux is missing or the windows cannot be made.
    """
    runs = [Run(job) for job in JOBS]
    name = f"swarmcomm-demo-{os.getpid()}"
    try:
        with _ending_signals(), _workdir() as workdir, _private_swarm(name, workdir) as swarm:
            _say(console, "Four windows with the built-in agent, on a tmux server of their own.")
            _say(console, f"Look at them from another terminal: tmux -L {name} attach -r\n")
            with Show(console, runs) as show:
                _follow(swarm, runs, show)
    except KeyboardInterrupt:
        _say(console, "Interrupted; the windows are closed and nothing is left behind.")
        return INTERRUPTED
    console.print(summary_table(runs))
    good = sum(run.as_expected for run in runs)
    _say(console, f"{good} of {len(runs)} tasks ended as they should.")
    if good == len(runs):
        return 0
    return 6 if all(run.ended for run in runs) else 1


def _say(console: Console, line: str) -> None:
    console.print(Text(line), soft_wrap=True)


def live_table(runs: list[Run]) -> Table:
    """Return who does what now."""
    table = Table(box=box.SIMPLE_HEAD, expand=True)
    table.add_column("window", no_wrap=True)
    table.add_column("task", no_wrap=True)
    table.add_column("state", no_wrap=True, min_width=7)
    table.add_column("sec", justify="right", no_wrap=True, min_width=4)
    table.add_column("last text", no_wrap=True, overflow="ellipsis", ratio=1)
    for run in runs:
        why = f" ({run.job.what})" if run.state == Marker.ERROR else ""
        table.add_row(
            run.job.window,
            run.job.task_id,
            Text(run.state, _STYLES.get(run.state, "dim")),
            f"{_seconds(run):.1f}" if run.task else "",
            Text((run.text or run.job.what) + why),
        )
    return table


def summary_table(runs: list[Run]) -> Table:
    """Return how every task ended, and whether it should have."""
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("window", "task", "what it does", "end"):
        table.add_column(title, no_wrap=title != "what it does")
    table.add_column("sec", justify="right", no_wrap=True)
    table.add_column("as it should", no_wrap=True)
    for run in runs:
        table.add_row(
            run.job.window,
            run.job.task_id,
            run.job.what,
            Text(run.state if run.ended else "none", _STYLES.get(run.state, "bold red")),
            f"{run.seconds:.1f}",
            Text("yes", "green") if run.as_expected else Text(f"NO: {run.job.expected}", "red"),
        )
    return table


_STYLES = {"working": "cyan", "DONE": "green", "ERROR": "yellow"}


def _follow(swarm: Swarm, runs: list[Run], show: Show) -> None:
    """Keep every window busy until all of its tasks have ended or the time is over."""
    waiting = {name: deque(r for r in runs if r.job.window == name) for name in _windows(runs)}
    deadline = clock.monotonic() + TIME_LIMIT_S
    while any(waiting.values()) and clock.monotonic() < deadline:
        for queue in waiting.values():
            if queue:
                _advance(swarm, queue[0], show)
                if queue[0].ended:
                    queue.popleft()
        clock.sleep(LOOK_S)


def _windows(runs: list[Run]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.job.window for run in runs))


def _advance(swarm: Swarm, run: Run, show: Show) -> None:
    """Send the task, or look how far it is."""
    window = swarm[run.job.window]
    if run.task is None:
        run.since = clock.monotonic()
        run.task = window.send(run.job.description, task_id=run.job.task_id, tag=False)
        _enter(run, "sent", show)
        return
    answers = run.task.answers()
    run.text = _last_text(window.lines(50), run.job.task_id, answers) or run.text
    state = answers[-1].marker if answers else None
    if state is Marker.ACK:
        _enter(run, "working", show)
    elif state is not None:
        run.seconds = _seconds(run)
        _enter(run, str(state), show)


def _enter(run: Run, state: str, show: Show) -> None:
    if run.state != state:
        run.state = state
        show.changed(run)


def _last_text(lines: list[str], task_id: str, answers: tuple[Answer, ...]) -> str:
    """Return what the end says, or else the last row between a task's ACK and its end."""
    if answers and answers[-1].text:
        return answers[-1].text
    try:
        rows = lines[lines.index(f"[ACK] {task_id}") + 1 :]
    except ValueError:
        return ""
    ends = (f"[DONE] {task_id}", f"[ERROR] {task_id}", "swarm>")
    last = ""
    for row in rows:
        if row.startswith(ends):
            break
        last = row
    return last


def _seconds(run: Run) -> float:
    return run.seconds or clock.monotonic() - run.since


@contextlib.contextmanager
def _ending_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP what Ctrl-C is, for the length of the block."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _workdir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="swarmcomm-demo-") as name:
        yield Path(name)


@contextlib.contextmanager
def _private_swarm(name: str, workdir: Path) -> Iterator[Swarm]:
    """Start four windows on a tmux server called *name*; end all of it with the block."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SWARM_")}
    if os.environ.get("SWARM_TMUX"):
        kept["SWARM_TMUX"] = os.environ["SWARM_TMUX"]
    found = settings.from_environment(kept).with_session(SESSION, name)
    # Without the user's tmux.conf: what it starts or restores has no place here.
    server = Server(name, found.tmux, config_file=os.devnull)
    try:
        launch.launch(
            server,
            session=SESSION,
            workdir=workdir,
            agent=agents.load("shell"),
            command=None,
            environment=kept,
        )
        yield Swarm(server, found)
    finally:
        with _no_interrupts():
            _end(server, name)


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Let nothing break off the cleaning up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(server: Server, name: str) -> None:
    """End the server, wait for its agents, and remove its socket, which tmux leaves behind."""
    pids: list[str] = []
    with contextlib.suppress(TmuxError):
        pids = server.ask("list-panes", "-a", "-F", "#{pane_pid}").split()
        while server.cmd("kill-server").returncode == 0:
            clock.sleep(LOOK_S / 2)  # one that was just starting comes up after it
    deadline = clock.monotonic() + ENDING_S
    while any(map(_alive, pids)) and clock.monotonic() < deadline:
        clock.sleep(LOOK_S / 2)
    folder = Path(os.environ.get("TMUX_TMPDIR") or "/tmp", f"tmux-{os.getuid()}")
    (folder / name).unlink(missing_ok=True)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True
