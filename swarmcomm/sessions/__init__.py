"""The session layer: master and child sessions that report, ask and are told things.

>>> from swarmcomm import Coordinator                                 # doctest: +SKIP
>>> with Coordinator.attach() as coordinator:                         # doctest: +SKIP
...     coordinator.register_session_relationship(
...         "master_project_web", "child_web_task_3", "3", "web"
...     )
...     coordinator.report_session_status("child_web_task_3", "WORKING", 40, "tests run")
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from swarmcomm import settings
from swarmcomm.errors import AnotherSessionError, InvalidInputError, StoreError
from swarmcomm.sessions import messages, registry
from swarmcomm.sessions.identity import identify
from swarmcomm.sessions.model import (
    ENDS,
    NEXT,
    Details,
    Message,
    MessageState,
    MessageType,
    Outgoing,
    Relationship,
    Report,
    SessionStatus,
    Status,
)
from swarmcomm.sessions.names import SessionName, child_name, master_name, parse
from swarmcomm.sessions.registry import read_details

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from types import TracebackType

    from swarmcomm.store import Store

__all__ = [
    "ENDS",
    "NEXT",
    "Coordinator",
    "Details",
    "Message",
    "MessageState",
    "MessageType",
    "Outgoing",
    "Relationship",
    "Report",
    "SessionName",
    "SessionStatus",
    "Status",
    "child_name",
    "master_name",
    "parse",
    "read_details",
]


class Coordinator:
    """The sessions of one state folder: who there is, what each does, what they tell each other.

    Each change is one transaction with the event that tells of it to ``Swarm.watch``. Any number
    of threads may use one object, any number of processes one folder, each with an object of its
    own. A call that changes something blocks up to STORE_BUSY_S seconds for others that write.

    Where it is bound to a session (:meth:`attach`), it speaks and reads as that one alone; it
    may ask for the status of all.

    Each method raises SessionNameError (2) for a name that is none, SessionNotRegisteredError (3),
    AnotherSessionError (5) where it is bound to another session, and StoreError (5) where the
    store cannot be used; nothing is changed then. The numbers are the exit statuses.
    """

    def __init__(self, store: Store, swarm: str, bound: str | None = None) -> None:
        """Take what :meth:`attach` found: a store, the tmux session whose watchers are told."""
        self._store = store
        self._swarm = swarm
        self._bound = str(parse(bound)) if bound else None
        self._reader = messages.Reader(os.urandom(8).hex())

    @classmethod
    def attach(
        cls, environ: Mapping[str, str] = os.environ, as_session: str | None = None
    ) -> Coordinator:
        """Return the coordinator of the state folder that *environ* gives; it is made if missing.

        It is bound to *as_session*, or to the session that *environ* is of: see
        :func:`swarmcomm.sessions.identity.identify`; to none where that is none.

        Raises:
            SessionNameError: the session to bind to has no name of ours.
            InvalidInputError: a variable of *environ* cannot be used.
            StoreError: the store cannot be used.
        """
        from swarmcomm.store import Store

        own = None if as_session else identify(environ)
        bound = as_session or (str(own.name) if own else None)
        if bound:
            parse(bound)
        found = settings.from_environment(environ)
        if found.state is None:
            raise StoreError(
                "there is no folder for the store: HOME is not set; set SWARM_STATE_DIR to a folder"
                " of yours"
            )
        return cls(Store.open(found.state), found.session, bound)

    def __enter__(self) -> Coordinator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def session_name(self) -> str | None:
        """Return the session that it is bound to; None: none."""
        return self._bound

    @property
    def note(self) -> str:
        """Return what a person should know about where the store is, on one line; or ""."""
        return self._store.note

    def register_session_relationship(
        self, parent_session: str, child_session: str, task_id: str, project_id: str
    ) -> Relationship:
        """Register a master session and a child of it, and return the relation.

        What is registered already stays as it is. Either of the two may do it.

        Raises:
            UnknownRelationError: they are not of one project.
            InvalidInputError: the ids are not those in the names.
        """
        master, child = registry.related(parent_session, child_session, task_id, project_id)
        if self._bound not in (None, str(master), str(child)):
            self._check(str(master), "register children of")
        return registry.register(self._store, self._swarm, master, child)

    def register_session(self, session_name: str) -> SessionStatus:
        """Register a session and, where it is a child, its master; return what it is now.

        What is registered already stays as it is. A master may register its children.
        """
        name = parse(session_name)
        if self._bound != str(name.master):
            self._check(str(name), "register")
        with self._store.writing() as change:
            registry.add(change, self._swarm, name)
            return registry.one(change.execute, name)

    def report_session_status(
        self,
        session_name: str,
        status: str,
        progress: int | None = None,
        details: Details = None,
    ) -> SessionStatus:
        """Store what a session says it does, and return what it is now.

        *progress* is 0 to 100; None leaves it as it is, but a completed session has 100 and one
        that starts again 0. *details* are text or an object of JSON, up to 65,536 bytes, stored
        whole; None keeps them while the status stays the same. The same report once more changes
        nothing.

        Raises:
            InvalidInputError: the status is none.
            ProgressError: the progress is no whole number from 0 to 100.
            WrongStatusError: the status cannot follow the one that the session has.
            TextTooLongError: the details are too long.
        """
        return self.report_many([Report(session_name, status, progress, details)])[0]

    def report_many(self, reports: Iterable[Report]) -> list[SessionStatus]:
        """Store all of *reports* in their order, or none; else as :meth:`report_session_status`."""
        return [now for _, now in self.report_changes(reports)]

    def report_changes(
        self, reports: Iterable[Report]
    ) -> list[tuple[SessionStatus, SessionStatus]]:
        """Store as :meth:`report_many`; return what each session was just before, and is now.

        Of many that report the same at once, one has changed the status.
        """
        all_reports = list(reports)
        checked = [registry.check_report(report) for report in all_reports]
        for name, *_ in checked:
            self._check(str(name), "report as")
        news = [_news(report) for report in all_reports]
        if not checked:
            return []
        found = []
        with self._store.writing() as change:
            for each, told in zip(checked, news, strict=True):
                was = registry.one(change.execute, each[0])
                now = registry.report(change, self._swarm, *each)
                if told and now.status is not was.status:
                    messages.send(change, self._swarm, told, messages.check_outgoing(told))
                found.append((was, now))
        return found

    def get_child_sessions(self, parent_session: str) -> list[SessionStatus]:
        """Return the children of a master, in the order in which they were registered."""
        return registry.children(self._store, parse(parent_session))

    def query_session_status(self, session_name: str | None = None) -> list[SessionStatus]:
        """Return what a session said last, or all did, in the order of their registration."""
        if session_name is None:
            return registry.everyone(self._store)
        return [registry.one(self._store.rows, parse(session_name))]

    def send_message_to_session(
        self,
        from_session: str,
        to_session: str,
        message: str,
        message_type: str | None = None,
        reply_to: int | None = None,
        expires_s: float | None = None,
    ) -> Message:
        """Leave a message for a session, and return it; its reader gets it at least once.

        From a master to its child it is an INSTRUCTION (as without a type), a QUERY or a
        STATUS_REQUEST, and from a child to its master a RESPONSE, with the id of what it answers
        in *reply_to* where it answers something. It waits *expires_s* seconds, a week if not
        said. The text may be 65,000 bytes long.

        Raises:
            UnknownRelationError: they are not a master and its child.
            InvalidInputError: type, *reply_to* or *expires_s* cannot be used.
            RefusedError: the text is too long, or holds control characters.
        """
        out = Outgoing(from_session, to_session, message, message_type, reply_to, expires_s)
        return self.send_many([out])[0]

    def send_many(self, outgoing: Iterable[Outgoing]) -> list[Message]:
        """Leave all of *outgoing* in their order, or none; as :meth:`send_message_to_session`."""
        all_out = list(outgoing)
        checked = [messages.check_outgoing(out) for out in all_out]
        for sender, *_ in checked:
            self._check(str(sender), "send as")
        if not checked:
            return []
        with self._store.writing() as change:
            return [
                messages.send(change, self._swarm, *each)
                for each in zip(all_out, checked, strict=True)
            ]

    def get_session_messages(
        self, session_name: str, limit: int = settings.MESSAGES_AT_ONCE
    ) -> list[Message]:
        """Return the next messages to a session, at most *limit*, in the order of their sending.

        They are this reader's now: nobody is given them again until this object is closed, its
        process has ended, or LEASE_S seconds have passed without :meth:`acknowledge_messages`;
        then they come again with ``redelivered``. Does not wait for any.

        Raises:
            InvalidInputError: *limit* is not 1 or more.
        """
        self._check(str(parse(session_name)), "read the messages of")
        name = parse(session_name)
        return self._reader.take(self._store, self._swarm, name, _limit(limit))

    def acknowledge_messages(self, session_name: str, ids: Iterable[int]) -> int:
        """Store that a session has acted on these; return how many are acknowledged only now.

        Raises:
            InvalidInputError: one is no message to it, or was never given out; none is stored.
        """
        self._check(str(parse(session_name)), "acknowledge for")
        wanted = list(ids)
        with self._store.writing() as change:
            return messages.acknowledge(change, self._swarm, parse(session_name), wanted)

    def message_history(
        self, session_name: str | None = None, limit: int = settings.MESSAGES_AT_ONCE
    ) -> list[Message]:
        """Return the newest messages from and to a session, or of all, by id; takes none of them.

        Each says in ``state`` whether it waits, is with its reader, was acknowledged or expired.
        """
        session_name = session_name or self._bound
        if session_name is None:
            return messages.history(self._store, None, _limit(limit))
        name = parse(session_name)
        self._check(str(name), "read the messages of")
        registry.check_registered(self._store.rows, name)
        return messages.history(self._store, name, _limit(limit))

    def forget(self, before: datetime) -> int:
        """Remove what is over since a time before *before*; return how many sessions that were.

        Those are child sessions that are COMPLETED, in ERROR or TERMINATED, and have no message
        that waits; masters without children; their messages, and all others that were
        acknowledged or have expired. Nothing else ever removes any. Events are removed by
        ``swarmcomm events --prune``.
        """
        with self._store.writing() as change:
            return registry.forget(change, self._swarm, before)

    def close(self) -> None:
        """Give back what was not acknowledged and close the store; nothing else may be called.

        Raises nothing: what cannot be given back now is when this process has ended.
        """
        with suppress(StoreError):
            self._reader.close(self._store)
        self._store.close()

    def _check(self, name: str, what: str) -> None:
        if self._bound not in (None, name):
            raise AnotherSessionError(
                f"you are {self._bound} and cannot {what} {name}; use your own name"
            )


def _news(report: Report) -> Outgoing | None:
    """Return the message that goes with *report* from a child to its master."""
    name = parse(report.session_name)
    if report.news is None or name.is_master:
        return None
    news = Outgoing(str(name), str(name.master), report.news)
    messages.check_outgoing(news)
    return news


def _limit(limit: int) -> int:
    if type(limit) is not int or limit < 1:
        raise InvalidInputError(f"limit {str(limit)[:80]!r} cannot be used; give 1 or more")
    return min(limit, 2**31)
