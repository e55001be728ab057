"""The command that types the messages to a session into a window."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from swarmcomm import clock, settings
from swarmcomm.errors import RefusedError, StoreError
from swarmcomm.frontends import arguments, output
from swarmcomm.frontends.arguments import Examples, as_json, where
from swarmcomm.frontends.sessions import attach

if TYPE_CHECKING:
    from swarmcomm.sessions.courier import Courier, Delivered


@click.command(cls=Examples)
@where
@click.option("--follow", is_flag=True, help="go on with those that come, until Ctrl-C")
@click.option("--wait", "wait_s", metavar="S", default=settings.SEND_WAIT_S, show_default=True,
              help="seconds to wait for a window that can take a message")  # fmt: skip
@as_json
@click.argument("name", metavar="SESSION")
@click.argument("window")
def deliver(
    session: str | None,
    socket: str | None,
    follow: bool,
    wait_s: float,
    as_json: bool,
    name: str,
    window: str,
) -> None:
    """Type the messages that wait for SESSION into WINDOW, each once.

    For an agent that has no MCP. Each message is a task with the id message-N
    and a tag, and is acknowledged when it was seen to leave. With --follow the
    DONE or ERROR of each goes back to its sender as a RESPONSE. A message that
    the window does not take (a dialog, a draft) waits on: status 5 and the
    reason, or with --follow the reason alone.

    Example: swarmcomm deliver child_web_task_3 worker-0 --follow
    """
    from swarmcomm.sessions.courier import Courier
    from swarmcomm.swarm import Swarm

    wait_s = arguments.seconds(wait_s, "--wait")
    swarm = Swarm.attach(session, socket)
    with attach(session) as coordinator:
        courier = Courier(coordinator, name, swarm[window])
        if not follow:
            for delivered in courier.deliver(wait_s):
                _print(delivered, window, as_json)
                if delivered.delivery.reason:
                    sys.exit(output.NOT_CONFIRMED)
            return
        click.echo(f"delivering to {name} in {window}; Ctrl-C ends", err=True)
        try:
            _follow(courier, window, wait_s, as_json)
        except KeyboardInterrupt:
            sys.exit(0)


def _follow(courier: Courier, window: str, wait_s: float, as_json: bool) -> None:
    told = ""
    while True:
        reason = ""
        try:
            _answer(courier, window, as_json)
            for delivered in courier.deliver(wait_s):
                told = ""
                _print(delivered, window, as_json)
                _answer(courier, window, as_json)
        except (RefusedError, StoreError) as error:
            reason = str(error)
        if reason and reason != told:
            click.echo(f"swarmcomm: {output.one_line(reason)}; the message waits", err=True)
        told = reason
        clock.sleep(settings.BEAT_S)


def _answer(courier: Courier, window: str, as_json: bool) -> None:
    for sent in courier.answers():
        if as_json:
            output.print_json(outcome="answered", window=window, **sent.as_dict())
        else:
            click.echo(f"answered {window} message-{sent.reply_to}: {output.one_line(sent.text)}")
    sys.stdout.flush()


def _print(delivered: Delivered, window: str, as_json: bool) -> None:
    message = delivered.message
    output.print_delivery(
        delivered.delivery,
        window,
        delivered.wire_id,
        as_json,
        then="; the message waits",
        message_id=message.id,
        message_type=message.message_type,
        from_session=message.from_session,
    )
