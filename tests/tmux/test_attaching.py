"""tmux must not die of clients that come and go: whatever it dies of, all agents in it die too."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarmcomm.errors import TmuxError
from swarmcomm.tmux import attaching, flow
from swarmcomm.tmux.client import Client, Guard
from swarmcomm.tmux.connection import connect
from swarmcomm.tmux.server import Server
from tests.conftest import Tmux, wait_for

#: Connections of each of so many processes. Without the lock, one in 25 to 100 kills tmux 3.3a;
#: where looks take none, one in 50 to 100 kills tmux 3.5a.
CONNECTIONS, PROCESSES = 60, 4


def side_by_side(what: Callable[..., None], *args: object) -> None:
    """Run *what* in several processes at once; each ends with 0."""
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=what, args=args) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES


def connect_often(socket: str) -> None:
    for _ in range(CONNECTIONS):
        connect(Server(socket, config_file="/dev/null"), "s").close()


def look_often(socket: str) -> None:
    for _ in range(CONNECTIONS):
        with connect(Server(socket, config_file="/dev/null"), "s") as connection:
            connection.snapshot("%0")


def interrupt_often(socket: str) -> None:
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    server = Server(socket, config_file="/dev/null")
    for number in range(CONNECTIONS):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.002 * (1 + number % 40))
            with connect(server, "s"):
                signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("what", [connect_often, look_often, interrupt_often])
def test_many_connections_at_once_do_not_kill_the_server(
    tmux: Tmux, monkeypatch: pytest.MonkeyPatch, what: Callable[..., None]
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", tmux.environ["TMUX_TMPDIR"])
    tmux.session("s", {"w": "cat"})
    alive = tmux.run("display-message", "-p", "#{pid}")
    side_by_side(what, tmux.socket)
    assert tmux.run("display-message", "-p", "#{pid}") == alive


def test_a_client_that_is_not_attached_yet_ends_by_itself(tmp_path: Path) -> None:
    """One that is killed while it says who it is takes the server with it."""
    program, ended = tmp_path / "tmux", tmp_path / "ended"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\necho itself >{ended}\n")
    program.chmod(0o700)
    stop_fd, stopper = os.pipe()
    os.write(stopper, b".")
    guard = Guard(tmp_path)
    with pytest.raises(TmuxError, match="was closed"):
        Client([str(program)], 10.0, stop_fd, guard)
    guard.close()
    assert ended.read_text() == "itself\n"
    for fd in (stop_fd, stopper):
        os.close(fd)


@pytest.mark.parametrize("flock", ["the system's", "exit 1", "exit 127"])
def test_the_clients_of_who_was_killed_are_ended_whatever_flock_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flock: str
) -> None:
    if flock.startswith("exit"):
        (tmp_path / "flock").write_text(f"#!/bin/sh\n{flock}\n")
        (tmp_path / "flock").chmod(0o700)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    guard = Guard(tmp_path)
    client = subprocess.Popen(["sleep", "1000"])
    guard.watch(client.pid)
    assert guard._process.stdin
    guard._process.stdin.close()  # as when ours ends
    assert client.wait(20) == -signal.SIGKILL
    guard._process.wait(20)


def test_who_wants_the_lock_waits_for_who_holds_it_and_not_for_ever(tmp_path: Path) -> None:
    order: list[str] = []

    def other() -> None:
        with attaching.lock(tmp_path, 20):
            order.append("second")

    thread = threading.Thread(target=other)
    with attaching.lock(tmp_path, 20):
        thread.start()
        with attaching.lock(tmp_path, 0.05):
            order.append("went on without it")
        order.append("first")
    thread.join(20)
    assert order == ["went on without it", "first", "second"]


def test_those_who_share_the_lock_hold_it_at_once_and_nobody_else_then(tmp_path: Path) -> None:
    lock = os.open(tmp_path, os.O_RDONLY)
    with attaching.lock(tmp_path, 20, shared=True), attaching.lock(tmp_path, 20, shared=True):
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.close(lock)


def test_a_look_makes_no_buffer_while_a_client_comes_or_goes(
    tmux: Tmux, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tmux 3.4 to 3.6 tell each client of a buffer, and die of one that begins then."""
    monkeypatch.setenv("TMUX_TMPDIR", tmux.environ["TMUX_TMPDIR"])
    monkeypatch.setattr(flow, "_LOCK_S", 20)
    tmux.session("s", {"w": "cat"})
    order: list[str] = []
    waits = threading.Event()

    def wait(*args: Any) -> None:
        waits.set()
        take(*args)

    take = attaching._wait
    server = Server(tmux.socket, config_file="/dev/null")
    server.release = (3, 6)
    with connect(server, "s") as connection:

        def look() -> None:
            connection.snapshot("%0")
            order.append("looked")

        thread = threading.Thread(target=look)
        with attaching.lock(server.sockets, 20):
            monkeypatch.setattr(attaching, "_wait", wait)
            thread.start()
            assert waits.wait(20)
            assert tmux.run("list-buffers") == ""
            order.append("came")
        thread.join(20)
    assert order == ["came", "looked"]


def test_others_come_and_go_while_a_look_reads_its_buffer(
    tmux: Tmux, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those who look without a rest hardly one would be at nothing else."""
    monkeypatch.setenv("TMUX_TMPDIR", tmux.environ["TMUX_TMPDIR"])
    tmux.session("s", {"w": "cat"})
    server = Server(tmux.socket, config_file="/dev/null")
    server.release = (3, 6)
    ask, asked = server.ask, []

    def ask_while_others_come(*args: str) -> str:
        lock = os.open(server.sockets, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(lock)
        asked.append(args[0])
        return ask(*args)

    with connect(server, "s") as connection:
        monkeypatch.setattr(server, "ask", ask_while_others_come)
        connection.snapshot("%0")
        assert asked == ["show-buffer"]
    assert tmux.run("list-buffers") == ""


def test_a_folder_that_is_not_there_stops_nobody(tmp_path: Path) -> None:
    with attaching.lock(tmp_path / "none", 20):
        pass


def test_who_was_killed_holds_the_lock_no_more(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        lock = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (tmp_path / "held").touch()
        signal.pause()
    wait_for((tmp_path / "held").exists, "the other's lock")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    lock = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)


@pytest.mark.parametrize(
    ("name", "environ", "folder"),
    [
        (None, {}, "/tmp/tmux-{uid}"),
        ("x", {"TMUX_TMPDIR": "/"}, "/tmux-{uid}"),
        ("x", {"TMUX_TMPDIR": "/nowhere"}, "/tmp/tmux-{uid}"),
        (None, {"TMUX": "/a/b/default,1,0", "TMUX_TMPDIR": "/"}, "/a/b"),
        ("x", {"TMUX": "/a/b/default,1,0", "TMUX_TMPDIR": "/"}, "/tmux-{uid}"),
    ],
)
def test_the_folder_is_the_one_that_tmux_takes(
    name: str | None, environ: dict[str, str], folder: str
) -> None:
    assert str(attaching.sockets(name, environ)) == folder.format(uid=os.getuid())
