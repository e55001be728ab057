"""The demo: real windows, every end seen, nothing left behind."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

import swarmcomm
from swarmcomm import Marker
from swarmcomm.errors import MissingProgramError
from swarmcomm.frontends import demo

ROOT = Path(swarmcomm.__file__).parents[1]
PROGRAM = (
    "import sys; from rich.console import Console; from swarmcomm.frontends import demo;"
    " sys.exit(demo.run(Console()))"
)
SUMMARY = f"{len(demo.JOBS)} of {len(demo.JOBS)} tasks ended as they should."


def wait_for(condition: Callable[[], object], what: str, deadline_s: float = 20.0) -> None:
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not seen in {deadline_s:g} s: {what}")
        time.sleep(0.02)


def alive(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith(b"Z")


class Place:
    """A folder for sockets and files of its own; short, because a socket's path must be."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="swarmtest-"))
        (self.folder / "t").mkdir()
        self.environ = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("SWARM_", "TMUX", "NO_COLOR", "COLUMNS"))
        } | {
            "TMUX_TMPDIR": str(self.folder),
            "TMPDIR": str(self.folder / "t"),
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
        }

    def left(self) -> list[str]:
        """Return what stands in the folders, without the sockets of the tests themselves."""
        sockets = self.folder.glob("tmux-*/*")
        files = [*sockets, *(self.folder / "t").iterdir()]
        return [path.name for path in files if not path.name.startswith("outer")]

    def agents(self) -> list[int]:
        """Return the agents of the demo that runs now."""
        (socket,) = self.folder.glob("tmux-*/swarmcomm-demo-*")
        list_panes = ["tmux", "-S", str(socket), "list-panes", "-a", "-F", "#{pane_pid}"]
        done = subprocess.run(list_panes, capture_output=True, text=True, check=True)
        return [int(line) for line in done.stdout.split()]

    def start(self, **extra: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=self.environ | extra,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def outer(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-L", "outer", "-f", "/dev/null", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return done.stdout


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    for socket in made.folder.glob("tmux-*/*"):
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], check=False, capture_output=True)
    shutil.rmtree(made.folder)


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The place for a demo in this process."""
    for name in [name for name in os.environ if name.startswith(("SWARM_", "TMUX"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TMUX_TMPDIR", str(place.folder))
    monkeypatch.setattr(tempfile, "tempdir", str(place.folder / "t"))
    return place


def quiet() -> Console:
    return Console(file=io.StringIO(), width=80)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_task_ends_as_it_should_and_nothing_is_left(place: Place) -> None:
    with place.start() as process:
        out = process.communicate(timeout=60)[0]
    assert process.returncode == 0, out
    assert out.rstrip().endswith(SUMMARY)
    assert "\x1b" not in out
    for job in demo.JOBS:
        ended = f"{job.window}: {job.task_id} {job.expected} ("
        assert sum(line.startswith(ended) for line in out.splitlines()) == 1
    assert "demo-2 DONE (speaks Chinese): 任务完成" in out
    assert "demo-4 ERROR (fails on purpose): exit status 3" in out
    assert max(map(len, out.splitlines())) <= 80
    assert place.left() == []


def test_on_a_terminal_a_table_lives_and_then_the_summary_stands(place: Place) -> None:
    shell = f"NO_COLOR=1 '{sys.executable}' -c '{PROGRAM}'; echo status $?; exec cat"
    place.outer("new-session", "-d", "-x", "80", "-y", "40", "/bin/sh", "-c", shell)

    def screen() -> str:
        return place.outer("capture-pane", "-p", "-e")

    wait_for(lambda: re.search(r"worker-0 +demo-1 +working .*step \d of 3", screen()), "the table")
    assert "last text" in screen()
    wait_for(lambda: "status 0" in screen(), "the end")
    assert SUMMARY in screen()
    assert "last text" not in screen()
    assert not re.search(r"\x1b\[[0-9;]*(3|4|9)[0-7]", screen())
    assert place.left() == []


def test_ctrl_c_leaves_nothing_behind(place: Place) -> None:
    shell = f"trap : INT; '{sys.executable}' -c '{PROGRAM}'; echo status $?; exec cat"
    place.outer("new-session", "-d", "-x", "80", "-y", "40", "/bin/sh", "-c", shell)

    def screen() -> str:
        return place.outer("capture-pane", "-p")

    wait_for(lambda: "step 1" in screen(), "a running task")
    agents = place.agents()
    assert len(agents) == 4
    place.outer("send-keys", "C-c")
    wait_for(lambda: "status 130" in screen(), "the end")
    assert "Interrupted" in screen()
    assert place.left() == []
    assert not any(map(alive, agents))


@pytest.mark.parametrize("early", [True, False])
def test_sigterm_leaves_nothing_behind(place: Place, early: bool) -> None:
    with place.start() as process:
        if early:  # the server is just there, the windows are not
            wait_for(lambda: any(place.folder.glob("tmux-*/swarmcomm-demo-*")), "the server")
        else:
            lines = iter(process.stdout or [])
            wait_for(lambda: "working" in next(lines), "a running task")
        process.send_signal(signal.SIGTERM)
        out = process.communicate(timeout=20)[0]
    assert process.returncode == 130, out
    assert "Interrupted" in out
    assert place.left() == []


def test_a_task_that_ends_otherwise_is_told(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    job = demo.Job("worker-0", "bad", "should work", "echo '[link=x]\\[/b]'; exit 4")
    good = demo.Job("worker-1", "good", "fails", "exit 1", Marker.ERROR)
    monkeypatch.setattr(demo, "JOBS", (job, good))
    console = quiet()
    assert demo.run(console) == 6
    assert re.search(r"worker-0 +bad +should work +ERROR +[\d.]+ +NO: DONE", said(console))
    assert "1 of 2 tasks ended as they should." in said(console)
    assert here.left() == []


def test_a_task_that_does_not_end_is_told(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "JOBS", (demo.Job("worker-0", "slow", "sleeps", "sleep 100"),))
    monkeypatch.setattr(demo, "TIME_LIMIT_S", 0.5)
    console = quiet()
    assert demo.run(console) == 1
    assert re.search(r"slow +sleeps +none", said(console))
    assert here.left() == []


def test_without_tmux_it_says_so(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_TMUX", "no-such-tmux")
    with pytest.raises(MissingProgramError, match="no-such-tmux"):
        demo.run(quiet())
    assert here.left() == []


def test_text_of_a_task_is_data_in_the_live_table() -> None:
    run = demo.Run(demo.JOBS[0], "working", text="[bold]x[/link] [link=http://x]y")
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(demo.live_table([run]))
    assert "[bold]x[/link] [link=http://x]y" in said(console)
