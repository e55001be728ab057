"""The connection to tmux: nothing lost without a word, whatever happens to either end."""

from __future__ import annotations

import os
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmcomm.errors import InvalidInputError, NotFoundError, TmuxError
from swarmcomm.tmux.connection import Connection, Output, Snapshot, connect
from swarmcomm.tmux.server import Server
from tests.conftest import Tmux, wait_for

Connect = Callable[..., Connection]


@pytest.fixture
def connected(tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Make connections to session s that are closed before the server ends."""
    monkeypatch.setenv("TMUX_TMPDIR", tmux.environ["TMUX_TMPDIR"])
    made: list[Connection] = []

    def make(deadline_s: float = 10.0, **options: object) -> Connection:
        server = Server(tmux.socket, config_file="/dev/null", deadline_s=deadline_s)
        made.append(connect(server, "s", **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for connection in made:
        connection.close()


def seen(connection: Connection, text: bytes, pane: str, deadline_s: float = 30.0) -> bytes:
    """Return what *pane* printed up to *text*; nothing of it may be lost."""
    found = b""
    end = time.monotonic() + deadline_s
    while text not in found:
        assert time.monotonic() < end, found[-500:]
        for each in connection.wait(1):
            assert isinstance(each, Output), each
            if each.pane_id == pane:
                found += each.data
    return found


def clients(tmux: Tmux) -> list[int]:
    said = tmux.run("list-clients", "-F", "#{client_pid}", check=False)
    return [int(line) for line in said.split()]


def test_what_a_pane_prints_comes_at_once_and_in_order(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", dict.fromkeys("ab", "stty -echo; echo ready; cat"))
    connection = connected()
    assert connection.streams
    assert connection.note == ""
    panes = {window: tmux.pane("s", window) for window in "ab"}
    wait_for(lambda: all("ready" in tmux.screen("s", window) for window in "ab"), "both")
    found = dict.fromkeys(panes.values(), b"")
    for number in range(20):
        for pane in panes.values():
            connection.ask("send-keys", "-t", pane, f"x{number}", "Enter")
    while not all(text.endswith(b"x19\r\n") for text in found.values()):
        for each in connection.wait(10):
            assert isinstance(each, Output)
            found[each.pane_id] += each.data
    printed = b"".join(b"x%d\r\n" % number for number in range(20))
    assert [text.partition(b"ready\r\n")[2] or text for text in found.values()] == [printed] * 2


def test_without_anything_to_tell_it_waits_its_time(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "cat"})
    connection = connected()
    assert connection.wait(0) == []
    assert connection.wait(0.05) == []


@pytest.mark.parametrize("control_mode", [True, False])
def test_a_command_is_answered_as_by_a_process(
    tmux: Tmux, connected: Connect, control_mode: bool
) -> None:
    tmux.session("s", {"w": "cat"})
    connection = connected(control_mode=control_mode)
    pane = tmux.pane("s", "w")
    assert connection.ask("display-message", "-p", "") == "\n"
    assert connection.ask("set-option", "-g", "@x", "a;") == ""
    assert connection.ask("show-options", "-gv", "@x") == "a;\n"
    assert connection.ask("if-shell", "-F", "1", "display-message -p é") == "é\n"
    listed = connection.ask("list-panes", "-s", "-t", "=s:", "-F", "#{pane_id}")
    assert listed == f"{pane}\n"
    with pytest.raises(NotFoundError, match="can't find pane: %99"):
        connection.ask("kill-pane", "-t", "%99")
    with pytest.raises(TmuxError, match="no-such-command") as error:
        connection.ask("no-such-command")
    assert not isinstance(error.value, NotFoundError)
    with pytest.raises(InvalidInputError):
        connection.ask("list-panes\nkill-server")
    assert connection.ask("display-message", "-p", "a\nkill-server") == "a\nkill-server\n"
    assert connection.ask("display-message", "-p", "still there") == "still there\n"


def test_many_threads_ask_and_each_gets_its_own_answer(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "cat"})
    connection = connected()
    wrong: list[str] = []

    def ask(name: int) -> None:
        for number in range(100):
            said = connection.ask("display-message", "-p", f"{name}.{number}")
            if said != f"{name}.{number}\n":
                wrong.append(said)

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_there_must_be_a_session(tmux: Tmux, connected: Connect) -> None:
    with pytest.raises(NotFoundError):
        connected()
    tmux.session("s-other", {"w": "cat"})
    with pytest.raises(NotFoundError, match="can't find session"):
        connected()
    with pytest.raises(NotFoundError, match="can't find session"):
        connected(control_mode=False)
    assert clients(tmux) == []


HARD = r"  \ $HOME ~ `id` #{pane_id} %end 1 2 1 é世😀 "


@pytest.mark.parametrize("control_mode", [True, False])
def test_a_snapshot_is_what_a_capture_shows(
    tmux: Tmux, connected: Connect, control_mode: bool
) -> None:
    long = "x" * 300
    tmux.session("s", {"w": f"seq 100; echo {shlex.quote(HARD)}; echo {long}; printf '> '; cat"})
    connection = connected(control_mode=control_mode)
    pane = tmux.pane("s", "w")
    wait_for(lambda: "> " in tmux.screen("s", "w"), "the prompt")
    snapshot = connection.snapshot(pane)
    assert snapshot.text == tmux.screen("s", "w")
    assert HARD in snapshot.text
    assert long in snapshot.text
    assert snapshot.cursor == (2, 39)
    assert snapshot.height == 40
    assert snapshot.history == 100 + 1 + 3 + 1 - 40
    with pytest.raises(NotFoundError):
        connection.snapshot("%99")
    assert tmux.run("list-buffers") == ""


def test_a_snapshot_of_an_empty_pane_is_empty(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "stty -echo; cat"}, height=5)
    assert connected().snapshot(tmux.pane("s", "w")) == Snapshot("\n" * 5, (0, 0), 5, 0)


COUNT = "python3 -c 'for n in range({}): print(\"n%d\" % n)'"


def test_a_flood_comes_whole_and_in_order(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "sh", "other": "cat"})
    pane = tmux.pane("s", "w")
    connection = connected()
    connection.ask("send-keys", "-t", pane, "stty -echo; " + COUNT.format(200_000), "Enter")
    found = seen(connection, b"n199999\r\n", pane)
    assert re.findall(rb"n(\d+)\r\n", found) == [b"%d" % number for number in range(200_000)]


def test_a_snapshot_in_a_flood_is_cut_exactly(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "sh"})
    pane = tmux.pane("s", "w")
    connection = connected()
    endless = "python3 -c \"import itertools\nfor n in itertools.count(): print('n%d.' % n)\""
    tmux.run("respawn-pane", "-k", "-t", pane, endless)
    for _ in range(100):
        while not connection.wait(5):
            pass
        snapshot = connection.snapshot(pane)
        after = b""
        while after.count(b"\n") < 3:
            for each in connection.wait(5):
                assert isinstance(each, Output)
                after += each.data
        rows = snapshot.text.split("\n")
        row = snapshot.history + snapshot.cursor[1]
        # The cut can be inside a line, or before its end: put together, the halves are whole.
        lines = rows[row - 1] + "\n" + rows[row] + after.decode().replace("\r", "")
        numbers = [int(line.strip("n.")) for line in lines.split("\n")[:4]]
        assert numbers == list(range(numbers[0], numbers[0] + 4)), (rows[row - 1 :], after[:80])
    assert tmux.run("list-buffers") == ""


def test_close_leaves_nothing_behind(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "cat"})
    threads = threading.active_count()
    files = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        connection = connected()
        connection.ask("display-message", "-p", "x")
        connection.snapshot(tmux.pane("s", "w"))
        assert len(clients(tmux)) == 2
        connection.close()
        connection.close()
        wait_for(lambda: clients(tmux) == [], "no client")
    assert threading.active_count() == threads
    assert len(list(Path("/dev/fd").iterdir())) == files
    with pytest.raises(TmuxError, match="closed"):
        connection.wait(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
