"""Other processes for the tests of the store: killed ones, other users, many at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from typing import Any

from swarmcomm.store import database

FORK = multiprocessing.get_context("fork")
NOBODY = 65534

#: What Python tells before it does it; together with SQLite's steps these are ours.
_STEPS = {"open", "os.mkdir", "os.link", "os.remove", "os.rmdir", "os.chmod", "sqlite3.connect"}


def start(what: Callable[..., object], *args: object) -> Any:
    """Start *what* in a process of its own; an error is printed and becomes exit code 1."""

    def run() -> None:
        try:
            what(*args)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    process = FORK.Process(target=run)
    process.start()
    return process


def run(what: Callable[..., object], *args: object) -> int:
    """Return the exit code of *what* in a process of its own, -9 where it was killed."""
    process = start(what, *args)
    process.join(60)
    assert process.exitcode is not None, "it hangs"
    return int(process.exitcode)


def as_nobody(what: Callable[..., object], *args: object) -> None:
    """Run *what* as a user to whom permissions apply."""

    def child() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        what(*args)

    assert run(child) == 0


def countdown(steps: int) -> Callable[..., int]:
    """Return what is called at each step, and kills this process at the last of *steps*."""
    left = steps

    def tick(*_: object) -> int:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    return tick


def watch_steps(connection: sqlite3.Connection, tick: Callable[..., int], every: int) -> None:
    """Let *tick* be called at each statement, and each *every* operations inside of one."""
    connection.set_trace_callback(tick)
    connection.set_progress_handler(tick, every)


def die_at(step: int, every: int) -> None:
    """Let this process kill itself at *step* of what it does to files.

    Steps are what Python does to files, each statement of SQLite, and each *every* operations
    inside of one.
    """
    tick = countdown(step)

    def connect(path: Any) -> sqlite3.Connection:
        connection = really(path)
        watch_steps(connection, tick, every)
        return connection

    really = database._connect
    database._connect = connect
    sys.addaudithook(lambda event, _: event in _STEPS and tick())
