"""What there is of hooks, and of sessions that take part by them, for a person to read."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmcomm import permissions, protocol, settings
from swarmcomm.errors import (
    InvalidInputError,
    NotFoundError,
    PermissionsFileError,
    RefusedError,
    SessionNameError,
    SwarmError,
)
from swarmcomm.frontends import chain, output
from swarmcomm.frontends.hooks import handlers, log
from swarmcomm.frontends.hooks import settings as files
from swarmcomm.sessions import Coordinator, hook_settings, parse
from swarmcomm.sessions.identity import identify
from swarmcomm.tmux.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from swarmcomm.sessions import SessionStatus
    from swarmcomm.sessions.identity import Identity
    from swarmcomm.settings import Settings

#: What stands before a finding: it is good, wrong, or a thing to know.
HEADS = {True: "ok   ", False: "WRONG", None: "note "}

Finding = tuple[bool | None, str]

#: Seconds for the program to answer; it needs a tenth of one.
_TRIED_S = 10.0


def places(folder: Path, environ: Mapping[str, str]) -> list[Path]:
    """Return the files that claude reads settings from when it works in *folder*."""
    own = files.default_file(folder)
    return [own, own.with_name("settings.json"), files.user_file(environ)]


def findings(folder: Path, found: list[Path], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is there of hooks in the files *found*, and of what they need, in *folder*."""
    yield from _hooks(found, environ)
    yield from _handlers(folder)
    yield from _permissions(environ)
    try:
        yield from chain.store(settings.from_environment(environ))
    except SwarmError as error:
        yield False, str(error)
    yield from _log(settings.state_folder(environ))


def _hooks(found: list[Path], environ: Mapping[str, str]) -> Iterator[Finding]:
    is_there = False
    for file in found:
        try:
            said = files.read(file)
        except RefusedError as error:
            yield False, str(error)
            continue
        ours = files.ours(said)
        is_there = is_there or bool(ours) or _has_plugin(said)
        if said and said.get("disableAllHooks") is True:
            yield False, f"{file} says disableAllHooks, so claude runs none; take that out"
        if said and _has_plugin(said):
            yield True, f"{file} enables the plugin"
        if ours:
            yield from _ours(file, ours)
            if file.name == files.FILE and files.is_for_git(file):
                yield None, files.NOT_IGNORED
    if is_there:
        return
    who = _who(environ)
    if who is not None:
        yield (
            None,
            f"no hooks in {_list(found)}; {who.name} has its own if it was started with them",
        )
    else:
        yield (
            False,
            f"no hooks of swarmcomm in {_list(found)}; see: swarmcomm hooks generate --help",
        )


def _ours(file: Path, ours: tuple[tuple[str, dict[str, Any]], ...]) -> Iterator[Finding]:
    """Yield what is found of our hooks in *file*, by the session that they are for."""
    by_call: dict[tuple[str, str, tuple[str, ...]], list[tuple[str, dict[str, Any]]]] = {}
    for event, handler in ours:
        python, program, said = hook_settings.program_of(handler) or ("", "", [])
        by_call.setdefault((python, program, tuple(said[1:])), []).append((event, handler))
    for (python, program, words), present in by_call.items():
        who = hook_settings.session_of(present[0][1])
        again = f"mend it with: {_again(file, who)}"
        if not os.access(python, os.X_OK):
            yield False, f"{file} runs the hooks of {who} by {python}, which is not there; {again}"
        elif not Path(program).is_file():
            yield False, f"{file} runs {program} for {who}, which is not there; {again}"
        elif not _same(present, hook_settings.hooks(python, program, words)):
            yield False, f"{file} has other hooks of {who} than this swarmcomm makes; {again}"
        elif trouble := _tried(python, program, words):
            yield False, f"{file} runs {program} by {python}, and {trouble}; {again}"
        else:
            yield True, f"{file} has the hooks of {who}, run by {python}"
    if len(by_call) > 1:
        yield None, f"{file} has hooks of several sessions or installations; one was copied there"


def _again(file: Path, who: str) -> str:
    try:
        role = "master" if parse(who).is_master else "child"
    except SessionNameError:
        return "swarmcomm hooks generate --help"
    return f"swarmcomm hooks generate {role} {who} --file {shlex.quote(str(file))}"


