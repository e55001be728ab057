"""Who a session is, as its environment says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmcomm.errors import InvalidInputError, SessionNameError
from swarmcomm.sessions.names import SessionName, child_name, master_name, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The roles that every registry has; another is one of the permissions.
MASTER, CHILD = "master", "child"

_ROLE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Identity:
    """A session's name, and its role: ``master``, ``child`` or one of the permissions."""

    name: SessionName
    role: str


def identify(environ: Mapping[str, str]) -> Identity | None:
    """Return who the session with *environ* is; None where it is none of ours.

    SWARM_SESSION_NAME says it; or else PROJECT_ID, with TASK_ID, SESSION_ROLE or MASTER_SESSION_ID
    beside it, since alone it is a variable of many programs. One that is empty is not set.

    Raises:
        SessionNameError: a name or an id cannot be one.
        InvalidInputError: the variables contradict each other, or one that is needed is missing.
    """
    name = environ.get("SWARM_SESSION_NAME")
    project, task, role, master = (
        environ.get(key) or None
        for key in ("PROJECT_ID", "TASK_ID", "SESSION_ROLE", "MASTER_SESSION_ID")
    )
    if name:
        try:
            found = parse(name)
        except SessionNameError as error:
            raise SessionNameError(f"SWARM_SESSION_NAME: {error}") from None
        _agree("PROJECT_ID", project, found.project_id, name)
        _agree("TASK_ID", task, found.task_id, name)
    elif project and (task or role or master):
        found = parse(child_name(project, task) if task else master_name(project))
        if found.is_master and (role == CHILD or (role is None and master != str(found))):
            raise InvalidInputError(
                f"a child of {found.master} needs TASK_ID; set it, or SESSION_ROLE=master"
            )
    else:
        return None
    _agree("MASTER_SESSION_ID", master, str(found.master), str(found))
    return Identity(found, _role(role, found))


def _role(role: str | None, name: SessionName) -> str:
    own, other = (MASTER, CHILD) if name.is_master else (CHILD, MASTER)
    if role == other:
        raise InvalidInputError(f"SESSION_ROLE is {role}, and {name} is a {own}; set {own}")
    if role is not None and not _ROLE.fullmatch(role):
        raise InvalidInputError(
            f"SESSION_ROLE {role[:80]!r} is no role; give {MASTER}, {CHILD} or one of the"
            " permissions: letters, digits, '.', '_' and '-'"
        )
    return role or own


def _agree(variable: str, said: str | None, right: str | None, name: str) -> None:
    if said is not None and said != right:
        wanted = f"is {right}" if right else "has to be unset"
        raise SessionNameError(f"{variable} is {said[:80]!r}, but of {name} it {wanted}")
