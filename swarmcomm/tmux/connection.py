"""A lasting connection to one session of tmux: what its panes print, and commands at once."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import select
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmcomm import clock
from swarmcomm.errors import NotFoundError, TmuxError
from swarmcomm.tmux import attaching, control, flow
from swarmcomm.tmux.client import NUDGE_S, Client, Guard
from swarmcomm.tmux.flow import Flow, Snapshot
from swarmcomm.tmux.outbox import Lost, Outbox, Output

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from swarmcomm.tmux.control import Message
    from swarmcomm.tmux.server import Server

__all__ = ["Connection", "Lost", "Output", "Snapshot", "connect"]

#: Bytes of output that wait for whoever watches.
QUEUE_BYTES = 64 << 20

#: Seconds for a session or server that went to come back.
_BACK_S = 5.0

#: Seconds for other clients to have come or gone, before ours go; and for tmux to say whether a
#: session is there that was lost, since whoever closes waits for that.
_CLOSE_S = 0.5

#: Seconds between two attempts, the first and the longest.
_RETRY_S = (0.05, 1.0)

#: A pane whose output is not fetched for so long is paused, so that tmux keeps no more of it.
_OUTPUT_FLAGS = "ignore-size,pause-after=1"

#: While a second client is there, one that is slow does not stop the programs in the panes.
_COMMAND_FLAGS = "ignore-size,no-output"

_BUFFER = re.compile(r"swarmcomm-([0-9]+)-[0-9]+")
_numbers = itertools.count(1)


def connect(
    server: Server, session: str, *, control_mode: bool = True, queue_bytes: int = QUEUE_BYTES
) -> Connection:
    """Return a connection to *session*; close it before the server is ended.

    Where control mode cannot be had, or is not wanted, it starts a process for each command.

    Raises:
        NotFoundError: no server, or no such session on it.
        TmuxError: tmux could not be asked.
    """
    server.ask("has-session", "-t", f"={session}")
    return Connection(server, session, control_mode, queue_bytes)


@dataclass(frozen=True)
class _Clients:
    guard: Guard
    output: Client
    command: Client
    flow: Flow
    sockets: Path

    def close(self) -> None:
        # The guard first: the number of a process that was waited for can be another's.
        self.guard.close()
        with attaching.lock(self.sockets, _CLOSE_S):
            self.output.close()
            self.command.close()


class Connection:
    """Made by :func:`connect`; every method may be called from any thread.

    *streams* tells whether output comes; *note* says why not, else "".
    """

    def __init__(self, server: Server, session: str, control_mode: bool, queue_bytes: int) -> None:
        self.streams = control_mode
        self.note = "" if control_mode else "control mode is not wanted"
        self._server = server
        self._session = session
        self._outbox = Outbox(queue_bytes)
        self._closed = False
        self._stop_fd, self._stopper = os.pipe()
        self._clients: _Clients | None = None
        self._thread: threading.Thread | None = None
        self._buffer = f"swarmcomm-{os.getpid()}-{next(_numbers)}"
        self._looking = threading.Lock()
        try:
            if control_mode:
                self._start()
            self._delete_left_over()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wait(self, timeout_s: float) -> list[Output | Lost]:
        """Return everything that has come, in order; blocks up to *timeout_s* for the first.

        Without *streams* it blocks for all of *timeout_s* and tells to look.

        Raises:
            NotFoundError: session or server are gone, and did not come back for some seconds.
            TmuxError: the connection was closed.
        """
        if self.streams or self._closed:
            return self._outbox.take(timeout_s)
        self._is_closed_within(timeout_s)
        return [Lost(None, self.note)]

    def ask(self, *args: str) -> str:
        """Run one tmux command and return what it printed; never one that prints a capture.

        Blocks for the server's deadline at most.

        Raises:
            NotFoundError: tmux says that server, session, window or pane is not there.
            TmuxError: it failed in another way, or did not answer.
            InvalidInputError: no command, or one that tmux cannot take.
        """
        line = control.quote(args)
        clients = self._clients
        if clients is None:
            # An argument of a process that ends in ";" ends a command.
            return self._server.ask(*(re.sub(";$", r"\\;", each) for each in args))
        return "".join(flow.text_of(reply, args[0]) for reply in clients.command.request(line))

    def snapshot(self, pane_id: str) -> Snapshot:
        """Return history and screen of *pane_id* at one place of the order of all output.

        What :meth:`wait` gives of that pane afterwards came later; what it gave before, and what
        it would have given, is in it. Blocks for the server's deadline at most, twice.

        Raises:
            NotFoundError: no such pane.
            TmuxError: tmux failed, or did not answer.
        """
        clients = self._clients
        if clients is None:
            capture = ("capture-pane", "-p", *flow.where(pane_id))
            said = self._server.ask(*capture, ";", *flow.sizes(pane_id))
            text, _, last = said.removesuffix("\n").rpartition("\n")
            return flow.snapshot(f"{text}\n", last)
        with self._looking:
            return clients.flow.look(self._server, pane_id, self._buffer)

    def close(self) -> None:
        """End everything; blocks for a second at most, also when tmux does not answer."""
        if self._closed:
            return
        self._closed = True
        self._outbox.end(TmuxError("the connection was closed"))
        os.write(self._stopper, b".")
        if self._thread:
            try:
                self._thread.join()
            except RuntimeError:  # an interrupt came before it was started
                if self._clients:
                    self._clients.close()
        os.close(self._stop_fd)
        os.close(self._stopper)

    def _start(self) -> None:
        try:
            self._clients = self._attach()
        except (NotFoundError, TmuxError, OSError) as error:
            # Gone, or there and only not for a control client?
            self._server.ask("has-session", "-t", f"={self._session}")
            self.streams = False
            self.note = f"no control mode ({error})"
            return
        self._thread = threading.Thread(target=self._run, name="swarmcomm-tmux", daemon=True)
        self._thread.start()

    def _attach(self) -> _Clients:
        sockets = self._server.sockets
        guard = Guard(sockets)
        command: Client | None = None
        with attaching.lock(sockets, self._server.deadline_s, lambda: self._closed):
            try:
                if self._closed:
                    raise TmuxError("the connection was closed")
                command = self._client(_COMMAND_FLAGS, guard)
                output = self._client(_OUTPUT_FLAGS, guard)
                fetching = Flow(output, self._outbox)
                return _Clients(guard, output, command, fetching, sockets)
            except BaseException:
                guard.close()
                if command:
                    command.close()
                raise

    def _client(self, flags: str, guard: Guard) -> Client:
        # -N: attaching would start a server; -E: it would change the session's environment.
        argv = self._server.argv(
            "-N", "-C", "attach-session", "-E", "-t", f"={self._session}:", "-f", flags
        )
        return Client(argv, self._server.deadline_s, self._stop_fd, guard)

    def _run(self) -> None:
        clients = self._clients
        try:
            while clients:
                try:
                    self._read(clients)
                finally:
                    self._clients = None
                    clients.close()
                clients = self._clients = self._attach_again()
                if clients:
                    self._outbox.lose(None, "the connection to tmux was lost for a moment")
        finally:
            # Nobody may wait for ever, whatever happened.
            self._outbox.end(TmuxError("the connection has ended"))

    def _read(self, clients: _Clients) -> None:
        """Read both clients until one of them is lost, or until we are closed."""
        poll = select.poll()
        both = (clients.output, clients.command)
        for fd in (self._stop_fd, *(client.fd for client in both)):
            poll.register(fd, select.POLLIN)
        nudge_ms: float | None = None
        while not self._closed:
            for client in both:
                # One read of each in turn: a flood must not hold up the replies.
                found = client.read()
                if found is None or not _take(found, client, clients.flow):
                    return
                if any(isinstance(each, control.Output) for each in found):
                    nudge_ms = NUDGE_S * 1000
            if not poll.poll(nudge_ms):
                clients.output.nudge()
                nudge_ms = None

    def _attach_again(self) -> _Clients | None:
        end = clock.monotonic() + _BACK_S
        pause_s = _RETRY_S[0]
        while not self._is_closed_within(pause_s):
            try:
                # One that is frozen must not find many clients that begin when it goes on.
                where = ("-t", f"={self._session}")
                self._server.ask("has-session", *where, deadline_s=_CLOSE_S)
                return self._attach()
            except NotFoundError as error:
                if clock.monotonic() > end:
                    self._outbox.end(error)
                    return None
            except (TmuxError, OSError) as error:
                # Frozen, or out of something: it is not gone, and a look may tell more.
                self._outbox.lose(None, f"the connection to tmux was lost ({error})")
                end = clock.monotonic() + _BACK_S
            pause_s = min(pause_s * 2, _RETRY_S[1])
        return None

    def _is_closed_within(self, timeout_s: float) -> bool:
        if not self._closed:
            poll = select.poll()
            poll.register(self._stop_fd, select.POLLIN)
            poll.poll(timeout_s * 1000)
        return self._closed

    def _delete_left_over(self) -> None:
        """Delete the buffers of processes of ours that are gone."""
        with contextlib.suppress(TmuxError):
            for name in self.ask("list-buffers", "-F", "#{buffer_name}").splitlines():
                found = _BUFFER.fullmatch(name)
                if found and not _is_running(int(found[1])):
                    self.ask("delete-buffer", "-b", name)


def _take(found: list[Message], client: Client, flow: Flow) -> bool:
    """Deal with *found*; return False where the connection is of no use any more."""
    for each in found:
        if isinstance(each, control.Output):
            flow.put(each)
        elif isinstance(each, control.Reply):
            client.give(each)
        elif isinstance(each, control.Broken) or not flow.note(each, client):
            return False
    return True


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
