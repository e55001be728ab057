"""Sessions in the store: registered, reported, asked for, forgotten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from swarmcomm import clock, protocol
from swarmcomm.errors import (
    InvalidInputError,
    ProgressError,
    SessionNameError,
    SessionNotRegisteredError,
    TextTooLongError,
    UnknownRelationError,
    WrongStatusError,
)
from swarmcomm.protocol.grammar import cut
from swarmcomm.sessions.model import (
    ENDS,
    NEXT,
    Details,
    Relationship,
    Report,
    SessionStatus,
    Status,
)
from swarmcomm.sessions.names import SessionName, child_name, parse
from swarmcomm.store import NO_SERVER, Event, Found, Place, stamp, time_of

if TYPE_CHECKING:
    from datetime import datetime

    from swarmcomm.store import Store, Transaction

#: Whether a message is too old: by the wall clock, which somebody may have turned, and by the other
#: one, unless that began anew since. Takes the values of :func:`clocks`.
OVER = "(expires_at <= ? AND (? < waits_since OR ? >= waits_since + waits_s))"

_COLUMNS = f"""
    name, status, progress, details, parent, registered_at, changed_at, (
        SELECT count(*) FROM message
        WHERE receiver = session.name AND outcome IS NULL AND NOT {OVER}
    )
