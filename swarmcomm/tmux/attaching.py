"""Control clients of ours come and go one after the other.

tmux up to 3.6 dies, with all that runs in it, of a control client that has begun to say who it is:
where it is killed before it has ended (tmux #5004), and where another one leaves just then (#4980),
or, from 3.4 on, a paste buffer comes or goes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from swarmcomm import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Seconds between two tries.
_STEP_S = 0.005


@contextlib.contextmanager
def lock(
    folder: Path, wait_s: float, is_over: Callable[[], bool] = bool, *, shared: bool = False
) -> Iterator[None]:
    """Hold the lock of all processes that use the servers whose sockets are in *folder*.

    Those who take it *shared* hold it at once, and nobody else then. Blocks up to *wait_s* seconds,
    or until *is_over*, and goes on without it then: its holder may be frozen.
    """
    file = _open(folder)
    try:
        if file is not None:
            how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            _wait(file, how, clock.monotonic() + wait_s, is_over)
        yield
    finally:
        if file is not None:
            os.close(file)


def sockets(socket_name: str | None, environ: Mapping[str, str]) -> Path:
    """Return the folder where tmux puts its socket, by its own rule."""
    inside = environ.get("TMUX", "").partition(",")[0]
    if inside and not socket_name:
        return Path(inside).parent
    folder = Path(environ.get("TMUX_TMPDIR") or "/tmp")
    return (folder if folder.is_dir() else Path("/tmp")) / f"tmux-{os.getuid()}"


def _open(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:
        return None


def _wait(file: int, how: int, deadline: float, is_over: Callable[[], bool]) -> None:
    while True:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() >= deadline or is_over():
                return
            clock.sleep(_STEP_S)
        except OSError:  # a file system that knows no locks
            return
        else:
            return
