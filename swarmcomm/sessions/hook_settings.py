"""The hooks with which a session of claude reports by itself, as its settings name them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from swarmcomm.sessions.names import SessionName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarmcomm.sessions.identity import Identity

#: What runs, by event: ``{"Stop": [{"hooks": [handler, ...]}, ...]}``.
Hooks: TypeAlias = dict[str, list[dict[str, Any]]]

#: Events that are reported, and those from which on somebody waits for messages.
REPORT_ON = (
    "SessionStart",
    "UserPromptSubmit",
    "PostToolBatch",
    "PermissionRequest",
    "Notification",
    "Stop",
    "StopFailure",
    "SessionEnd",
)
WAIT_ON = ("SessionStart", "UserPromptSubmit", "Stop")

#: Seconds that claude gives a report, which ends sooner by itself, and who waits: eleven days.
REPORT_S = 5
WAIT_S = 1_000_000

#: Status of the program where a message came; Python itself ends with 2 where there is no program.
WAKE_STATUS = 42

#: The shells are there for the day when Python or the program is gone: the agent never hears of it.
RUN = '"$0" -I -S "$@" 2>/dev/null || :'
WAIT = f'"$0" -I -S "$@" --agent "$PPID"; [ $? = {WAKE_STATUS} ] && exit 2; exit 0'

#: The same for the program on the PATH, in sessions that are ours. A PROJECT_ID alone says nothing:
#: others give theirs that name too.
_BESIDE = "$SESSION_ROLE$TASK_ID$MASTER_SESSION_ID"
_OURS = f'[ -n "$SWARM_SESSION_NAME${{PROJECT_ID:+{_BESIDE}}}" ] || exit 0; '
RUN_INSTALLED = f'{_OURS}swarmcomm-hook "$@" 2>/dev/null || :'
WAIT_INSTALLED = (
    f'{_OURS}swarmcomm-hook "$@" --agent "$PPID"; [ $? = {WAKE_STATUS} ] && exit 2; exit 0'
)

#: How claude tells of a message to an agent that is idle.
_REWAKE = {
    "rewakeSummary": "message of another session",
    "rewakeMessage": "Through swarmcomm, not from your user:",
}

PROGRAM = Path(__file__).parents[1] / "frontends" / "hooks" / "program.py"

_PLACE = "/swarmcomm/frontends/hooks/program.py"


def hooks(python: str, program: str, words: Sequence[str] = ()) -> Hooks:
    """Return the value of ``hooks`` in settings, for *python* and *program* by absolute paths.

    *words* say which session this is, where the environment does not: see :func:`words`.
    """
    return _hooks((RUN, python, program), (WAIT, python, program), words)


def own_hooks(words: Sequence[str] = ()) -> Hooks:
    """Return :func:`hooks` for the Python that runs this, and the program beside it."""
    return hooks(sys.executable, str(PROGRAM), words)


def own_settings() -> dict[str, Any]:
    """Return the settings that a session of ours is started with.

    What the file of the handlers names is run without asking, and a file of permissions says what
    sessions may: its agent may not write there.
    """
    deny = ["Edit(.swarmcomm/**)", "Edit(~/.config/swarmcomm/**)"]
    return {"hooks": own_hooks(), "permissions": {"deny": deny}}


def plugin_hooks() -> Hooks:
    """Return the same for ``swarmcomm-hook`` on the PATH; nothing is run in sessions of others."""
    return _hooks((RUN_INSTALLED, "sh"), (WAIT_INSTALLED, "sh"), ())


def words(identity: Identity, interval_s: float | None = None) -> list[str]:
    """Return what tells the program who its session is, and how often it reports progress."""
    name = identity.name
    said = ["--project-id", name.project_id, "--role", identity.role]
    said += ["--task-id", name.task_id] if name.task_id is not None else []
    said += ["--master-session-id", str(name.master)]
    return said + (["--interval", f"{interval_s:g}"] if interval_s is not None else [])


def is_ours(handler: Mapping[str, Any]) -> bool:
    """Tell whether a handler of settings runs the program, wherever that was installed."""
    return program_of(handler) is not None


def program_of(handler: Mapping[str, Any]) -> tuple[str, str, list[str]] | None:
    """Return Python, program and the further words of a handler of ours; None of another."""
    args = handler.get("args")
    if not isinstance(args, list) or not all(isinstance(word, str) for word in args):
        return None
    place = next((at for at, word in enumerate(args) if word.endswith(_PLACE)), 0)
    return (args[place - 1], args[place], args[place + 1 :]) if place else None


def session_of(handler: Mapping[str, Any]) -> str:
    """Return the name of the session that a handler of ours is for, as far as it says one."""
    _, _, words = program_of(handler) or ("", "", [])
    said = dict(zip(words[1::2], words[2::2], strict=False))
    project, task = said.get("--project-id"), said.get("--task-id")
    if project is None:
        return "whom the environment names"
    return str(SessionName(project, task))


def _hooks(report: tuple[str, ...], wait: tuple[str, ...], words: Sequence[str]) -> Hooks:
    def command(start: tuple[str, ...], verb: str, **more: object) -> dict[str, Any]:
        args = ["-c", *start, verb, *words]
        return {"type": "command", "command": "/bin/sh", "args": args, **more}

    reporter = command(report, "report", timeout=REPORT_S)
    waiter = command(wait, "wait", asyncRewake=True, timeout=WAIT_S, **_REWAKE)
    return {
        event: [{"hooks": [reporter, waiter] if event in WAIT_ON else [reporter]}]
        for event in REPORT_ON
    }
