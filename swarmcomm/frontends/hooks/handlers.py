"""Custom handlers: what a project has run when one of its sessions has news.

``.swarmcomm/handlers.json`` in the project's folder names them. A hook starts one process that is
on its own, this file as a program, and goes on: the agent never waits for a handler. What is to be
run, and the news, go to it on standard input; nothing of them is a word of a command line.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # it is not told of site-packages

from swarmcomm import clock, settings
from swarmcomm.errors import RefusedError
from swarmcomm.frontends.hooks import log

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

FILE = Path(".swarmcomm", "handlers.json")

#: What there can be handlers for.
NAMES = (
    "session_started",
    "session_working",
    "session_blocked",
    "session_completed",
    "session_error",
    "session_terminated",
    "message_received",
)

#: Bytes of the file.
FILE_MAX_BYTES = 64 * 1024

#: Seconds for an action that says no ``timeout_s``, and the most that it can say.
TIMEOUT_S = 30.0
TIMEOUT_MAX_S = 600.0

#: Bytes of what an action wrote to standard error that the log keeps, its end.
_SAID_BYTES = 1024

#: Seconds between two reads of it where it does not end: some 6 MB a second, then it is slowed.
_FLOOD_REST_S = 0.01

#: Calls a Python entry point in a process of its own, with the payload from standard input.
_CALL = """\
import importlib, json, os, sys
sys.path.insert(0, os.getcwd())
module, _, name = sys.argv[1].partition(":")
function = importlib.import_module(module)
for part in name.split("."):
    function = getattr(function, part)
function(json.load(sys.stdin))
"""


@dataclass(frozen=True)
class Action:
    """One thing to run: the words of a command, or the ``module:function`` of Python."""

    command: tuple[str, ...]
    python: str
    timeout_s: float


def read(project: Path) -> dict[str, tuple[Action, ...]]:
    """Return the actions of each handler that the file of *project* names; {} without a file.

    Raises:
        RefusedError: nothing of the file is used, and what would be right.
    """
    file = project / FILE
    try:
        text = _text(file)
        return _handlers(json.loads(text, object_pairs_hook=_once)) if text is not None else {}
    except OSError as error:
        raise RefusedError(
            f"{file} cannot be read: {error.strerror}; let it be a plain file in a folder of yours"
        ) from error
    except RecursionError as error:
        raise RefusedError(f"{file}: objects and lists stand too deep in each other") from error
    except ValueError as error:  # of JSON, of UTF-8, and our own
        raise RefusedError(f"{file}: {' '.join(str(error).split())}") from error


def trouble(project: Path) -> str | None:
    """Return why the file of *project* is not used; None where it is, or is not there."""
    try:
        read(project)
    except RefusedError as error:
        return str(error)
    return None


def start(
    project: Path, name: str, payload: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> None:
    """Have the actions of the handler *name* run one after the other, and return at once.

    Each gets *payload*, with *name* in it, as a line of JSON on standard input. Raises nothing:
    what could not be done is in ``hooks.log``.
    """
    state = settings.state_folder(environ)
    try:
        actions = read(project).get(name)
        if actions:
            _start_runner(project, name, actions, payload, environ)
    except RefusedError as error:
        log.note(state, f"no handler was run for {name}: {error}")
    except Exception as error:  # the agent must not hear of it
        log.note(state, f"no handler was run for {name}: {type(error).__name__}: {error}")


def _start_runner(
    project: Path,
    name: str,
    actions: tuple[Action, ...],
    payload: Mapping[str, Any],
    environ: Mapping[str, str],
) -> None:
    import subprocess
    import tempfile

    job = {
        "project": str(project),
        "name": name,
        "actions": [[action.command, action.python, action.timeout_s] for action in actions],
        "payload": {"name": name, **payload},
    }
    # No pipe: a long payload would wait in it for a runner that is slow.
    with tempfile.TemporaryFile() as given:
        given.write(json.dumps(job).encode())
        given.seek(0)
        runner = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            start_new_session=True,
        )
    runner.returncode = 0  # it is on its own: nobody waits for it


def _text(file: Path) -> str | None:
    """Return what is in *file*, where it is there and only we could have written it."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        folder = os.open(file.parent, flags | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        try:
            number = os.open(file.name, flags, dir_fd=folder)
        except FileNotFoundError:
            return None
        with os.fdopen(number, "rb") as opened:
            _check(file.parent, os.fstat(folder))
            _check(file, os.fstat(number))
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise ValueError("it is no plain file")
            data = opened.read(FILE_MAX_BYTES + 1)
    finally:
        os.close(folder)
    if len(data) > FILE_MAX_BYTES:
        raise ValueError(f"it is longer than {FILE_MAX_BYTES} bytes")
    return data.decode()


