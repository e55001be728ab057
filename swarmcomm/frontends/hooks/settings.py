"""The file of settings that hooks are put into and taken out of, as a whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmcomm.errors import RefusedError
from swarmcomm.frontends.hooks import json_text
from swarmcomm.sessions.hook_settings import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from swarmcomm.sessions.hook_settings import Hooks

FOLDER = ".claude"
FILE = "settings.local.json"

#: Seconds for git to say whether it ignores a file.
_GIT_S = 5.0

#: What a person should know where :func:`is_for_git`.
NOT_IGNORED = (
    "git does not ignore .claude/settings.local.json, so that git add -A takes it along;"
    " write it into .git/info/exclude"
)

#: Stands in the name of what a program that was killed leaves behind.
_UNFINISHED = ".swarmcomm-"


@dataclass(frozen=True)
class Change:
    """What became of a file: *before* and *after* are its hooks of ours, by event."""

    file: Path
    is_changed: bool
    before: tuple[tuple[str, dict[str, Any]], ...]
    after: tuple[tuple[str, dict[str, Any]], ...]


@dataclass(frozen=True)
class _Found:
    data: bytes
    status: os.stat_result


def default_file(folder: Path) -> Path:
    """Return the file that hooks of a session that works in *folder* go into: nobody's but its."""
    return folder / FOLDER / FILE


def user_file(environ: Mapping[str, str]) -> Path:
    """Return the file whose settings count in every session of the user."""
    home = environ.get("CLAUDE_CONFIG_DIR") or Path(environ.get("HOME") or "~", FOLDER)
    return Path(home, "settings.json").expanduser()


def install(file: Path, hooks: Hooks) -> Change:
    """Put *hooks* into *file* in place of those of ours that it has; all else in it stays.

    It and its folder are made where they are missing. Through links the file that they lead to is
    written. Blocks while another of us writes in the same folder.

    Raises:
        RefusedError: the file cannot be read, edited without loss or written; it is as it was.
    """

    def edit(text: str | None) -> str:
        return json_text.put(json_text.take(text, is_ours) if text is not None else None, hooks)

    return _change(file, edit)


def remove(file: Path) -> Change:
    """Take the hooks of ours out of *file*; what :func:`install` made for them goes as well.

    Raises:
        RefusedError: as :func:`install`.
    """
    change = _change(file, lambda text: json_text.take(text, is_ours) if text is not None else None)
    if change.is_changed and change.file.parent.name == FOLDER and not change.file.exists():
        with contextlib.suppress(OSError):  # something else is in it
            change.file.parent.rmdir()
    return change


def read(file: Path) -> dict[str, Any] | None:
    """Return what *file* holds, with numbers as text; None: it is not there.

    Raises:
        RefusedError: it cannot be read, or is not what claude takes for settings.
    """
    with _refusing(file):
        found = _read(_real(file))
        return json_text.read(found.data.decode()) if found else None


def ours(found: dict[str, Any] | None) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return event and handler of each hook of ours in what :func:`read` returned."""
    return tuple(each for each in json_text.handlers(found or {}) if is_ours(each[1]))


def is_for_git(file: Path) -> bool:
    """Tell whether *file* is one that git would take for a part of a project."""
    words = ["git", "-C", str(file.parent), "check-ignore", "-q", "--", file.name]
    try:
        done = subprocess.run(words, capture_output=True, timeout=_GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 1


def _change(file: Path, edit: Callable[[str | None], str | None]) -> Change:
    with _refusing(file):
        target = _real(file)
        was_there = target.parent.exists()
        if not was_there and edit(None) is None:
            return Change(target, False, (), ())
        if not was_there:
            target.parent.mkdir(exist_ok=True)
        with _locked(target.parent):
            _sweep(target)
            found = _read(target)
            before = found.data.decode() if found else None
            after = edit(before)
            if after != before:
                _replace(target, found, after)
    was, now = (ours(json_text.read(text) if text else None) for text in (before, after))
    return Change(target, after != before, was, now)


@contextlib.contextmanager
def _refusing(file: Path) -> Iterator[None]:
    """Say of what goes wrong with *file* what would be right."""
    try:
        yield
    except json_text.UnfitError as error:
        raise RefusedError(
            f"{file} was left as it is: {error}; mend it, or name another with --file"
        ) from error
    except UnicodeDecodeError as error:
        raise RefusedError(
            f"{file} was left as it is: it is not UTF-8 at byte {error.start}; convert it first"
        ) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise RefusedError(
            f"{file} was left as it is: {why}; mend that, or name another with --file"
        ) from error


def _real(file: Path) -> Path:
    return Path(os.path.realpath(file))


def _read(file: Path) -> _Found | None:
    """Return what *file* holds; None: it is not there. Nothing but a plain file is opened."""
    try:
        number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(number, "rb") as stream:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise json_text.UnfitError("it is no plain file")
        return _Found(stream.read(), status)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # not every file system can
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
        with contextlib.suppress(OSError):
            os.fsync(number)
    finally:
        os.close(number)


def _sweep(file: Path) -> None:
    """Remove what programs that were killed left of *file*."""
    for each in file.parent.iterdir():
        if each.name.startswith(f".{file.name}{_UNFINISHED}"):
            each.unlink(missing_ok=True)


def _replace(file: Path, found: _Found | None, text: str | None) -> None:
    if found and not found.status.st_mode & 0o222:
        raise json_text.UnfitError("it is read-only (chmod u+w makes it writable)")
    if found and found.status.st_nlink > 1:
        raise json_text.UnfitError("it is linked under a second name, which would keep the old one")
    if text is None:
        _check_same(file, found)
        file.unlink()
        return
    made = file.with_name(f".{file.name}{_UNFINISHED}{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(made, flags, 0o600 if found else 0o666), "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            if found:
                _be_like(made, file, found.status)
            os.fsync(stream.fileno())
        _check_same(file, found)
        made.replace(file)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def _be_like(made: Path, file: Path, status: os.stat_result) -> None:
    """Give *made* the owner, the mode and the attributes of *file*, and the time of now."""
    own = made.stat()
    if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
        os.chown(made, status.st_uid, status.st_gid)
    shutil.copystat(file, made)
    os.utime(made)


def _check_same(file: Path, found: _Found | None) -> None:
    now = _read(file)
    if (now.data if now else None) != (found.data if found else None):
        raise json_text.UnfitError("another program has just written it, so try again")
