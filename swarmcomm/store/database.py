"""The database file: made private and whole, opened, migrated; what goes wrong has a name."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import stat
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from swarmcomm import clock, settings
from swarmcomm.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreNewerError,
    StoreReadOnlyError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Statements that bring the schema from the number of each to the next; never changed once out.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # identity: NULL where nothing is the same. text: NULL where it was pruned, and the row
        # stays only so that what is still on a screen is not told again.
        """
        CREATE TABLE event (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            identity BLOB UNIQUE,
            server TEXT NOT NULL,
            session TEXT NOT NULL,
            pane_id TEXT NOT NULL,
            exchange INTEGER NOT NULL,
            window_name TEXT NOT NULL,
            marker TEXT,
            task_id TEXT,
            wire_id TEXT,
            text TEXT,
            flags TEXT NOT NULL,
            state TEXT,
            time TEXT NOT NULL,
            witnesses TEXT NOT NULL
        )
        """,
        "CREATE INDEX answers ON event (server, pane_id, number) WHERE marker IS NOT NULL",
        "CREATE INDEX states ON event (server, pane_id, number) WHERE state IS NOT NULL",
        "CREATE INDEX pruned ON event (number) WHERE text IS NULL",
        """
        CREATE TABLE anchor (
            server TEXT NOT NULL,
            pane_id TEXT NOT NULL,
            anchor TEXT NOT NULL,
            PRIMARY KEY (server, pane_id)
        ) WITHOUT ROWID
        """,
    ),
)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: Where several hosts would each have a memory of their own for the log.
_NETWORK = re.compile(
    "nfs[0-9]?|cifs|smb[0-9]?|smbfs|afs|ncpfs|ceph|lustre|gfs2|ocfs2|beegfs|gpfs|fuse[.](sshfs|ceph"
    "|glusterfs|s3fs|rclone)"
)

_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}

_MOUNTS = Path("/proc/mounts")

#: Seconds after which what was being made is somebody's who was killed.
_LEFT_OVER_S = 60.0

#: Seconds between two tries to get the lock; a try costs 10 µs.
_TRY_S = 0.002

#: Pages of 4 KB that are given back in one transaction.
_PAGES_AT_ONCE = 1000


class Database:
    """One connection, for all threads of one process; not to be used across a fork."""

    def __init__(self, path: Path) -> None:
        """Open the file at *path*, which is made where there is none, with its folder.

        Raises:
            StoreError: it cannot be used; which one says why, and the file is as it was.
        """
        self.path = path
        #: What a person should know about where the file is, or "".
        self.note = ""
        self._lock = threading.Lock()
        with _named(path):
            _make_folder(path.parent)
            if not os.path.lexists(path):
                _make(path)
            self._file = _check(path)
            if kind := network(path.parent):
                self.note = (
                    f"{path.parent} is on a network file system ({kind}), where several machines"
                    " cannot share a store; set SWARM_STATE_DIR to a folder of this machine"
                )
            self._connection = _connect(path)
        try:
            with _named(path):
                _migrate(self._connection, path)
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction, which has the lock from its first statement on.

        Blocks up to STORE_BUSY_S seconds while another program writes. An exception in it leaves
        everything as it was.

        Raises:
            StoreError: it could not be written.
        """
        with self._lock, _named(self.path):
            self._check_file()
            with _transaction(self._connection) as connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one SELECT; never waits for those that write.

        Raises:
            StoreError: it could not be read.
        """
        with self._lock, _named(self.path):
            self._check_file()
            yield self._connection

    def shrink(self) -> None:
        """Give the room of what was removed back to the disk, in pieces that hold nobody up.

        Raises:
            StoreError: others use it; the room is used for what comes.
        """
        with self._lock, _named(self.path):
            free = 0
            while free != (free := _number(self._connection, "PRAGMA freelist_count")):
                self._connection.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the connection; what was written is kept."""
        with self._lock, suppress(sqlite3.Error):
            self._connection.close()

    def _check_file(self) -> None:
        """Nobody else would ever see what is written to a file that has no name any more."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._file:
            raise StoreError(f"{self.path} was removed or replaced while in use; start again")


def network(folder: Path) -> str:
    """Return the kind of network file system that *folder* is on; "" on a disk, or not known."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    folder = folder.resolve()
    kind, depth = "", -1
    for line in mounts.splitlines():
        _, point, found, *_ = line.split(" ")
        mount = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point))
        if folder.is_relative_to(mount) and len(mount.parts) >= depth:
            kind, depth = found, len(mount.parts)
    return kind if _NETWORK.fullmatch(kind) else ""


