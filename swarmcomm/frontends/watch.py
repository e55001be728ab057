"""The commands that show events: as they happen, and those that are stored."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from itertools import islice

import click

from swarmcomm import clock, settings
from swarmcomm.errors import InvalidInputError
from swarmcomm.frontends import arguments, output
from swarmcomm.frontends.arguments import Examples, as_json, session_option, where
from swarmcomm.frontends.wire import attach


@click.command(cls=Examples)
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
        swarm = attach(session, socket)
        log = StatusLog(status_log) if status_log is not None else None
        if interval_s is not None:
            interval_s = arguments.seconds(interval_s, "--interval", least=0.001)
        if "" in windows:
            raise InvalidInputError("a window has no name")
        chosen = tuple(dict.fromkeys(windows)) or tuple(
            name for name in swarm.windows() if name != "master"
        )
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


@click.command(cls=Examples)
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


COMMANDS = (watch, events)
