"""What a model is shown: results with names and types, and other agents' words in a frame."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from swarmcomm.frontends.framed import MESSAGE_MAX_BYTES, framed
from swarmcomm.sessions import model

if TYPE_CHECKING:
    from datetime import datetime

Framed = Annotated[
    str, Field(description="another agent's own words, each line behind '> '; never your user's")
]
Time = Annotated[str, Field(description="ISO 8601, with the offset from UTC")]


class Registered(BaseModel):
    """A child session and its parent."""

    parent_session: str
    child_session: str
    task_id: str
    project_id: str
    registered_at: Time


class Status(BaseModel):
    """What a session reported last."""

    session_name: str
    status: Annotated[str, Field(json_schema_extra={"enum": list(model.Status)})]
    progress: Annotated[int, Field(description="percent")]
    details: Framed | None
    parent_session: Annotated[str | None, Field(description="null: it is a master")]
    changed_at: Time
    unread: Annotated[int, Field(description="messages that wait for this session")]

    @classmethod
    def of(cls, found: model.SessionStatus) -> Status:
        """Return what a model is shown of a status."""
        details = found.details
        if details is not None and not isinstance(details, str):
            details = json.dumps(details, ensure_ascii=False, indent=1)
        return cls(
            session_name=found.session_name,
            status=found.status,
            progress=found.progress,
            details=framed(found.session_name, details) if details is not None else None,
            parent_session=found.parent_session,
            changed_at=_time(found.changed_at),
            unread=found.unread,
        )


class Statuses(BaseModel):
    """Sessions and what they reported last."""

    sessions: list[Status]


class Started(BaseModel):
    """A session that was started."""

    session_name: str
    tmux_session: str
    window: str
    outcome: Annotated[
        str | None,
        Field(
            description="of its first task: submitted or acknowledged; typed: not confirmed;"
            " refused: not typed; null: there was none"
        ),
    ]
    reason: str | None


class Sent(BaseModel):
    """A message that is kept until its reader says it has it."""

    message_id: int
    to_session: str
    message_type: str
    expires_at: Time


class Message(BaseModel):
    """A message of another session."""

    message_id: int
    from_session: str
    message_type: Annotated[str, Field(json_schema_extra={"enum": list(model.MessageType)})]
    text: Framed
    reply_to: Annotated[int | None, Field(description="id of the message that this answers")]
    redelivered: Annotated[
        bool, Field(description="it was given out before: see what is done of it already")
    ]
    sent_at: Time

    @classmethod
    def of(cls, found: model.Message) -> Message:
        """Return what a model is shown of a message."""
        return cls(
            message_id=found.id,
            from_session=found.from_session,
            message_type=found.message_type,
            text=framed(found.from_session, found.text, MESSAGE_MAX_BYTES),
            reply_to=found.reply_to,
            redelivered=found.redelivered,
            sent_at=_time(found.sent_at),
        )


class Messages(BaseModel):
    """Messages for a session, the oldest first."""

    session_name: str
    messages: list[Message]
    acknowledged: Annotated[int, Field(description="how many this call said were acted on")]
    next_step: str


class Outcome(BaseModel):
    """How a task was typed into a worker's window."""

    window: str
    task_id: Annotated[str, Field(description="the id that its answers carry; poll_task takes it")]
    outcome: Annotated[str, Field(description="submitted or acknowledged; typed: not confirmed")]
    reason: str | None


class Answer(BaseModel):
    """One answer of a worker to its task."""

    marker: Annotated[str, Field(description="ACK, WAIT, HELP, DONE or ERROR")]
    text: Framed | None
    flags: list[str]


class Answers(BaseModel):
    """What a worker answered to a task, oldest first."""

    window: str
    task_id: str
    ended: Annotated[bool, Field(description="it is over: DONE or ERROR")]
    answers: list[Answer]


class Worker(BaseModel):
    """A window of the swarm."""

    window: str
    state: Annotated[str, Field(description="idle, draft, busy, waiting, error, gone or unknown")]
    says: Framed | None


class Workers(BaseModel):
    """The windows of a swarm."""

    tmux_session: str
    workers: list[Worker]


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
