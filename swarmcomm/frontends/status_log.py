"""The status broadcast: answers as JSON lines in a file, for programs of the older format."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from swarmcomm import clock
from swarmcomm.errors import RefusedError, StatusLogError
from swarmcomm.protocol import Marker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from swarmcomm.store import Event

#: The older word for each marker.
_STATES = {
    Marker.ACK: "START",
    Marker.DONE: "DONE",
    Marker.WAIT: "WAIT",
    Marker.ERROR: "ERROR",
    Marker.HELP: "HELP",
}
_SKIP = "SKIP"

#: Some readers take these for the end of a line.
_ENDS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "\x85\u2028\u2029"}

#: Seconds that another writer may hold the lock: it takes microseconds, so one that does not give
#: it up stands still, and a line is whole without the lock as well.
_LOCK_S = 1.0
_LOCK_STEP_S = 0.005


def line_of(event: Event) -> str | None:
    """Return the line of *event*, with its newline; None where the older format has none for it.

    That are changes of what an agent is doing, near misses and notices: they are of no task.
    """
    if event.marker is None or event.marker not in _STATES:
        return None
    return _line(
        _STATES[event.marker],
        event.window,
        event.task_id,
        event.time,
        event.text,
        number=event.number,
        wire_id=event.wire_id,
        flags=event.flags,
        witnesses=event.witnesses,
    )


def skip_line(window: str, task_id: str, reason: str, time: datetime) -> str:
    """Return the line of a task that was refused or withdrawn, with its newline."""
    unknown = {"number": None, "wire_id": None, "flags": (), "witnesses": ()}
    return _line(_SKIP, window, task_id, time, reason, **unknown)


def _line(
    state: str, window: str, task_id: str | None, time: datetime, message: str, **meta: object
) -> str:
    utc = time.astimezone(UTC).isoformat(timespec="milliseconds")
    fields = {
        "state": state,
        "worker_id": window,
        "task_id": task_id,
        "timestamp": utc.replace("+00:00", "Z"),
        "message": message,
        "meta": meta,
    }
    return json.dumps(fields, ensure_ascii=False).translate(_ENDS) + "\n"


class StatusLog:
    """A file that lines are appended to, by any number of writers at once.

    The file is opened for each line, so it may be moved away or removed meanwhile.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Make the file where it is missing, for nobody else to read.

        Raises:
            StatusLogError: lines cannot be appended to it, or it is no plain file.
        """
        self.path = Path(path)
        os.close(self._open())

    def tell(self, event: Event) -> None:
        """Append the line of *event*, if it has one; raises like :meth:`append`."""
        line = line_of(event)
        if line is not None:
            self.append(line)

    def skip(self, window: str, task_id: str, reason: str) -> None:
        """Append that a task was refused or withdrawn; raises like :meth:`append`."""
        self.append(skip_line(window, task_id, reason, clock.now()))

    def append(self, line: str) -> None:
        """Append *line* in one write; blocks up to a second while another writer stands still.

        Where a writer was killed in the middle of a line, that line is ended first.

        Raises:
            StatusLogError: it could not be written, and nothing of it is in the file.
        """
        data = line.encode("utf-8", "replace")
        file = self._open()
        try:
            locked = _lock(file)
            size = os.fstat(file).st_size
            if locked and size and os.pread(file, 1, size - 1) != b"\n":
                data = b"\n" + data
            # Linux appends a write to a plain file as a whole, of any length; only a disk that is
            # full cuts it.
            written = os.write(file, data)
            if written < len(data):
                if os.fstat(file).st_size == size + written:
                    os.ftruncate(file, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._error(error) from error
        finally:
            os.close(file)

    def _open(self) -> int:
        # Without O_NONBLOCK a FIFO that nobody reads would block for ever.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise self._error(error) from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise StatusLogError(f"the status log {self.path} is no plain file; name another one")
        return file

    def _error(self, error: OSError) -> StatusLogError:
        if error.errno == errno.ELOOP:
            return StatusLogError(
                f"the status log {self.path} is a symbolic link; name the file that it leads to"
            )
        if error.errno == errno.EISDIR:
            return StatusLogError(f"the status log {self.path} is a folder; name a file in it")
        return StatusLogError(f"the status log {self.path} cannot be written: {error.strerror}")


@contextmanager
def noting_refusal(path: str | None, window: str, task_id: str) -> Iterator[None]:
    """Append a line to the file at *path*, if any, where what runs inside is refused.

    Raises:
        StatusLogError: the file cannot be written to; at once, or with the refusal's words.
    """
    log = StatusLog(path) if path is not None else None
    try:
        yield
    except RefusedError as refusal:
        if log is None:
            raise
        try:
            log.skip(window, task_id, str(refusal))
        except StatusLogError as error:
            raise StatusLogError(f"{refusal}; and {error}") from refusal
        raise


def _lock(file: int) -> bool:
    """Return whether *file*'s lock is ours now; closing the file gives it back."""
    end = clock.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() > end:
                return False
            clock.sleep(_LOCK_STEP_S)
        except OSError:  # a file system without locks
            return False
        else:
            return True
