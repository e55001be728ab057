"""The store: events that any number of watchers record, each once, under numbers that only grow."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmcomm.errors import StoreError
from swarmcomm.protocol import ENDS, are_alike
from swarmcomm.store.events import (
    COLUMNS,
    NO_SERVER,
    NOTICES,
    Event,
    Found,
    Place,
    event_of,
    identity,
    is_pruned,
    merged,
    row_of,
    said,
    stamp,
    time_of,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from swarmcomm.store.database import Database
    from swarmcomm.store.events import Row

__all__ = [
    "FILE",
    "NOTICES",
    "NO_SERVER",
    "Event",
    "Found",
    "Place",
    "Store",
    "Transaction",
    "stamp",
    "time_of",
]

#: Name of the file in the state folder.
FILE = "events.db"

#: Answers of a pane that a reader is given to go on with: more than a screen's history holds.
TOLD_KEPT = 20_000

#: Events that are pruned in one transaction, so that nobody waits for long.
_PRUNED_AT_ONCE = 5_000

_NEWEST_STATE = f"""
    SELECT number, {COLUMNS} FROM event
    WHERE server = ? AND pane_id = ? AND state IS NOT NULL ORDER BY number DESC LIMIT 1
"""
_VALUES = ", ".join("?" * (5 + COLUMNS.count(",") + 1))


class Transaction:
    """Changes that are made together or not at all, with the events that tell of them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take a connection with an open transaction."""
        self._connection = connection

    def execute(self, query: str, *values: object) -> sqlite3.Cursor:
        """Run one statement; its rows are read as they are taken."""
        # Without RETURNING: systems with a new enough tmux may have an SQLite of 3.34.
        return self._connection.execute(query, values)

    def tell(self, found: Iterable[Found]) -> None:
        """Store an event of each, always as a new one."""
        for one in found:
            _insert(self._connection, one, None, row_of(one.event))


class Store:
    """The store of one state folder.

    Any number of threads may use one object, each call whole. Each process opens its own, also
    after a fork. A call that writes blocks up to STORE_BUSY_S seconds for others that write; one
    that reads does not wait for them. Every method raises StoreError where the file cannot be
    used: StoreBusyError, StoreFullError, StoreReadOnlyError, StoreCorruptError say why, and what
    was stored stays as it was.
    """

    def __init__(self, database: Database) -> None:
        """Take what :meth:`open` opened."""
        self._database = database

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Return the store in *folder*; both are made where missing, for nobody else to read.

        Raises:
            StoreNewerError: a newer swarmcomm wrote it; nothing was changed.
            StoreError: it cannot be used, or the folder is not ours alone to write.
        """
        from swarmcomm.store.database import Database  # sqlite3 is only loaded when used

        return cls(Database(Path(folder).absolute() / FILE))

    @classmethod
    def existing(cls, folder: Path) -> Store | None:
        """Return the store in *folder*, None where there is none; raises like :meth:`open`."""
        from swarmcomm.store.files import is_there

        return cls.open(folder) if is_there(Path(folder).absolute() / FILE) else None

    @property
    def note(self) -> str:
        """Return what a person should know about where the store is, on one line; or ""."""
        return self._database.note

    def record(
        self, found: Sequence[Found], anchors: Mapping[Place, tuple[str, int]] | None = None
    ) -> list[Event]:
        """Store what is new of *found* and the *anchors* in one transaction.

        Returns the stored event of each, in their order. What is there already is not stored
        again, and gets the witnesses that it did not have: an answer is the same by pane,
        exchange, marker and text, a near miss by pane, reason and line, a state when it is the
        newest of its pane. A notice is always new.

        An anchor comes with the number of the newest answer that its reader had read before these:
        readers that are behind do not move it back.
        """
        # All that takes time is done without the lock.
        prepared = [(one, identity(one), row_of(one.event)) for one in found]
        with self._database.writing() as connection:
            rows = [_record(connection, *one) for one in prepared]
            newest = {
                one.place: number
                for one, (number, _) in zip(found, rows, strict=True)
                if one.event.marker
            }
            for place, (anchor, reached) in (anchors or {}).items():
                connection.execute(
                    "INSERT INTO anchor VALUES (?, ?, ?, ?) ON CONFLICT (server, pane_id)"
                    " DO UPDATE SET anchor = excluded.anchor, number = excluded.number"
                    " WHERE excluded.number >= number",
                    (place.server, place.pane_id, anchor, max(reached, newest.get(place, 0))),
                )
        return [event_of(number, row) for number, row in rows]

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Run one transaction for another room's tables; an exception in it undoes all of it."""
        with self._database.writing() as connection:
            yield Transaction(connection)

    def rows(self, query: str, *values: object) -> list[Any]:
        """Return the rows of one SELECT from another room's tables."""
        return self._rows(query, *values)

    def after(
        self,
        number: int,
        session: str | None = None,
        windows: Collection[str] | None = None,
        socket: str | None = None,
        limit: int = 1000,
        *,
        registry: bool = False,
    ) -> list[Event]:
        """Return the first *limit* events with a greater number, by number.

        *socket* is the path of the tmux servers' socket, of whatever life of the server. With
        *registry* those of registered sessions come as well, which are of no window and socket.
        """
        where = "number > ? AND text IS NOT NULL"
        words: list[object] = [number]
        if session is not None:
            where += " AND session = ?"
            words.append(session)
        also = f" OR server = '{NO_SERVER}'" if registry else ""
        if socket is not None:
            where += f" AND (substr(server, 1, length(?)) = ?{also})"
            words += [f"{socket}:"] * 2
        if windows is not None:
            where += f" AND (window_name IN ({', '.join('?' * len(windows))}){also})"
            words += windows
        rows = self._rows(
            f"SELECT number, {COLUMNS} FROM event WHERE {where} ORDER BY number LIMIT ?",
            *words,
            limit,
        )
        return [event_of(row[0], row[1:]) for row in rows]

    def walk(
        self, number: int, session: str | None = None, windows: Collection[str] | None = None
    ) -> Iterator[Event]:
        """Yield all events with a greater number, by number, read as they are taken."""
        while batch := self.after(number, session, windows):
            yield from batch
            number = batch[-1].number or number

    def last(self) -> int:
        """Return the highest number that was ever given, also to an event that is gone; 0: none."""
        rows = self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
        return int(rows[0][0]) if rows else 0

    def told(
        self, server: str, pane_id: str, wire_id: str | None = None, until: int | None = None
    ) -> list[tuple[Event, int]]:
        """Return the newest answers of a pane with their exchange, by number.

        At most TOLD_KEPT; of *wire_id* alone, with a number up to *until*. The text of those that
        were pruned is "".
        """
        where = "server = ? AND pane_id = ? AND marker IS NOT NULL"
        words: list[object] = [server, pane_id]
        for condition, word in ((" AND wire_id = ?", wire_id), (" AND number <= ?", until)):
            if word is not None:
                where += condition
                words.append(word)
        rows = self._rows(
            f"SELECT number, exchange, {COLUMNS} FROM event WHERE {where}"
            f" ORDER BY number DESC LIMIT {TOLD_KEPT}",
            *words,
        )
        return [(event_of(row[0], row[2:]), row[1]) for row in reversed(rows)]

    def answers(
        self, server: str, session: str, window: str, wire_id: str, since: datetime
    ) -> list[Event]:
        """Return the answers of a wire id on a window that were told at *since* or later."""
        rows = self._rows(
            f"SELECT number, {COLUMNS} FROM event WHERE wire_id = ? AND server = ? AND session = ?"
            " AND window_name = ? AND time >= ? AND text IS NOT NULL ORDER BY number",
            wire_id,
            server,
            session,
            window,
            stamp(since),
        )
        return [event_of(row[0], row[1:]) for row in rows]

    def newest_state(self, server: str, pane_id: str) -> Event | None:
        """Return the newest state of a pane; None where nobody told one."""
        rows = self._rows(_NEWEST_STATE, server, pane_id)
        return event_of(rows[0][0], rows[0][1:]) if rows else None

    def anchor(self, server: str, pane_id: str) -> tuple[str, int]:
        """Return where the reading of a pane stands, and the number of the newest answer above it.

        "" and 0 where nobody said.
        """
        query = "SELECT anchor, number FROM anchor WHERE server = ? AND pane_id = ?"
        rows = self._rows(query, server, pane_id)
        return (str(rows[0][0]), int(rows[0][1])) if rows else ("", 0)

    def prune(self, before: datetime, session: str | None = None) -> int:
        """Remove the events of a time before *before*, of *session* or of all; return how many.

        Their numbers are not given again. Of the newest TOLD_KEPT answers and near misses among
        them their ids stay, so that what is still on a screen is not told once more.
        """
        removed = 0
        while True:
            with self._database.writing() as connection:
                numbers = connection.execute(
                    "SELECT number FROM event WHERE time < ? AND text IS NOT NULL"
                    " AND coalesce(session = ?, TRUE) LIMIT ?",
                    (stamp(before), session, _PRUNED_AT_ONCE),
                ).fetchall()
                connection.executemany(
                    "UPDATE event SET text = NULL, flags = '[]' WHERE number = ?", numbers
                )
                connection.execute(
                    "DELETE FROM event WHERE text IS NULL AND (identity IS NULL OR number <="
                    " (SELECT number FROM event WHERE text IS NULL"
                    f" ORDER BY number DESC LIMIT 1 OFFSET {TOLD_KEPT}))"
                )
            removed += len(numbers)
            if len(numbers) < _PRUNED_AT_ONCE:
                break
        with suppress(StoreError):  # the room is used again in any case
            self._database.shrink()
        return removed

    def close(self) -> None:
        """Close the file; nothing else may be called afterwards."""
        self._database.close()

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._database.reading() as connection:
            return connection.execute(query, values).fetchall()


