"""Building a swarm's session, and ending it; ``run_claude_swarm.sh`` builds the same one."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from swarmcomm import clock, settings
from swarmcomm.errors import (
    InvalidInputError,
    MissingProgramError,
    NotFoundError,
    RefusedError,
    TmuxError,
)
from swarmcomm.tmux import attaching, guard, inherited

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swarmcomm.tmux.server import Server

    Role = Literal["master", "worker"]
    Argv = Callable[[Role], tuple[str, ...]]

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PYTHON = "{python}"

#: What holds a window's place until its options are set; the agent takes it over.
_STAND_IN = ("sleep", "600")

#: Seconds between two looks at the new windows.
_LOOK_S = 0.1

_PACKAGE = Path(__file__).parent.parent

#: Beside our package in a checkout.
_SCRIPTS = _PACKAGE.parent / "scripts"

#: Run by an agent that has hooks; it is a program, not a module of ours.
_HOOK = _PACKAGE / "frontends" / "hooks" / "witness.py"

#: Bytes of a folder's name above which it does not go into a window's command five times.
_FOLDER_BYTES = 1000

#: Seconds after which what a tmux server left behind that is gone may be removed.
_SPOOL_KEPT_S = 86_400

_SPOOL_FILE = re.compile(r"([0-9]+)-[0-9]+\.jsonl")


class Agent(Protocol):
    """What launching needs of an agent's profile."""

    @property
    def program(self) -> str: ...
    @property
    def missing(self) -> tuple[str, ...]: ...
    @property
    def keep(self) -> tuple[str, ...]: ...
    @property
    def pane_options(self) -> Mapping[str, str]: ...
    @property
    def ready(self) -> str | None: ...
    @property
    def hooks(self) -> object | None: ...
    def hook_words(
        self, python: str, hook: str, spool: str, more: Mapping[str, Any] | None
    ) -> tuple[str, ...]: ...
    def argv(
        self, role: Role, program: str, python: str, path: str | None, hooks: tuple[str, ...]
    ) -> tuple[str, ...]: ...


def launch(
    server: Server,
    *,
    session: str,
    workdir: Path,
    agent: Agent | None,
    command: str | None,
    environment: Mapping[str, str],
    windows: Sequence[str] | None = None,
    hooks: bool = True,
    variables: Mapping[str, str] = MappingProxyType({}),
    more: Mapping[str, Any] | None = None,
    role: str = "worker",
) -> None:
    """Build *session* with an agent as the own process of each window's pane, in *workdir*.

    Either *agent* or *command*, which is a shell command, says what runs. *environment* is the
    caller's: its PATH (where the agent's program is looked for), SWARM_STATE_DIR and SWARM_TMUX are
    handed on to the windows, and *variables* are added. *windows* are those of ``session.conf``
    where nothing is given; those not called master have *role*. With *hooks* an agent that can is
    made to write down what it is told and says, in a private folder of the state directory; where
    there can be none, it starts without. An agent that takes settings gets *more* of them. Blocks
    until every agent shows its input line, or for a moment where none is known.

    What a session of ours starts inherits only what KEEP in ``session.conf`` and the agent name.

    Raises:
        InvalidInputError: a name or *workdir* cannot be used; nothing was made.
        NestingError: a session of ours asks that may start no other one.
        RefusedError: there is such a session; it was left as it is.
        MissingProgramError: the agent's program is not installed; nothing was made.
        NotFoundError: the program of a window ended at once; its dead pane stays to be read.
        TmuxError: tmux failed; what was made of the session was ended.
    """
    conf = settings.session_conf()
    names = tuple(conf["WINDOWS"].split() if windows is None else windows)
    workdir = _checked(session, names, workdir)
    if (agent is None) == (command is None):
        raise InvalidInputError("an agent or a command starts a swarm, and not both")
    grant = guard.check(server, environment)
    if _is_there(server, session):
        raise _already_there(server, session)
    own = {
        **_variables(server, session, workdir, environment),
        **grant.variables,
        **variables,
    }
    spool = _make_spool(environment) if hooks and agent and agent.hooks else ""
    started = _starter(agent, command or "", own.get("PATH"), spool, more)
    keep = None if grant.is_persons else (*conf["KEEP"].split(), *(agent.keep if agent else ()))
    if keep is not None:
        server.environ = inherited.kept(server, keep)
    options = {**grant.options, "@swarm_role": role}
    place = _make_session(server, session, workdir, own, options, conf)
    session_id = place.partition(":")[0]
    try:
        guard.check_again(server, grant, session_id)
        if keep is not None:
            inherited.take_away(server, session_id, set(own), keep)
        for name in names:
            kind: Role = "master" if name == "master" else "worker"
            target = ("-k", "-t", place) if name == names[0] else ("-t", f"{session_id}:")
            told = kind if kind == "master" else role
            argv = started(kind)
            _make_window(server, name, told, workdir, target, agent, argv, spool, grant.options)
    except BaseException:
        server.cmd("kill-session", "-t", session_id)
        raise
    _settle(server, session_id, agent.ready if agent else None, conf)


