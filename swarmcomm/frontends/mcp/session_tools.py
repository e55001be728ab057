"""The six tools of the session layer, thin over a Coordinator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio
from anyio import to_thread
from pydantic import BeforeValidator, Field

from swarmcomm.frontends.mcp.shown import Message, Messages, Registered, Sent, Status, Statuses
from swarmcomm.sessions import read_details
from swarmcomm.sessions.model import MessageType
from swarmcomm.sessions.model import Status as SessionState

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmcomm.sessions import Coordinator

T = TypeVar("T")

#: Messages that one call returns: a model reads all of them at once.
MESSAGES_AT_ONCE = 10


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")  # pydantic wants this one
    return value


Whole = Annotated[int, BeforeValidator(_number)]

_FORMS = "master_project_{PROJECT_ID} or child_{PROJECT_ID}_task_{TASK_ID}"
Name = Annotated[str, Field(description=f"{_FORMS}")]
Own = Annotated[str, Field(description=f"your own session: {_FORMS}")]


class SessionTools:
    """Tools over one registry, opened when the first of them is called."""

    def __init__(self, attach: Callable[[], Coordinator]) -> None:
        """Take what opens the registry."""
        self._attach = attach
        self._coordinator: Coordinator | None = None
        # One after the other, in the order in which they were called.
        self._turn = anyio.CapacityLimiter(1)

    def close(self) -> None:
        """Close the registry, where it is open; the next call opens it again."""
        coordinator, self._coordinator = self._coordinator, None
        if coordinator is not None:
            coordinator.close()

    async def register_session_relationship(
        self,
        parent_session: Annotated[str, Field(description="master_project_{PROJECT_ID}")],
        child_session: Annotated[str, Field(description="child_{PROJECT_ID}_task_{TASK_ID}")],
        task_id: Annotated[str, Field(description="the TASK_ID in child_session")],
        project_id: Annotated[str, Field(description="the PROJECT_ID in both names")],
    ) -> Registered:
        """Register a child session under its master: once, before either reports or writes.

        Doing it again changes nothing.
        """
        found = await self._call(
            lambda coordinator: coordinator.register_session_relationship(
                parent_session, child_session, task_id, project_id
            )
        )
        return Registered(**found.as_dict())

    async def report_session_status(
        self,
        session_name: Own,
        status: Annotated[
            str,
            Field(
                description="STARTED, WORKING, then COMPLETED or ERROR; BLOCKED while you wait",
                json_schema_extra={"enum": list(SessionState)},
            ),
        ],
        progress: Annotated[
            Whole | None,
            Field(
                description="percent that is done; left out: as it was",
                json_schema_extra={"minimum": 0, "maximum": 100},
            ),
        ] = None,
        details: Annotated[
            Any,
            Field(
                description="what you are doing or what went wrong; kept whole, up to 64 KiB",
                json_schema_extra={
                    "anyOf": [{"type": kind} for kind in ("string", "object", "null")]
                },
            ),
        ] = None,
    ) -> Status:
        """Report what your own session is doing, at each change and at the end.

        Reporting the same again changes nothing.
        """
        said = read_details(details) if isinstance(details, str) else details
        return Status.of(
            await self._call(
                lambda coordinator: coordinator.report_session_status(
                    session_name, status, progress, said
                )
            )
        )

    async def get_child_sessions(
        self, parent_session: Annotated[str, Field(description="master_project_{PROJECT_ID}")]
    ) -> Statuses:
        """List the child sessions of a master with what each reported last."""
        found = await self._call(lambda coordinator: coordinator.get_child_sessions(parent_session))
        return Statuses(sessions=[Status.of(one) for one in found])

    async def query_session_status(
        self, session_name: Annotated[str | None, Field(description="left out: all")] = None
    ) -> Statuses:
        """Return what a session reported last, or what every session did."""
        found = await self._call(lambda coordinator: coordinator.query_session_status(session_name))
        return Statuses(sessions=[Status.of(one) for one in found])

    async def send_message_to_session(
        self,
        from_session: Own,
        to_session: Name,
        message: Annotated[str, Field(description="what to tell it; up to 65,000 bytes")],
        message_type: Annotated[
            str | None,
            Field(
                description="a master sends INSTRUCTION (the default), QUERY or STATUS_REQUEST; "
                "a child answers with RESPONSE (its default)",
                json_schema_extra={"enum": [*MessageType, None]},
            ),
        ] = None,
        reply_to: Annotated[
            Whole | None, Field(description="message_id of the message that this answers")
        ] = None,
    ) -> Sent:
        """Send a message between a master and its child; it is kept until its reader has it."""
        sent = await self._call(
            lambda coordinator: coordinator.send_message_to_session(
                from_session, to_session, message, message_type, reply_to
            )
        )
        return Sent(
            message_id=sent.id,
            to_session=sent.to_session,
            message_type=sent.message_type,
            expires_at=sent.expires_at.isoformat(timespec="milliseconds"),
        )

    async def get_session_messages(
        self,
        session_name: Own,
        acknowledge: Annotated[
            list[Whole] | None,
            Field(description="message_ids of earlier calls that you have acted on"),
        ] = None,
    ) -> Messages:
        """Read the messages for your own session, the oldest first.

        Each comes with every call, until one acknowledges it: act on it, then call this with its
        message_id in acknowledge. Its text is what another session wrote, not your user.
        """

        def read(coordinator: Coordinator) -> tuple[int, list[Message]]:
            done = coordinator.acknowledge_messages(session_name, acknowledge) if acknowledge else 0
            # A model may have forgotten what it read: another reader is given it at once.
            self.close()
            found = self._opened().get_session_messages(session_name, limit=MESSAGES_AT_ONCE)
            return done, [Message.of(one) for one in found]

        done, messages = await self._call(read)
        ids = [one.message_id for one in messages]
        step = f"act on these, then call again with acknowledge={ids}" if ids else "nothing waits"
        return Messages(
            session_name=session_name, messages=messages, acknowledged=done, next_step=step
        )

    async def _call(self, work: Callable[[Coordinator], T]) -> T:
        return await to_thread.run_sync(self._run, work, limiter=self._turn)

    def _run(self, work: Callable[[Coordinator], T]) -> T:
        return work(self._opened())

    def _opened(self) -> Coordinator:
        if self._coordinator is None:
            self._coordinator = self._attach()
        return self._coordinator
