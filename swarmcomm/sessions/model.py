"""What sessions are: their statuses, what may follow what, and the records that are given out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

#: Text, or an object of JSON; None where nobody said any.
Details: TypeAlias = str | dict[str, Any] | None


class Status(StrEnum):
    """What a session is doing; UNKNOWN until it has said so."""

    UNKNOWN = "UNKNOWN"
    STARTING = "STARTING"
    STARTED = "STARTED"
    WORKING = "WORKING"
    COMPLETED = "COMPLETED"
    BLOCKED = "BLOCKED"
    ERROR = "ERROR"
    TERMINATED = "TERMINATED"


#: Statuses that end the work; only a start begins it again, never a report that came late.
ENDS = frozenset({Status.COMPLETED, Status.ERROR, Status.TERMINATED})

_WORK = {Status.WORKING, Status.BLOCKED, Status.UNKNOWN, *ENDS}

#: What may follow a status; it may also be told again. STARTING follows all, since an agent may be
#: killed and started again at any time.
NEXT: dict[Status, frozenset[Status]] = {
    Status.UNKNOWN: frozenset(Status) - {Status.UNKNOWN},
    Status.STARTING: frozenset({Status.STARTED, *_WORK}),
    Status.STARTED: frozenset({Status.STARTING, *_WORK}),
    Status.WORKING: frozenset({Status.STARTING, *_WORK}) - {Status.WORKING},
    Status.BLOCKED: frozenset({Status.STARTING, *_WORK}) - {Status.BLOCKED},
    Status.COMPLETED: frozenset({Status.STARTING, Status.STARTED, Status.TERMINATED}),
    Status.ERROR: frozenset({Status.STARTING, Status.STARTED, Status.TERMINATED}),
    Status.TERMINATED: frozenset({Status.STARTING, Status.STARTED}),
}


class MessageType(StrEnum):
    """What a message is: the first three go from a master to its child, RESPONSE comes back."""

    INSTRUCTION = "INSTRUCTION"
    QUERY = "QUERY"
    STATUS_REQUEST = "STATUS_REQUEST"
    RESPONSE = "RESPONSE"


class MessageState(StrEnum):
    """Where a message is: never given out, given out, said to be had, or too old."""

    WAITING = "waiting"
    GIVEN = "given"
    ACKNOWLEDGED = "acknowledged"
    EXPIRED = "expired"


class _Record:
    def as_dict(self) -> dict[str, Any]:
        """Return the fields as what JSON knows; times in ISO 8601 with their zone."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)  # type: ignore[arg-type]  # its subclasses are
        }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return str(value) if isinstance(value, StrEnum) else value


@dataclass(frozen=True)
class Relationship(_Record):
    """That a child session works on a task of a project for its master session."""

    parent_session: str
    child_session: str
    task_id: str
    project_id: str
    registered_at: datetime


@dataclass(frozen=True)
class SessionStatus(_Record):
    """What a session said last; *progress* is 0 to 100, *unread* counts messages that it has
    not acknowledged.

    *details* are those of its status: with another status come others, or none. *parent_session*
    and *task_id* are None for a master.
    """

    session_name: str
    status: Status
    progress: int
    details: Details
    parent_session: str | None
    project_id: str
    task_id: str | None
    registered_at: datetime
    changed_at: datetime
    unread: int


@dataclass(frozen=True)
class Message(_Record):
    """A message; *redelivered*: it was given out before, and perhaps acted on.

    *reply_to* is the id of the message that it answers, where its sender said so.
    """

    id: int
    from_session: str
    to_session: str
    message_type: MessageType
    text: str
    sent_at: datetime
    expires_at: datetime
    redelivered: bool
    reply_to: int | None
    state: MessageState


@dataclass(frozen=True)
class Report:
    """One report of a batch; *progress* None leaves it as it is.

    *news* is a message to the master of a child, sent with the report if the status is another one
    than before: of any number that report the same at once, one tells it.
    """

    session_name: str
    status: str
    progress: int | None = None
    details: Details = None
    news: str | None = None


@dataclass(frozen=True)
class Outgoing:
    """One message of a batch.

    *message_type* None is INSTRUCTION from a master and RESPONSE from a child; *expires_s* None is
    MESSAGE_EXPIRES_S. With *once* nothing is sent where its sender has answered *reply_to* before:
    that answer is returned.
    """

    from_session: str
    to_session: str
    message: str
    message_type: str | None = None
    reply_to: int | None = None
    expires_s: float | None = None
    once: bool = False