def typed(server: Server, session: str, verb: str) -> str:
    """Return the tmux command *verb* on *session* as a person types it, also in zsh."""
    program = Path(str(server.tmux_bin)).name if server.tmux_bin else "tmux"
    socket = f" -L {server.socket_name}" if server.socket_name else ""
    return f"{program}{socket} {verb} -t '={session}'"


def _already_there(server: Server, session: str) -> RefusedError:
    attach, end = (typed(server, session, verb) for verb in ("attach", "kill-session"))
    return RefusedError(
        f"session {session} is already there; attach with: {attach}, or end it with: {end}"
    )


def down(server: Server, session: str) -> None:
    """End *session* with everything that runs in it.

    Raises:
        InvalidInputError: *session* is no session name of ours.
        NotFoundError: there is no such session, or no server.
        TmuxError: tmux could not be asked.
    """
    settings.check_session(session)
    try:
        with attaching.lock(server.sockets, server.deadline_s):
            server.ask("kill-session", "-t", f"={session}")
    except NotFoundError as error:
        raise NotFoundError(f"no session {session} ({error})") from error


def _checked(session: str, names: Sequence[str], workdir: Path) -> Path:
    settings.check_session(session)
    for name in names:
        if not _NAME.fullmatch(name):
            raise InvalidInputError(
                f"{name!r} is no window name; letters, digits, '_' and '-' are allowed"
            )
    if not names or len(set(names)) < len(names):
        raise InvalidInputError("a swarm needs windows, and each a name of its own")
    if not workdir.is_dir() or not os.access(workdir, os.X_OK):
        raise InvalidInputError(f"no folder '{workdir}' to work in; give one that is there")
    return workdir.resolve()


def _is_there(server: Server, session: str) -> bool:
    try:
        server.ask("has-session", "-t", f"={session}")
    except NotFoundError:
        return False
    return True


def _starter(
    agent: Agent | None, command: str, path: str | None, spool: str, more: Mapping[str, Any] | None
) -> Argv:
    """Return what gives the argument list for a role.

    PATH stands in it, since tmux gives a pane the PATH of who asks for it, not the session's.
    """
    if agent is None:
        own = [f"PATH={path}"] if path else []
        return lambda _role: ("env", *own, "sh", "-c", command)
    program = sys.executable if agent.program == _PYTHON else shutil.which(agent.program, path=path)
    if not program:
        raise MissingProgramError("\n".join(agent.missing))

    hooks = agent.hook_words(sys.executable, str(_HOOK), spool, more)

    def argv(role: Role) -> tuple[str, ...]:
        return agent.argv(role, program, sys.executable, path, hooks)

    return argv


def _make_spool(environment: Mapping[str, str]) -> str:
    """Return the folder for what hooks write, made and private; "" where there can be none.

    Files of servers that are gone are removed from it.
    """
    state = settings.state_folder(environment)
    if state is None or not sys.executable:
        return ""
    folder = state / "witness"
    if re.search(r"[\x00-\x1f\x7f]", str(folder)) or len(os.fsencode(folder)) > _FOLDER_BYTES:
        return ""
    try:
        for missing in [each for each in (*reversed(folder.parents), folder) if not each.exists()]:
            missing.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        for file in folder.iterdir():
            found = _SPOOL_FILE.fullmatch(file.name)
            if found and not _is_running(int(found[1])):
                age_s = clock.now().timestamp() - file.lstat().st_mtime
                if age_s > _SPOOL_KEPT_S:
                    file.unlink(missing_ok=True)
    except OSError:
        return ""
    return str(folder)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return False
    return True


