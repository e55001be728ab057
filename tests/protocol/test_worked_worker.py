"""The worker that protocol.md shows is run as it stands there, in a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from swarmcomm.protocol import WireId, compose, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROTOCOL = Path(__file__).parents[2] / "protocol.md"
DEADLINE_S = 20.0


class Terminal:
    """A terminal with the worker in it."""

    def __init__(self, program: Path) -> None:
        self.screen = ""
        self.folder = program.parent
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            ["bash", str(program)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            cwd=self.folder,
        )
        os.close(slave)
        self._wait(lambda: not termios.tcgetattr(self._master)[3] & termios.ICANON)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        self._wait(lambda: text in self.screen)

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE_S)
        os.close(self._master)

    def _wait(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, self.screen
            if select.select([self._master], [], [], 0.02)[0]:
                data = os.read(self._master, 65536).decode("utf-8", "replace")
                self.screen += data.replace("\r\n", "\n").replace("\r", "\n")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    (code,) = re.findall(r"```bash\n(.*?)```", PROTOCOL.read_text(), re.S)
    program = tmp_path / "worker.sh"
    program.write_text(code)
    terminal = Terminal(program)
    yield terminal
    terminal.close()


def message(name: str, description: str) -> str:
    return compose(WireId(name), description, []) + "\r"


def test_the_worked_worker_answers_each_task(terminal: Terminal) -> None:
    terminal.type(message("one", "printf 'a\\n' > out\nprintf '%s\\n' '[DONE] one'; cat out"))
    terminal.wait_for("\n[DONE] one\n")
    terminal.type("half a message\x15" + message("two", "exit 3") + message("three", "echo hi"))
    terminal.wait_for("\n[DONE] three\n")
    for name, expected in (
        ("one", [("ACK", ""), ("DONE", "")]),
        ("two", [("ACK", ""), ("ERROR", "the command failed")]),
        ("three", [("ACK", ""), ("DONE", "")]),
    ):
        reading = read(terminal.screen, name, 80)
        assert [(a.marker, a.text) for a in reading.answers] == expected
        # What C-u takes back stays on the screen, so the second task is not at the head of its row.
        assert reading.task_seen == (name != "two")
    assert "\n[DONE\\] one\na\n" in terminal.screen


def test_the_worked_worker_ignores_what_is_no_task(terminal: Terminal) -> None:
    terminal.type("hello\r" + message("one", "true"))
    terminal.wait_for("\n[DONE] one\n")
    assert [str(a.wire_id) for a in read(terminal.screen, None, 80).answers] == ["one", "one"]


def test_the_worked_worker_takes_a_message_typed_while_it_works(terminal: Terminal) -> None:
    terminal.type(message("one", "until [ -e go ]; do sleep 0.05; done"))
    terminal.wait_for("\n[ACK] one\n")
    terminal.type(message("two", "echo x") + message("go", "true"))
    terminal.wait_for("[TASK] go")
    (terminal.folder / "go").touch()
    terminal.wait_for("\n[DONE] go\n")
    reading = read(terminal.screen, None, 80)
    ends = [str(a.wire_id) for a in reading.answers if a.marker == "DONE"]
    assert ends == ["one", "two", "go"]
