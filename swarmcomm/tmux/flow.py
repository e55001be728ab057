"""The output of panes on its way to one client: held for a look, let go on, stopped."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmcomm.errors import NotFoundError, TmuxError
from swarmcomm.tmux import attaching, control
from swarmcomm.tmux.server import failure

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from swarmcomm.tmux.client import Client
    from swarmcomm.tmux.control import Notice, Output, Reply
    from swarmcomm.tmux.outbox import Outbox
    from swarmcomm.tmux.server import Server

#: What tmux says when a pane may have left the session, or come back.
_MOVES = frozenset(
    ("window-add", "window-close", "unlinked-window-add", "unlinked-window-close", "layout-change")
)

#: Seconds for control clients that come or go, before a look.
_LOCK_S = 0.5

#: Releases, from and below, that tell of a buffer that comes or goes, and die of a client that has
#: just begun then. With the others no look waits.
_TELL = ((3, 4), (3, 7))

_SIZES = "#{cursor_x} #{cursor_y} #{pane_height} #{history_size} #{history_limit} #{alternate_on}"


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


class Flow:
    """What panes print comes through here to the *outbox*.

    :meth:`look` is for any thread, once at a time; the rest is for the one that reads *client*.
    """

    def __init__(self, client: Client, outbox: Outbox) -> None:
        self._client = client
        self._outbox = outbox
        self._session_id = ""
        self._kept: set[str] = set()  # panes whose output tmux keeps until we fetch it
        self._elsewhere: set[str] = set()  # those of other sessions when they were counted last
        self._away: set[str] = set()  # of them those that were here
        self._counting = False
        self._held: dict[str, bool] = {}  # panes of looks, and whether they have been held since

    def put(self, printed: Output) -> None:
        """Take what a pane printed."""
        self._kept.add(printed.pane_id)
        self._outbox.put(printed.pane_id, printed.data)

    def note(self, notice: Notice, client: Client) -> bool:
        """Take what tmux said to *client*; return False where that is of no use any more."""
        if notice.name == "exit":
            return False
        if notice.name == "session-changed":
            # With detach-on-destroy off a client whose session ended gets another one.
            session_id = notice.text.partition(" ")[0]
            if self._session_id not in ("", session_id):
                return False
            self._session_id = session_id
        if client is self._client:
            if notice.name == "pause":
                self._go_on(notice.text, "the pane printed more than could be fetched")
            if notice.name in _MOVES:
                self._count_panes()
        return True

    def look(self, server: Server, pane_id: str, buffer: str) -> Snapshot:
        """Capture a pane between two pieces of its output, by way of a paste *buffer*.

        Replies are overtaken by what a pane prints, while tmux still has something of another pane
        for the client. So this one is held until nothing of it is under way, and goes on from the
        capture. Blocks for the server's deadline at most, twice.

        Raises:
            NotFoundError: no such pane.
            TmuxError: tmux failed, or did not answer.
        """
        hold, go_on = (_flow(pane_id, what) for what in ("pause", "continue"))
        # Through a buffer: tmux before 3.6 never frees a capture that a control client prints.
        capture = ("capture-pane", "-b", buffer, *where(pane_id))
        line = control.sequence(capture, go_on, sizes(pane_id))
        delete = ("delete-buffer", "-b", buffer)
        was_held = False

        def on_held(_: Reply, too_late: bool) -> None:
            self._kept.add(pane_id)
            if pane_id in self._elsewhere:
                self._away.add(pane_id)
            if not too_late:
                self._outbox.drop(pane_id)

        def on_captured(_: Reply, too_late: bool) -> None:
            nonlocal was_held
            if pane_id in self._away:
                self._client.tell(*hold)
            if not too_late:
                # It goes on: when tmux pauses it from here on, that is no matter of this look.
                was_held = self._held.pop(pane_id)

        self._held[pane_id] = True
        try:
            # Others begin while the buffer is read, which takes most of the time.
            with _lock(server):
                self._client.request(control.quote(hold), on_held)
                replies = self._client.request(line, on_captured)
            *_, said = (text_of(reply, "capture-pane") for reply in replies)
            text = server.ask("show-buffer", "-b", buffer)
            with _lock(server):
                self._client.request(control.quote(delete))
        except BaseException:
            self._client.tell(*(hold if pane_id in self._away else go_on))
            self._client.tell(*delete)
            self._outbox.lose(pane_id, "a look at the pane failed")
            raise
        finally:
            self._held.pop(pane_id, None)
        if not was_held:
            self._outbox.lose(pane_id, "the pane went on while it was looked at")
        return snapshot(text, said)

    def _go_on(self, pane_id: str, why: str) -> None:
        """Let a pane go on that was paused; only then is anybody told to look."""
        if pane_id in self._away or pane_id in self._held:
            return
        self._client.tell(*_flow(pane_id, "continue"))
        if pane_id in self._held:
            self._held[pane_id] = False
        self._outbox.lose(pane_id, why)

    def _count_panes(self) -> None:
        """Pause those that have left the session.

        tmux would keep all that they print from now on for a client that it never sends it to.
        """
        if self._counting:
            return
        self._counting = True

        def on_first(reply: Reply, _: bool) -> None:
            self._counting = False
            rows = [line.split() for line in reply.body.decode().splitlines()] if reply.ok else []
            here = {pane for session_id, pane in rows if session_id == self._session_id}
            self._elsewhere = there = {pane for _, pane in rows} - here
            for pane in self._kept & there:
                self._client.tell(*_flow(pane, "pause"))
            back, self._away = self._away & here, (self._away | self._kept) & there
            for pane in back:
                self._go_on(pane, "the pane was in another session")
            self._kept -= there

        self._client.tell("list-panes", "-a", "-F", "#{session_id} #{pane_id}", on_first=on_first)


def _lock(server: Server) -> AbstractContextManager[None]:
    if _TELL[0] <= server.release < _TELL[1]:
        return attaching.lock(server.sockets, _LOCK_S, shared=True)
    return nullcontext()


def where(pane_id: str) -> tuple[str, ...]:
    """Return what tells capture-pane to take history and screen of a pane."""
    return ("-J", "-S", "-", "-t", pane_id)


def sizes(pane_id: str) -> tuple[str, ...]:
    """Return the command that prints what :func:`snapshot` takes beside the text."""
    return ("display-message", "-p", "-t", pane_id, _SIZES)


def snapshot(text: str, said: str) -> Snapshot:
    """Return *text* as a snapshot, with the *sizes* that were *said*.

    Raises:
        NotFoundError: they are those of no pane.
    """
    try:
        column, row, height, history, limit, alternate = map(int, said.split())
    except ValueError as error:
        raise NotFoundError("tmux: the pane is gone") from error
    return Snapshot(text, (column, row), height, history, limit, bool(alternate))


def text_of(reply: Reply, command: str) -> str:
    """Return what *command* printed.

    Raises:
        NotFoundError: tmux says that something is not there.
        TmuxError: it failed in another way, or printed too much.
    """
    text = reply.body.decode("utf-8", "replace")
    if not reply.ok:
        raise failure(command, text.strip())
    if reply.cut:
        raise TmuxError(f"tmux {command} printed more than {control.REPLY_BYTES} bytes")
    return text


def _flow(pane_id: str, what: str) -> tuple[str, ...]:
    return ("refresh-client", "-A", f"{pane_id}:{what}")