def _check(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (os.geteuid(), 0):
        raise ValueError(f"{path} belongs to somebody else (uid {found.st_uid})")
    if found.st_mode & 0o022:
        raise ValueError(f"others may write to {path}; take that away with: chmod go-w {path}")


def _handlers(found: object) -> dict[str, tuple[Action, ...]]:
    whole = _object(found, "the file", {"response_handlers"})
    named = _object(whole.get("response_handlers"), "response_handlers", set(NAMES))
    handlers = {}
    for name, each in named.items():
        handler = _object(each, name, {"description", "actions"})
        if not isinstance(handler.get("description", ""), str):
            raise ValueError(f"the description of {name} is no text")
        actions = handler.get("actions")
        if not isinstance(actions, list):
            raise ValueError(f"{name} has no list of actions")
        handlers[name] = tuple(
            _action(action, f"action {number} of {name}") for number, action in enumerate(actions)
        )
    return handlers


def _action(found: object, where: str) -> Action:
    action = _object(found, where, {"type", "handler", "timeout_s"})
    timeout_s = action.get("timeout_s", TIMEOUT_S)
    is_number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
    if not is_number or not 0 < timeout_s <= TIMEOUT_MAX_S:
        raise ValueError(f"the timeout_s of {where} is no number up to {TIMEOUT_MAX_S:g}")
    kind, handler = action.get("type"), action.get("handler")
    if kind == "python":
        module, _, function = handler.partition(":") if isinstance(handler, str) else ("", "", "")
        if not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
            raise ValueError(f"the handler of {where} is not like module:function")
        return Action((), str(handler), float(timeout_s))
    if kind != "command":
        raise ValueError(f"the type of {where} is not command or python")
    try:
        words = shlex.split(handler) if isinstance(handler, str) else handler
    except ValueError as error:
        raise ValueError(f"the handler of {where}: {error}") from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"the handler of {where} is no command, nor the list of its words")
    if not words or not words[0] or "\0" in "".join(words):
        raise ValueError(f"the handler of {where} is no command that can be run")
    return Action(tuple(words), "", float(timeout_s))


def _object(found: object, what: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{what} is no object")
    for name in found:
        if name not in known:
            raise ValueError(f"{what} knows no {name!r}; there is {', '.join(sorted(known))}")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def main() -> NoReturn:
    """Run what standard input says, and end when it is all over."""
    state = settings.state_folder(os.environ)
    try:
        job = json.load(sys.stdin.buffer)
        payload = json.dumps(job["payload"]).encode() + b"\n"
        for number, (command, python, timeout_s) in enumerate(job["actions"]):
            words = command or [sys.executable, "-c", _CALL, python]
            ended = _run(words, Path(job["project"]), payload, timeout_s)
            if ended:
                log.note(state, f"action {number} of {job['name']}, {python or words}: {ended}")
    except BaseException as error:
        log.note(state, f"a handler was not run: {type(error).__name__}: {error}")
    os._exit(0)  # whatever a thread still reads


def _run(words: list[str], project: Path, payload: bytes, timeout_s: float) -> str:
    """Run one command, end what it leaves behind, and return what was wrong with it, or ""."""
    import subprocess
    import tempfile

    with tempfile.TemporaryFile() as given:
        given.write(payload)
        given.seek(0)
        try:
            process = subprocess.Popen(
                words,
                cwd=project,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"it could not be started: {error}"
    said = _Said(process)
    try:
        status = process.wait(timeout_s)
        ended = f"it ended with status {status}" if status else ""
    except subprocess.TimeoutExpired:
        ended = f"it was ended after {timeout_s:g} s"
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return f"{ended}: {said.end()}" if ended else ""


class _Said:
    """The end of what a process writes to standard error, read as it comes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        import threading

        assert process.stderr is not None
        self._file = process.stderr.fileno()
        self._said = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while piece := os.read(self._file, 64 * 1024):
                self._said = (self._said + piece)[-_SAID_BYTES:]
                if len(piece) > _SAID_BYTES:
                    clock.sleep(_FLOOD_REST_S)

    def end(self) -> str:
        """Return it; one that left the group of the process may still hold the other end."""
        self._reader.join(1.0)
        return self._said.decode("utf-8", "replace").strip()


if __name__ == "__main__":
    main()
