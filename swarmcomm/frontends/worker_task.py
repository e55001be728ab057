"""One task of the built-in worker as a process: started, interrupted, ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import termios
from typing import TYPE_CHECKING, NamedTuple

from swarmcomm.clock import monotonic
from swarmcomm.frontends.worker_output import Output

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from swarmcomm.protocol import WireId

READ_SIZE = 1 << 16  # bytes; what a pipe holds on Linux
PATIENCE_S = 2.0  # between the steps of an interrupt
_STEPS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class Task(NamedTuple):
    """One accepted message, waiting or running."""

    wire_id: WireId
    description: str


class Running:
    """A task's process, its group, and the pipe of its output.

    Raises OSError where the command cannot be started.
    """

    def __init__(self, task: Task, exec_command: str | None, workdir: Path) -> None:
        self.task = task
        self.deadline: float | None = None  # of the next step of an interrupt
        self.closed = False  # nobody holds the other end of the pipe any more
        self.watched = False  # for the event loop
        self._output = Output()
        self._steps = iter(_STEPS)
        self._interrupted = False
        environment = os.environ | {
            "SWARM_TASK_ID": task.wire_id.task_id,
            "SWARM_WIRE_ID": str(task.wire_id),
        }
        with contextlib.ExitStack() as stack:
            stdin: IO[bytes] | int = subprocess.DEVNULL
            if exec_command is not None:
                stdin = stack.enter_context(_as_file(task.description))
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", task.description if exec_command is None else exec_command],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                cwd=workdir,
                env=environment,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        self.pipe = self._process.stdout.fileno()
        self._pipe = self._process.stdout
        os.set_blocking(self.pipe, False)

    def read(self) -> str:
        """Return the whole lines that can be read now; sets *closed* at the end of the output."""
        try:
            data = os.read(self.pipe, READ_SIZE)
        except BlockingIOError:
            return ""
        self.closed = not data
        return self._output.feed(data)

    def ended(self) -> bool:
        """Return whether the main process has ended; what it left in the background may live."""
        return self._process.poll() is not None

    def rest(self) -> str:
        """Return the last lines: what is in the pipe now, not what background ones will write."""
        text = ""
        left = _readable(self.pipe)
        while left > 0 and (data := os.read(self.pipe, min(left, READ_SIZE))):
            text += self._output.feed(data)
            left -= len(data)
        return text + self._output.feed(b"", end=True)

    def interrupt(self) -> None:
        """Begin to end the whole group: SIGINT, then SIGTERM and SIGKILL, each after 2 s."""
        if not self._interrupted:
            self._interrupted = True
            self.escalate()

    def escalate(self) -> None:
        """Take the next step of an interrupt."""
        step = next(self._steps)
        self.deadline = None if step == signal.SIGKILL else monotonic() + PATIENCE_S
        self._signal(step)

    def close(self) -> None:
        """Let go of the pipe, and of an interrupted task's group what still lives."""
        self._pipe.close()
        if self._interrupted:
            self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """End the whole group now and wait for its main process, at most about half a second."""
        self._interrupted = True
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def answer(self) -> str:
        """Return the marker line that says how the task ended."""
        code = self._process.returncode
        wire_id = self.task.wire_id
        if self._interrupted:
            return f"[ERROR] {wire_id} interrupted"
        if code == 0:
            return f"[DONE] {wire_id}"
        if code > 0:
            return f"[ERROR] {wire_id} exit status {code}"
        return f"[ERROR] {wire_id} exit status {128 - code} ({_signal_name(-code)})"

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _as_file(text: str) -> IO[bytes]:
    """Return *text* as an unnamed file, so that a command that never reads blocks nobody."""
    import tempfile

    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's stack closes it
    file.write(text.encode())
    file.seek(0)
    return file


def _readable(fd: int) -> int:
    (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))
    return int(count)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
