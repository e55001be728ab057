"""A pane that is held for a look: whatever happens meanwhile, it goes on and nothing grows."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swarmcomm.errors import TmuxError
from swarmcomm.tmux.client import Client
from swarmcomm.tmux.connection import Connection, Lost, Snapshot, connect
from swarmcomm.tmux.control import Notice
from swarmcomm.tmux.server import Server
from tests.conftest import Tmux, wait_for
from tests.tmux.test_connection import FLOOD

Connect = Callable[..., Connection]


@pytest.fixture
def connected(tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Make a connection to session s."""
    monkeypatch.setenv("TMUX_TMPDIR", tmux.environ["TMUX_TMPDIR"])
    made: list[Connection] = []

    def make(program: str = "tmux") -> Connection:
        made.append(connect(Server(tmux.socket, program, "/dev/null", 10.0), "s"))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


def between(connection: Connection, what: Callable[[], None]) -> None:
    """Let *what* happen while the next pane is held: before it is captured."""
    assert connection._clients
    client = connection._clients.output
    request, count = client.request, 0

    def interrupted(*args: object) -> object:
        nonlocal count
        count += 1
        if count == 2:
            what()
        return request(*args)  # type: ignore[arg-type]

    client.request = interrupted  # type: ignore[method-assign,assignment]


def floods_elsewhere(tmux: Tmux, pane: str, count: Path) -> None:
    """Let the program in *pane*, which has left the session, print 40 MB; nothing may grow."""
    server = tmux.run("display-message", "-p", "#{pid}").strip()
    tmux.run("send-keys", "-t", pane, "C-d")
    for printed in (20, 60, 100):
        wait_for(
            lambda n=printed: count.exists() and int(count.read_text() or 0) > n, "a flood", 60
        )
        memory = int(subprocess.check_output(["ps", "-o", "rss=", "-p", server]))
        assert memory < 30_000


def two_sessions(tmux: Tmux, count: Path) -> str:
    """Start s and other, and return the pane in s that floods when it is let."""
    flood = shlex.join([sys.executable, "-c", FLOOD, str(count)])
    tmux.session("s", {"quiet": "cat", "w": f"stty -echo; cat >/dev/null; exec {flood}"})
    tmux.session("other", {"quiet": "cat"})
    return tmux.pane("s", "w")


def test_a_pane_that_is_too_fast_while_its_look_is_fetched_goes_on(
    tmux: Tmux, connected: Connect, tmp_path: Path
) -> None:
    slow, fetching = tmp_path / "slow", tmp_path / "fetching"
    shim = tmp_path / "tmux"
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *show-buffer*) touch {fetching}\n'
        f'while [ -e {slow} ]; do sleep 0.02; done;; esac\nexec tmux "$@"\n'
    )
    shim.chmod(0o755)
    tmux.session("s", {"w": "yes 'a line of a flood that is long enough to fill what waits'"})
    connection = connected(str(shim))
    assert connection._clients
    client = connection._clients.output
    read, may_read = client.read, threading.Event()
    client.read = lambda: may_read.wait() and read()  # type: ignore[method-assign,assignment]
    may_read.set()
    flow = connection._clients.flow
    note, noted = flow.note, []

    def listen(notice: Notice, client: Client) -> bool:
        noted.append(notice.name)
        return note(notice, client)

    flow.note = listen  # type: ignore[method-assign]
    slow.touch()
    with ThreadPoolExecutor(1) as pool:
        look = pool.submit(connection.snapshot, tmux.pane("s", "w"))
        wait_for(fetching.exists, "the fetch")
        may_read.clear()
        time.sleep(2.5)  # after a second tmux pauses what a client does not fetch
        may_read.set()
        wait_for(lambda: "pause" in noted, "the pause")
        slow.unlink()
        assert look.result(20).text
    connection.wait(0)
    for _ in range(3):
        assert connection.wait(10)


