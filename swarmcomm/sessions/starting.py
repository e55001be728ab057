"""Starting the agent of one session: a tmux session with one window, that knows who it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmcomm import agents, protocol, settings
from swarmcomm.errors import InvalidInputError, NotFoundError, RefusedError, SessionNameError
from swarmcomm.sessions.names import parse
from swarmcomm.swarm import Swarm
from swarmcomm.tmux.launch import launch, typed
from swarmcomm.tmux.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarmcomm.sessions.identity import Identity


@dataclass(frozen=True)
class Started:
    """A session that was started.

    *session* is the tmux session, *window* the agent's there, *session_name* what it is registered
    as, *attach* the command that shows it. *outcome* is how the sending of the first task ended:
    an outcome of a send, ``refused`` where its window did not take it, None where there was none;
    *reason* says why it did not end better.
    """

    session: str
    window: str
    session_name: str
    attach: str
    outcome: str | None = None
    reason: str = ""


def create_session(
    name: str,
    identity: Identity,
    *,
    workdir: Path | str,
    agent: str | None = None,
    task: str | None = None,
    socket: str | None = None,
    environ: Mapping[str, str] = os.environ,
    settings: Mapping[str, Any] | None = None,
    interval_s: float | None = None,
) -> Started:
    """Start an agent (default: SWARM_AGENT, claude) in a tmux session *name*, and register it.

    In its environment stands who it is: PROJECT_ID, TASK_ID, SESSION_ROLE, MASTER_SESSION_ID,
    WORKTREE_PATH and SWARM_SESSION_NAME; *interval_s*, in seconds, becomes SWARM_HOOK_INTERVAL.
    *settings* are given to an agent that takes some, with our own hooks. A *task* is typed into
    its window as the task of its name. Blocks until the agent shows its input line, at most
    READY_MS, and SEND_WAIT_S more with a task.

    Raises:
        InvalidInputError: a name, the agent, *workdir* or the task cannot be used; nothing was
            made.
        RefusedError: the session is already there, in a tmux session of this or another name, or
            may not be started, or the task holds what no window takes; nothing was made.
        MissingProgramError: tmux or the agent is not installed.
        NotFoundError: the agent ended at once; its dead pane stays to be read.
        TmuxError: tmux could not be asked.
        SessionError, StoreError: it could not be registered, and was ended.
    """
    registered = str(identity.name)
    _check_name(name, registered)
    if task is not None:
        protocol.check_description(task)
    window = _window(identity.role)
    swarm = _launch(name, identity, workdir, agent, socket, environ, settings, interval_s)
    try:
        _register(identity, environ)
    except BaseException:
        swarm.down()
        raise
    attach = swarm.command("attach")
    if task is None:
        return Started(name, window, registered, attach)
    try:
        sent = swarm[window].send(task, task_id=identity.name.task_id, tag=False)
    except RefusedError as error:
        return Started(name, window, registered, attach, "refused", str(error))
    return Started(name, window, registered, attach, str(sent.outcome), sent.delivery.reason)


def _window(role: str) -> str:
    """Return the name of its window: with a dot in it, no target of tmux's would find it."""
    return role.replace(".", "-")


def _check_name(name: str, registered: str) -> None:
    """A tmux session that is called like a session of ours is that one."""
    try:
        parse(name)
    except SessionNameError:
        return
    if name != registered:
        raise InvalidInputError(
            f"{name} is another session than its ids say; call it {registered}, or give the ids"
            f" of {name}"
        )


def _check_alone(server: Server, session: str, registered: str) -> None:
    """Of two agents that are the same session, the second would have no part in anything."""
    try:
        rows = server.ask("list-panes", "-a", "-F", "#{pane_dead} #{session_id} #{session_name}")
    except NotFoundError:  # no server yet
        return
    for row in dict.fromkeys(rows.splitlines()):
        dead, session_id, other = row.split(" ", 2)
        if dead == "1" or other == session:
            continue
        said = server.cmd("show-environment", "-t", session_id, "SWARM_SESSION_NAME").stdout
        if said == [f"SWARM_SESSION_NAME={registered}"]:
            raise RefusedError(
                f"{registered} is already there, in session {other}; attach with:"
                f" {typed(server, other, 'attach')}, or end it with:"
                f" {typed(server, other, 'kill-session')}"
            )


def _launch(
    name: str,
    identity: Identity,
    workdir: Path | str,
    agent: str | None,
    socket: str | None,
    environ: Mapping[str, str],
    more: Mapping[str, Any] | None,
    interval_s: float | None,
) -> Swarm:
    found = settings.from_environment(environ).with_session(name, socket)
    server = Server(found.socket, found.tmux)
    _check_alone(server, name, str(identity.name))
    folder = Path(workdir).resolve()
    variables = {
        "PROJECT_ID": identity.name.project_id,
        # What a master's session does not have, it does not take from whoever began the server.
        "TASK_ID": identity.name.task_id or "",
        "SESSION_ROLE": identity.role,
        "MASTER_SESSION_ID": str(identity.name.master),
        "WORKTREE_PATH": str(folder),
        "SWARM_SESSION_NAME": str(identity.name),
    }
    if interval_s is not None:
        variables["SWARM_HOOK_INTERVAL"] = f"{interval_s:g}"
    launch(
        server,
        session=found.session,
        workdir=folder,
        agent=agents.load(agent or found.agent),
        command=None,
        environment=environ,
        windows=(_window(identity.role),),
        hooks=found.hooks,
        variables=variables,
        more=more,
        role="worker" if identity.role == "child" else identity.role,
    )
    return Swarm(server, found)


def _register(identity: Identity, environ: Mapping[str, str]) -> None:
    from swarmcomm.sessions import Coordinator

    with Coordinator.attach(environ) as coordinator:
        coordinator.register_session(str(identity.name))
