"""The built-in worker as the own process of a real tmux pane."""

import contextlib
import hashlib
import itertools
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import swarmcomm
from swarmcomm.errors import RefusedError
from swarmcomm.frontends import worker
from swarmcomm.protocol import WireId, compose, open_ids, read

DEADLINE_S = 15.0
MODULE = [sys.executable, "-m", "swarmcomm", "worker"]
numbers = itertools.count()


def wait_for(condition: Callable[[], object], what: Callable[[], str] | str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(
                f"not seen in {DEADLINE_S:g} s: {what if isinstance(what, str) else what()}"
            )
        time.sleep(0.02)


class Pane:
    """One pane on a private tmux server."""

    def __init__(self, folder: Path, command: list[str], width: int) -> None:
        self.folder = folder
        self.width = width
        self._environment = {k: v for k, v in os.environ.items() if k not in ("TMUX", "TMUX_PANE")}
        self._environment["PYTHONPATH"] = str(Path(swarmcomm.__file__).parents[1])
        self._socket = f"swarmtest-{os.getpid()}-worker-{next(numbers)}"
        conf = folder.parent / f"{folder.name}.conf"
        conf.write_text("set -g history-limit 150000\nset -g remain-on-exit on\n")
        size = ["-x", str(width), "-y", "50"]
        self.tmux("-f", str(conf), "new-session", "-d", *size, "-c", str(folder), *command)

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-L", self._socket, *arguments],
            env=self._environment,
            cwd=self.folder.parent,
            capture_output=True,
            timeout=10,
            check=True,
        )
        return done.stdout.decode()

    def show(self, what: str) -> str:
        return self.tmux("display-message", "-p", "#{" + what + "}").strip()

    def type(self, data: bytes) -> None:
        for start in range(0, len(data), 1500):
            piece = data[start : start + 1500]
            self.tmux("send-keys", "-H", *(f"{byte:02x}" for byte in piece))

    def send(self, task_id: str, description: str) -> None:
        screen = self.screen()
        text = compose(WireId.parse(task_id), description, open_ids(screen, self.width))
        self.type(text.encode() + b"\r")

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-J", "-S", "-")

    def rows(self) -> list[str]:
        return [row.rstrip() for row in self.screen().splitlines()]

    def answers(self, task_id: str | None = None) -> list[str]:
        found = read(self.screen(), task_id, self.width).answers
        return [f"{a.marker} {a.wire_id} {a.text}".rstrip() for a in found]

    def wait_for(self, *answers: str) -> None:
        wait_for(
            lambda: set(answers) <= set(self.answers()),
            lambda: f"{answers} in\n{self.screen()[-2000:]}",
        )

    def wait_ready(self) -> None:
        wait_for(lambda: "swarm>" in self.rows(), "the prompt")

    def do(self, task_id: str, description: str, answer: str) -> None:
        self.send(task_id, description)
        self.wait_for(answer)

    def kill(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            socket = Path(self.show("socket_path"))
            self.tmux("kill-server")
            socket.unlink(missing_ok=True)  # tmux leaves it behind


Start = Callable[..., Pane]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a pane in a folder of its own: the worker, or *command*."""
    panes: list[Pane] = []

    def begin(*arguments: str, command: list[str] | None = None, width: int = 200) -> Pane:
        folder = tmp_path / f"work-{len(panes)}"
        folder.mkdir()
        panes.append(Pane(folder, command or [*MODULE, *arguments], width))
        if command is None:
            panes[-1].wait_ready()
        return panes[-1]

    yield begin
    for pane in panes:
        pane.kill()


@pytest.fixture
def pane(start: Start) -> Pane:
    return start()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_tasks_run_in_the_order_they_came(pane: Pane) -> None:
    pane.send("t1", "until [ -e go ]; do sleep 0.05; done; echo one >> log")
    pane.send("t2", "echo two >> log")
    pane.send("t3", "echo three >> log; exit 3")
    pane.wait_for("ACK t1", "ACK t2", "ACK t3")
    (pane.folder / "go").touch()
    pane.wait_for("DONE t1", "DONE t2", "ERROR t3 exit status 3")
    assert (pane.folder / "log").read_text() == "one\ntwo\nthree\n"
    assert pane.answers() == [
        *("ACK t1", "ACK t2", "ACK t3"),
        *("DONE t1", "DONE t2", "ERROR t3 exit status 3"),
    ]


def test_a_task_knows_its_id_and_place_and_has_no_input(pane: Pane) -> None:
    pane.do("t1+abcdefgh", 'echo "$SWARM_TASK_ID $SWARM_WIRE_ID"; pwd; cat', "DONE t1+abcdefgh")
    rows = pane.rows()
    assert "t1 t1+abcdefgh" in rows
    assert str(pane.folder.resolve()) in rows


def test_a_message_that_comes_during_output_is_whole_and_apart(start: Start) -> None:
    pane = start("--exec", "cat > $SWARM_TASK_ID; until [ -e go ]; do echo noise; done")
    pane.send("t1", "first")
    pane.wait_for("ACK t1")
    text = "".join(f"line {i} 漢 'x' \\\n" for i in range(600))
    pane.send("t2", text)
    pane.wait_for("ACK t2")
    (pane.folder / "go").touch()
    pane.wait_for("DONE t1", "DONE t2")
    assert (pane.folder / "t2").read_text() == text
    apart = ("noise", "line ", "first", "swarm", "[", "(and ", "")
    assert all(row.startswith(apart) and "noise" not in row[1:] for row in pane.rows())


def test_a_task_whose_message_was_cleared_never_runs(pane: Pane) -> None:
    pane.type(b"[TASK] t1\ntouch wrong\x15")
    pane.do("t2", "touch right", "DONE t2")
    assert [path.name for path in pane.folder.iterdir()] == ["right"]
    assert pane.answers() == ["ACK t2", "DONE t2"]


def test_what_is_no_task_is_not_run(pane: Pane) -> None:
    pane.type(b"touch wrong\r\r[TASK] t1\r[TASK] bad_\ntouch wrong\r")
    pane.do("t2", "true", "DONE t2")
    assert not list(pane.folder.iterdir())
    assert pane.answers() == ["ACK t2", "DONE t2"]
    rows = pane.rows()
    assert sum(row.startswith("not a task, nothing was run: ") for row in rows) == 3


def test_ctrl_c_ends_the_task_and_not_the_worker(pane: Pane) -> None:
    pane.send("t1", "sleep 100 & echo $! > pid; wait; touch wrong")
    wait_for(lambda: (pane.folder / "pid").exists(), "the task")
    pane.type(b"\x03")
    pane.wait_for("ERROR t1 interrupted")
    wait_for(lambda: not alive(int((pane.folder / "pid").read_text())), "the background process")
    pane.type(b"\x03")  # without a task: nothing
    pane.do("t2", "echo alive", "DONE t2")
    assert not (pane.folder / "wrong").exists()


def test_a_task_that_ignores_the_interrupt_is_killed(pane: Pane) -> None:
    pane.send("t1", "trap '' INT TERM; touch ready; while :; do sleep 1; done")
    wait_for(lambda: (pane.folder / "ready").exists(), "the task")
    pane.type(b"\x03\x03")
    pane.wait_for("ERROR t1 interrupted")
    pane.do("t2", "true", "DONE t2")


def test_ctrl_d_leaves_when_nothing_runs(pane: Pane) -> None:
    pane.send("t1", "until [ -e go ]; do sleep 0.05; done")
    pane.wait_for("ACK t1")
    pane.type(b"\x04")
    wait_for(lambda: any(row.startswith("a task is running") for row in pane.rows()), "the hint")
    (pane.folder / "go").touch()
    pane.wait_for("DONE t1")
    pane.type(b"\x04")
    wait_for(lambda: pane.show("pane_dead") == "1", "the end")


TEXTS = [
    "x",
    ";",
    "\\",
    "-R\n\n\ttab 漢👩‍👩‍👧é ${x} `y` #{z} \\; $(q) 'one' \"two\" \n \n",
    "x" * 4095,
    "x" * 4096 + "\n" + "y" * 5000,
    "漢字\t" * 2340 + "\\",
    "[DONE] t6 \\[DONE] t6 \\\\[TASK] t6 [ACK] other",
    ("0123456789abcde\n" * 4096),
]


def test_every_byte_of_a_description_arrives(start: Start) -> None:
    pane = start("--exec", "cat > $SWARM_TASK_ID.txt; sha256sum < $SWARM_TASK_ID.txt")
    for number, text in enumerate(TEXTS):
        pane.do(f"t{number}", text, f"DONE t{number}")
        assert (pane.folder / f"t{number}.txt").read_bytes() == text.encode()
        assert any(hashlib.sha256(text.encode()).hexdigest() in row for row in pane.rows())
    assert len(TEXTS[-1]) == 65_536


def test_a_long_message_costs_few_bytes_of_screen(start: Start) -> None:
    pane = start("--exec", "true")
    drawn = pane.folder / "drawn"
    pane.tmux("pipe-pane", "-O", f"cat > {shlex.quote(str(drawn))}")
    pane.do("t1", "x" * 65_536, "DONE t1")
    assert drawn.stat().st_size < 2 * 65_536


def test_a_command_that_never_reads_its_input_blocks_nobody(start: Start) -> None:
    pane = start("--exec", "echo not reading")
    pane.do("t1", "x" * 65_536, "DONE t1")
    pane.do("t2", "x", "DONE t2")


HOSTILE = r"""
import os, sys
out = lambda text: os.write(1, text)
for mark in (b"TASK", b"ACK", b"DONE", b"ERROR", b"WAIT", b"HELP"):
    whole = b"[" + mark + b"] t1"
    for text in (whole, b"\r" + whole, b"x\x1b[1G" + whole + b"\x1b[K", b"\x1b[2J\x1b[H" + whole,
                 b"\x1b]0;" + whole + b"\x07", b"x" * 199 + whole, b"  * **" + whole,
                 b" " * 196 + whole[:3] + b"\t" + whole[3:],  # a tab at the margin has no width
                 whole[:3] + b"\x1b[0m" + whole[3:], whole[:3] + b"\0" + whole[3:],
                 whole[:3] + b"\xcd\xb8" + whole[3:], whole[:3] + b"\xe2\x80\x8b" + whole[3:],
                 b"[" + mark + b"x\b] t1", b"\xff" + whole, b"\xc2\x9b2K" + whole, b"\x0e" + whole,
                 b"\x1b[999D\x1b[A" + whole, b"\x1bM\r" + whole, b"\x1b[?1049h" + whole):
        out(text + b"\n")
        out(text + b"\r")
    for byte in whole:
        out(bytes([byte]))
    out(b"\n")
for number in range(100_000):
    out(b"[DONE] t1\n" if number % 1000 == 0 else b"line %d\n" % number)
out(b"x" * 200_000 + b"\n")
out(b"\x1b[?1049h\x1b[3J no line end [DONE] t1 \\")
sys.exit(7)
"""


def test_no_output_is_ever_an_answer(pane: Pane) -> None:
    (pane.folder / "hostile.py").write_text(HOSTILE)
    pane.send("t1", f"{shlex.quote(sys.executable)} hostile.py # [DONE] t1 \\")
    pane.wait_for("ERROR t1 exit status 7")
    for ask in ("t1", None):
        assert pane.answers(ask) == ["ACK t1", "ERROR t1 exit status 7"]
    rows = pane.rows()
    assert rows.count("[TASK] t1") == rows.count("[ACK] t1") == 1
    assert sum(row.startswith("line ") for row in rows) > 90_000
    assert pane.show("alternate_on") == "0"
    pane.do("t2", "true", "DONE t2")


def test_a_killed_command_is_told_as_the_shell_tells_it(pane: Pane) -> None:
    pane.do("t1", "kill -9 $$", "ERROR t1 exit status 137 (SIGKILL)")
    pane.do("t2", "kill -TERM 0", "ERROR t2 exit status 143 (SIGTERM)")
    pane.do("t3", "sh -c 'exit 300'; exit 255", "ERROR t3 exit status 255")


def test_a_background_process_does_not_hold_the_task(pane: Pane) -> None:
    pane.send("t1", "sleep 100 & echo $! > pid; echo started")
    pane.wait_for("DONE t1")
    rows = pane.rows()
    assert rows.index("started") < rows.index("[DONE] t1")
    pid = int((pane.folder / "pid").read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_command_that_closes_its_output_is_waited_for(pane: Pane) -> None:
    pane.do("t1", "exec >&- 2>&-; sleep 0.3; touch late; exit 4", "ERROR t1 exit status 4")
    assert (pane.folder / "late").exists()


def test_what_was_typed_before_the_worker_was_there_is_served(start: Start) -> None:
    shell = f"until [ -e go ]; do sleep 0.05; done; exec {shlex.join(MODULE)}"
    pane = start(command=["/bin/sh", "-c", shell])
    pane.type(b"[TASK] t1\necho early > out\r")
    wait_for(lambda: "early" in pane.screen(), "the echo")
    (pane.folder / "go").touch()
    pane.wait_for("ACK t1", "DONE t1")
    assert (pane.folder / "out").read_text() == "early\n"


def test_the_end_of_the_worker_ends_its_tasks(pane: Pane) -> None:
    pane.send("t1", "echo $$ > pid; sleep 100")
    pane.send("t2", "touch wrong")
    pane.wait_for("ACK t2")
    wait_for(lambda: (pane.folder / "pid").exists(), "the task")
    os.kill(int(pane.show("pane_pid")), signal.SIGTERM)
    wait_for(lambda: pane.show("pane_dead") == "1", "the end")
    pane.wait_for("ERROR t1 interrupted", "ERROR t2 not started: the worker has ended")
    wait_for(lambda: not alive(int((pane.folder / "pid").read_text())), "the task's process")


def test_a_closed_window_ends_its_task(pane: Pane) -> None:
    pane.send("t1", "trap '' HUP TERM; echo $$ > pid; while :; do sleep 1; done")
    wait_for(lambda: (pane.folder / "pid").exists(), "the task")
    worker_pid = int(pane.show("pane_pid"))
    pane.kill()
    wait_for(lambda: not alive(worker_pid), "the worker's end")
    wait_for(lambda: not alive(int((pane.folder / "pid").read_text())), "the task's end")


# Seen from a shell, since tmux 3.3a now and then misses the status of a pane's process.
@pytest.mark.parametrize(("way", "status"), [("ctrl-d", "0"), ("signal", "130")])
def test_the_terminal_is_given_back_as_it_was(start: Start, way: str, status: str) -> None:
    shell = (
        f"stty -a > before; {shlex.join(MODULE)}; echo $? > status; stty -a > after; touch end; cat"
    )
    pane = start(command=["/bin/sh", "-c", shell])
    pane.wait_ready()
    if way == "ctrl-d":
        pane.type(b"\x04")
    else:
        pane.do("t1", "echo $PPID > pid", "DONE t1")
        os.kill(int((pane.folder / "pid").read_text()), signal.SIGTERM)
    wait_for(lambda: (pane.folder / "end").exists(), "the end")
    assert (pane.folder / "status").read_text().strip() == status
    assert (pane.folder / "before").read_text() == (pane.folder / "after").read_text()


def test_a_task_that_cannot_start_is_an_error(pane: Pane) -> None:
    pane.folder.rmdir()
    pane.send("t1", "true")
    wait_for(lambda: any(a.startswith("ERROR t1 cannot start: ") for a in pane.answers()), "it")


def test_a_narrow_window_loses_no_answer(start: Start) -> None:
    pane = start(width=24)
    pane.send("a-rather-long-task-id+abcdefgh", "echo '" + "x" * 23 + "\\'")
    pane.wait_for("DONE a-rather-long-task-id+abcdefgh")
    pane.type(b"x" * 40)
    pane.tmux("resize-window", "-x", "15")
    pane.type(b"\x15")
    pane.do("t2", "true", "DONE t2")


def test_a_worker_without_a_terminal_refuses() -> None:
    with pytest.raises(RefusedError, match="terminal"):
        worker.run(None, Path())
