"""The commands of the wire: windows that start and end, tasks sent, answers read."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from swarmcomm import settings
from swarmcomm.errors import SwarmError, TaskFailedError, WaitTimeoutError
from swarmcomm.frontends import arguments, output
from swarmcomm.frontends.arguments import Examples, TextCommand, as_json, where

if TYPE_CHECKING:
    from swarmcomm.swarm import Swarm


@click.command(cls=Examples)
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


@click.command(cls=Examples)
@where
@as_json
def down(session: str | None, socket: str | None, as_json: bool) -> None:
    """End the session and every agent in it.

    Example: swarmcomm down
    """
    swarm = attach(session, socket)
    swarm.down()
    if as_json:
        output.print_json(session=swarm.settings.session, state="ended")
    else:
        click.echo(f"ended {swarm.settings.session}")


@click.command(cls=TextCommand)
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
        task = attach(session, socket)[window].send(text, task_id=task_id, tag=tag, wait_s=wait_s)
    output.report(task.delivery, window, str(task.wire_id), as_json)


@click.command("send-raw", cls=TextCommand)
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
    swarm = attach(session, socket)
    delivery = swarm[window].send_raw(
        arguments.text(text), wait_s=arguments.seconds(wait_s, "--wait")
    )
    output.report(delivery, window, "raw", as_json)


@click.command(cls=Examples)
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
    swarm = attach(session, socket)
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


@click.command(cls=Examples)
@where
@as_json
@click.argument("window", required=False)
def status(session: str | None, socket: str | None, as_json: bool, window: str | None) -> None:
    """Show the last 20 lines of WINDOW, or the last 10 of every window.

    Example: swarmcomm status worker-0
    """
    swarm = attach(session, socket)
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


@click.command(cls=Examples)
@where
@as_json
@click.argument("window")
def interrupt(session: str | None, socket: str | None, as_json: bool, window: str) -> None:
    """Press Ctrl-C in WINDOW; the built-in worker ends its task with ERROR.

    Example: swarmcomm interrupt worker-0
    """
    attach(session, socket)[window].interrupt()
    if as_json:
        output.print_json(outcome="interrupted", window=window)
    else:
        click.echo(f"interrupted {window}")


def attach(session: str | None, socket: str | None) -> Swarm:
    """Return the swarm of the environment, or of what the options say."""
    from swarmcomm.swarm import Swarm

    return Swarm.attach(session, socket)


COMMANDS = (up, down, send, send_raw, poll, status, interrupt)
