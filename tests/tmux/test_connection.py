"""The connection to tmux: nothing lost without a word, whatever happens to either end."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmcomm.errors import InvalidInputError, NotFoundError, TmuxError
from swarmcomm.tmux import attaching
from swarmcomm.tmux.connection import Connection, Lost, Output, Snapshot, connect
from swarmcomm.tmux.server import Server
from tests.conftest import Tmux, wait_for

Connect = Callable[..., Connection]


@pytest.fixture
def connected(tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Make connections to session s that are closed before the server ends."""
    monkeypatch.setenv("TMUX_TMPDIR", tmux.environ["TMUX_TMPDIR"])
    made: list[Connection] = []

    def make(
        deadline_s: float = 10.0,
        program: str = "tmux",
        config: str = "/dev/null",
        **options: object,
    ) -> Connection:
        server = Server(tmux.socket, program, config, deadline_s)
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
    assert connected().snapshot(tmux.pane("s", "w")) == Snapshot(
        "\n" * 5, (0, 0), 5, 0, 2000, False
    )


COUNT = "python3 -c 'for n in range({}): print(\"n%d\" % n)'"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tmux wait for a reader that a busy machine keeps away; it pauses a pane after one second.

    That this is told then has tests of its own.
    """
    flags = "ignore-size,pause-after=60"
    monkeypatch.setattr("swarmcomm.tmux.connection._OUTPUT_FLAGS", flags)


@pytest.mark.usefixtures("patient")
def test_a_flood_comes_whole_and_in_order(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "sh", "other": "cat"})
    pane = tmux.pane("s", "w")
    connection = connected()
    connection.ask("send-keys", "-t", pane, "stty -echo; " + COUNT.format(200_000), "Enter")
    found = seen(connection, b"n199999\r\n", pane)
    assert re.findall(rb"n(\d+)\r\n", found) == [b"%d" % number for number in range(200_000)]


@pytest.mark.usefixtures("patient")
def test_any_bytes_come_as_they_were_printed(
    tmux: Tmux, connected: Connect, tmp_path: Path
) -> None:
    data = random.Random(4).randbytes(3_000_000) + bytes(1000) + b"x" * 10_000_000 + b"the end"
    (tmp_path / "data").write_bytes(data)
    go = tmp_path / "go"
    waits = f"stty raw; while [ ! -e {go} ]; do sleep 0.05; done; cat {tmp_path}/data; cat"
    tmux.session("s", {"w": waits})
    connection = connected()
    go.touch()
    assert seen(connection, b"the end", tmux.pane("s", "w"), 60) == data


def test_a_snapshot_in_a_flood_is_cut_exactly(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "sh"})
    pane = tmux.pane("s", "w")
    connection = connected()
    endless = "python3 -c \"import itertools\nfor n in itertools.count(): print('n%d.' % n)\""
    tmux.run("respawn-pane", "-k", "-t", pane, endless)
    wait_for(lambda: connection.snapshot(pane).history, "the flood")
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


def test_a_snapshot_is_cut_exactly_while_other_panes_flood(
    tmux: Tmux, connected: Connect, tmp_path: Path
) -> None:
    counts = tmp_path / "counts.py"
    counts.write_text(
        "import itertools, os, time\n"
        "for n in itertools.count():\n"
        "    for piece in (b'n%d' % n, b'.', b'\\n'):\n"
        "        os.write(1, piece)\n"
        "        time.sleep(0.0005)\n"
    )
    flood = "yes 'a line of a flood that is long enough to fill what waits for a client'"
    windows = {"w": shlex.join([sys.executable, str(counts)])}
    tmux.session("s", windows | {f"flood-{number}": flood for number in range(2)})
    pane = tmux.pane("s", "w")
    connection = connected()
    looks = 0
    while looks < 20:
        snapshot = connection.snapshot(pane)
        after, lost = b"", False
        while after.count(b"\n") < 3 and not lost:
            for each in connection.wait(10):
                if each.pane_id == pane:
                    lost = lost or isinstance(each, Lost)
                    after += b"" if isinstance(each, Lost) else each.data
        if lost:  # on a busy machine it can be too slow to fetch; then it has to say so
            continue
        looks += 1
        rows = snapshot.text.split("\n")
        row = snapshot.history + snapshot.cursor[1]
        lines = rows[row - 1] + "\n" + rows[row] + after.decode().replace("\r", "")
        told = [line.strip("n.") for line in lines.split("\n")[:4]]
        first = int(told[0] or -1)
        assert told == [str(n) for n in range(first, first + 4)], (looks, rows[row - 1 :], after)


def test_panes_that_are_all_too_fast_at_once_go_on(
    tmux: Tmux, connected: Connect, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    flood = (
        f"until [ -e {stop} ]; do echo 'a line of a flood, long enough to fill what waits'; done"
    )
    tmux.session("s", {f"w-{number}": f"{flood}; echo over; cat" for number in range(4)})
    connection = connected()
    assert connection._clients
    client = connection._clients.output._process.pid
    for _ in range(3):
        os.kill(client, signal.SIGSTOP)
        wait_for(lambda: "T" in Path(f"/proc/{client}/stat").read_text(), "the stop")
        time.sleep(1.2)  # after a second tmux pauses what a client does not fetch
        os.kill(client, signal.SIGCONT)
        wait_for(lambda: any(isinstance(each, Lost) for each in connection.wait(1)), "the pause")
    stop.touch()
    panes = {tmux.pane("s", f"w-{number}") for number in range(4)}
    over: set[str] = set()
    end = time.monotonic() + 20
    while over < panes and time.monotonic() < end:
        for each in connection.wait(1):
            if each.pane_id and (isinstance(each, Lost) or b"over" in each.data):
                is_over = "over" in connection.snapshot(each.pane_id).text
                over |= {each.pane_id} if is_over else set()
    assert over == panes


def test_attaching_changes_nothing_of_the_session(
    tmux: Tmux, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":of-the-watcher")
    tmux.session("s", {"a": "cat", "b": "cat"})

    def state() -> str:
        return "".join(
            tmux.run(*command)
            for command in (
                ("show-environment", "-t", "=s"),
                ("show-options", "-t", "s"),
                ("show-hooks", "-t", "s"),
                ("list-windows", "-t", "=s:", "-F", "#{window_name} #{window_flags}"),
                ("list-panes", "-s", "-t", "=s:", "-F", "#{pane_id} #{pane_width} #{cursor_x}"),
                ("list-buffers",),
            )
        )

    before = state()
    connection = connected()
    connection.snapshot(tmux.pane("s", "a"))
    assert state() == before
    connection.close()
    assert state() == before


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


def test_a_buffer_of_a_process_that_is_gone_is_deleted(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "cat"})
    gone = subprocess.Popen(["true"])
    gone.wait()
    kept = [f"swarmcomm-{os.getpid()}-1", "mine", "swarmcomm-x-1"]
    for name in (f"swarmcomm-{gone.pid}-7", *kept):
        tmux.run("set-buffer", "-b", name, "text")
    connected()
    assert sorted(tmux.run("list-buffers", "-F", "#{buffer_name}").split()) == sorted(kept)


def test_without_control_mode_it_says_so_and_works(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "echo here; cat"})
    wait_for(lambda: "here" in tmux.screen("s", "w"), "the text")
    connection = connected(control_mode=False)
    assert not connection.streams
    assert connection.note
    assert clients(tmux) == []
    assert connection.wait(0.05) == [Lost(None, connection.note)]
    assert "here" in connection.snapshot(tmux.pane("s", "w")).text
    connection.close()
    with pytest.raises(TmuxError, match="closed"):
        connection.wait(0)


@pytest.mark.parametrize(
    ("does", "note"),
    [
        ("echo 'control mode is off' >&2; exit 1", "control mode is off"),
        ("exec cat /dev/zero", "a line of more than"),
        ("exec sleep 1000", "did not answer"),
    ],
)
def test_where_control_mode_cannot_be_had_it_says_why(
    tmux: Tmux, connected: Connect, tmp_path: Path, does: str, note: str
) -> None:
    tmux.session("s", {"w": "cat"})
    program = tmp_path / "tmux"
    program.write_text(f'#!/bin/sh\ncase " $* " in *" -C "*) {does};; esac\nexec tmux "$@"\n')
    program.chmod(0o755)
    connection = connected(program=str(program), deadline_s=2)
    assert not connection.streams
    assert note in connection.note
    assert connection.ask("display-message", "-p", "x") == "x\n"


def test_a_frozen_server_ends_a_question_and_late_answers_are_nobodys(
    tmux: Tmux, connected: Connect
) -> None:
    tmux.session("s", {"w": "stty -echo; cat"})
    pane = tmux.pane("s", "w")
    connection = connected(deadline_s=0.5)
    server = int(tmux.run("display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGSTOP)
    try:
        for _ in range(3):
            with pytest.raises(TmuxError, match="did not answer"):
                connection.ask("display-message", "-p", "late")
        with pytest.raises(TmuxError, match="did not answer"):
            connection.snapshot(pane)
        # What it prints until the late look has been taken may not come.
        assert connection.wait(0.05) == [Lost(pane, "a look at the pane failed")]
    finally:
        os.kill(server, signal.SIGCONT)
    assert connection.ask("display-message", "-p", "now") == "now\n"
    # What the late look saw was given to nobody, so nothing of the pane may be missing.
    tmux.type("s", "w", "after")
    assert b"after" in seen(connection, b"after\r\n", pane)
    assert "after" in connection.snapshot(pane).text
    wait_for(lambda: tmux.run("list-buffers") == "", "no buffer")
    assert len(clients(tmux)) == 2


def test_a_full_pipe_to_a_frozen_server_is_given_up_and_replaced(
    tmux: Tmux, connected: Connect
) -> None:
    tmux.session("s", {"w": "cat"})
    connection = connected(deadline_s=0.5)
    server = int(tmux.run("display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(TmuxError, match="did not answer"):
            connection.ask("display-message", "-p", "x" * 300_000)
    finally:
        os.kill(server, signal.SIGCONT)
    wait_for(lambda: any(isinstance(each, Lost) for each in connection.wait(1)), "the loss")
    assert connection.ask("display-message", "-p", "now") == "now\n"
    wait_for(lambda: len(clients(tmux)) == 2, "only the new clients")


def test_close_does_not_wait_for_a_frozen_server(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "cat"})
    connection = connected(deadline_s=600)
    server = int(tmux.run("display-message", "-p", "#{pid}"))
    ended: list[str] = []

    def ask(*args: str) -> None:
        try:
            connection.ask(*args)
        except TmuxError as error:
            ended.append(str(error))

    os.kill(server, signal.SIGSTOP)
    try:
        asking = [
            threading.Thread(target=ask, args=("display-message", "-p", text))
            for text in ("x", "x" * 300_000)
        ]
        for thread in asking:
            thread.start()
        connection.close()
        for thread in asking:
            thread.join()
    finally:
        os.kill(server, signal.SIGCONT)
    assert len(ended) == 2
    wait_for(lambda: clients(tmux) == [], "no client")


@pytest.mark.parametrize("frozen", ["the server", "who holds the lock"])
def test_close_waits_for_nobody_who_is_frozen_while_it_connects_again(
    tmux: Tmux, connected: Connect, monkeypatch: pytest.MonkeyPatch, frozen: str
) -> None:
    for name in ("s", "s-other"):
        tmux.session(name, {"w": "cat"})
    connection = connected(deadline_s=600)
    server, ask, wait = connection._server, connection._server.ask, attaching._wait
    asks, waits = threading.Event(), threading.Event()
    pid = int(tmux.run("display-message", "-p", "#{pid}"))

    def asked(*args: str, **options: float) -> str:
        asks.set()
        if frozen == "the server":
            os.kill(pid, signal.SIGSTOP)
        return ask(*args, **options)

    def waited(*args: Any) -> None:
        waits.set()
        wait(*args)

    monkeypatch.setattr(server, "ask", asked)
    lock = os.open(server.sockets, os.O_RDONLY)
    try:
        if frozen == "the server":
            tmux.run("kill-session", "-t", "=s")
            assert asks.wait(20)
        else:
            fcntl.flock(lock, fcntl.LOCK_EX)
            monkeypatch.setattr(attaching, "_wait", waited)
            os.kill(clients(tmux)[0], signal.SIGKILL)
            assert asks.wait(20)
            assert waits.wait(20)
        connection.close()
    finally:
        os.close(lock)
        os.kill(pid, signal.SIGCONT)


def test_an_interrupt_from_the_keyboard_is_not_for_the_clients(
    tmux: Tmux, connected: Connect
) -> None:
    tmux.session("s", {"w": "cat"})
    connected()
    assert len(clients(tmux)) == 2
    assert all(os.getsid(pid) == pid for pid in clients(tmux))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_the_thread_is_told_to_whoever_waits(
    tmux: Tmux, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmux.session("s", {"w": "cat"})
    connection = connected()

    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("swarmcomm.tmux.outbox.Outbox.put", fail)
    tmux.type("s", "w", "x")
    with pytest.raises(TmuxError, match="has ended"):
        connection.wait(60)
    wait_for(lambda: clients(tmux) == [], "no client")


@pytest.mark.parametrize("which", [0, 1])
def test_a_client_that_is_killed_is_replaced(tmux: Tmux, connected: Connect, which: int) -> None:
    tmux.session("s", {"w": "stty -echo; cat"})
    pane = tmux.pane("s", "w")
    connection = connected()
    before = clients(tmux)
    os.kill(before[which], signal.SIGKILL)
    assert [each.pane_id for each in connection.wait(20)] == [None]
    tmux.type("s", "w", "after")
    seen(connection, b"after\r\n", pane)
    assert connection.ask("display-message", "-p", "x") == "x\n"
    wait_for(lambda: len(set(clients(tmux)) - set(before)) == 2, "two new clients")
    assert len(clients(tmux)) == 2


def test_a_server_that_is_started_again_is_watched_again(tmux: Tmux, connected: Connect) -> None:
    tmux.session("s", {"w": "cat"})
    connection = connected()
    os.kill(int(tmux.run("display-message", "-p", "#{pid}")), signal.SIGKILL)

    def is_gone() -> bool:
        try:
            connection.ask("display-message", "-p", "x")
        except NotFoundError:
            return True
        except TmuxError:
            pass
        return False

    wait_for(is_gone, "an answer while there is no server")
    tmux.session("s", {"other": "cat", "w": "stty -echo; echo ready; cat"})
    assert next(each.pane_id for each in connection.wait(20)) is None
    wait_for(lambda: "ready" in tmux.screen("s", "w"), "the worker")
    tmux.type("s", "w", "after")
    seen(connection, b"after\r\n", tmux.pane("s", "w"))
    assert tmux.pane("s", "w") in connection.ask("list-panes", "-s", "-F", "#{pane_id}")


@pytest.mark.parametrize("what", ["kill-server", "kill-session"])
def test_a_session_that_is_gone_for_good_is_an_error(
    tmux: Tmux, connected: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    monkeypatch.setattr("swarmcomm.tmux.connection._BACK_S", 0.5)
    tmux.session("s", {"w": "echo last; cat"})
    tmux.session("s-other", {"w": "yes"})
    # With this a client of a session that ends is given the other one.
    tmux.run("set-option", "-g", "detach-on-destroy", "off")
    config = tmp_path / "tmux.conf"
    config.write_text("new-session -d -s s\n")
    connection = connected(config=str(config))
    pane = tmux.pane("s", "w")
    tmux.type("s", "w", "last words")
    wait_for(lambda: tmux.screen("s", "w").count("last words") > 1, "the echo")
    tmux.run(*([what] if what == "kill-server" else [what, "-t", "=s"]))
    assert seen(connection, b"last words\r\nlast words\r\n", pane)
    for _ in range(2):
        # Above all, nothing of the other session.
        with pytest.raises(NotFoundError):
            assert connection.wait(30) == []
    with pytest.raises(NotFoundError):
        connection.ask("list-panes", "-t", "=s:")
    if what == "kill-server":
        # Nothing of ours started another one, whatever its configuration would have made.
        assert tmux.run("list-sessions", check=False) == ""


def test_a_queue_that_is_full_drops_the_pane_that_fills_it_and_says_so(
    tmux: Tmux, connected: Connect
) -> None:
    tmux.session("s", {"quiet": "cat", "w": "sh"})
    pane = tmux.pane("s", "w")
    connection = connected(queue_bytes=100_000)
    tmux.type("s", "quiet", "first")
    tmux.type("s", "w", COUNT.format(100_000))
    wait_for(lambda: "n99999" in tmux.screen("s", "w"), "the flood")
    tmux.type("s", "quiet", "last")
    said: dict[str, bytes] = {}
    lost = []
    while b"last\r\nlast" not in said.get(tmux.pane("s", "quiet"), b""):
        for each in connection.wait(20):
            if isinstance(each, Lost):
                lost.append(each.pane_id)
                said[pane] = b""
            else:
                said[each.pane_id] = said.get(each.pane_id, b"") + each.data
    assert lost == [pane]
    assert b"first\r\nfirst\r\n" in said[tmux.pane("s", "quiet")]
    assert len(said[pane]) < 100_000
    # What came after the loss is the end of it, without a hole.
    numbers = [int(each) for each in re.findall(rb"\nn(\d+)\r", said[pane])]
    assert numbers == list(range(100_000 - len(numbers), 100_000))


WATCHER = """
import sys
from swarmcomm.tmux.connection import Lost, connect
from swarmcomm.tmux.server import Server
connection = connect(Server(sys.argv[1], config_file="/dev/null"), "s")
print("streams", connection.streams, flush=True)
lost = set()
while True:
    for each in connection.wait(60):
        if isinstance(each, Lost):
            lost.add(each.pane_id)
            print("lost", each.pane_id, flush=True)
        elif each.pane_id in lost:
            lost.remove(each.pane_id)
            print("again", each.pane_id, flush=True)
