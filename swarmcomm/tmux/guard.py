"""The guard: who asks for a new session, and whether a session of ours may have one.

A person is level 0, and what a person starts is level 1. Who is asked for is found from below: the
environment of this process, the environments of those that started it, and the options of the tmux
panes that they are in. What counts is the strictest of it, so that variables that are unset or set
anew help nobody.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmcomm import permissions
from swarmcomm.errors import InvalidInputError, NestingError, NotFoundError
from swarmcomm.tmux import ancestors
from swarmcomm.tmux.server import Reply, failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from swarmcomm.tmux.server import Server

#: Levels of sessions where nobody says otherwise: a master, and its children.
MAX_NESTING = 2

_LEVEL, _PARENT, _MAX = (
    "SPLITMIND_SESSION_LEVEL",
    "SPLITMIND_PARENT_SESSION",
    "SPLITMIND_MAX_NESTING",
)

_OUTSIDE = "report that to who gave you the task, or have a person start it from outside"

# Options may hold anything, and what stands between blanks is read.
_ROW = " ".join(
    [
        "#{pid} #{session_id} #{pane_id} #{pane_pid} #{?pane_dead,1,0}",
        *(
            "x#{s/[^A-Za-z0-9_.-]/?/:@swarm_" + name + "}"
            for name in ("level", "max_nesting", "role", "parent")
        ),
        "#{session_name}",
    ]
)


@dataclass(frozen=True)
class Row:
    """One pane of a server: whose it is, and what our options on it say."""

    server: str
    session_id: str
    pane: str
    pid: str
    dead: bool
    level: str
    max_nesting: str
    role: str
    parent: str
    session: str


@dataclass(frozen=True)
class Grant:
    """That a session may be started, and what it carries.

    *parent* is the session that starts it, "" for a person's; *children* how many that one may
    have, *sockets* where they are counted beside the server that it is made on.
    """

    level: int = 1
    parent: str = ""
    max_nesting: int = MAX_NESTING
    children: int = 0
    sockets: tuple[str, ...] = ()

    @property
    def is_persons(self) -> bool:
        """Return whether a person starts it."""
        return self.level == 1

    @property
    def variables(self) -> dict[str, str]:
        """Return what stands in its environment."""
        return {
            _LEVEL: str(self.level),
            _PARENT: self.parent,
            _MAX: str(self.max_nesting),
        }

    @property
    def options(self) -> dict[str, str]:
        """Return what tmux is told of it and of its panes."""
        return {
            "@swarm_level": str(self.level),
            "@swarm_parent": self.parent,
            "@swarm_max_nesting": str(self.max_nesting),
        }


@dataclass(frozen=True)
class _Sign:
    """What one environment or one pane says of who asks; a role of "" is none."""

    session: str
    level: int
    role: str
    max_nesting: int = MAX_NESTING


_NOBODY = _Sign("", 0, "")


def check(server: Server, environment: Mapping[str, str]) -> Grant:
    """Return what a session on *server* is granted that this process asks for.

    *environment* is what the caller says is its own. Some tmux calls; a person needs one or two.

    Raises:
        NestingError: this is a session of ours that may start no other one.
        PermissionsFileError: the file that says what it may cannot be trusted.
        InvalidInputError: a person's SPLITMIND_MAX_NESTING is no number.
        TmuxError: tmux could not be asked, so nobody knows who asks.
    """
    found = ancestors.environments()
    environs = [dict(os.environ), dict(environment), *found.values()]
    sockets = tuple(dict.fromkeys(each[0] for each in map(_tmux, environs) if each))
    rows = _rows(server, sockets)
    own = _own(rows, environs, set(map(str, found)))
    panes = [_of_pane(row) for row in own if row.level]
    ours = {id(each): sign for each in environs if (sign := _of_environment(each))}
    signs = [*panes, *ours.values()]
    if not signs:
        return _persons({**os.environ, **environment})
    # The nearest pane; without any, what the outermost program was told, which is hardest to forge.
    names = [*(pane.session for pane in panes), *(row.session for row in own)]
    session = names[0] if names else signs[-1].session
    level = max(sign.level for sign in signs) + 1
    limits = [_limit(each[_MAX]) for each in environs if each.get(_MAX)]
    limit = min([*limits, *(sign.max_nesting for sign in panes or [_NOBODY])])
    if level > limit:
        raise NestingError(
            f"{session} is at level {level - 1} of {limit}, and a session there may start no other"
            f" one; {_OUTSIDE}"
        )
    files = {permissions.file_of(each) for each in environs if id(each) in ours} or {_file()}
    roles = {permissions.role_of(sign.role) for sign in signs if sign.role}
    children = [
        _children(session, role, file)
        for role in sorted(roles or {permissions.SESSION})
        for file in files
    ]
    grant = Grant(level, session, limit, min(children), sockets)
    if len(_living(rows, grant)) >= grant.children:
        raise _too_many(grant)
    return grant


def check_again(server: Server, grant: Grant, session_id: str) -> None:
    """Accept the session that was made with *grant*: others may have been made at the same time.

    Raises:
        NestingError: it is one too many; it has to be ended.
        TmuxError: tmux could not be asked.
    """
    if grant.is_persons:
        return
    living = _living(_rows(server, grant.sockets), grant)
    here = server.ask("display-message", "-p", "#{pid}").strip()
    older = [each for each in living if each[0] != here or int(each[1][1:]) <= int(session_id[1:])]
    if len(older) > grant.children:
        raise _too_many(grant)


def _persons(environ: Mapping[str, str]) -> Grant:
    limit = _limit(environ.get(_MAX) or str(MAX_NESTING))
    if limit < 1:
        raise NestingError(f"{_MAX}={limit} allows no session at all; unset it, or set 1 or more")
    return Grant(max_nesting=limit)


def _children(session: str, role: str, file: Path | None) -> int:
    may = permissions.of(role, file)
    if not may.can_create_sessions:
        raise NestingError(
            f"{session} has the role {role}, which may start no session"
            f" (can_create_sessions in {file}); {_OUTSIDE}"
        )
    return may.max_child_sessions


def _too_many(grant: Grant) -> NestingError:
    return NestingError(
        f"{grant.parent} may have {grant.children} child sessions at a time and has them; end one"
        " that is done (max_child_sessions)"
    )


def _living(rows: Iterable[Row], grant: Grant) -> set[tuple[str, str]]:
    """Return the sessions, by server and id, that the parent has begun and in which one runs."""
    return {
        (row.server, row.session_id)
        for row in rows
        if row.level and row.parent == grant.parent and not row.dead
    }


def _own(rows: list[Row], environs: list[dict[str, str]], pids: set[str]) -> list[Row]:
    """Return the panes that this process is in: the nearest first, each once."""
    own: dict[tuple[str, str], Row] = {}
    places = [each for each in map(_tmux, environs) if each]
    for _, server, _, pane in places:
        own |= {(r.server, r.pane): r for r in rows if (r.server, r.pane) == (server, pane)}
    own |= {(r.server, r.pane): r for r in rows if r.pid in pids and not r.dead}
    if not own:
        for _, server, session_id, _ in places:
            own |= {
                (r.server, r.pane): r
                for r in rows
                if (r.server, r.session_id) == (server, session_id)
            }
    return list(own.values())


def _tmux(environ: Mapping[str, str]) -> tuple[str, str, str, str] | None:
    """Return socket, server, session and pane that *environ* names; None: no tmux."""
    parts = environ.get("TMUX", "").rsplit(",", 2)
    if len(parts) < 3 or not parts[0]:
        return None
    return parts[0], parts[1], f"${parts[2]}", environ.get("TMUX_PANE", "")


def _rows(server: Server, sockets: Iterable[str]) -> list[Row]:
    """Return the panes of *server* and of those at *sockets*, each once."""
    program = str(server.tmux_bin)
    asked = [server.argv(), *([program, "-u", f"-S{socket}"] for socket in sockets)]
    rows: dict[Row, None] = {}
    for words in asked:
        reply = Reply([*words, "list-panes", "-a", "-F", _ROW], server.deadline_s)
        if reply.returncode:
            error = failure("list-panes", " ".join(reply.stderr))
            if isinstance(error, NotFoundError):
                continue
            raise error
        rows |= dict.fromkeys(map(_row, reply.text.splitlines()))
    return list(rows)


def _row(line: str) -> Row:
    server, session_id, pane, pid, dead, *rest = line.split(" ", 9)
    level, max_nesting, role, parent = (each[1:] for each in rest[:4])
    place = (server, session_id, pane, pid, dead == "1")
    return Row(*place, level, max_nesting, role, parent, rest[4])


def _of_pane(row: Row) -> _Sign:
    limit = int(row.max_nesting) if row.max_nesting.isdecimal() else MAX_NESTING
    return _Sign(row.session, _level(row.level), row.role or "worker", limit)


def _of_environment(environ: Mapping[str, str]) -> _Sign | None:
    """Return what *environ* says; None where it is a person's, or of no session of ours."""
    name, role = environ.get("SWARM_SESSION_NAME", ""), environ.get("SESSION_ROLE", "")
    is_session = bool(name) or bool(
        environ.get("PROJECT_ID")
        and (role or environ.get("TASK_ID") or environ.get("MASTER_SESSION_ID"))
    )
    level = environ.get(_LEVEL) or ""
    if level in ("", "0") and not is_session:
        return None
    if is_session and not role:
        is_master = name.startswith("master_project_") or not (name or environ.get("TASK_ID"))
        role = "master" if is_master else "child"
    called = environ.get("SWARM_SESSION") or name or "this session"
    return _Sign(called, max(_level(level), int(is_session)) if level else 1, role)


def _level(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise NestingError(f"a level of {text[:80]!r} is none, so nothing is allowed ({_LEVEL})")
    return int(text)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInputError(f"{_MAX}={text[:80]!r} is no number of levels; give 1 or more")
    return int(text)


def _file() -> Path | None:
    """Return the file of a user whose environment says nothing any more."""
    try:
        return permissions.file_of({"HOME": pwd.getpwuid(os.getuid()).pw_dir})
    except KeyError:
        return None