def is_there(path: Path) -> bool:
    """Return whether there is anything at *path*.

    Raises:
        StoreError: that cannot be said.
    """
    with _named(path):
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        return True


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    _begin(connection)
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # after a full disk it is not
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def _begin(connection: sqlite3.Connection) -> None:
    """Take the lock; try often, for SQLite sleeps 100 ms at a time while others get it again."""
    deadline = clock.monotonic() + settings.STORE_BUSY_S
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or clock.monotonic() >= deadline:
                    raise
                clock.sleep(_TRY_S)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {settings.STORE_BUSY_S * 1000:.0f}")


def _make_folder(folder: Path) -> None:
    """Make *folder* and those above it that are missing, for nobody else."""
    for missing in (*reversed(folder.parents), folder):
        if not missing.exists():
            with suppress(FileExistsError):
                missing.mkdir(mode=0o700)
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise StoreError(f"{folder} is no folder; set SWARM_STATE_DIR to one of yours")
    if found.st_uid != os.geteuid():
        raise _not_ours(folder, found.st_uid)
    if found.st_mode & 0o022:
        raise StoreError(f"others may write to {folder}; take that away with: chmod 700 {folder}")


def _make(path: Path) -> None:
    """Make a whole database elsewhere and link it in; who is second uses the first's.

    So it is never there half, and a lock is never lost to a file that this process closes.
    """
    prefix = f"{path.name}.new-"
    for old in path.parent.glob(f"{prefix}*"):
        with suppress(OSError):
            if clock.now().timestamp() - old.stat().st_mtime > _LEFT_OVER_S:
                shutil.rmtree(old)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
        new = Path(folder, path.name)
        file = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        os.close(file)
        connection = _connect(new)
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only before the first table
            connection.execute("PRAGMA journal_mode = WAL")
            with _transaction(connection):
                _upgrade(connection, 0)
        finally:
            connection.close()
        with suppress(FileExistsError):
            path.hardlink_to(new)


def _check(path: Path) -> tuple[int, int]:
    """Return device and inode of the file; it has to be one of ours, and becomes private."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no file"
        raise StoreError(f"{path} is {what}; move it away, and a new store is made")
    if found.st_uid != os.geteuid():
        raise _not_ours(path, found.st_uid)
    if found.st_size == 0:
        raise _corrupt(path, "it is empty")
    # SQLite gives the two beside it the mode that the file had when they were made.
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        file, mode = path.with_name(name), found.st_mode & 0o700
        with suppress(FileNotFoundError):
            if stat.S_IMODE(file.lstat().st_mode) != mode:
                file.chmod(mode)
    return found.st_dev, found.st_ino


def _not_ours(path: Path, uid: int) -> StoreError:
    return StoreError(
        f"{path} belongs to somebody else (uid {uid}); set SWARM_STATE_DIR to a folder of yours"
    )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=settings.STORE_BUSY_S,
        isolation_level=None,  # a transaction begins and ends where it says so
        check_same_thread=False,  # the lock sees to it
    )
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version == 0:
        raise _corrupt(path, "it is no store of swarmcomm")
    if version > len(MIGRATIONS):
        raise StoreNewerError(
            f"{path} was written by a newer swarmcomm (schema {version}, this one knows"
            f" {len(MIGRATIONS)}): upgrade swarmcomm, or set SWARM_STATE_DIR to another folder"
        )
    if version < len(MIGRATIONS):
        with _transaction(connection):
            _upgrade(connection, _version(connection))  # perhaps somebody else was faster


def _upgrade(connection: sqlite3.Connection, version: int) -> None:
    for migration in MIGRATIONS[version:]:
        for statement in migration:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {max(version, len(MIGRATIONS))}")


def _version(connection: sqlite3.Connection) -> int:
    return _number(connection, "PRAGMA user_version")


def _number(connection: sqlite3.Connection, query: str) -> int:
    (number,) = connection.execute(query).fetchone()
    return int(number)


@contextmanager
def _named(path: Path) -> Iterator[None]:
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
        return _corrupt(path, str(error))
    return StoreError(f"{path} cannot be used: {error}")


def _full(path: Path, why: str) -> StoreFullError:
    return StoreFullError(
        f"{path} could not be written ({why}): the disk is full, or the size of files is limited;"
        " make room, as with: swarmcomm events --prune 30d"
    )


def _read_only(path: Path, why: str) -> StoreReadOnlyError:
    return StoreReadOnlyError(
        f"{path} cannot be opened or written ({why}): let it and its folder be yours and writable,"
        " or set SWARM_STATE_DIR to a folder that is"
    )


def _corrupt(path: Path, why: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{path} is damaged ({why}) and kept as it is: move it away with its -wal file, and a new"
        " one is made; what can be read of it: sqlite3 FILE .recover"
    )