"""

FLOOD = """
import os, pathlib, sys
count = 0
while True:
    for _ in range(100):
        os.write(1, b"".join(b"line %d of a flood that does not end\\n" % n for n in range(100)))
    count += 1
    pathlib.Path(sys.argv[1]).write_text(str(count))
"""


@pytest.fixture
def watcher(tmux: Tmux) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start processes that watch session s."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", WATCHER, tmux.socket],
                stdout=subprocess.PIPE,
                env=tmux.environ,
                text=True,
            )
        )
        assert started[-1].stdout
        assert started[-1].stdout.readline() == "streams True\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
    wait_for(lambda: clients(tmux) == [], "no client")


def test_a_frozen_watcher_neither_stops_the_agents_nor_fills_the_server(
    tmux: Tmux, watcher: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    count = tmp_path / "count"
    tmux.session("s", {"quiet": "cat"})
    process = watcher()
    flood = shlex.join([sys.executable, "-c", FLOOD, str(count)])
    tmux.run("new-window", "-d", "-t", "=s:", "-n", "w", flood)
    server = tmux.run("display-message", "-p", "#{pid}").strip()

    def printed() -> int:
        return int(count.read_text() or 0) if count.exists() else 0

    def goes_on(what: str) -> None:
        # 20,000 lines a step, 0.8 MB.
        target = printed() + 20
        wait_for(lambda: printed() > target, what, 60)

    def memory_mb() -> int:
        return int(subprocess.check_output(["ps", "-o", "rss=", "-p", server])) // 1024

    goes_on("a flood that is watched")
    process.send_signal(signal.SIGSTOP)
    for _ in range(4):
        goes_on("a flood while the watcher stands still")
        assert memory_mb() < 150
    process.send_signal(signal.SIGCONT)
    assert process.stdout
    assert process.stdout.readline() == f"lost {tmux.pane('s', 'w')}\n"
    assert process.stdout.readline() == f"again {tmux.pane('s', 'w')}\n"
    goes_on("a flood that is watched again")
    assert memory_mb() < 150
    process.kill()
    goes_on("a flood after the watcher was killed")
    wait_for(lambda: clients(tmux) == [], "no client of a watcher that was killed")


def test_a_window_that_left_the_session_neither_fills_the_server_nor_ends_it(
    tmux: Tmux, connected: Connect, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    tmux.session("s", {"quiet": "cat", "w": "stty -echo; echo ready; cat; exec sh"})
    tmux.session("other", {"quiet": "cat"})
    server, pane = tmux.run("display-message", "-p", "#{pid}").strip(), tmux.pane("s", "w")
    connection = connected()
    tmux.type("s", "w", "here")
    seen(connection, b"here\r\n", pane)
    tmux.run("move-window", "-s", "=s:w", "-t", "=other:")
    flood = shlex.join([sys.executable, "-c", FLOOD, str(count)])
    tmux.run("send-keys", "-t", pane, "C-d", f"stty -echo; exec {flood}", "Enter")
    for printed in (20, 40, 60):
        # 20,000 lines each, 0.8 MB.
        wait_for(lambda n=printed: count.exists() and int(count.read_text() or 0) > n, "a flood")
        memory = int(subprocess.check_output(["ps", "-o", "rss=", "-p", server]))
        assert memory < 30_000
    # tmux 3.3a dies of this for a pane whose output a client is behind with.
    tmux.run("respawn-pane", "-k", "-t", pane, "stty -echo; echo ready; cat")
    wait_for(lambda: "ready" in tmux.screen("other", "w"), "the new program")
    assert connection.wait(0) == []
    tmux.run("move-window", "-s", "=other:w", "-t", "=s:")
    assert [each.pane_id for each in connection.wait(20) if isinstance(each, Lost)] == [pane]
    tmux.type("s", "w", "back")
    seen(connection, b"back\r\n", pane)


def test_a_watcher_works_inside_a_pane_and_leaves_with_it(tmux: Tmux, tmp_path: Path) -> None:
    said = tmp_path / "said"
    watch = shlex.join([sys.executable, "-c", WATCHER, tmux.socket])
    tmux.session("s", {"w": f"{watch} > {said}; cat"})
    wait_for(lambda: said.exists() and said.read_text() == "streams True\n", "the connection")
    assert len(clients(tmux)) == 2
    tmux.run("respawn-pane", "-k", "-t", tmux.pane("s", "w"), "cat")
    wait_for(lambda: clients(tmux) == [], "no client")


@pytest.fixture
def person(tmux: Tmux) -> Iterator[Callable[[int, int], None]]:
    """Attach to session s at a size; called again it resizes."""
    terminal, inside = pty.openpty()
    process: list[subprocess.Popen[bytes]] = []

    def at(columns: int, rows: int) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if process:
            process[0].send_signal(signal.SIGWINCH)
            return
        process.append(
            subprocess.Popen(
                ["tmux", "-u", "-L", tmux.socket, "attach-session", "-t", "=s"],
                stdin=inside,
                stdout=inside,
                stderr=inside,
                env={**tmux.environ, "TERM": "xterm"},
                start_new_session=True,
            )
        )
        reader = threading.Thread(target=drain, daemon=True)
        reader.start()

    def drain() -> None:
        try:
            while os.read(terminal, 65536):
                pass
        except OSError:
            return

    yield at
    for each in process:
        each.kill()
        each.wait()
    os.close(inside)
    os.close(terminal)


@pytest.mark.parametrize("policy", ["manual", "latest", "largest", "smallest"])
def test_sizes_are_a_matter_of_people_alone(
    tmux: Tmux, connected: Connect, person: Callable[[int, int], None], policy: str
) -> None:
    tmux.run("new-session", "-d", "-s", "s", "-x", "200", "-y", "50", "cat")
    tmux.run("set-option", "-t", "s", "window-size", policy)

    def size() -> str:
        return tmux.run("display-message", "-p", "-t", "=s:", "#{window_width}x#{window_height}")

    connection = connected()
    connection.ask("display-message", "-p", "x")
    assert size() == "200x50\n"
    person(80, 24)
    wait_for(lambda: len(clients(tmux)) == 3, "a person")
    wait_for(lambda: size() == ("200x50\n" if policy == "manual" else "80x23\n"), "the size")
    connected().close()
    person(100, 30)
    wait_for(lambda: size() == ("200x50\n" if policy == "manual" else "100x29\n"), "a new size")
