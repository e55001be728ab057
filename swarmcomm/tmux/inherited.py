"""What a session inherits that another session starts: the variables of a list, and no others."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmcomm.tmux.server import Server

#: A name that tmux takes: the rest are lines of a value that has several.
_VARIABLE = re.compile(r"[A-Za-z_][^\s=;]*")

#: Variables that one tmux command takes away: it takes some 16,000 bytes.
_NAMES_AT_ONCE = 50


def kept(server: Server, keep: tuple[str, ...]) -> dict[str, str]:
    """Return those variables of this process with which *server* may begin.

    They are the names in *keep*; a "*" at the end stands for anything.
    """
    # Without a name of a socket the server is the one that TMUX names.
    names = keep if server.socket_name else (*keep, "TMUX")
    return {name: value for name, value in os.environ.items() if _is_kept(name, names)}


def take_away(server: Server, session_id: str, own: set[str], keep: tuple[str, ...]) -> None:
    """Take from all windows to come of a session what is neither its *own* nor in *keep*.

    Raises:
        TmuxError: tmux could not be asked.
    """
    found = [server.ask("show-environment", *words) for words in (("-g",), ("-t", session_id))]
    names = {line.partition("=")[0] for said in found for line in said.splitlines() if "=" in line}
    gone = [each for each in names - own if _VARIABLE.fullmatch(each) and not _is_kept(each, keep)]
    for at in range(0, len(gone), _NAMES_AT_ONCE):
        words: list[str] = []
        for name in gone[at : at + _NAMES_AT_ONCE]:
            words += ["set-environment", "-t", session_id, "-r", name, ";"]
        server.ask(*words)


def _is_kept(name: str, keep: tuple[str, ...]) -> bool:
    return any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in keep)
