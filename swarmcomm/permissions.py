"""What a session may do by its role: safe defaults, and a file of the user's in their place.

The file is read at each question, so a change takes effect at once. One that is broken, or that
others could have written, allows nothing.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmcomm import clock
from swarmcomm.errors import PermissionsFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

MASTER = "master_coordinator"
SESSION = "dev_session"

_TOP = "session_permissions"
_ROLE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_BYTES = 65_536

#: Seconds that a file may be gone for while an editor puts a new one in its place.
_REPLACED_S = 1.0

#: Seconds between two looks for it.
_LOOK_S = 0.02


@dataclass(frozen=True)
class Permissions:
    """What one role may do. As it stands here: nothing, which is what a role has unless told."""

    can_create_sessions: bool = False
    can_manage_worktrees: bool = False
    can_merge_branches: bool = False
    max_child_sessions: int = 0
    restricted_to_task: bool = True


#: What the two roles may do that are there without a file.
DEFAULTS = {MASTER: Permissions(True, True, True, 8, False), SESSION: Permissions()}


def role_of(word: str) -> str:
    """Return the role that SESSION_ROLE or ``@swarm_role`` names with *word*."""
    return {"master": MASTER, "child": SESSION, "worker": SESSION, "": SESSION}.get(word, word)


def file_of(environ: Mapping[str, str]) -> Path | None:
    """Return where the file is, as an absolute path; it need not exist. None: there is no home."""
    config, home = environ.get("XDG_CONFIG_HOME"), environ.get("HOME")
    if not config and not home:
        return None
    return Path(config or Path(home or "", ".config"), "swarmcomm", "permissions.json").absolute()


def load(path: Path | None) -> dict[str, Permissions]:
    """Return the permissions of all roles; the defaults where there is no file at *path*.

    Blocks up to a second where the file has just gone, as it does while it is replaced.

    Raises:
        PermissionsFileError: it cannot be read or trusted; the error says what would be right.
    """
    data = _read(path) if path is not None else None
    if path is None or data is None:
        return dict(DEFAULTS)
    try:
        top = json.loads(data.decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"is no JSON ({error})") from error
    return {**DEFAULTS, **_roles(path, top)}


def of(role: str, path: Path | None) -> Permissions:
    """Return what *role* may do by the file at *path*; nobody knows it: what a dev_session may.

    Raises:
        PermissionsFileError: as :func:`load`.
    """
    known = load(path)
    return known.get(role, known[SESSION])


def _read(path: Path) -> bytes | None:
    """Return what is in the file; None where there is none, and is to be none."""
    deadline = clock.monotonic() + _REPLACED_S
    while True:
        try:
            return _trusted(path)
        except FileNotFoundError:
            if not _just_changed(path.parent) or clock.monotonic() > deadline:
                if path.is_symlink():
                    raise _wrong(path, "is a link to nothing") from None
                return None
        except PermissionsFileError:
            raise
        except OSError as error:
            raise _wrong(path, f"cannot be read ({error.strerror})") from error
        clock.sleep(_LOOK_S)


def _just_changed(folder: Path) -> bool:
    try:
        age_s = clock.now().timestamp() - folder.stat().st_mtime
    except OSError:
        return False
    return -_REPLACED_S < age_s < _REPLACED_S


def _trusted(path: Path) -> bytes:
    """Return what is in the file, of one moment; raises OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise _wrong(path, "is no file")
        _check_owner(path, found)
        for folder in {path.parent, path.resolve().parent}:
            _check_owner(folder, folder.stat())
        data = file.read(_MAX_BYTES + 1)
        again = os.fstat(file.fileno())
    if len(data) > _MAX_BYTES:
        raise _wrong(path, f"is longer than {_MAX_BYTES} bytes")
    if (found.st_size, found.st_mtime_ns) != (again.st_size, again.st_mtime_ns):
        raise _wrong(path, "was written to while it was read")
    return data


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (os.geteuid(), 0):
        raise _wrong(path, "belongs to somebody else")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _wrong(path, "can be written by others", f"type: chmod go-w '{path}'")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} is there twice")
    return found


def _roles(path: Path, top: Any) -> dict[str, Permissions]:
    if not isinstance(top, dict) or set(top) != {_TOP} or not isinstance(top[_TOP], dict):
        raise _wrong(path, f'must hold {{"{_TOP}": {{ROLE: {{...}}}}}} and nothing else')
    return {role: _permissions(path, role, table) for role, table in top[_TOP].items()}


def _permissions(path: Path, role: str, table: Any) -> Permissions:
    if not _ROLE.fullmatch(role):
        raise _wrong(
            path, f"{role[:80]!r} is no role; letters, digits, '.', '_' and '-' are allowed"
        )
    if not isinstance(table, dict):
        raise _wrong(path, f"{role} must be an object of permissions")
    known = {field.name for field in fields(Permissions)}
    for key, value in table.items():
        if key not in known:
            raise _wrong(path, f"{role}.{key[:80]} is none of {', '.join(sorted(known))}")
        if key == "max_child_sessions":
            if type(value) is not int or value < 0:
                raise _wrong(path, f"{role}.{key} must be a whole number from 0 up")
        elif type(value) is not bool:
            raise _wrong(path, f"{role}.{key} must be true or false")
    return replace(DEFAULTS.get(role, Permissions()), **table)


def _wrong(path: Path, what: str, right: str = "mend or remove it") -> PermissionsFileError:
    return PermissionsFileError(f"{path} {what}, so nothing is allowed; {right}")
