"""What can go wrong with the file: each has a name, and one line with the way out."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from swarmcomm import settings
from swarmcomm.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say of the file at *path* into our errors.

    Raises:
        StoreError: one of its children where it is known what is wrong.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:  # not the database's fault but ours
            raise
        raise _name(path, error, code) from error
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in _FULL:
            raise _full(path, why) from error
        if error.errno in _READ_ONLY:
            raise _read_only(path, why) from error
        raise StoreError(f"{path} cannot be used: {why}") from error


def _name(path: Path, error: sqlite3.Error, code: int) -> StoreError:
    primary = code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
        return StoreBusyError(
            f"{path}: another program has had its lock for {settings.STORE_BUSY_S:g} s;"
            " try again, and end the one that hangs"
        )
    if primary == sqlite3.SQLITE_FULL or code in (
        sqlite3.SQLITE_IOERR_WRITE,  # a limit on the size of files
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
    ):
        return _full(path, str(error))
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return _read_only(path, str(error))
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return corrupt(path, str(error))
    return StoreError(f"{path} cannot be used: {error}")


def _full(path: Path, why: str) -> StoreFullError:
    return StoreFullError(
        f"{path} could not be written ({why}): the disk is full, or the size of files is limited;"
        " make room there; swarmcomm events --prune 30d keeps the file small"
    )


def _read_only(path: Path, why: str) -> StoreReadOnlyError:
    return StoreReadOnlyError(
        f"{path} cannot be opened or written ({why}): let it and its folder be yours and writable,"
        " or set SWARM_STATE_DIR to a folder that is"
    )


def corrupt(path: Path, why: str) -> StoreCorruptError:
    """Return the error of a file that cannot be read as a store."""
    return StoreCorruptError(
        f"{path} is damaged ({why}) and kept as it is: move it away with its -wal file, and a new"
        " one is made; what can be read of it: sqlite3 FILE .recover"
    )
