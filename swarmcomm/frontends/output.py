"""What the ``swarmcomm`` command prints: answers to standard output, everything else to error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from swarmcomm.protocol import NearMiss
    from swarmcomm.store import Event
    from swarmcomm.swarm import State
    from swarmcomm.swarm.ledger import WitnessedAnswer

NOT_CONFIRMED = 4


def report(outcome: str, reason: str, window: str, what: str, as_json: bool) -> None:
    """Print the outcome of a send; one that was not confirmed ends with status 4."""
    if as_json:
        print_json(outcome=outcome, window=window, wire_id=what, reason=reason)
    else:
        click.echo(f"{outcome} {window} {what}")
    if reason:
        click.echo(f"swarmcomm: window {window}: {reason}", err=True)
        sys.exit(NOT_CONFIRMED)


def print_json(**fields: object) -> None:
    """Print one JSON object on a line of its own."""
    click.echo(json.dumps(fields, ensure_ascii=False))


def print_near_miss(near: NearMiss) -> None:
    """Print a line that looked like an answer and was not accepted."""
    click.echo(f"near miss ({near.reason}): {near.line}", err=True)


def print_answer(window: str, answer: WitnessedAnswer, as_json: bool) -> None:
    """Print one answer, its decoration gone."""
    if as_json:
        print_json(
            window=window,
            marker=answer.marker,
            task_id=answer.wire_id.task_id,
            wire_id=str(answer.wire_id),
            text=answer.text,
            flags=answer.flags,
            witnesses=answer.witnesses,
        )
    else:
        click.echo(f"[{answer.marker}] {answer.wire_id} {answer.text}".rstrip())


def print_event(event: Event, as_json: bool) -> None:
    """Print one event of a watch; a near miss goes to standard error."""
    if as_json:
        print_json(
            time=event.time.isoformat(timespec="milliseconds"),
            window=event.window,
            marker=event.marker,
            task_id=event.task_id,
            wire_id=event.wire_id,
            text=event.text,
            state=event.state,
            flags=event.flags,
            witnesses=event.witnesses,
        )
        return
    if event.marker:
        what = f"[{event.marker}] {event.wire_id}"
    else:
        what = f"({event.state})" if event.state else f"near miss ({event.flags[0]}):"
    line = f"[{event.time:%H:%M:%S}] {event.window}: {what} {event.text}".rstrip()
    click.echo(line, err=not (event.marker or event.state))


def print_lines(window: str, state: tuple[State, str], lines: list[str], as_json: bool) -> None:
    """Print what a window's agent is doing, where that is known, and its lines."""
    if as_json:
        print_json(window=window, state=state[0], text=state[1], lines=lines)
    else:
        if state[0] != "unknown":
            click.echo(": ".join(part for part in (f"({state[0]})", state[1]) if part))
        click.echo("\n".join(lines))