"""


def clocks() -> tuple[str, float, float]:
    """Return now by both clocks, as OVER takes it."""
    uptime = clock.monotonic()
    return stamp(clock.now()), uptime, uptime


def found(swarm: str, name: SessionName, text: str, *flags: str, state: str | None = None) -> Found:
    """Return the event of a change of *name*, for the watchers of the tmux session *swarm*."""
    session = str(name)
    said = cut(text, protocol.TEXT_MAX_BYTES)
    event = Event(session, None, name.task_id, None, said, flags, state, clock.now())
    return Found(Place(NO_SERVER, swarm, session, session), event)


def related(
    parent: str, child: str, task_id: str, project_id: str
) -> tuple[SessionName, SessionName]:
    """Return the names of a master and its child, which have to agree with the ids.

    Raises:
        SessionNameError: a name has another form, or other ids in it.
        UnknownRelationError: they are not a master and a child of one project.
    """
    master, session = parse(parent), parse(child)
    _check_master(master)
    if session.is_master:
        raise SessionNameError(
            f"child_session {child} is no child; give a child_{{PROJECT_ID}}_task_{{TASK_ID}}"
        )
    if session.master != master:
        raise UnknownRelationError(
            f"{child} is no child of {parent}; its master is {session.master}"
        )
    wanted = child_name(project_id, task_id)
    if wanted != child:
        raise SessionNameError(
            f"child_session {child} does not agree with project_id {project_id!r} and task_id"
            f" {task_id!r}, whose session is {wanted}"
        )
    return master, session


def _check_master(name: SessionName) -> None:
    if not name.is_master:
        raise SessionNameError(f"parent_session {name} is no master; give {name.master}")


def register(store: Store, swarm: str, master: SessionName, child: SessionName) -> Relationship:
    """Store both sessions where they are not yet, and return their relation."""
    assert child.task_id is not None
    with store.writing() as change:
        add(change, swarm, child)
        ((since,),) = change.execute("SELECT registered_at FROM session WHERE name = ?", str(child))
    return Relationship(str(master), str(child), child.task_id, child.project_id, time_of(since))


def add(change: Transaction, swarm: str, session: SessionName) -> None:
    """Store a session where it is not yet, behind its master."""
    now = stamp(clock.now())
    for name in dict.fromkeys((session.master, session)):
        parent = None if name.is_master else str(name.master)
        added = change.execute(
            "INSERT INTO session (name, parent, status, progress, registered_at, changed_at)"
            " VALUES (?, ?, ?, 0, ?, ?) ON CONFLICT (name) DO NOTHING",
            str(name),
            parent,
            Status.UNKNOWN,
            now,
            now,
        )
        if added.rowcount:
            text = f"registered under {parent}" if parent else "registered as a master"
            change.tell([found(swarm, name, text, "session", "registered")])


def check_report(report: Report) -> tuple[SessionName, Status, int | None, str | None]:
    """Return the values of *report*, its details as JSON.

    Raises:
        InvalidInputError: one of them cannot be used.
        TextTooLongError: the details are longer than 65,536 bytes.
    """
    name = parse(report.session_name)
    word = report.status
    if not isinstance(word, str) or word.upper() not in Status.__members__:
        raise InvalidInputError(f"{str(word)[:80]!r} is no status; use one of {', '.join(Status)}")
    progress = report.progress
    if progress is not None and (type(progress) is not int or not 0 <= progress <= 100):
        raise ProgressError(
            f"progress {str(progress)[:80]} is out of range; give a whole number from 0 to 100"
        )
    return name, Status(word.upper()), progress, _json(report.details)


def read_details(text: str) -> Details:
    """Return the object of JSON that *text* is, or *text* where that is none, or not all of it."""
    try:
        found = json.loads(text, object_pairs_hook=_once)
        json.dumps(found, allow_nan=False)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _json(details: Details) -> str | None:
    if details is None:
        return None
    wrong = InvalidInputError("details are no JSON object; give text, or an object of JSON")
    if not isinstance(details, (str, dict)):
        raise wrong
    try:
        text = json.dumps(details, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
        is_whole = json.loads(text) == details
    except (TypeError, ValueError, RecursionError) as error:
        raise wrong from error
    if not is_whole:
        raise wrong
    if size > protocol.DESCRIPTION_MAX_BYTES:
        raise TextTooLongError(size, protocol.DESCRIPTION_MAX_BYTES, "the JSON of details")
    return text


def report(
    change: Transaction,
    swarm: str,
    name: SessionName,
    status: Status,
    progress: int | None,
    details: str | None,
) -> SessionStatus:
    """Store what a session said, and return what it is now; the same once more changes nothing.

    Raises:
        SessionNotRegisteredError: it is not registered.
        WrongStatusError: the status cannot follow the one that it has.
    """
    was = one(change.execute, name)
    is_new = status is not was.status
    if is_new and status not in NEXT[was.status]:
        raise WrongStatusError(_wrong(name, was.status, status))
    if progress is None:
        progress = _progress(was, status) if is_new else was.progress
    old = None if is_new else _json(was.details)
    kept = details if details is not None else old
    if not is_new and progress == was.progress and kept == old:
        return was
    change.execute(
        "UPDATE session SET status = ?, progress = ?, details = ?, changed_at = ? WHERE name = ?",
        status,
        progress,
        kept,
        stamp(clock.now()),
        str(name),
    )
    said = json.loads(kept) if kept is not None else None
    text = f"{progress} %"
    if said is not None:
        text += f": {said if isinstance(said, str) else kept}"
    state = status.lower() if is_new else None
    change.tell([found(swarm, name, text, "session", state=state)])
    return one(change.execute, name)


def _progress(was: SessionStatus, status: Status) -> int:
    """Return the progress that a new status has where nobody says one."""
    if status is Status.COMPLETED:
        return 100
    begins = status is Status.STARTING or (was.status in ENDS and status not in ENDS)
    return 0 if begins else was.progress


def _wrong(name: SessionName, was: Status, status: Status) -> str:
    follows = ", ".join(sorted(NEXT[was]))
    again = "; where its work begins again, report STARTED first" if was in ENDS else ""
    return f"{name} is {was}, which {status} cannot follow; {was} is followed by {follows}{again}"


def one(execute: Any, name: SessionName) -> SessionStatus:
    """Return what a session said last; *execute* runs a statement.

    Raises:
        SessionNotRegisteredError: it is not registered.
    """
    rows = list(execute(f"SELECT {_COLUMNS} FROM session WHERE name = ?", *clocks(), str(name)))
    if not rows:
        raise _not_registered(name)
    return _status(rows[0])


def check_registered(execute: Any, *names: SessionName) -> None:
    """Accept *names*; *execute* runs a statement.

    Raises:
        SessionNotRegisteredError: one is not registered.
    """
    for name in names:
        if not list(execute("SELECT 1 FROM session WHERE name = ?", str(name))):
            raise _not_registered(name)


def _not_registered(name: SessionName) -> SessionNotRegisteredError:
    child = str(name) if name.task_id else f"child_{name.project_id}_task_TASK_ID"
    return SessionNotRegisteredError(
        f"{name} is not registered; register it first: register_session_relationship, or"
        f" swarmcomm register {name.master} {child}"
    )


def children(store: Store, master: SessionName) -> list[SessionStatus]:
    """Return the children of a master, in the order in which they were registered.

    Raises:
        SessionNameError: it is no master.
        SessionNotRegisteredError: it is not registered.
    """
    _check_master(master)
    check_registered(store.rows, master)
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM session WHERE parent = ? ORDER BY number",
        *clocks(),
        str(master),
    )
    return [_status(row) for row in rows]


def everyone(store: Store) -> list[SessionStatus]:
    """Return all sessions, in the order in which they were registered."""
    rows = store.rows(f"SELECT {_COLUMNS} FROM session ORDER BY number", *clocks())
    return [_status(row) for row in rows]


def forget(change: Transaction, swarm: str, before: datetime) -> int:
    """Remove the sessions that are over, and messages that are; return how many sessions."""
    old, now = stamp(before), clocks()
    unread = (
        f"EXISTS (SELECT 1 FROM message WHERE outcome IS NULL AND NOT {OVER}"
        " AND (sender = session.name OR receiver = session.name))"
    )
    gone = _remove(
        change,
        f"parent IS NOT NULL AND changed_at < ? AND status IN (?, ?, ?) AND NOT {unread}",
        old,
        *ENDS,
        *now,
    )
    gone += _remove(
        change,
        "parent IS NULL AND changed_at < ? AND NOT EXISTS"
        " (SELECT 1 FROM session AS child WHERE child.parent = session.name)",
        old,
    )
    change.execute(
        f"DELETE FROM message WHERE sent_at < ? AND (outcome IS NOT NULL OR {OVER})", old, *now
    )
    change.tell(found(swarm, parse(name), "forgotten", "session", "forgotten") for name in gone)
    return len(gone)


def _remove(change: Transaction, where: str, *values: object) -> list[str]:
    """Remove sessions with all their messages, and return their names."""
    query = f"SELECT name FROM session WHERE {where}"
    names = [name for (name,) in change.execute(query, *values).fetchall()]
    for name in names:
        change.execute("DELETE FROM session WHERE name = ?", name)
        change.execute("DELETE FROM message WHERE sender = ? OR receiver = ?", name, name)
    return names


def _status(row: Any) -> SessionStatus:
    name, status, progress, details, parent, registered_at, changed_at, unread = row
    parts = parse(name)
    return SessionStatus(
        name,
        Status(status),
        progress,
        json.loads(details) if details is not None else None,
        parent,
        parts.project_id,
        parts.task_id,
        time_of(registered_at),
        time_of(changed_at),
        unread,
    )
