"""The ``swarmcomm`` command: parses, calls, prints; errors become a status in one place."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

import click

from swarmcomm import __version__, settings
from swarmcomm.errors import InvalidInputError, SwarmError, WaitTimeoutError
from swarmcomm.frontends import deliver, plugin, sessions, watch, wire
from swarmcomm.frontends.arguments import Group, where
from swarmcomm.frontends.hooks.commands import hooks

INTERRUPTED = 130
DEFECT = 70

#: Seconds after which an interrupt comes again that was raised where it was lost.
_AGAIN_S = 0.05


@click.group(cls=Group)
@click.option("--session", metavar="S", help="tmux session (default: SWARM_SESSION)")
@click.option("--socket", metavar="L", help="tmux -L socket name (default: SWARM_SOCKET)")
@click.version_option(__version__, prog_name="swarmcomm")
def cli(session: str | None, socket: str | None) -> None:
    """Send tasks to terminal AI agents in tmux and read their answers.

    Example: swarmcomm send worker-0 task-001 "make test"
    """


for _command in (
    *wire.COMMANDS,
    *watch.COMMANDS,
    *sessions.COMMANDS,
    deliver.deliver,
    hooks,
    plugin.plugin,
):
    cli.add_command(_command)


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

    server.run(lambda: wire.attach(session, socket), socket)


def main() -> None:
    """Run the command and end with its status; an error is one line on standard error."""
    _open_closed_streams()
    try:
        _lose_no_interrupt()
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


def _lose_no_interrupt() -> None:
    """Let an interrupt come again that was raised in what can raise nothing.

    Such as the __del__ of a process that was waited for: Python would print it there and go on.
    """
    signal.signal(signal.SIGALRM, signal.default_int_handler)

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            sys.__unraisablehook__(lost)

    sys.unraisablehook = unraisable


def _fail(message: str, status: int) -> None:
    click.echo(f"swarmcomm: {' '.join(message.split())}", err=True)
    sys.exit(status)
