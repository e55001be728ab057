"""The database: made whole, opened, migrated, and written one transaction at a time."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from swarmcomm import clock, settings
from swarmcomm.errors import StoreError, StoreNewerError
from swarmcomm.store.files import check, make_folder, network
from swarmcomm.store.trouble import corrupt, named

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
        "CREATE INDEX answers ON event (server, pane_id, wire_id, number) WHERE marker IS NOT NULL",
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
    (
        # parent: NULL of a master. details: JSON; NULL where nobody said any.
        """
        CREATE TABLE session (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            parent TEXT,
            status TEXT NOT NULL,
            progress INTEGER NOT NULL,
            details TEXT,
            registered_at TEXT NOT NULL,
            changed_at TEXT NOT NULL
        )
        """,
        "CREATE INDEX children ON session (parent, number)",
        # outcome: NULL until it was acknowledged or has expired. given: how often it was given
        # out. holder: who has it, since held_since. Those that end in _since are of the clock
        # that people cannot turn.
        """
        CREATE TABLE message (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            sender TEXT NOT NULL,
            receiver TEXT NOT NULL,
            type TEXT NOT NULL,
            text TEXT NOT NULL,
            reply_to INTEGER,
            sent_at TEXT NOT NULL,
            expires_at TEXT NOT NULL,
            waits_since REAL NOT NULL,
            waits_s REAL NOT NULL,
            given INTEGER NOT NULL DEFAULT 0,
            holder TEXT,
            held_since REAL,
            outcome TEXT
        )
        """,
        "CREATE INDEX received ON message (receiver, outcome, number)",
        "CREATE INDEX sent ON message (sender, number)",
    ),
    (
        # number: the newest answer that stands above the anchor.
        "DROP TABLE anchor",
        """
        CREATE TABLE anchor (
            server TEXT NOT NULL,
            pane_id TEXT NOT NULL,
            anchor TEXT NOT NULL,
            number INTEGER NOT NULL,
            PRIMARY KEY (server, pane_id)
        ) WITHOUT ROWID
        """,
    ),
    (
        "DROP INDEX answers",
        "CREATE INDEX answers ON event (server, pane_id, wire_id, exchange, number)"
        " WHERE marker IS NOT NULL",
    ),
)

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
        # Ours once more where an interrupt came between taking it and what it was taken for: who
        # closes then must not wait for himself.
        self._lock = threading.RLock()
        with named(path):
            make_folder(path.parent)
            if not os.path.lexists(path):
                _make(path)
            self._file = check(path)
            if kind := network(path.parent):
                self.note = (
                    f"{path.parent} is on a network file system ({kind}), where several machines"
                    " cannot share a store; set SWARM_STATE_DIR to a folder of this machine"
                )
            self._connection = _connect(path)
        try:
            with named(path):
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
        with self._lock, named(self.path):
            self._check_file()
            with _transaction(self._connection) as connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one SELECT; never waits for those that write.

        Raises:
            StoreError: it could not be read.
        """
        with self._lock, named(self.path):
            self._check_file()
            yield self._connection

    def shrink(self) -> None:
        """Give the room of what was removed back to the disk, in pieces that hold nobody up.

        Raises:
            StoreError: others use it; the room is used for what comes.
        """
        with self._lock, named(self.path):
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


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        _begin(connection)
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # an interrupt may have closed it
            if connection.in_transaction:  # after a full disk it is not
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


def _make(path: Path) -> None:
    """Make a whole database elsewhere and link it in; who is second uses the first's.

    So it is never there half, and a lock is never lost to a file that this process closes.
    """
    import shutil
    import tempfile

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
        raise corrupt(path, "it is no store of swarmcomm")
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
