"""The ``swarmcomm`` command: parses, calls, prints; errors become a status in one place."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections import deque
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmcomm import __version__, clock, settings
from swarmcomm.errors import InvalidInputError, SwarmError, TaskFailedError, WaitTimeoutError
from swarmcomm.frontends import arguments, deliver, output, plugin, sessions
from swarmcomm.frontends.arguments import Group, TextCommand, as_json, session_option, where
from swarmcomm.frontends.hooks.commands import hooks

if TYPE_CHECKING:
    from swarmcomm.swarm import Swarm

INTERRUPTED = 130
DEFECT = 70


@click.group(cls=Group)
@click.option("--session", metavar="S", help="tmux session (default: SWARM_SESSION)")
@click.option("--socket", metavar="L", help="tmux -L socket name (default: SWARM_SOCKET)")
@click.version_option(__version__, prog_name="swarmcomm")
def cli(session: str | None, socket: str | None) -> None:
    """Send tasks to terminal AI agents in tmux and read their answers.

    Example: swarmcomm send worker-0 task-001 "make test"
    """


@cli.command()
@where
@click.option("--workdir", "-d", metavar="DIR", help="where the agents work (default: here)")
@click.option("--agent", metavar="NAME", help="profile of the agent (default: SWARM_AGENT, claude)")
@click.option("--agent-file", metavar="FILE", help="profile of an agent of your own")
@click.option("--command", metavar="CMD", help="shell command to start instead of an agent")
@click.option("--hooks/--no-hooks", default=None,
              help="claude's hooks tell what it is told and says (SWARM_HOOKS=0: no)")  # fmt: skip
@as_json
def up(
    session: str | None,
    socket: str | None,
    workdir: str | None,
    agent: str | None,
    agent_file: str | None,
    command: str | None,
    hooks: bool | None,
    as_json: bool,
) -> None:
    """Start the four windows with an agent in each.

    Example: swarmcomm up --agent shell --workdir ~/project
    """
    from swarmcomm.swarm import Swarm

    swarm = Swarm.launch(agent, workdir, session, socket, command, agent_file, hooks)
    attach = swarm.command("attach")
    if as_json:
        output.print_json(session=swarm.settings.session, windows=swarm.windows(), attach=attach)
    else:
        click.echo(f"started {swarm.settings.session}: {' '.join(swarm.windows())}")
        click.echo(f"attach with: {attach}")


@cli.command()
@where
@as_json
def down(session: str | None, socket: str | None, as_json: bool) -> None:
    """End the session and every agent in it.

    Example: swarmcomm down
    """
    swarm = _attach(session, socket)
    swarm.down()
    if as_json:
        output.print_json(session=swarm.settings.session, state="ended")
    else:
        click.echo(f"ended {swarm.settings.session}")


@cli.command(cls=TextCommand)
@where
@click.option("--tag/--no-tag", default=None, help="add a fresh tag to the id (SWARM_TAG=1)")
@click.option("--wait", "wait_s", metavar="S", default=settings.SEND_WAIT_S, show_default=True,
              help="seconds to wait for a window that can take the task")  # fmt: skip
@click.option("--status-log", metavar="FILE", help="append a SKIP line to FILE if it is refused")
@as_json
@click.argument("window")
@click.argument("task_id")
@click.argument("description")
def send(
    session: str | None,
    socket: str | None,
    tag: bool | None,
    wait_s: float,
    status_log: str | None,
    as_json: bool,
    window: str,
    task_id: str,
    description: str,
) -> None:
    """Type a task into WINDOW and see that it was submitted.

    DESCRIPTION is the task's text; "-" reads it from standard input.
    Prints the outcome, the window and the id that answers will carry.

    Example: swarmcomm send worker-0 task-001 "make test"
    """
    from swarmcomm import protocol
    from swarmcomm.frontends.status_log import noting_refusal

    protocol.check_task_id(task_id)
    text = arguments.text(description)
    wait_s = arguments.seconds(wait_s, "--wait")
    with noting_refusal(status_log, window, task_id):
        protocol.check_description(text)
        task = _attach(session, socket)[window].send(text, task_id=task_id, tag=tag, wait_s=wait_s)
    output.report(task.delivery, window, str(task.wire_id), as_json)


@cli.command("send-raw", cls=TextCommand)
@where
@click.option("--wait", "wait_s", metavar="S", default=settings.SEND_WAIT_S, show_default=True,
              help="seconds to wait for a window that can take the text")  # fmt: skip
@as_json
@click.argument("window")
@click.argument("text")
def send_raw(
    session: str | None,
    socket: str | None,
    wait_s: float,
    as_json: bool,
    window: str,
    text: str,
) -> None:
    """Type TEXT as it is into WINDOW and submit it; "-" reads standard input.

    Example: swarmcomm send-raw worker-0 "use the staging database"
    """
    swarm = _attach(session, socket)
    delivery = swarm[window].send_raw(
        arguments.text(text), wait_s=arguments.seconds(wait_s, "--wait")
    )
    output.report(delivery, window, "raw", as_json)


@cli.command()
@where
@click.option("--timeout", "timeout_s", metavar="S", type=float, help="seconds to look [30]")
@click.option("--task-id", metavar="ID", help="answers of this task only")
@click.option("--until", metavar="A,B", help="wait for one of these markers, or the task's end")
@as_json
@click.argument("window")
@click.argument("words", nargs=-1, metavar="[TIMEOUT] [TASK_ID]")
def poll(
    session: str | None,
    socket: str | None,
    timeout_s: float | None,
    task_id: str | None,
    until: str | None,
    as_json: bool,
    window: str,
    words: tuple[str, ...],
) -> None:
    """Print the answers on WINDOW as they are seen.

    Ends at the first answer that comes, or at once when DONE, ERROR, WAIT
    or HELP is already there. TIMEOUT 0 is one look. Status 1: nothing came
    in time.

    Example: swarmcomm poll worker-0 60 task-001 --until DONE,ERROR
    """
    from swarmcomm import protocol

    timeout_s, task_id = arguments.poll_words(words, timeout_s, task_id)
    wanted = arguments.markers(until)
    swarm = _attach(session, socket)
    seen: list[protocol.Marker] = []
    noted = False
    for answer in swarm[window].poll(task_id, wanted, timeout_s, output.print_near_miss):
        seen.append(answer.marker)
        if task_id and not noted and "task-not-seen" in answer.flags:
            noted = True
            output.print_not_seen(task_id)
        output.print_answer(window, answer, as_json)
    error = protocol.Marker.ERROR
    if not seen or (wanted and not (wanted | protocol.ENDS).intersection(seen)):
        raise WaitTimeoutError(timeout_s)
    if wanted and error in seen and not (wanted - {error}).intersection(seen):
        sys.exit(TaskFailedError.exit_status)


@cli.command()
@where
@as_json
@click.argument("window", required=False)
def status(session: str | None, socket: str | None, as_json: bool, window: str | None) -> None:
    """Show the last 20 lines of WINDOW, or the last 10 of every window.

    Example: swarmcomm status worker-0
    """
    swarm = _attach(session, socket)
    if window is not None:
        output.print_lines(window, swarm[window].state(), swarm[window].lines(20), as_json)
        return
    if not as_json:
        click.echo("=== Claude Swarm Status ===")
    worst = 0
    for name in dict.fromkeys((*swarm.settings.windows, *swarm.windows())):
        if not as_json:
            click.echo(f"\n--- {name} ---")
        try:
            output.print_lines(name, swarm[name].state(), swarm[name].lines(10), as_json)
        except SwarmError as error:
            worst = error.exit_status
            if as_json:
                output.print_json(window=name, error=str(error))
            else:
                click.echo(f"({error})")
    sys.exit(worst)


@cli.command()
@where
@click.option("--since", metavar="N", type=click.IntRange(min=0),
              help="begin with what is stored above that number")  # fmt: skip
@click.option("--interval", "interval_s", metavar="S", type=float,
              help="seconds between looks where tmux wakes nobody")  # fmt: skip
@click.option("--status-log", metavar="FILE", help="also append a JSON line for each answer")
@as_json
@click.argument("windows", nargs=-1, metavar="[WINDOW]...")
def watch(
    session: str | None,
    socket: str | None,
    since: int | None,
    interval_s: float | None,
    status_log: str | None,
    as_json: bool,
    windows: tuple[str, ...],
) -> None:
    """Show what happens on the windows as it happens, until Ctrl-C.

    A table on a terminal, else a line for each event: answers and changes of
    state; near misses and notices on standard error. Without WINDOW: every
    window but the master, and what registered sessions say. What is visible
    already comes first.

    Example: swarmcomm watch worker-0 worker-1
    Example: swarmcomm watch --json --since 120
    """
    from swarmcomm.frontends.status_log import StatusLog

    try:
        swarm = _attach(session, socket)
        log = StatusLog(status_log) if status_log is not None else None
        if interval_s is not None:
            interval_s = arguments.seconds(interval_s, "--interval", least=0.001)
        chosen = windows or tuple(name for name in swarm.windows() if name != "master")
        click.echo(
            f"watching {' '.join(chosen)} in {swarm.settings.session}; Ctrl-C ends", err=True
        )
        with (
            output.events_shown(chosen, as_json) as (show, wanted),
            contextlib.closing(
                swarm.watch(chosen, interval_s, since, wanted, registry=not windows)
            ) as events,
        ):
            for event in events:
                if log:
                    log.tell(event)
                show(event)
    except KeyboardInterrupt:
        sys.exit(0)


@cli.command()
@session_option
@click.option("--since", metavar="N", type=click.IntRange(0),
              help="those after number N, the oldest first")  # fmt: skip
@click.option("--limit", metavar="N", type=click.IntRange(1),
              help="at most N: the newest, or the first after --since")  # fmt: skip
@click.option("--prune", metavar="AGE", help="remove those older than AGE: 30d, 12h, 5m or 10s")
@as_json
@click.argument("windows", nargs=-1, metavar="[WINDOW]...")
def events(
    session: str | None,
    since: int | None,
    limit: int | None,
    prune: str | None,
    as_json: bool,
    windows: tuple[str, ...],
) -> None:
    """List the events that watchers have stored, by number.

    --prune removes instead, for good, and says how many: those of every
    session, or of the one that --session names. Nothing else ever removes any.

    Example: swarmcomm events --since 120 worker-0
    Example: swarmcomm events --prune 30d
    """
    from swarmcomm.store import Store

    if prune is not None and (since is not None or limit is not None or windows):
        raise InvalidInputError("--prune goes with --session alone: it removes by age")
    older = arguments.age(prune) if prune is not None else None
    found = settings.from_environment(os.environ).with_session(session, None)
    folder = settings.state_folder(os.environ)
    store = Store.existing(folder) if folder else None
    if store and store.note:
        click.echo(f"swarmcomm: {store.note}", err=True)
    if older is not None:
        removed = store.prune(clock.now() - older, session) if store else 0
        if as_json:
            output.print_json(removed=removed, older_than=prune)
        else:
            click.echo(
                f"removed {removed} {'event' if removed == 1 else 'events'} older than {prune}"
            )
    elif store:
        stored = store.walk(min(since or 0, 2**62), found.session, windows or None)
        chosen = islice(stored, limit) if since is not None else deque(stored, limit)
        output.print_events(chosen, store.last(), as_json)


for _command in (*sessions.COMMANDS, deliver.deliver, plugin.plugin, hooks):
    cli.add_command(_command)


@cli.command()
@where
@as_json
@click.argument("window")
def interrupt(session: str | None, socket: str | None, as_json: bool, window: str) -> None:
    """Press Ctrl-C in WINDOW; the built-in worker ends its task with ERROR.

    Example: swarmcomm interrupt worker-0
    """
    _attach(session, socket)[window].interrupt()
    if as_json:
        output.print_json(outcome="interrupted", window=window)
    else:
        click.echo(f"interrupted {window}")


@cli.command()
@click.option("--exec", "exec_command", metavar="CMD",
              help="give each description to CMD on standard input")  # fmt: skip
@click.option("--workdir", "-d", metavar="DIR", help="where tasks run (default: here)")
def worker(exec_command: str | None, workdir: str | None) -> None:
    """Be the agent in this window: run each task that is typed into it.

    Whoever can type into the window runs commands as you.

    Example: swarmcomm worker --exec "claude -p"
    """
    from swarmcomm.frontends import worker as built_in

    sys.exit(built_in.run(exec_command, Path(workdir or Path.cwd())))


@cli.command()
def demo() -> None:
    """Run real tasks in four windows on a tmux server of its own, and clean up.

    Example: swarmcomm demo
    """
    from rich.console import Console

    from swarmcomm.frontends import demo as show

    sys.exit(show.run(Console()))


@cli.command()
@where
@click.option("--agent", metavar="NAME", help="try the profile of this agent")
@click.option("--agent-file", metavar="FILE", help="try the profile in this file")
def doctor(
    session: str | None, socket: str | None, agent: str | None, agent_file: str | None
) -> None:
    """Say what is there and what to mend.

    That is tmux, the store, the MCP server, the agent and what it is told of
    the server, and the windows of the session.

    With an agent: start it on a tmux server of its own, type a text into its
    box, see it and take it back, and say line by line what was seen. Nothing
    is submitted.

    Example: swarmcomm doctor --agent claude
    """
    from swarmcomm import agents
    from swarmcomm.frontends import doctor as examine

    profile = agents.read(Path(agent_file)) if agent_file else agents.load(agent) if agent else None
    found = settings.from_environment(os.environ).with_session(session, socket)
    sys.exit(examine.run(found, profile))


@cli.command()
@click.argument("role", type=click.Choice(["master", "worker"]), default="worker")
def instructions(role: str) -> None:
    """Print the standing instructions of a master or a worker.

    Example: swarmcomm instructions worker
    """
    from swarmcomm import agents

    click.echo(agents.instructions("master" if role == "master" else "worker"), nl=False)


@cli.command()
@where
def mcp(session: str | None, socket: str | None) -> None:
    """Serve the sessions and the wire to an agent, as MCP tools over stdio.

    Agents start it; their configuration names it, as with
    "claude mcp add session-coordinator -- swarmcomm mcp". Its tools report and
    read as the session in SWARM_SESSION_NAME, where that is set, and as no other.

    Example: swarmcomm mcp
    """
    from swarmcomm.frontends import mcp as server

    server.run(lambda: _attach(session, socket))


def main() -> None:
    """Run the command and end with its status; an error is one line on standard error."""
    _open_closed_streams()
    try:
        # click's own main would turn a closed pipe into status 1.
        with cli.make_context("swarmcomm", sys.argv[1:]) as context:
            cli.invoke(context)
        sys.stdout.flush()
    except WaitTimeoutError as error:
        click.echo(error, err=True)
        sys.exit(error.exit_status)
    except SwarmError as error:
        _fail(str(error), error.exit_status)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(InvalidInputError.exit_status)
    except click.ClickException as error:
        _fail(f"{error.format_message()} (swarmcomm --help)", InvalidInputError.exit_status)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Nobody reads on; Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _fail(f"what it says could not be written or read: {error.strerror}", DEFECT)
    except Exception:
        traceback.print_exc()
        _fail("this is a defect of swarmcomm; please report it with the lines above", DEFECT)


def _open_closed_streams() -> None:
    """Let what is written to a closed output go nowhere: who closed it wants nothing of it."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, os.fdopen(number, "w"))


def _fail(message: str, status: int) -> None:
    click.echo(f"swarmcomm: {' '.join(message.split())}", err=True)
    sys.exit(status)


def _attach(session: str | None, socket: str | None) -> Swarm:
    from swarmcomm.swarm import Swarm

    return Swarm.attach(session, socket)
