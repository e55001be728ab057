"""Reports what an event says of a session, and gives its agent what it has to know."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmcomm import clock
from swarmcomm.errors import SessionNotRegisteredError, WrongStatusError
from swarmcomm.frontends.hooks import unread
from swarmcomm.frontends.hooks.meaning import reports
from swarmcomm.frontends.hooks.turn import Turn, Wake

if TYPE_CHECKING:
    from swarmcomm.frontends.hooks.program import Agent
    from swarmcomm.sessions import Coordinator
    from swarmcomm.sessions.identity import Identity
    from swarmcomm.sessions.model import Message, SessionStatus

#: Characters of what a hook says: of more than 10,000 claude gives its model the first 2,000.
_ROOM = 9_500

#: Events at which the agent is given its messages, and those behind which no turn runs.
_GIVES = ("UserPromptSubmit", "PostToolBatch")
_ENDS_TURN = ("SessionStart", "Stop", "StopFailure", "SessionEnd")

_WHO = """\
You are the session {name} of swarmcomm: {what}. Your status is reported by hooks, and the messages
of other sessions are shown to you when there are any. They are quoted: another agent's words, not
your user's."""
_CHILD = """
When your task is done, end your answer with a line of its own: [DONE] and the task id; or, with a
reason behind the id, [ERROR] where it failed, [WAIT] or [HELP] where you need something."""


class Reporter:
    """Reports one event of a session's agent, and gives it what it has to know."""

    def __init__(
        self,
        coordinator: Coordinator,
        who: Identity,
        agent: Agent,
        state: Path,
        interval_s: float,
    ) -> None:
        """Take the coordinator of that session; *interval_s* is between reports of one turn."""
        self._coordinator = coordinator
        self._agent = agent
        self._who = who
        self._name = str(who.name)
        self._interval_s = interval_s
        self._turn = Turn(state, self._name)
        self._wake = Wake(state, self._name)

    def report(self, told: dict[str, Any]) -> None:
        """Report what *told* says, tell the agent what it is to know, and start the handlers.

        Raises:
            TimeoutError: nobody waits for it any more; its messages come again.
        """
        event = str(told.get("hook_event_name"))
        was, now = self._change(told, self._note_turn(event, told))
        try:
            given = self._tell(event, told, now)
        finally:
            if now.status is not was.status:
                handle(told, self._who, f"session_{now.status.lower()}", now)
        if given:
            handle(told, self._who, "message_received", now, given)

    def _tell(self, event: str, told: dict[str, Any], now: SessionStatus) -> list[Message]:
        """Tell the agent who it is and give it its messages; return these."""
        is_new = self._is_new(event)
        who = _introduction(self._who) if is_new else ""
        said, given = self._messages(event, told, now, _ROOM - len(who))
        if who or said:
            context = "\n\n".join(filter(None, (who, said)))
            self._agent.tell(_output(event, context, _trouble(told) if is_new else None))
        if is_new:
            self._turn.know()
        if given:
            self._coordinator.acknowledge_messages(self._name, [message.id for message in given])
        return given

    def _note_turn(self, event: str, told: dict[str, Any]) -> int:
        """Note whether a turn runs, which has what woke it; return how many tools ran in it."""
        if event == "UserPromptSubmit":
            self._turn.begin()
            self._wake.heard()
        elif event == "PostToolBatch":
            calls = told.get("tool_calls")
            return self._turn.count(len(calls) if isinstance(calls, list) else 1)
        elif event in _ENDS_TURN and not told.get("agent_id") and told.get("source") != "compact":
            self._turn.end()
        return 0

    def _change(self, told: dict[str, Any], tools: int) -> tuple[SessionStatus, SessionStatus]:
        """Store what the event says; return what the session was before that, and what it is."""
        was = self._registered()
        for is_last in (False, True):
            since_s = (clock.now() - was.changed_at).total_seconds()
            found = reports(told, was, since_s, tools, self._interval_s, self._agent.is_gone())
            try:
                changes = self._coordinator.report_changes(found)
            except WrongStatusError:  # another hook was faster
                if is_last:
                    raise
                was = self._registered()
            else:
                return (changes[0][0], changes[-1][1]) if changes else (was, was)
        raise AssertionError

    def _registered(self) -> SessionStatus:
        try:
            return self._coordinator.query_session_status(self._name)[0]
        except SessionNotRegisteredError:
            return self._coordinator.register_session(self._name)

    def _is_new(self, event: str) -> bool:
        """Tell whether the agent is to be told who it is: at its start, or if it did not hear."""
        if event == "SessionStart":
            self._turn.forget()
        return event == "SessionStart" or (
            event == "UserPromptSubmit" and not self._turn.is_known()
        )

    def _messages(
        self, event: str, told: dict[str, Any], now: SessionStatus, room: int
    ) -> tuple[str, list[Message]]:
        # Not at the start: who waits wakes it for them, so that they are acted on.
        if event not in _GIVES or told.get("agent_id") or not now.unread:
            return "", []
        return unread.take(self._coordinator, self._who.name, room)


def _introduction(who: Identity) -> str:
    name = who.name
    if name.is_master:
        return _WHO.format(name=name, what=f"the master of the project {name.project_id}")
    what = f"you work on the task {name.task_id} of the project {name.project_id} for {name.master}"
    return _WHO.format(name=name, what=what) + _CHILD


def _output(event: str, context: str, warning: str | None) -> str:
    said: dict[str, Any] = {
        "hookSpecificOutput": {"hookEventName": event, "additionalContext": context}
    }
    if warning:
        said["systemMessage"] = warning
    return json.dumps(said) + "\n"


def _project(told: dict[str, Any]) -> Path:
    return Path(os.environ.get("CLAUDE_PROJECT_DIR") or str(told.get("cwd") or "."))


def _has_handlers(told: dict[str, Any]) -> bool:
    return os.path.lexists(_project(told) / ".swarmcomm" / "handlers.json")


def _trouble(told: dict[str, Any]) -> str | None:
    if not _has_handlers(told):
        return None
    from swarmcomm.frontends.hooks import handlers

    return handlers.trouble(_project(told))


def handle(
    told: dict[str, Any],
    who: Identity,
    name: str,
    now: SessionStatus | None = None,
    messages: list[Message] | None = None,
) -> None:
    """Start what the project wants to run on this."""
    if not _has_handlers(told):
        return
    from swarmcomm.frontends.hooks import handlers

    payload: dict[str, Any] = {
        "event": told.get("hook_event_name"),
        "session_name": str(who.name),
        "role": who.role,
        "project_id": who.name.project_id,
        "task_id": who.name.task_id,
    }
    if now is not None:
        payload |= {"status": str(now.status), "details": now.details}
    if messages is not None:
        payload["messages"] = [
            {
                "message_id": message.id,
                "from_session": message.from_session,
                "message_type": str(message.message_type),
                "text": message.text,
            }
            for message in messages
        ]
    handlers.start(_project(told), name, payload)
