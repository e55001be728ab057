"""``swarmcomm hooks``: the hooks with which sessions of claude report by themselves."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swarmcomm import settings
from swarmcomm.errors import InvalidInputError, RefusedError, SessionNameError
from swarmcomm.frontends import arguments, output
from swarmcomm.frontends.arguments import Group, as_json, socket_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from swarmcomm.sessions.identity import Identity


@click.group(cls=Group)
def hooks() -> None:
    """Have sessions of claude report by themselves.

    Example: swarmcomm hooks generate child web-3 --project-id web --task-id 3
    """


def _who(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the words that say which session is meant."""
    for option in (
        click.option("--interval", "interval_s", metavar="S", type=float,
                     help="seconds between two reports of progress [30]"),
        click.option("--task-id", metavar="T", help="a child's task (default: that in NAME)"),
        click.option("--master-session-id", metavar="M",
                     help="its master (there is one: master_project_P)"),
        click.option("--project-id", metavar="P", help="its project (default: that in NAME)"),
        click.argument("name"),
        click.argument("role", type=click.Choice(["master", "child"])),
    ):  # fmt: skip
        command = option(command)
    return command


def _place(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name a settings file."""
    file = click.option("--file", metavar="FILE", help="another settings file of claude")
    folder = click.option("--workdir", "-d", metavar="DIR",
                          help="where claude works (default: here)")  # fmt: skip
    return folder(file(command))


@hooks.command()
@_who
@_place
@click.option("--print", "is_shown", is_flag=True, help="print the settings, and write no file")
@as_json
def generate(
    role: str,
    name: str,
    project_id: str | None,
    master_session_id: str | None,
    task_id: str | None,
    interval_s: float | None,
    workdir: str | None,
    file: str | None,
    is_shown: bool,
    as_json: bool,
) -> None:
    """Put the hooks of one session into DIR/.claude/settings.local.json.

    What stands in it stays; hooks that were generated before are replaced.
    NAME is the tmux session that claude runs in. In a session whose environment
    says who it is (PROJECT_ID, TASK_ID, SESSION_ROLE), that counts.

    Example: swarmcomm hooks generate master lead --project-id web
    Example: swarmcomm hooks generate child web-3 --project-id web --task-id 3
    """
    from swarmcomm.frontends.hooks import settings as files
    from swarmcomm.sessions import hook_settings

    identity = _identity(role, name, project_id, master_session_id, task_id)
    made = hook_settings.own_hooks(hook_settings.words(identity, _interval(interval_s)))
    if is_shown:
        click.echo(json.dumps({"hooks": made}, indent=2, ensure_ascii=False))
        return
    target = _file(workdir, file)
    if target.resolve() == files.user_file(os.environ).resolve():
        raise RefusedError(
            f"{target} counts in every session of yours, and each would be {identity.name}; name a"
            " file of the folder where this one works, or use the plugin: swarmcomm plugin path"
        )
    change = files.install(target, made)
    replaced = [who for who in _named(change.before) if who != str(identity.name)]
    if as_json:
        output.print_json(
            file=str(change.file),
            session=name,
            session_name=str(identity.name),
            role=role,
            changed=change.is_changed,
            events=list(made),
            replaced=replaced,
        )
        return
    instead = f", in place of those of {', '.join(replaced)}" if replaced else ""
    done = f"wrote the hooks of {identity.name}{instead}:" if change.is_changed else "as it was:"
    click.echo(f"{done} {change.file}")
    if files.is_for_git(change.file):
        click.echo(f"note: {files.NOT_IGNORED}", err=True)
    start = _start(name, identity, Path(workdir or Path.cwd()).absolute())
    click.echo(f"start it with: {start}", err=True)


@hooks.command("create-session")
@_who
@click.option("--workdir", "-d", metavar="DIR", help="where it works (default: here)")
@click.option("--agent", metavar="NAME", help="profile of the agent (default: SWARM_AGENT, claude)")
@click.option("--task", metavar="TEXT", help='its first task; "-" reads standard input')
@socket_option
@as_json
def create_session(
    role: str,
    name: str,
    project_id: str | None,
    master_session_id: str | None,
    task_id: str | None,
    interval_s: float | None,
    workdir: str | None,
    agent: str | None,
    task: str | None,
    socket: str | None,
    as_json: bool,
) -> None:
    """Start an agent that reports by itself, in a tmux session NAME.

    Its environment says who it is: PROJECT_ID, TASK_ID, SESSION_ROLE,
    MASTER_SESSION_ID and WORKTREE_PATH. It gets its hooks for this run; no
    settings file is written. Refused (5) in a session that may start none.

    Example: swarmcomm hooks create-session master lead --project-id web
    Example: swarmcomm hooks create-session child child_web_task_3 --task "go on"
    """
    from swarmcomm.sessions import hook_settings, starting

    identity = _identity(role, name, project_id, master_session_id, task_id)
    if task is not None and identity.name.task_id is None:
        raise InvalidInputError("--task is for a child; what a master does is typed to it")
    started = starting.create_session(
        name,
        identity,
        workdir=_folder(workdir),
        agent=agent,
        task=arguments.text(task) if task is not None else None,
        socket=socket,
        settings=hook_settings.own_settings(),
        interval_s=_interval(interval_s),
    )
    if as_json:
        output.print_json(
            session=started.session,
            window=started.window,
            session_name=started.session_name,
            attach=started.attach,
            outcome=started.outcome,
            reason=started.reason,
        )
    else:
        click.echo(f"started {started.session}: {started.session_name}")
        if started.outcome is not None:
            click.echo(f"{started.outcome} {started.window} {identity.name.task_id}")
        click.echo(f"attach with: {started.attach}")
    if started.reason:
        click.echo(f"swarmcomm: window {started.window}: {started.reason}", err=True)
        is_refused = started.outcome == "refused"
        sys.exit(RefusedError.exit_status if is_refused else output.NOT_CONFIRMED)


@hooks.command("list-sessions")
@socket_option
@as_json
def list_sessions(socket: str | None, as_json: bool) -> None:
    """List the tmux sessions that take part, with what each said last.

    Those are the sessions whose environment says who they are. Status 3: no
    tmux server runs.

    Example: swarmcomm hooks list-sessions --json
    """
    from swarmcomm.frontends.hooks import checks

    found = settings.from_environment(os.environ).with_session(None, socket)
    for each in checks.taking_part(found, os.environ):
        if as_json:
            output.print_json(**each.as_dict())
        else:
            click.echo(each.as_line())


@hooks.command()
@_place
@as_json
def validate(workdir: str | None, file: str | None, as_json: bool) -> None:
    """Say line by line whether hooks are there and work, and what to mend.

    Looks at the settings of claude for DIR, at what the hooks run, at the
    project's handlers and at the store. Status 5: something is WRONG.

    Example: swarmcomm hooks validate --workdir ~/project
    """
    from swarmcomm.frontends.hooks import checks

    folder = _folder(workdir)
    places = [Path(file)] if file is not None else checks.places(folder, os.environ)
    status = 0
    for good, text in checks.findings(folder, places, os.environ):
        if as_json:
            output.print_json(ok=good, text=text)
        else:
            click.echo(f"{checks.HEADS[good]}  {output.one_line(text)}")
        status = RefusedError.exit_status if good is False else status
    sys.exit(status)


@hooks.command()
@_place
@as_json
def remove(workdir: str | None, file: str | None, as_json: bool) -> None:
    """Take the hooks out of DIR/.claude/settings.local.json again.

    All else in it stays as it is. A file that was made for them goes.

    Example: swarmcomm hooks remove --workdir ~/project
    """
    from swarmcomm.frontends.hooks import settings as files

    change = files.remove(_file(workdir, file))
    who = _named(change.before)
    if as_json:
        output.print_json(file=str(change.file), changed=change.is_changed, removed=who)
    elif change.is_changed:
        click.echo(f"removed the hooks of {', '.join(who)}: {change.file}")
    else:
        click.echo(f"no hooks of swarmcomm: {change.file}")


def _identity(
    role: str, name: str, project: str | None, master: str | None, task: str | None
) -> Identity:
    """Return who the session is, from ids that agree with each other and with its name.

    Raises:
        InvalidInputError: they do not, or one is missing.
    """
    from swarmcomm.sessions import SessionName, child_name, master_name, parse
    from swarmcomm.sessions.identity import Identity

    settings.check_session(name)
    named: SessionName | None = None
    with contextlib.suppress(SessionNameError):  # a tmux session may be called anything
        named = parse(name)
    project = project if project is not None else named.project_id if named else None
    if project is None:
        raise InvalidInputError("which project? give --project-id P")
    if role == "master":
        if task is not None:
            raise InvalidInputError("a master has no task; leave --task-id out, or make it a child")
        identity = Identity(parse(master_name(project)), role)
    else:
        task = task if task is not None else named.task_id if named else None
        if task is None:
            raise InvalidInputError(
                "which task does the child work on? give --task-id T, or call it"
                f" child_{project}_task_T"
            )
        identity = Identity(parse(child_name(project, task)), role)
    if named is not None and named != identity.name:
        raise InvalidInputError(
            f"{name} is another session than its ids say; call it {identity.name}, or give the ids"
            f" of {name}"
        )
    if master is not None and master != str(identity.name.master):
        raise InvalidInputError(
            f"{master[:80]!r} is not the master of project {project}; that is"
            f" {identity.name.master}"
        )
    return identity


def _interval(interval_s: float | None) -> float | None:
    return arguments.seconds(interval_s, "--interval") if interval_s is not None else None


def _folder(workdir: str | None) -> Path:
    folder = Path(workdir or Path.cwd()).absolute()
    if not folder.is_dir():
        raise InvalidInputError(f"no folder '{folder}' to work in; give one that is there")
    return folder


def _file(workdir: str | None, file: str | None) -> Path:
    from swarmcomm.frontends.hooks import settings as files

    if file is not None and workdir is not None:
        raise InvalidInputError("--file and --workdir do not go together; give one of them")
    return Path(file).absolute() if file is not None else files.default_file(_folder(workdir))


def _named(found: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return the sessions that hooks of ours are for, each once."""
    from swarmcomm.sessions import hook_settings

    return list(dict.fromkeys(hook_settings.session_of(handler) for _, handler in found))


def _start(name: str, identity: Identity, folder: Path) -> str:
    """Return the command with which a person starts the session that hooks were made for."""
    values = {
        "PROJECT_ID": identity.name.project_id,
        "SESSION_ROLE": identity.role,
        "TASK_ID": identity.name.task_id,
        "SWARM_STATE_DIR": os.environ.get("SWARM_STATE_DIR"),
    }
    words = [word for key, value in values.items() if value for word in ("-e", f"{key}={value}")]
    socket = os.environ.get("SWARM_SOCKET")
    tmux = ["tmux", *(["-L", socket] if socket else []), "new-session", "-s", name]
    return shlex.join([*tmux, "-c", str(folder), *words, "claude"])