def _record(
    connection: sqlite3.Connection, found: Found, key: bytes | None, row: Row
) -> tuple[int, Row]:
    """Return number and row of what is stored for *found*."""
    place = found.place
    if key is not None:
        there = _stored(connection, key)
        if there is None and found.event.marker:
            if found.event.marker in ENDS:
                _send_on(connection, found)
            found, there = _caught_up(connection, found)
            key = identity(found)
        if there:
            return there[0], _witnessed(connection, there[0], there[1:], row)
    elif found.event.state is not None:
        newest = connection.execute(_NEWEST_STATE, (place.server, place.pane_id)).fetchone()
        if newest and said(newest[1:]) == said(row):
            return newest[0], newest[1:]
    return _insert(connection, found, key, row), row


_OF_ID = "server = ? AND pane_id = ? AND wire_id = ? AND marker IS NOT NULL"


def _stored(connection: sqlite3.Connection, key: bytes | None) -> tuple[Any, ...] | None:
    query = f"SELECT number, {COLUMNS} FROM event WHERE identity = ?"
    row: tuple[Any, ...] | None = connection.execute(query, (key,)).fetchone()
    return row


def _send_on(connection: sqlite3.Connection, end: Found) -> None:
    """Give to the next exchange what others saw later than this end, and stored before it.

    Who did not see the end takes what comes behind it for more of the same exchange. An ACK begins
    one, and is of it though the clock went back since.
    """
    place, event = end.place, end.event
    rows = connection.execute(
        f"SELECT number, {COLUMNS} FROM event WHERE {_OF_ID} AND exchange = ? AND time > ?"
        " AND text IS NOT NULL AND marker != 'ACK'",
        (place.server, place.pane_id, event.wire_id, end.exchange, stamp(event.time)),
    ).fetchall()
    for number, *row in rows:
        later = replace(end, event=event_of(number, tuple(row)), exchange=end.exchange + 1)
        if later.event.marker is event.marker and are_alike(later.event.text, event.text):
            continue  # it is the same end
        connection.execute(
            "UPDATE OR IGNORE event SET identity = ?, exchange = ? WHERE number = ?",
            (identity(later), later.exchange, number),
        )