def _variables(
    server: Server, session: str, workdir: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return what every window of the session carries."""
    passed = {
        name: environment[name]
        for name in ("PATH", "SWARM_STATE_DIR", "SWARM_TMUX")
        if environment.get(name)
    }
    if "PATH" in passed and _SCRIPTS.is_dir() and str(_SCRIPTS) not in passed["PATH"].split(":"):
        passed["PATH"] += f":{_SCRIPTS}"
    return {
        **passed,
        "SWARM_SESSION": session,
        "SWARM_SOCKET": server.socket_name or "",
        "SWARM_WORKDIR": str(workdir),
        # An agent of the session layer that starts a swarm does not lend its name to the windows.
        "SWARM_SESSION_NAME": "",
    }


def _make_session(
    server: Server,
    session: str,
    workdir: Path,
    variables: dict[str, str],
    options: Mapping[str, str],
    conf: dict[str, str],
) -> str:
    """Make the session and return the place of its first window, as in ``$3:0``.

    history-limit counts only for windows made after it was set, so a stand-in has that place until
    then. One command list, since a user's ``destroy-unattached on`` would end the session at once.
    """
    assignments = [f"{name}={value}" for name, value in variables.items()]
    argv = (
        *("new-session", "-d", "-P", "-F", "#{session_id}:#{window_index}"),
        *("-s", session, "-n", "stand-in", "-x", conf["WIDTH"], "-y", conf["HEIGHT"]),
        *("-c", _folder(workdir)),
        *(word for each in assignments for word in ("-e", _literal(each))),
        *(*_STAND_IN, ";"),
        *("set-option", "-t", f"={session}:", "destroy-unattached", "off", ";"),
        *("set-option", "-t", f"={session}:", "history-limit", conf["HISTORY_LIMIT"]),
        *(
            word
            for name, value in options.items()
            for word in (";", "set-option", "-t", f"={session}:", name, value)
        ),
    )
    with attaching.lock(server.sockets, server.deadline_s):
        reply = server.cmd(*argv)
    if reply.returncode == 0:
        return reply.stdout[0]
    if reply.stdout:
        server.cmd("kill-session", "-t", reply.stdout[0].partition(":")[0])
    said = " ".join(reply.stderr)
    if said.startswith("duplicate session"):
        raise _already_there(server, session)
    raise TmuxError(f"tmux could not make session {session}: {said}")


def _make_window(
    server: Server,
    name: str,
    role: str,
    workdir: Path,
    target: tuple[str, ...],
    agent: Agent | None,
    argv: tuple[str, ...],
    spool: str,
    granted: Mapping[str, str],
) -> None:
    """Make one window; its agent starts when all options are set."""
    made = ("new-window", "-d", "-P", "-F", "#{pane_id} #{pid}", "-n", name)
    said = server.ask(*made, "-c", _folder(workdir), *target, *_STAND_IN)
    pane, pid = said.split()
    options = [
        ("-w", "automatic-rename", "off"),
        ("-w", "allow-rename", "off"),
        ("-w", "window-size", "manual"),
        ("-w", "remain-on-exit", "on"),
        ("-p", "@swarm_role", role),
        *(("-p", option, value) for option, value in granted.items()),
    ]
    if agent is not None:
        options += [("-p", name, value) for name, value in agent.pane_options.items()]
    if spool:
        # A server before this one may have had the same number.
        Path(spool, f"{pid}-{pane[1:]}.jsonl").unlink(missing_ok=True)
        options.append(("-p", "@swarm_witness", spool))
    words: list[str] = []
    for kind, option, value in options:
        words += ["set-option", kind, "-t", pane, option, _literal(value), ";"]
    server.ask(*words, "respawn-pane", "-k", "-t", pane, *map(_literal, argv))


def _settle(server: Server, session_id: str, ready: str | None, conf: dict[str, str]) -> None:
    """Wait until all agents show their input line; raise where one has ended."""
    deadline = clock.monotonic() + int(conf["READY_MS" if ready else "SETTLE_MS"]) / 1000
    form = "#{pane_dead} x#{pane_dead_status} #{pane_id} #{cursor_y} #{window_name}"
    ended = False
    while clock.monotonic() < deadline:
        said = server.ask("list-panes", "-s", "-t", session_id, "-F", form)
        rows = [line.split(" ", 4) for line in said.splitlines()]
        dead = [row for row in rows if row[0] == "1"]
        # What ends one window ends the others a moment later: they are told together.
        if dead and ended:
            told = [f"{row[4]} (status {row[1][1:]}){_last_words(server, row[2])}" for row in dead]
            raise NotFoundError(f"the program ended at once in {'; '.join(told)}")
        ended = bool(dead)
        if ready and not dead and all(_input_line(server, row[2], row[3], ready) for row in rows):
            return
        clock.sleep(_LOOK_S)


def _last_words(server: Server, pane: str) -> str:
    # tmux 3.3a sometimes loses what a program prints just before its end.
    lines = server.ask("capture-pane", "-p", "-S", "-", "-t", pane).splitlines()
    said = [line for line in lines if line.strip() and not line.startswith("Pane is dead")]
    return f": {said[-1]}" if said else ""


def _input_line(server: Server, pane: str, row: str, ready: str) -> bool:
    line = server.ask("capture-pane", "-p", "-t", pane, "-S", row, "-E", row)
    return re.search(ready, line.rstrip("\n")) is not None


def _literal(word: str) -> str:
    """Return *word* as tmux takes it for one word: a semicolon at its end ends the command."""
    return f"{word[:-1]}\\;" if word.endswith(";") else word


def _folder(path: Path) -> str:
    """Return *path* for ``-c``, which tmux expands as a format; it leaves ``#[`` as it is."""
    return _literal(re.sub(r"#+(?!#|\[)", lambda found: found[0] * 2, str(path)))
