"""The commands of the session layer: who there is, what each does, what they tell each other."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from swarmcomm import clock, protocol, settings
from swarmcomm.errors import InvalidInputError
from swarmcomm.frontends import arguments, output
from swarmcomm.frontends.arguments import Examples, as_json, session_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmcomm.sessions import Coordinator, Message, SessionStatus


@click.command(cls=Examples)
@session_option
@click.option("--of", "master", metavar="MASTER", help="the children of this master")
@click.option("--forget", metavar="AGE", help="remove what is over for AGE: 30d, 12h, 5m or 10s")
@as_json
@click.argument("name", required=False)
def sessions(
    session: str | None, master: str | None, forget: str | None, as_json: bool, name: str | None
) -> None:
    """List the registered sessions, or NAME: what each does, and what waits for it.

    --forget removes instead, for good, and says how many: children that are
    COMPLETED, in ERROR or TERMINATED for longer and have no message that waits,
    masters without children, their messages, and others that were
    acknowledged or expired. Nothing else ever removes any.

    Example: swarmcomm sessions --of master_project_web
    Example: swarmcomm sessions --forget 30d
    """
    if (name is not None) + (master is not None) + (forget is not None) > 1:
        raise InvalidInputError("NAME, --of and --forget do not go together; give one of them")
    age = arguments.age(forget) if forget is not None else timedelta()
    with attach(session) as coordinator:
        if forget is not None:
            removed = coordinator.forget(clock.now() - age)
            if as_json:
                output.print_json(removed=removed, older_than=forget)
            else:
                which = "session" if removed == 1 else "sessions"
                click.echo(f"removed {removed} {which} that ended more than {forget} ago")
        elif master is not None:
            _print_statuses(coordinator.get_child_sessions(master), as_json)
        else:
            _print_statuses(coordinator.query_session_status(name), as_json)


@click.command(cls=Examples)
@session_option
@as_json
@click.argument("parent")
@click.argument("child")
@click.argument("task_id", required=False)
@click.argument("project_id", required=False)
def register(
    session: str | None,
    as_json: bool,
    parent: str,
    child: str,
    task_id: str | None,
    project_id: str | None,
) -> None:
    """Register a master session and a child of it.

    Names are master_project_{PROJECT_ID} and child_{PROJECT_ID}_task_{TASK_ID};
    TASK_ID and PROJECT_ID are those in the names where they are not given.
    What is registered already stays as it is.

    Example: swarmcomm register master_project_web child_web_task_3
    """
    from swarmcomm.sessions import parse

    named = parse(child)
    task, project = task_id or named.task_id or "", project_id or named.project_id
    with attach(session) as coordinator:
        relation = coordinator.register_session_relationship(parent, child, task, project)
    if as_json:
        output.print_json(**relation.as_dict())
    else:
        click.echo(f"registered {relation.child_session} under {relation.parent_session}")


@click.command(cls=Examples)
@session_option
@click.option("--progress", metavar="N", type=int, help="0 to 100 (default: as it is)")
@click.option("--details", metavar="TEXT", help='text, or an object of JSON; "-": standard input')
@as_json
@click.argument("name", metavar="SESSION")
@click.argument("status")
def report(
    session: str | None,
    progress: int | None,
    details: str | None,
    as_json: bool,
    name: str,
    status: str,
) -> None:
    """Store what SESSION does.

    STATUS is UNKNOWN, STARTING, STARTED, WORKING, COMPLETED, BLOCKED, ERROR or
    TERMINATED. After one of the three that end its work (COMPLETED, ERROR,
    TERMINATED) only STARTING or STARTED goes on. Where SWARM_SESSION_NAME is
    set, the caller is that session and reports as no other.

    Example: swarmcomm report child_web_task_3 WORKING --progress 40
    """
    from swarmcomm.sessions import read_details

    said = read_details(arguments.text(details)) if details is not None else None
    with attach(session) as coordinator:
        now = coordinator.report_session_status(name, status, progress, said)
    if as_json:
        output.print_json(**now.as_dict())
    else:
        click.echo(f"{now.session_name} {now.status} {now.progress} %")


@click.command(cls=Examples)
@session_option
@click.option("--limit", metavar="N", type=click.IntRange(1), default=settings.MESSAGES_AT_ONCE,
              show_default=True, help="at most N")  # fmt: skip
@click.option("--ack", metavar="ID,ID", help="say that SESSION has acted on these")
@click.option("--all", "is_all", is_flag=True, help="show the newest, read or not, and take none")
@click.option("--to", metavar="OTHER", help="send TEXT from SESSION to OTHER")
@click.option("--type", "kind", metavar="TYPE",
              help="INSTRUCTION, QUERY, STATUS_REQUEST; from a child RESPONSE")  # fmt: skip
@click.option("--reply-to", metavar="ID", type=int, help="the message that TEXT answers")
@click.option("--expires", metavar="AGE", help="how long TEXT waits: 7d (the default), 12h, 5m")
@as_json
@click.argument("name", metavar="[SESSION]", required=False)
@click.argument("text", required=False)
def messages(
    session: str | None,
    limit: int,
    ack: str | None,
    is_all: bool,
    to: str | None,
    kind: str | None,
    reply_to: int | None,
    expires: str | None,
    as_json: bool,
    name: str | None,
    text: str | None,
) -> None:
    """Read the messages to SESSION, or send one.

    A message comes again, marked as redelivered, until --ack names it. TEXT
    "-" reads standard input. Where SWARM_SESSION_NAME is set, the caller is
    that session and reads and sends as no other.

    Example: swarmcomm messages child_web_task_3
    Example: swarmcomm messages child_web_task_3 --ack 12,13
    Example: swarmcomm messages master_project_web --to child_web_task_3 "go on"
    """
    _check_use(ack, is_all, to, text, (kind, reply_to, expires), name)
    expires_s = arguments.age(expires).total_seconds() if expires is not None else None
    with attach(session) as coordinator:
        if is_all:
            _print_messages(coordinator.message_history(name, limit), as_json, is_all)
            return
        assert name is not None
        if ack is not None:
            count = coordinator.acknowledge_messages(name, _ids(ack))
            if as_json:
                output.print_json(acknowledged=count)
            else:
                click.echo(f"acknowledged {count} {'message' if count == 1 else 'messages'}")
        elif to is not None:
            said = arguments.text(text or "")
            sent = coordinator.send_message_to_session(name, to, said, kind, reply_to, expires_s)
            if as_json:
                output.print_json(**sent.as_dict())
            else:
                click.echo(f"sent {sent.id} {sent.message_type} to {sent.to_session}")
        else:
            found = coordinator.get_session_messages(name, limit)
            _print_messages(found, as_json, is_all)
            if found and not as_json:
                ids = ",".join(str(message.id) for message in found)
                click.echo(f"when done: swarmcomm messages {name} --ack {ids}", err=True)


def _check_use(
    ack: str | None,
    is_all: bool,
    to: str | None,
    text: str | None,
    of_text: tuple[object, ...],
    name: str | None,
) -> None:
    if (ack is not None) + is_all + (to is not None) > 1:
        raise InvalidInputError("--ack, --all and --to do not go together; give one of them")
    if (text is not None) is not (to is not None):
        raise InvalidInputError(
            "TEXT and --to go together, as in: messages SESSION --to OTHER TEXT"
        )
    if to is None and any(word is not None for word in of_text):
        raise InvalidInputError("--type, --reply-to and --expires go with --to")
    if name is None and not is_all:
        raise InvalidInputError("name the SESSION whose messages are meant, or give --all")


def attach(session: str | None) -> Coordinator:
    """Return the coordinator of the environment, for *session* of tmux; its note is printed."""
    from swarmcomm.sessions import Coordinator

    environ = {**os.environ, "SWARM_SESSION": session} if session is not None else os.environ
    coordinator = Coordinator.attach(environ)
    if coordinator.note:
        click.echo(f"swarmcomm: {coordinator.note}", err=True)
    return coordinator


def _ids(words: str) -> list[int]:
    ids = [word.strip() for word in words.split(",")]
    for word in ids:
        if not (word.isascii() and word.isdigit() and len(word) < 19):
            raise InvalidInputError(
                f"{word[:80]!r} is no id of a message; give numbers, as in 12,13"
            )
    return [int(word) for word in ids]


def _print_statuses(statuses: Iterable[SessionStatus], as_json: bool) -> None:
    for status in statuses:
        if as_json:
            output.print_json(**status.as_dict())
            continue
        details = status.details
        said = details if isinstance(details, str) else json.dumps(details) if details else ""
        unread = f"  {status.unread} unread" if status.unread else ""
        click.echo(
            f"{status.session_name}  {status.status:<10} {status.progress:>3} %"
            f"  {status.changed_at:%Y-%m-%d %H:%M:%S}{unread}  {_shown(said)}".rstrip()
        )


def _print_messages(found: Iterable[Message], as_json: bool, is_all: bool) -> None:
    for message in found:
        if as_json:
            output.print_json(**message.as_dict())
            continue
        notes: list[str] = [message.state] if is_all else []
        notes += ["redelivered"] if message.redelivered else []
        notes += [f"answers {message.reply_to}"] if message.reply_to else []
        whom = f" to {message.to_session}" if is_all else ""
        head = f"{message.id} {message.message_type} from {message.from_session}{whom}"
        click.echo(f"{head} ({', '.join(notes)}):" if notes else f"{head}:")
        for line in protocol.neutralise(message.text).split("\n"):
            click.echo(f"  {line}".rstrip())


def _shown(text: str) -> str:
    """Return what an agent said on one line, such that no reader takes it for an answer."""
    return output.one_line(protocol.neutralise(text))


COMMANDS = (sessions, register, report, messages)
