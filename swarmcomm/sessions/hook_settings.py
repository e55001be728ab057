"""The hooks with which a session of claude reports by itself, as its settings name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What runs, by event: ``{"Stop": [{"hooks": [handler, ...]}, ...]}``.
Hooks: TypeAlias = dict[str, list[dict[str, Any]]]

#: How the path of the program ends, wherever it is installed.
PROGRAM = "/swarmcomm/frontends/hooks/program.py"

#: Event and seconds that claude gives the program, which itself ends sooner.
_EVENTS = {
    "SessionStart": 10,
    "UserPromptSubmit": 10,
    "PostToolBatch": 10,
    "PermissionRequest": 10,
    "Notification": 10,
    "Stop": 10,
    "StopFailure": 10,
    "SessionEnd": 10,
}

#: The shell is there for the day when Python or the program is gone: the agent never hears of it.
_RUN = '[ -r "$1" ] || exit 0; "$0" -I -S "$@" 2>/dev/null || :'


def hooks(python: str, program: str, words: Sequence[str] = ()) -> Hooks:
    """Return the value of ``hooks`` in settings, for *python* and *program* by absolute paths.

    *words* follow the event in the program's arguments and say which session this is, where the
    environment does not.
    """
    return {
        event: [
            {
                "hooks": [
                    {
                        "type": "command",
                        "command": "/bin/sh",
                        "args": ["-c", _RUN, python, program, event, *words],
                        "timeout": timeout_s,
                    }
                ]
            }
        ]
        for event, timeout_s in _EVENTS.items()
    }


def is_ours(handler: Mapping[str, Any]) -> bool:
    """Tell whether a handler of settings runs the program, wherever it was installed."""
    words = handler.get("args")
    return isinstance(words, list) and any(
        isinstance(word, str) and word.endswith(PROGRAM) for word in words
    )
