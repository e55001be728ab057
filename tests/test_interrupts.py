"""Ctrl-C may come between any two steps: nothing stays locked, and it is never lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import FrameType

import pytest

from swarmcomm.errors import TmuxError
from swarmcomm.store import FILE
from swarmcomm.store.database import Database
from swarmcomm.tmux.client import Request
from swarmcomm.tmux.connection import connect
from swarmcomm.tmux.outbox import Outbox
from swarmcomm.tmux.server import Server
from tests.conftest import Tmux


def interrupts(action: Callable[[], object]) -> Iterator[KeyboardInterrupt]:
    """Run *action* again and again, with an interrupt one step later each time, till it ends.

    Python looks for signals where a function of its own begins, and behind one of C's that was
    called: those are the steps, in its library too. Each interrupt that came out is yielded while
    it still holds what it went through.
    """
    for number in count():
        steps = count()

        def step(
            _frame: FrameType,
            event: str,
            _arg: object,
            steps: Iterator[int] = steps,
            number: int = number,
        ) -> None:
            if event in ("call", "c_return") and next(steps) == number:
                raise KeyboardInterrupt

        before = sys.getprofile()
        try:
            sys.setprofile(step)
            action()
        except KeyboardInterrupt as error:
            sys.setprofile(before)
            yield error
        finally:
            sys.setprofile(before)
        if next(steps) <= number:
            assert number > 2
            return


def ends(action: Callable[[], object]) -> bool:
    """Tell whether *action* ends, in a thread of its own: nothing that waits for ever holds us."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    if failed:
        raise failed[0]
    return not thread.is_alive()


@pytest.mark.parametrize("how", ["writing", "reading"])
def test_who_was_interrupted_in_the_store_can_close_it(tmp_path: Path, how: str) -> None:
    Database(tmp_path / FILE).close()
    opened: list[Database] = []

    def use() -> None:
        with getattr(opened[-1], how)() as connection:
            connection.execute("PRAGMA user_version")

    def interrupt() -> None:
        opened.append(Database(tmp_path / FILE))
        for _ in interrupts(use):
            opened[-1].close()
            opened.append(Database(tmp_path / FILE))
        opened[-1].close()

    assert ends(interrupt)
    with Database(tmp_path / FILE).writing() as connection:
        connection.execute("DELETE FROM event")


def test_who_was_interrupted_waiting_for_output_holds_up_nobody_who_brings_some() -> None:
    box = Outbox(10_000)
    for _ in interrupts(lambda: box.take(0.001)):
        assert ends(lambda: box.put("%1", b"x"))
        box.take(0)


def test_who_was_interrupted_waiting_for_a_reply_holds_up_nobody_who_brings_it() -> None:
    requests = [Request(b"token")]
    for _ in interrupts(lambda: requests[-1].wait(0.001)):
        assert ends(requests[-1].lose)
        requests.append(Request(b"token"))


def test_who_was_interrupted_before_the_connection_reads_is_told_nothing_else(
    tmux: Tmux, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    tmux.session("s", {"w": "cat"})
    monkeypatch.setenv("TMUX_TMPDIR", environ["TMUX_TMPDIR"])
    server = Server(socket_name=tmux.socket)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            connect(server, "s")
    with connect(server, "s") as connection:
        listed = connection.ask("list-clients", "-F", "#{client_pid}").split()
        assert len(listed) == 2
    with pytest.raises(TmuxError):
        connection.wait(0)


LOSES_ONE = """
import signal
from swarmcomm import clock
from swarmcomm.frontends import cli

class Lost:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def windows(*_):
    Lost()
    print("it went on", flush=True)
    while True:
        clock.sleep(60)

cli.watch.attach = windows
cli.main()
"""


def test_an_interrupt_that_python_drops_comes_again(environ: dict[str, str]) -> None:
    """Each process that was waited for has a __del__, in which an interrupt can be raised."""
    done = subprocess.run(
        [sys.executable, "-c", LOSES_ONE, "watch"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "it went on\n", "")


@pytest.mark.parametrize("word", ["click", "swarmcomm.frontends.watch"])
def test_an_interrupt_while_it_is_imported_ends_it_without_a_traceback(
    environ: dict[str, str], tmp_path: Path, word: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {word!r}: signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
    )
    path = os.pathsep.join((str(tmp_path), environ["PYTHONPATH"]))
    done = subprocess.run(
        [sys.executable, "-m", "swarmcomm", "watch"],
        env={**environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
