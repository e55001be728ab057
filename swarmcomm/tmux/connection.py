"""A lasting connection to one session of tmux: what its panes print, and commands at once."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import select
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmcomm import clock
from swarmcomm.errors import NotFoundError, TmuxError
from swarmcomm.tmux import control
from swarmcomm.tmux.client import Client, Guard, Request
from swarmcomm.tmux.outbox import Lost, Outbox, Output
from swarmcomm.tmux.server import failure, no_answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from swarmcomm.tmux.control import Message, Reply
    from swarmcomm.tmux.server import Server

__all__ = ["Connection", "Lost", "Output", "Snapshot", "connect"]

#: Bytes of output that wait for whoever watches.
QUEUE_BYTES = 64 << 20

#: Seconds for a session or server that went to come back.
_BACK_S = 5.0

#: Seconds between two attempts, the first and the longest.
_RETRY_S = (0.05, 1.0)

#: A pane whose output is not fetched for so long is paused, so that tmux keeps no more of it.
_OUTPUT_FLAGS = "ignore-size,pause-after=1"

#: While a second client is there, one that is slow does not stop the programs in the panes.
_COMMAND_FLAGS = "ignore-size,no-output"

#: Seconds without a word after which tmux is given something to answer. One that pauses all panes
#: at once, since they are too fast, falls asleep on what it has to say (3.3a).
_NUDGE_S = 0.2
_NUDGE = ("display-message", "-p", "")

#: A pane's output is held for a look, and goes on.
_HOLD = ("pause", "continue")

#: What tmux says when a pane may have left the session, or come back.
_MOVES = frozenset(
    ("window-add", "window-close", "unlinked-window-add", "unlinked-window-close", "layout-change")
)

_SIZES = "#{cursor_x} #{cursor_y} #{pane_height} #{history_size} #{history_limit} #{alternate_on}"
_BUFFER = re.compile(r"swarmcomm-([0-9]+)-[0-9]+")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """History and screen of a pane, oldest row first, rows that tmux wrapped joined.

    *cursor* is column and row of the screen, *height* its rows, *history* the rows above it, of
    which *limit* are kept at most. An *alternate* screen hides the one on which lines are printed.
    """

    text: str
    cursor: tuple[int, int]
    height: int
    history: int
    limit: int
    alternate: bool

    @property
    def may_be_cut(self) -> bool:
        """Whether rows may have gone at the top: tmux drops a tenth when its limit is reached."""
        return self.history >= self.limit - self.limit // 10


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

    def close(self) -> None:
        # The guard first: the number of a process that was waited for can be another's.
        self.guard.close()
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
        self._closed = threading.Event()
        self._stop_fd, self._stopper = os.pipe()
        self._nonce = secrets.token_hex(8)
        self._clients: _Clients | None = None
        self._thread: threading.Thread | None = None
        self._session_id = ""
        self._printed: set[str] = set()
        self._away: set[str] = set()
        self._counting = False
        self._held: dict[str, bool] = {}  # panes of looks, and whether they have been held since
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
        if self.streams or self._closed.is_set():
            return self._outbox.take(timeout_s)
        self._closed.wait(timeout_s)
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
        replies = self._request(clients.command, line, Request(self._token()))
        return "".join(_text(reply, args[0]) for reply in replies)

    def snapshot(self, pane_id: str) -> Snapshot:
        """Return history and screen of *pane_id* at one place of the order of all output.

        What :meth:`wait` gives of that pane afterwards came later; what it gave before, and what
        it would have given, is in it. Blocks for the server's deadline at most, twice.

        Raises:
            NotFoundError: no such pane.
            TmuxError: tmux failed, or did not answer.
        """
        clients = self._clients
        where = ("-J", "-S", "-", "-t", pane_id)
        sizes = ("display-message", "-p", "-t", pane_id, _SIZES)
        if clients is None:
            said = self._server.ask("capture-pane", "-p", *where, ";", *sizes)
            text, _, last = said.removesuffix("\n").rpartition("\n")
            return _snapshot(f"{text}\n", last)
        with self._looking:
            return self._cut(clients.output, pane_id, where, sizes)

    def _cut(
        self, client: Client, pane_id: str, where: tuple[str, ...], sizes: tuple[str, ...]
    ) -> Snapshot:
        """Capture a pane between two pieces of its output.

        Replies are overtaken by what a pane prints, while tmux still has something of another pane
        for the client. So this one is held until nothing of it is under way, and goes on from the
        capture.
        """
        # Through a buffer: tmux before 3.6 never frees a capture that a control client prints.
        name = f"swarmcomm-{os.getpid()}-{next(_numbers)}"
        hold, go_on = (("refresh-client", "-A", f"{pane_id}:{what}") for what in _HOLD)
        line = control.sequence(("capture-pane", "-b", name, *where), go_on, sizes)

        def on_held(_reply: Reply, too_late: bool) -> None:
            if not too_late:
                self._outbox.drop(pane_id)

        def on_first(reply: Reply, too_late: bool) -> None:
            if reply.ok and too_late:
                self._send(client, "delete-buffer", "-b", name)

        self._held[pane_id] = True
        try:
            self._request(client, control.quote(hold), Request(self._token(), on_held))
            replies = self._request(client, line, Request(self._token(), on_first))
            *_, said = (_text(reply, "capture-pane") for reply in replies)
            text = self._server.ask("show-buffer", "-b", name, ";", "delete-buffer", "-b", name)
        except BaseException:
            self._send(client, *go_on)
            self._send(client, "delete-buffer", "-b", name)
            self._outbox.lose(pane_id, "a look at the pane failed")
            raise
        finally:
            was_held = self._held.pop(pane_id)
        if not was_held:
            self._outbox.lose(pane_id, "the pane went on while it was looked at")
        return _snapshot(text, said)

    def close(self) -> None:
        """End everything; blocks for a second at most, also when tmux does not answer."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._outbox.end(TmuxError("the connection was closed"))
        os.write(self._stopper, b".")
        if self._thread:
            self._thread.join()
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
        guard = Guard()
        command: Client | None = None
        try:
            command = self._client(_COMMAND_FLAGS, guard)
            return _Clients(guard, self._client(_OUTPUT_FLAGS, guard), command)
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
                self._session_id = ""
                self._printed, self._away, self._counting = set(), set(), False
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
        while not self._closed.is_set():
            for client in both:
                # One read of each in turn: a flood must not hold up the replies.
                found = client.read()
                if found is None or not self._take(found, client):
                    return
                if any(isinstance(each, control.Output) for each in found):
                    nudge_ms = _NUDGE_S * 1000
            if not poll.poll(nudge_ms):
                self._send(clients.output, *_NUDGE)
                nudge_ms = None

    def _take(self, found: list[Message], client: Client) -> bool:
        """Deal with *found*; return False where the connection is of no use any more."""
        for each in found:
            if isinstance(each, control.Output):
                self._printed.add(each.pane_id)
                self._outbox.put(each.pane_id, each.data)
            elif isinstance(each, control.Reply):
                client.give(each)
            elif isinstance(each, control.Broken):
                return False
            elif isinstance(each, control.Notice):
                if each.name == "exit":
                    return False
                if each.name == "session-changed":
                    # With detach-on-destroy off a client whose session ended gets another one.
                    session_id = each.text.partition(" ")[0]
                    if self._session_id not in ("", session_id):
                        return False
                    self._session_id = session_id
                if each.name == "pause":
                    self._go_on(client, each.text, "the pane printed more than could be fetched")
                if each.name in _MOVES:
                    self._count_panes(client)
        return True

    def _go_on(self, client: Client, pane_id: str, why: str) -> None:
        """Let a pane go on that was paused; only then is anybody told to look."""
        if pane_id in self._away or pane_id in self._held:
            return
        self._send(client, "refresh-client", "-A", f"{pane_id}:continue")
        if pane_id in self._held:
            self._held[pane_id] = False
        self._outbox.lose(pane_id, why)

    def _count_panes(self, client: Client) -> None:
        """Pause those that have left the session.

        tmux would keep all that they print from now on for a client that it never sends it to.
        """
        if self._counting or self._clients is None or client is not self._clients.output:
            return
        self._counting = True

        def on_first(reply: Reply, _: bool) -> None:
            self._counting = False
            rows = [line.split() for line in reply.body.decode().splitlines()] if reply.ok else []
            here = {pane for session_id, pane in rows if session_id == self._session_id}
            there = {pane for _, pane in rows} - here
            for pane in self._printed & there:
                self._send(client, "refresh-client", "-A", f"{pane}:pause")
            back, self._away = self._away & here, (self._away | self._printed) & there
            for pane in back:
                self._go_on(client, pane, "the pane was in another session")
            self._printed -= there

        self._send(client, "list-panes", "-a", "-F", "#{session_id} #{pane_id}", on_first=on_first)

    def _attach_again(self) -> _Clients | None:
        end = clock.monotonic() + _BACK_S
        pause_s = _RETRY_S[0]
        while not self._closed.wait(pause_s):
            try:
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

    def _request(self, client: Client, line: str, request: Request) -> list[Reply]:
        deadline_s = self._server.deadline_s
        deadline = clock.monotonic() + deadline_s
        if not client.send(line, request, deadline):
            if clock.monotonic() >= deadline:
                raise no_answer(deadline_s)
            request.lose()
        while not request.wait(min(_NUDGE_S, deadline - clock.monotonic())):
            if clock.monotonic() >= deadline:
                request.give_up()
                raise no_answer(deadline_s)
            self._send(client, *_NUDGE)
        if request.lost:
            raise TmuxError("the connection to tmux was lost; what was asked may have been done")
        return request.replies

    def _send(
        self, client: Client, *args: str, on_first: Callable[[Reply, bool], None] | None = None
    ) -> None:
        """Send a command that nobody waits for; it cannot block the thread that reads."""
        client.send(control.quote(args), Request(self._token(), on_first), clock.monotonic())

    def _token(self) -> bytes:
        return f"{self._nonce}-{next(_numbers)}\n".encode()

    def _delete_left_over(self) -> None:
        """Delete the buffers of processes of ours that are gone."""
        with contextlib.suppress(TmuxError):
            for name in self.ask("list-buffers", "-F", "#{buffer_name}").splitlines():
                found = _BUFFER.fullmatch(name)
                if found and not _is_running(int(found[1])):
                    self.ask("delete-buffer", "-b", name)


def _text(reply: Reply, command: str) -> str:
    text = reply.body.decode("utf-8", "replace")
    if not reply.ok:
        raise failure(command, text.strip())
    if reply.cut:
        raise TmuxError(f"tmux {command} printed more than {control.REPLY_BYTES} bytes")
    return text


def _snapshot(text: str, sizes: str) -> Snapshot:
    try:
        column, row, height, history, limit, alternate = map(int, sizes.split())
    except ValueError as error:
        raise NotFoundError("tmux: the pane is gone") from error
    return Snapshot(text, (column, row), height, history, limit, bool(alternate))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