def test_a_pane_that_was_looked_at_and_left_the_session_does_not_fill_the_server(
    tmux: Tmux, connected: Connect, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    pane = two_sessions(tmux, count)
    connected().snapshot(pane)
    tmux.run("move-window", "-s", "=s:w", "-t", "=other:")
    floods_elsewhere(tmux, pane, count)


def test_a_pane_that_leaves_the_session_while_it_is_held_does_not_fill_the_server(
    tmux: Tmux, connected: Connect, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    pane, connection = two_sessions(tmux, count), connected()

    def leave() -> None:
        tmux.run("move-window", "-s", "=s:w", "-t", "=other:")
        assert connection._clients
        flow = connection._clients.flow
        wait_for(lambda: pane in flow._away, "the count")

    between(connection, leave)
    connection.snapshot(pane)
    floods_elsewhere(tmux, pane, count)


def test_a_pane_that_is_looked_at_after_it_left_does_not_fill_the_server(
    tmux: Tmux, connected: Connect, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    pane, connection = two_sessions(tmux, count), connected()
    tmux.run("move-window", "-s", "=s:w", "-t", "=other:")
    assert connection._clients
    flow = connection._clients.flow
    wait_for(lambda: pane in flow._elsewhere, "the count")
    connection.snapshot(pane)
    floods_elsewhere(tmux, pane, count)


def test_a_pane_that_ends_while_it_is_held_is_an_error_and_the_others_go_on(
    tmux: Tmux, connected: Connect
) -> None:
    tmux.session("s", {"w": "cat", "other": "cat"})
    connection = connected()
    between(connection, lambda: tmux.run("kill-window", "-t", "=s:w") and None)
    with pytest.raises(TmuxError, match="pane"):
        connection.snapshot(tmux.pane("s", "w"))
    tmux.type("s", "other", "hello")
    text: list[str] = []

    def heard() -> bool:
        text.extend(repr(each) for each in connection.wait(1))
        return "hello" in "".join(text)

    wait_for(heard, "the other window")
    assert "hello" in connection.snapshot(tmux.pane("s", "other")).text


@pytest.mark.parametrize("step", ["before the capture", "after the capture"])
def test_a_client_that_is_lost_while_a_pane_is_held_leaves_nothing_held_and_no_buffer(
    tmux: Tmux, connected: Connect, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    tmux.session("s", {"w": "cat"})
    pane, connection = tmux.pane("s", "w"), connected()

    def lose_client() -> None:
        assert connection._clients
        client = connection._clients.output
        os.kill(client._process.pid, signal.SIGKILL)
        wait_for(
            lambda: connection._clients and connection._clients.output is not client, "a new one"
        )

    if step == "before the capture":
        between(connection, lose_client)
    else:
        asked = Server.ask

        def lost(_: Server, *_args: str) -> str:
            monkeypatch.setattr(Server, "ask", asked)
            lose_client()
            raise TmuxError("the fetch failed")

        monkeypatch.setattr(Server, "ask", lost)
    with pytest.raises(TmuxError):
        connection.snapshot(pane)
    assert any(isinstance(each, Lost) for each in connection.wait(5))
    assert isinstance(connection.snapshot(pane), Snapshot)
    tmux.type("s", "w", "hello")
    wait_for(lambda: any("hello" in repr(each) for each in connection.wait(1)), "its output")
    assert tmux.run("list-buffers") == ""


def test_a_server_that_stands_still_while_a_pane_is_held_lets_it_go_on_afterwards(
    tmux: Tmux, connected: Connect
) -> None:
    tmux.session("s", {"w": "cat"})
    pane, connection = tmux.pane("s", "w"), connected()
    assert connection._clients
    connection._clients.output._deadline_s = 0.5
    server = int(tmux.run("display-message", "-p", "#{pid}"))
    between(connection, lambda: os.kill(server, signal.SIGSTOP))
    try:
        with pytest.raises(TmuxError, match="answer"):
            connection.snapshot(pane)
    finally:
        os.kill(server, signal.SIGCONT)
    assert any(isinstance(each, Lost) for each in connection.wait(5))
    tmux.type("s", "w", "hello")
    wait_for(lambda: any("hello" in repr(each) for each in connection.wait(1)), "its output")
    assert "hello" in connection.snapshot(pane).text
    wait_for(lambda: tmux.run("list-buffers") == "", "no buffer")
