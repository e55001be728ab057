"""Names of sessions: one rule makes them and reads them back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from swarmcomm.errors import SessionNameError
from swarmcomm.protocol import TASK_ID_MAX, check_task_id

_MASTER, _CHILD, _TASK = "master_project_", "child_", "_task_"

#: The forms, as an error shows them.
FORMS = "master_project_{PROJECT_ID} or child_{PROJECT_ID}_task_{TASK_ID}"


@dataclass(frozen=True)
class SessionName:
    """A name in its parts; *task_id* is None for a master."""

    project_id: str
    task_id: str | None = None

    def __str__(self) -> str:
        if self.task_id is None:
            return f"{_MASTER}{self.project_id}"
        return f"{_CHILD}{self.project_id}{_TASK}{self.task_id}"

    @property
    def is_master(self) -> bool:
        """Return whether it is the name of a master session."""
        return self.task_id is None

    @property
    def master(self) -> SessionName:
        """Return the name of the project's master session."""
        return SessionName(self.project_id)


def master_name(project_id: str) -> str:
    """Return the name of a project's master session.

    Raises:
        SessionNameError: the id cannot be part of a name.
    """
    return _made(SessionName(_checked(project_id, "project id")))


def child_name(project_id: str, task_id: str) -> str:
    """Return the name of the session that works on a task of a project.

    Raises:
        SessionNameError: one of the ids cannot be part of a name, or the name could be read in
            another way.
    """
    project = _checked(project_id, "project id")
    return _made(SessionName(project, _checked(task_id, "task id")))


def parse(name: str) -> SessionName:
    """Return the parts of *name*; made of them again, it is the same name.

    Raises:
        SessionNameError: it has neither form, or could be read in two ways.
    """
    found = _read(name) if isinstance(name, str) else None
    if found is None:
        raise SessionNameError(
            f"{name!r:.80} is no session name; use {FORMS}, where an id is 1 to"
            f" {TASK_ID_MAX} letters, digits, '.', '_' and '-', the first and the last a letter or"
            " digit, without '..' and '_task_'"
        )
    return found


def _read(name: str) -> SessionName | None:
    if name.startswith(_MASTER):
        project = name.removeprefix(_MASTER)
        return SessionName(project) if _is_id(project) else None
    if not name.startswith(_CHILD):
        return None
    rest = name.removeprefix(_CHILD)
    # "a_task_task_b" holds it twice: a task "b" of "a_task", or a task "task_b" of "a".
    found = list(re.finditer(f"(?={_TASK})", rest))
    if len(found) != 1:
        return None
    project, task = rest[: found[0].start()], rest[found[0].start() + len(_TASK) :]
    return SessionName(project, task) if _is_id(project) and _is_id(task) else None


def _made(name: SessionName) -> str:
    if _read(str(name)) != name:
        raise SessionNameError(
            f"{str(name)!r} could be read in two ways; use ids without '_task_', that do not begin"
            " with 'task_' or end in '_task'"
        )
    return str(name)


def _checked(an_id: str, what: str) -> str:
    if not isinstance(an_id, str) or not _is_id(an_id):
        raise SessionNameError(
            f"{what} {an_id!r:.80} cannot be part of a session name; use a text of 1 to"
            f" {TASK_ID_MAX} letters, digits, '.', '_' and '-', the first and the last a letter or"
            " digit, without '..' and '_task_'"
        )
    return an_id


def _is_id(text: str) -> bool:
    """A task id of the wire that can also be part of a branch or a path, and be told apart."""
    try:
        check_task_id(text)
    except ValueError:
        return False
    return ".." not in text and _TASK not in text