def _caught_up(
    connection: sqlite3.Connection, found: Found
) -> tuple[Found, tuple[Any, ...] | None]:
    """Return an answer in the exchange that it belongs to, and its row if it is stored there.

    A reader that missed a sending counts behind the others: it tells answers of an exchange that
    has ended long ago. They are of the newest one; of two ends of one exchange the first is it.
    """
    end = _end(connection, found)
    if end is None:
        return found, None
    of_id = (found.place.server, found.place.pane_id, found.event.wire_id)
    query = f"SELECT max(exchange) FROM event WHERE {_OF_ID}"
    found = replace(found, exchange=connection.execute(query, of_id).fetchone()[0])
    there, end = _stored(connection, identity(found)), _end(connection, found)
    if there is None and end:
        if found.event.marker in ENDS:
            return found, end
        found = replace(found, exchange=found.exchange + 1)
        there = _stored(connection, identity(found))
    return found, there


def _end(connection: sqlite3.Connection, found: Found) -> tuple[Any, ...] | None:
    """Return the row of the end of an exchange; None where it is open, or was when found."""
    event = found.event
    row: tuple[Any, ...] | None = connection.execute(
        f"SELECT number, {COLUMNS} FROM event WHERE {_OF_ID} AND exchange = ?"
        " AND marker IN ('DONE', 'ERROR') AND (time <= ? OR ?)",
        (
            found.place.server,
            found.place.pane_id,
            event.wire_id,
            found.exchange,
            stamp(event.time),
            event.marker in ENDS,
        ),
    ).fetchone()
    return row


def _insert(connection: sqlite3.Connection, found: Found, key: bytes | None, row: Row) -> int:
    """Store a new event and return its number."""
    place = found.place
    number = connection.execute(
        "INSERT INTO event (identity, server, session, pane_id, exchange,"
        f" {COLUMNS}) VALUES ({_VALUES})",
        (key, place.server, place.session, place.pane_id, found.exchange, *row),
    ).lastrowid
    assert number is not None
    return number


def _witnessed(connection: sqlite3.Connection, number: int, stored: Row, row: Row) -> Row:
    """Return the *stored* row with the witnesses of both; of a pruned one only they are left."""
    witnesses = merged(stored, row)
    if witnesses != stored[-1]:
        connection.execute("UPDATE event SET witnesses = ? WHERE number = ?", (witnesses, number))
    return (*(row if is_pruned(stored) else stored)[:-1], witnesses)
