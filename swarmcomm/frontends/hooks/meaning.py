"""What an event of the agent says of its session. Nothing is read or written here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from swarmcomm import protocol
from swarmcomm.protocol.grammar import byte_length, cut
from swarmcomm.sessions.model import ENDS, Details, Report, SessionStatus, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    Found: TypeAlias = Iterator[tuple[Status, Details]]

#: What the master is told of.
_NEWS = frozenset({Status.BLOCKED, *ENDS})

_STATUS_OF = {
    "DONE": Status.COMPLETED,
    "ERROR": Status.ERROR,
    "WAIT": Status.BLOCKED,
    "HELP": Status.BLOCKED,
}

#: Keys of details that are the hooks' own: nobody else's words are replaced by them.
_WAITS, _TOOL, _SAID = "waits_for", "tool", "said"

#: Events behind which a session works, and statuses that nothing of it has followed yet.
_BEGINS = ("SessionStart", "UserPromptSubmit", "PostToolBatch")
_AT_FIRST = (Status.UNKNOWN, Status.STARTING, Status.STARTED)

#: Starts of a session that begin nothing anew.
_SAME_SESSION = ("clear", "compact")

#: The end of a session behind which it goes on.
_GOES_ON = ("clear", "resume")

#: What a tool was asked to do, by the first of these that it was given.
_ASKED = ("command", "file_path", "url", "pattern", "prompt", "description")

#: Bytes of what a tool was asked, and columns of a row that nothing wrapped.
_ASKED_BYTES = 400
_WIDTH = 1_000_000_000


def reports(
    told: dict[str, Any],
    was: SessionStatus,
    since_s: float,
    tools: int,
    interval_s: float,
    is_late: bool = False,
) -> list[Report]:
    """Return what is to be reported of a session that *was* so for *since_s* seconds.

    *told* is a hook's input, *tools* how many tools ran in this turn. *is_late*: its agent went on
    before this, and may have told more since.
    """
    event = str(told.get("hook_event_name"))
    if is_late and event in _BEGINS and was.status not in _AT_FIRST:
        return []
    if event == "PostToolBatch":
        found = _tool(told, was, since_s, tools, interval_s)
    elif event in _OF_EVENT and (not told.get("agent_id") or event in _ALSO_OF_OTHERS):
        found = _OF_EVENT[event](told, was)
    else:
        return []
    return [
        Report(
            was.session_name,
            status,
            details=details,
            news=_news(status, details) if status in _NEWS else None,
        )
        for status, details in found
    ]


def _start(told: dict[str, Any], was: SessionStatus) -> Found:
    source = _words(told, "source")
    if source in _SAME_SESSION:
        return
    if was.status in (Status.WORKING, Status.BLOCKED):  # it was killed
        yield Status.STARTING, None
    yield Status.STARTED, {"source": source}


def _prompt(_told: dict[str, Any], was: SessionStatus) -> Found:
    if was.status in ENDS:
        yield Status.STARTED, None
    if was.status is not Status.WORKING:
        yield Status.WORKING, None


def _tool(
    told: dict[str, Any], was: SessionStatus, since_s: float, tools: int, interval_s: float
) -> Found:
    if was.status in ENDS or (was.status is Status.BLOCKED and not _is_ours(was.details, _WAITS)):
        return  # the agent said so itself, perhaps with one of these tools
    if was.status is Status.WORKING and since_s < interval_s:
        return
    calls = told.get("tool_calls")
    name = _words(calls[-1], "tool_name") if isinstance(calls, list) and calls else ""
    details: dict[str, Any] = {_TOOL: name, "tools": tools}
    if was.status is Status.WORKING and was.details is not None:
        said: object = was.details
        if isinstance(said, dict) and _TOOL in said:
            said = said.get(_SAID)
        details |= {_SAID: said} if said is not None else {}
    if byte_length(json.dumps(details, ensure_ascii=False)) > protocol.DESCRIPTION_MAX_BYTES:
        return  # its own words fill all the room that there is
    yield Status.WORKING, details


def _permission(told: dict[str, Any], was: SessionStatus) -> Found:
    if was.status not in ENDS:
        details = {_WAITS: "permission", _TOOL: _words(told, "tool_name"), "asks": _asked(told)}
        yield Status.BLOCKED, details


def _notification(told: dict[str, Any], was: SessionStatus) -> Found:
    kind = _words(told, "notification_type")
    waits_for = {"permission_prompt": "permission"}.get(kind, "input")
    known = kind in ("permission_prompt", "agent_needs_input", "idle_prompt")
    if known and was.status not in (*ENDS, Status.BLOCKED):
        yield Status.BLOCKED, {_WAITS: waits_for, "message": _words(told, "message")}


def _stop(told: dict[str, Any], was: SessionStatus) -> Found:
    text = _words(told, "last_assistant_message")
    task_id = was.task_id
    marker, said = _answer(text, task_id) if task_id else (None, "")
    if was.status in ENDS:
        return
    if marker is not None:
        yield _STATUS_OF[marker], said or text or None
    elif was.status is Status.WORKING and text:
        yield Status.WORKING, text


def _failure(told: dict[str, Any], was: SessionStatus) -> Found:
    if was.status not in ENDS:
        said = (_words(told, key) for key in ("error", "error_details", "last_assistant_message"))
        yield Status.ERROR, ": ".join(dict.fromkeys(filter(None, said))) or "the agent failed"


def _end(told: dict[str, Any], was: SessionStatus) -> Found:
    reason = _words(told, "reason")
    if reason not in _GOES_ON and was.status not in ENDS:
        yield Status.TERMINATED, {"reason": reason}


_OF_EVENT = {
    "SessionStart": _start,
    "UserPromptSubmit": _prompt,
    "PermissionRequest": _permission,
    "Notification": _notification,
    "Stop": _stop,
    "StopFailure": _failure,
    "SessionEnd": _end,
}

#: What a person is asked by an agent that the session's own agent started.
_ALSO_OF_OTHERS = ("PermissionRequest", "Notification")


def _answer(text: str, task_id: str) -> tuple[str | None, str]:
    """Return marker and text of the answer to the session's own task: its end, or what it needs."""
    found = [
        answer
        for answer in protocol.read(text, None, _WIDTH).answers
        if answer.wire_id.task_id == task_id and answer.marker in _STATUS_OF
    ]
    ends = [answer for answer in found if answer.marker in protocol.ENDS]
    for answer in (*ends[:1], *found[-1:]):
        return str(answer.marker), answer.text
    return None, ""


def _is_ours(details: Details, key: str) -> bool:
    return isinstance(details, dict) and key in details


def _news(status: Status, details: Details) -> str:
    """Return what the master is told, as text that may be sent."""
    said = details
    if isinstance(details, dict):
        said = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in details.items())
    text = f"{status}: {said}" if said else str(status)
    return protocol.neutralise(cut(text, protocol.TEXT_MAX_BYTES))


def _asked(told: dict[str, Any]) -> str:
    given = told.get("tool_input")
    if isinstance(given, dict):
        given = next((given[key] for key in _ASKED if isinstance(given.get(key), str)), given)
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return cut(_whole(text), _ASKED_BYTES)


def _words(told: Any, key: str) -> str:
    """Return a text of the input; "" where it has none."""
    found = told.get(key) if isinstance(told, dict) else None
    return cut(_whole(found), protocol.TEXT_MAX_BYTES) if isinstance(found, str) else ""


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
