"""A tmux process in control mode; it has no thread of its own."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import select
import subprocess
import threading
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from swarmcomm import clock
from swarmcomm.errors import TmuxError
from swarmcomm.tmux import control
from swarmcomm.tmux.control import Broken, Notice, Parser, Reply
from swarmcomm.tmux.server import failure, no_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from swarmcomm.tmux.control import Message

#: Bytes that a pipe is made to hold, where the system can: fewer and larger reads under a flood.
_PIPE_BYTES = 1 << 20

#: Seconds between two looks whether the client was closed while a full pipe is waited for.
_STEP_S = 0.1

#: Seconds for a client that is not attached yet to end by itself.
_END_S = 1.0

#: Seconds without a word after which tmux is given something to answer. One that pauses all panes
#: at once, since they are too fast, falls asleep on what it has to say (3.3a).
NUDGE_S = 0.2


class Request:
    """A line of commands that was sent, and the replies to it as they come.

    *on_first* is called in the thread that reads, with the first reply and whether nobody waits
    for it any more.
    """

    def __init__(self, token: bytes, on_first: Callable[[Reply, bool], None] | None = None) -> None:
        self.token = token
        self.replies: list[Reply] = []
        self.lost = False
        self._given_up = False
        self._on_first = on_first
        # No Event: it is Python, and an interrupt within it leaves it locked for ever.
        self._done: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()

    def take(self, reply: Reply) -> bool:
        """Return whether *reply* was the last one."""
        if reply.ok and reply.body == self.token:
            self._done.put(None)
            return True
        with self._lock:
            on_first, self._on_first = self._on_first, None
            if on_first:
                on_first(reply, self._given_up)
            if not self._given_up:
                self.replies.append(reply)
        return False

    def lose(self) -> None:
        """End it: no reply will come any more."""
        self.lost = True
        self._done.put(None)

    def wait(self, timeout_s: float) -> bool:
        """Return whether it ended within *timeout_s*; once it has, that is not told again."""
        try:
            self._done.get(timeout=max(0.0, timeout_s))
        except Empty:
            return False
        return True

    def give_up(self) -> None:
        """Wait for it no more."""
        with self._lock:
            self._given_up = True


class Guard:
    """A process that kills the clients it was told of when ours ends, however that happens.

    Left alone under a flood, tmux 3.3a waits for ever to write to such a client: the programs in
    the panes stand still, and the server cannot be ended. A client that has just begun is let
    finish, and all end under the lock of :mod:`~swarmcomm.tmux.attaching`.
    """

    _SCRIPT = """
    while read -r pid; do set -- "$@" "$pid"; done
    sleep 0.5
    kills='kill -9 "$@" 2>/dev/null; sleep 0.05'
    flock -w 1 "$0" /bin/sh -c "$kills" sh "$@" || eval "$kills"  # macOS has none
    """

    def __init__(self, sockets: Path) -> None:
        """Take the folder of the server's socket."""
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", self._SCRIPT, sockets],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        """Kill *pid* too; it is a child of ours that lives longer than the guard."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"%d\n" % pid)

    def close(self) -> None:
        """End it without harm to those it watches."""
        assert self._process.stdin
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()