def _tried(python: str, program: str, words: tuple[str, ...]) -> str:
    """Return what is wrong where the hook of a start is run beside, in folders of its own."""
    who = {} if "--project-id" in words else {"PROJECT_ID": "p", "SESSION_ROLE": "master"}
    with tempfile.TemporaryDirectory(prefix="swarmcomm-") as folder:
        try:
            done = subprocess.run(
                [python, "-I", "-S", program, "report", *words],
                cwd=folder,
                env={"SWARM_STATE_DIR": folder, **who},
                input=json.dumps({"hook_event_name": "SessionStart", "source": "startup"}),
                capture_output=True,
                text=True,
                timeout=_TRIED_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it does not end within {_TRIED_S:g} s"
        except OSError as error:
            return f"it cannot be run ({error.strerror})"
        if done.returncode:
            return f"it ends with status {done.returncode}: {_last(done.stderr)}"
        noted = [said for _, said in _log(Path(folder))]
    return "" if "hookSpecificOutput" in done.stdout else f"it says nothing: {''.join(noted)}"


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _same(present: list[tuple[str, dict[str, Any]]], made: hook_settings.Hooks) -> bool:
    wanted = [
        (event, {key: str(value) for key, value in handler.items()})
        for event, groups in made.items()
        for group in groups
        for handler in group["hooks"]
    ]
    is_there = [
        (event, {key: str(value) for key, value in handler.items()}) for event, handler in present
    ]
    return sorted(wanted, key=str) == sorted(is_there, key=str)


def _has_plugin(said: dict[str, Any] | None) -> bool:
    enabled = (said or {}).get("enabledPlugins")
    return isinstance(enabled, dict) and any(
        name.startswith("swarmcomm@") and value is True for name, value in enabled.items()
    )


def _handlers(folder: Path) -> Iterator[Finding]:
    try:
        found = handlers.read(folder)
    except RefusedError as error:
        yield False, str(error)
        return
    if found:
        yield True, f"{folder / handlers.FILE} has handlers for {', '.join(found)}"
    for name, actions in found.items():
        for action in actions:
            if action.command and not _is_program(folder, action.command[0]):
                yield False, f"the handler of {name} runs {action.command[0]}, which is not there"


def _permissions(environ: Mapping[str, str]) -> Iterator[Finding]:
    file = permissions.file_of(environ)
    try:
        found = permissions.load(file)
    except PermissionsFileError as error:
        yield False, str(error)
        return
    if file and file.exists():
        yield True, f"{file} says what these may do: {', '.join(found)}"
    else:
        yield True, f"permissions are the defaults; {file} would be others"


def _is_program(folder: Path, word: str) -> bool:
    return shutil.which(str(folder / word) if "/" in word else word) is not None


def _log(state: Path | None) -> Iterator[Finding]:
    file = state / log.FILE if state else None
    try:
        lines = file.read_text("utf-8", "replace").splitlines() if file else []
    except OSError:
        return
    if lines:
        yield None, f"the newest of {len(lines)} lines in {file}: {protocol.neutralise(lines[-1])}"


def _list(found: list[Path]) -> str:
    return ", ".join(map(str, found))


def _who(environ: Mapping[str, str]) -> Identity | None:
    try:
        return identify(environ)
    except InvalidInputError:
        return None


@dataclass(frozen=True)
class TakingPart:
    """A tmux session whose environment says who it is, or what is wrong with what it says."""

    session: str
    identity: Identity | None
    trouble: str
    worktree: str
    is_alive: bool
    status: SessionStatus | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON knows."""
        return {
            "session": self.session,
            "session_name": str(self.identity.name) if self.identity else None,
            "role": self.identity.role if self.identity else None,
            "worktree": self.worktree,
            "alive": self.is_alive,
            "trouble": self.trouble or None,
            "status": self.status.as_dict() if self.status else None,
        }

    def as_line(self) -> str:
        """Return it on one line."""
        if self.identity is None:
            return output.one_line(f"{self.session}  {self.trouble}")
        words = [self.session, str(self.identity.name), self.identity.role]
        words += [] if self.is_alive else ["(the agent has ended)"]
        if self.status is None:
            words.append("has not registered yet")
        else:
            words += [self.status.status, f"{self.status.progress} %"]
            words += [f"{self.status.unread} unread"] if self.status.unread else []
        return "  ".join(words)


def taking_part(found: Settings, environ: Mapping[str, str]) -> Iterator[TakingPart]:
    """Yield the tmux sessions that take part, by name; two tmux calls, and one for each session.

    Raises:
        NotFoundError: no tmux server runs.
        TmuxError: tmux could not be asked.
        StoreError: the store cannot be used.
    """
    server = Server(found.socket, found.tmux)
    rows = server.ask("list-panes", "-a", "-F", "#{pane_dead} #{session_name}").splitlines()
    alive: dict[str, bool] = {}
    for dead, _, session in sorted((row.partition(" ") for row in rows), key=lambda row: row[2]):
        alive[session] = alive.get(session, False) or dead != "1"
    shared = _variables(server.ask("show-environment", "-g"), {})
    statuses = _statuses(environ)
    for session in alive:
        try:
            own = _variables(server.ask("show-environment", "-t", f"={session}:"), shared)
        except NotFoundError:  # it has just ended
            continue
        identity, trouble = None, ""
        try:
            identity = identify(own)
        except InvalidInputError as error:
            trouble = str(error)
        if identity is not None or trouble:
            status = statuses.get(str(identity.name)) if identity else None
            worktree = own.get("WORKTREE_PATH", "")
            yield TakingPart(session, identity, trouble, worktree, alive[session], status)


def _variables(said: str, over: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that tmux printed, laid over another one."""
    found = dict(over)
    for line in said.splitlines():
        name, is_set, value = line.partition("=")
        if is_set:
            found[name] = value
        else:
            found.pop(name.removeprefix("-"), None)
    return found


def _statuses(environ: Mapping[str, str]) -> dict[str, SessionStatus]:
    with Coordinator.attach(environ) as coordinator:
        return {status.session_name: status for status in coordinator.query_session_status()}
