"""The built-in agent: takes messages typed into its window and runs them as commands.

One thread waits for the terminal, the running command's pipe and signals; nothing is polled.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import termios
from collections import deque
from typing import TYPE_CHECKING

from swarmcomm.clock import monotonic
from swarmcomm.errors import RefusedError
from swarmcomm.frontends.worker_input import DRAFT_LIMIT, Editor, Key
from swarmcomm.frontends.worker_output import Screen, echo, one_line
from swarmcomm.frontends.worker_task import READ_SIZE, Running, Task
from swarmcomm.protocol import parse_message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUEUE_LIMIT = 1_000  # tasks; at 64 KiB each this bounds the memory
FLOOD_S = 0.05  # so much output without a gap is a flood,
REST_S = 0.01  # and gets a gap of this length
TYPING_S = 0.3  # output waits so long after each key of an unfinished message,
TYPING_LIMIT_S = 2.0  # but no longer than this in all

_INTERRUPTED = 130
_SIGNALS = (signal.SIGCHLD, signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def run(exec_command: str | None, workdir: Path) -> int:
    """Serve messages from the terminal on standard input until C-d, a hang-up or SIGTERM.

    A task is run by /bin/sh in *workdir*: its description itself, or *exec_command* with the
    description on standard input. Returns 0 after C-d, 130 after a signal or hang-up. Blocks.
    Raises RefusedError where standard input or output is no terminal.
    """
    if not (os.isatty(0) and os.isatty(1)):
        raise RefusedError("the worker needs a terminal: start it in a window of its own")
    with _signals_as_bytes() as wakeup, _raw_terminal():
        return Worker(exec_command, workdir, wakeup).serve()


class Pace:
    """When a command's output may be read. Pure: the caller gives the time, in seconds.

    A sender looks for the prompt row before it types and when it has typed; without moments in
    which that row is what stands on the screen, a flood would keep messages out.
    """

    def __init__(self) -> None:
        self.until = 0.0
        self._flood_since = 0.0
        self._typing_since: float | None = None

    def typed(self, now: float, unfinished: bool) -> None:
        """Something was typed; *unfinished* tells that the box is not empty after it."""
        if not unfinished:
            self._typing_since, self.until = None, now
            return
        if self._typing_since is None:
            self._typing_since = now
        self.until = min(now + TYPING_S, max(self._typing_since + TYPING_LIMIT_S, now))

    def read(self, now: float, waited: float) -> None:
        """Output was read, after nothing had happened for *waited* seconds."""
        if waited > REST_S / 2:
            self._flood_since = now
        if now - self._flood_since > FLOOD_S:
            self.until = self._flood_since = max(self.until, now + REST_S)


class Worker:
    """The event loop and its queue."""

    def __init__(self, exec_command: str | None, workdir: Path, wakeup: int) -> None:
        self._exec_command = exec_command
        self._workdir = workdir
        self._wakeup = wakeup
        self._editor = Editor()
        self._screen = Screen()
        self._pace = Pace()
        self._queue: deque[Task] = deque()
        self._running: Running | None = None
        self._selector = selectors.DefaultSelector()
        self._status: int | None = None

    def serve(self) -> int:
        """Return the exit status when there is nothing more to serve."""
        self._selector.register(0, selectors.EVENT_READ)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        try:
            self._greet()
            while self._status is None:
                self._turn()
            self._end_all()
        except OSError:  # the terminal is gone
            self._status = _INTERRUPTED
        finally:
            if self._running:
                self._running.kill()
            self._selector.close()
        return self._status or 0

    def _greet(self) -> None:
        does = "as a shell command" if self._exec_command is None else "through its command"
        self._screen.say(f"swarmcomm worker: runs each task {does}; C-c interrupts, C-d leaves\n")
        if select.select([0], [], [], 0)[0]:  # typed before we were there, and echoed already
            _write("\n")
            self._obey(self._editor.feed_early(os.read(0, READ_SIZE)))

    def _turn(self) -> None:
        _write(self._screen.frame(self._editor.draft, _columns()))
        before = monotonic()
        ready = {key.fd for key, _ in self._selector.select(self._patience(before))}
        now = monotonic()
        if 0 in ready:
            self._typed(os.read(0, READ_SIZE))
        if self._wakeup in ready:
            self._signalled(os.read(self._wakeup, READ_SIZE))
        if self._running and self._running.pipe in ready:
            self._screen.say(self._running.read())
            self._pace.read(now, now - before)
        if self._running and self._running.deadline and self._running.deadline <= now:
            self._running.escalate()

    def _patience(self, now: float) -> float | None:
        """Watch the running task's pipe, or not yet; return the seconds to wait, None: for ever."""
        running = self._running
        if not running:
            return None
        waits = [] if running.deadline is None else [running.deadline]
        held = self._pace.until > now
        self._watch(running, on=not held and not running.closed)
        if held:
            waits.append(self._pace.until)
        return max(min(waits) - now, 0.0) if waits else None

    def _watch(self, running: Running, on: bool) -> None:
        if on == running.watched:
            return
        running.watched = on
        if on:
            self._selector.register(running.pipe, selectors.EVENT_READ)
        else:
            self._selector.unregister(running.pipe)

    # What is typed

    def _typed(self, data: bytes) -> None:
        if not data:
            self._status = _INTERRUPTED
        self._obey(self._editor.feed(data))
        self._pace.typed(monotonic(), unfinished=bool(self._editor.draft))

    def _obey(self, found: list[str | Key]) -> None:
        for item in found:
            if isinstance(item, str):
                self._message(item)
            elif item is Key.INTERRUPT:
                if self._running:
                    self._running.interrupt()
            elif item is Key.TOO_LONG:
                self._screen.say(f"a message over {DRAFT_LIMIT:,} bytes: nothing was run\n")
            elif self._running:
                self._screen.say("a task is running: C-c interrupts it, then C-d leaves\n")
            else:
                self._status = 0

    def _message(self, text: str) -> None:
        parsed = parse_message(text)
        if not parsed or not parsed[1].strip():
            if text.strip():
                self._screen.say(f"not a task, nothing was run: {one_line(text, 60)}\n")
            return
        task = Task(*parsed)
        self._screen.mark(f"[TASK] {task.wire_id}")
        self._screen.say(echo(task.description))
        if len(self._queue) >= QUEUE_LIMIT:
            self._screen.mark(f"[ERROR] {task.wire_id} refused: {QUEUE_LIMIT} tasks are waiting")
            return
        self._screen.mark(f"[ACK] {task.wire_id}")
        self._queue.append(task)
        self._next()

    # Tasks

    def _next(self) -> None:
        while self._queue and not self._running:
            task = self._queue.popleft()
            try:
                self._running = Running(task, self._exec_command, self._workdir)
            except OSError as error:
                self._screen.mark(f"[ERROR] {task.wire_id} cannot start: {one_line(str(error))}")

    def _signalled(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers or signal.SIGHUP in numbers:
            self._status = _INTERRUPTED
        if signal.SIGINT in numbers and self._running:
            self._running.interrupt()
        if self._running and self._running.ended():
            self._finish(self._running)
            self._next()

    def _finish(self, running: Running) -> None:
        self._watch(running, on=False)
        self._screen.say(running.rest())
        running.close()
        # A task can reach the terminal by its name; what it set there must not outlive it.
        _set_raw()
        self._screen.mark(running.answer())
        self._running = None

    def _end_all(self) -> None:
        """End what runs, and say so of each task that will have no other answer."""
        if self._running:
            self._running.kill()
            self._finish(self._running)
        for task in self._queue:
            self._screen.mark(f"[ERROR] {task.wire_id} not started: the worker has ended")
        _write(self._screen.frame(b"", _columns(), prompt=False))


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Give every byte as it is typed, for the length of the block; output stays cooked.

    Nothing is flushed: what was typed before stays to be read.
    """
    before = termios.tcgetattr(0)
    _set_raw()
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, before)


def _set_raw() -> None:
    mode = termios.tcgetattr(0)
    iflag, oflag, cflag, lflag = 0, 1, 2, 3
    mode[iflag] &= ~(
        termios.BRKINT
        | termios.ICRNL
        | termios.IGNCR
        | termios.INLCR
        | termios.INPCK
        | termios.ISTRIP
        | termios.IXON
        | termios.IXOFF
    )
    mode[oflag] |= termios.OPOST | termios.ONLCR
    mode[cflag] |= termios.CS8
    mode[lflag] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG)
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    termios.tcsetattr(0, termios.TCSANOW, mode)


@contextlib.contextmanager
def _signals_as_bytes() -> Iterator[int]:
    """Give a descriptor on which each signal that we serve arrives as a byte, its number."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    try:
        yield reader
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def _columns() -> int:
    return os.get_terminal_size(1).columns or 80


def _write(text: str) -> None:
    """Write all of *text*; blocks while the terminal does not take it. Raises OSError."""
    data = memoryview(text.encode())
    while data:
        data = data[os.write(1, data) :]