class Client:
    """One attached control client. :meth:`read` belongs to one thread, the rest to any.

    Raises:
        NotFoundError: no such session or server.
        TmuxError: tmux refused, or did not answer within *deadline_s*.
        OSError: the process could not be started.
    """

    def __init__(self, argv: Sequence[str], deadline_s: float, stop_fd: int, guard: Guard) -> None:
        self._process = subprocess.Popen(
            argv,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt from the keyboard is for us
        )
        guard.watch(self._process.pid)
        assert self._process.stdin
        assert self._process.stdout
        self._in = self._process.stdin.fileno()
        self.fd = self._process.stdout.fileno()
        self._parser = Parser()
        self._held: list[Message] = []
        self._writing = threading.Lock()
        self._pending: deque[Request] = deque()
        self._lost = False
        self._attached = False
        self._deadline_s = deadline_s
        self._nonce = os.urandom(8).hex()
        self._numbers = itertools.count(1)
        try:
            os.set_blocking(self._in, False)
            os.set_blocking(self.fd, False)
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                with contextlib.suppress(OSError):
                    fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            self._wait_attached(clock.monotonic() + deadline_s, deadline_s, stop_fd)
            self._attached = True
        except BaseException:
            self.close()
            raise

    def read(self) -> list[Message] | None:
        """Return what has come; None where nothing will come any more. Does not block."""
        if self._held:
            held, self._held = self._held, []
            return held
        try:
            data = os.read(self.fd, _PIPE_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self._parser.feed(data) if data else None

    def give(self, reply: Reply) -> None:
        """Hand *reply*, which :meth:`read` returned, to whom it is for."""
        if reply.flags & 1 and self._pending and self._pending[0].take(reply):
            self._pending.popleft()

    def request(
        self, line: str, on_first: Callable[[Reply, bool], None] | None = None
    ) -> list[Reply]:
        """Send *line*, whose first reply is for *on_first* as well, and return all replies.

        Raises:
            TmuxError: tmux did not answer in time, or this client is lost.
        """
        deadline = clock.monotonic() + self._deadline_s
        request = Request(self._token(), on_first)
        if not self._send(line, request, deadline):
            if clock.monotonic() >= deadline:
                raise no_answer(self._deadline_s)
            request.lose()
        while not request.wait(min(NUDGE_S, deadline - clock.monotonic())):
            if clock.monotonic() >= deadline:
                request.give_up()
                raise no_answer(self._deadline_s)
            self.nudge()
        if request.lost:
            raise TmuxError("the connection to tmux was lost; what was asked may have been done")
        return request.replies

    def tell(self, *args: str, on_first: Callable[[Reply, bool], None] | None = None) -> None:
        """Send a command that nobody waits for; it cannot block the thread that reads."""
        self._send(control.quote(args), Request(self._token(), on_first), clock.monotonic())

    def nudge(self) -> None:
        """Give tmux something to answer."""
        self.tell("display-message", "-p", "")

    def _token(self) -> bytes:
        return f"{self._nonce}-{next(self._numbers)}\n".encode()

    def _send(self, line: str, request: Request, deadline: float) -> bool:
        """Write *line*; return False, with the client lost, where that cannot be done in time."""
        # Its own line: the end of a list is known only by what comes after it.
        data = f"{line}\ndisplay-message -p {request.token.decode().rstrip()}\n".encode()
        with self._writing:
            if self._lost:
                return False
            self._pending.append(request)
            poll = select.poll()
            poll.register(self._in, select.POLLOUT)
            while data and not self._lost:
                try:
                    data = data[os.write(self._in, data) :]
                except BlockingIOError:
                    if clock.monotonic() > deadline:
                        break
                    poll.poll(_STEP_S * 1000)
                except OSError:
                    break
            if data:
                # Half a command may be in the pipe: nothing can follow it. The reader sees the end.
                self._lost = True
                self._process.kill()
            return not data

    def close(self) -> None:
        """End the process; whoever waits for a reply is told. Blocks for a moment at most."""
        self._lost = True
        with self._writing:
            while self._pending:
                self._pending.popleft().lose()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
            if not self._attached:
                # It ends by itself, and what it says to tmux of itself must not break off.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_END_S)
            # Killed, since a frozen server would never let it go; tmux is told by the socket.
            self._process.kill()
            self._process.wait()

    def _wait_attached(self, deadline: float, deadline_s: float, stop_fd: int) -> None:
        poll = select.poll()
        for fd in (self.fd, stop_fd):
            poll.register(fd, select.POLLIN)
        said = ""
        while (left := deadline - clock.monotonic()) > 0:
            ready = [fd for fd, _ in poll.poll(left * 1000)]
            if stop_fd in ready:
                raise TmuxError("the connection was closed")
            if not ready:
                continue
            found = self.read()
            if found is None:
                raise failure("attach-session", said or "server exited")
            for index, each in enumerate(found):
                if isinstance(each, Reply):
                    if each.ok:
                        self._held = found[index + 1 :]
                        return
                    said = each.body.decode("utf-8", "replace").strip()
                    raise failure("attach-session", said)
                if isinstance(each, Broken):
                    raise TmuxError(f"tmux attach-session failed: {each.reason}")
                if isinstance(each, Notice):
                    said = each.text if each.name == "exit" else f"{each.name} {each.text}"
        raise no_answer(deadline_s)
