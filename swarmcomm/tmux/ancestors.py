"""This process and those it comes from: their ids, and the environments that they began with.

A program can wipe its own environment, not that of what started it.
"""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from swarmcomm.errors import MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

_PROC = Path("/proc")

#: Seconds that ps may take; it takes some 10 ms.
_PS_S = 10.0


def environments() -> dict[int, dict[str, str]]:
    """Return the environment of each process from this one upwards, by process id.

    It is the one that the process began with; empty where the system does not tell it, as for
    another user's.

    Raises:
        MissingProgramError: the system has neither /proc nor ps.
    """
    if (_PROC / str(os.getpid()) / "stat").exists():
        return {pid: _from_proc(pid) for pid in _line(_parent)}
    parents = {
        int(child): int(parent)
        for child, parent in (row.split() for row in _ps("-A", "-o", "pid=,ppid="))
    }
    pids = _line(lambda pid: parents.get(pid, 0))
    return {pid: _from_ps(pid) for pid in pids}


def _line(parent_of: Callable[[int], int]) -> list[int]:
    pids: list[int] = []
    pid = os.getpid()
    while pid > 0 and pid not in pids:
        pids.append(pid)
        pid = parent_of(pid)
    return pids


def _parent(pid: int) -> int:
    # The name of the program, in brackets, may hold anything.
    with suppress(OSError, ValueError):
        data = (_PROC / str(pid) / "stat").read_bytes()
        return int(data.rpartition(b")")[2].split()[1])
    return 0


def _from_proc(pid: int) -> dict[str, str]:
    try:
        data = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (os.fsdecode(each).partition("=") for each in data.split(b"\0"))
    return {name: value for name, _, value in pairs if name}


def _from_ps(pid: int) -> dict[str, str]:
    """The words behind the command; a value ends at its first blank."""
    words = " ".join(_ps("eww", "-o", "command=", "-p", str(pid)))
    return dict(re.findall(r"(?:^| )([A-Za-z_][A-Za-z0-9_]*)=(\S*)", words))


def _ps(*args: str) -> list[str]:
    try:
        done = subprocess.run(
            ["ps", *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PS_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingProgramError(f"ps cannot be run ({error}); it tells who asks") from error
    return done.stdout.decode("utf-8", "replace").splitlines()
