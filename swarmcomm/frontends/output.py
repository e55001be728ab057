"""What the ``swarmcomm`` command prints: answers to standard output, everything else to error."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import sys
from typing import TYPE_CHECKING

import click

from swarmcomm.protocol.grammar import clean
from swarmcomm.store import NOTICES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from swarmcomm.protocol import NearMiss
    from swarmcomm.store import Event
    from swarmcomm.swarm import Delivery, State
    from swarmcomm.swarm.ledger import WitnessedAnswer

NOT_CONFIRMED = 4

#: First flags of what registered sessions say of themselves, and to each other.
_REGISTRY = frozenset({"session", "message"})

#: What JSON may hold as it is, and a terminal takes for a command.
_CONTROL = re.compile(r"[\x7f-\x9f\ud800-\udfff]")

#: Columns of a terminal that a text needs beside its number, time and window.
_LEAST_COLUMNS = 20


def report(delivery: Delivery, window: str, what: str, as_json: bool) -> None:
    """Print the outcome of a send; one that was not confirmed ends with status 4."""
    print_delivery(delivery, window, what, as_json)
    if delivery.reason:
        sys.exit(NOT_CONFIRMED)


def print_delivery(
    delivery: Delivery, window: str, what: str, as_json: bool, then: str = "", **more: object
) -> None:
    """Print the outcome of a send, with *more* in JSON; *then* stands behind a reason."""
    if as_json:
        print_json(
            outcome=delivery.outcome,
            window=window,
            wire_id=what,
            **more,
            reason=delivery.reason,
            witnesses=delivery.witnesses,
        )
    else:
        click.echo(f"{delivery.outcome} {window} {what}")
    if delivery.reason:
        click.echo(f"swarmcomm: window {window}: {delivery.reason}{then}", err=True)


def print_json(**fields: object) -> None:
    """Print one JSON object on a line of its own."""
    text = json.dumps(fields, ensure_ascii=False)
    click.echo(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def print_near_miss(near: NearMiss) -> None:
    """Print a line that looked like an answer and was not accepted."""
    click.echo(f"near miss ({near.reason}): {near.line}", err=True)


def print_not_seen(task_id: str) -> None:
    """Print that an answer was accepted without its task."""
    reason = "this may be an answer to somebody else"
    click.echo(f"note: the [TASK] line of {task_id} cannot be seen; {reason}", err=True)


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
        _print_json_event(event)
        return
    window = f"{one_line(event.window)}: " if event.window else ""
    line = f"[{event.time:%H:%M:%S}] {window}{what(event)}"
    is_said = event.marker or event.state or _REGISTRY.intersection(event.flags[:1])
    click.echo(line, err=not is_said)


@contextlib.contextmanager
def events_shown(
    windows: Sequence[str], as_json: bool
) -> Iterator[tuple[Callable[[Event], None], Callable[[], bool]]]:
    """Give what shows one event of a watch, and what says whether anybody wants more.

    On a terminal that is a table, which the second draws, else a line for each.
    """
    if as_json or not sys.stdout.isatty() or os.environ.get("TERM") in (None, "", "dumb"):
        yield lambda event: print_event(event, as_json), _is_read
        return
    from swarmcomm.frontends.watch_table import WatchTable

    with WatchTable(windows) as table:
        yield table.tell, table.draw


def _is_read() -> bool:
    """Return whether anybody can read what is printed; a closed pipe has no reader."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return not poll.poll(0)


def print_events(events: Iterable[Event], last: int, as_json: bool) -> None:
    """Print stored events, each on a line of its own; *last* is the highest number of all.

    On a terminal a long text goes on below itself.
    """
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for event in events:
        if as_json:
            _print_json_event(event)
            continue
        number = str(event.number).rjust(len(str(last)))
        head = f"{number}  {event.time:%Y-%m-%d %H:%M:%S}  {one_line(event.window):<8}  "
        click.echo(head + (_folded(what(event), head, columns) if columns else what(event)))


def one_line(text: str) -> str:
    """Return an agent's *text* on one line, without control characters."""
    return " ".join(filter(None, map(clean, text.splitlines())))


def what(event: Event) -> str:
    """Return what *event* tells, on one line: its marker, state or reason, and the text."""
    if event.marker:
        head = f"[{event.marker}] {event.wire_id}"
    elif event.state:
        head = f"({event.state})"
    else:
        reason = event.flags[0] if event.flags else "?"
        head = f"({reason})" if reason in NOTICES else f"near miss ({reason}):"
    return f"{head} {one_line(event.text)}".rstrip()


def _folded(text: str, head: str, columns: int) -> str:
    """Return *text* in rows that stand behind *head*, cut at blanks where there are some."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    indent = cell_len(head)
    if columns - indent < _LEAST_COLUMNS:
        return text
    rows = Text(text).wrap(Console(), columns - indent)
    return f"\n{' ' * indent}".join(str(row).rstrip() for row in rows)


def _print_json_event(event: Event) -> None:
    print_json(
        number=event.number,
        time=event.time.isoformat(timespec="milliseconds"),
        window=one_line(event.window),
        task_id=event.task_id,
        wire_id=event.wire_id,
        marker=event.marker,
        text="\n".join(map(clean, event.text.splitlines())),
        state=event.state,
        flags=event.flags,
        witnesses=event.witnesses,
    )


def print_lines(window: str, state: tuple[State, str], lines: list[str], as_json: bool) -> None:
    """Print what a window's agent is doing, where that is known, and its lines."""
    if as_json:
        print_json(window=window, state=state[0], text=state[1], lines=lines)
    else:
        if state[0] != "unknown":
            click.echo(": ".join(part for part in (f"({state[0]})", state[1]) if part))
        click.echo("\n".join(lines))
