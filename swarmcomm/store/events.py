"""What is stored: events, where they were seen, and when two of them are the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from swarmcomm.protocol import Marker, without_marks

if TYPE_CHECKING:
    from typing import TypeAlias

    #: The values of COLUMNS.
    Row: TypeAlias = tuple[Any, ...]

#: First flags of events that tell of the reading itself, or of what sessions say of themselves and
#: to each other: each time is one of its own.
NOTICES = frozenset({"gap", "silent", "no-store", "no-stream", "store", "session", "message"})

#: Server of a place that is a session of the registry, and no pane.
NO_SERVER = ""

#: Columns of an event, in the order of :func:`row_of` and :func:`event_of`.
COLUMNS = "window_name, marker, task_id, wire_id, text, flags, state, time, witnesses"


@dataclass(frozen=True)
class Event:
    """One thing that a watcher saw on a window.

    An answer has a *marker*, its ids and its *flags* (protocol.md). A change of what the agent is
    doing has a *state*, and *text* says more: a dialog's words, an error. A near miss has neither;
    its reason is in *flags* and *text* is its line; so does a notice, whose first flag is one of
    NOTICES. A change of a session of the registry is a notice too: *window* is its name, and
    *state* its status in small letters where that is what changed. *time* is when it was seen,
    which may be some time before it was stored. *witnesses* of an answer are those that told it so
    far: screen, hook. *number* is that of the store; None where it is not stored.
    """

    window: str
    marker: Marker | None
    task_id: str | None
    wire_id: str | None
    text: str
    flags: tuple[str, ...]
    state: str | None
    time: datetime
    witnesses: tuple[str, ...] = ()
    number: int | None = None


@dataclass(frozen=True)
class Place:
    """Where something was seen; *server* tells one tmux server's life from another.

    Of a session of the registry *server* is NO_SERVER; *window* and *pane_id* are its name.
    """

    server: str
    session: str
    window: str
    pane_id: str


@dataclass(frozen=True)
class Found:
    """What a reader found; *exchange* counts those of its wire id on the pane, 0 for others."""

    place: Place
    event: Event
    exchange: int = 0


def identity(found: Found) -> bytes | None:
    """Return what is the same for the same answer or near miss; None for what never is."""
    event, place = found.event, found.place
    what: tuple[object, ...]
    if event.marker:
        what = (event.wire_id, found.exchange, event.marker)
    elif event.state is not None or NOTICES.intersection(event.flags[:1]):
        return None
    else:
        what = event.flags[:1]
    from hashlib import blake2b  # OpenSSL is loaded with it

    whole = json.dumps((place.server, place.pane_id, what, without_marks(event.text)))
    return blake2b(whole.encode(), digest_size=16).digest()


def row_of(event: Event) -> Row:
    """Return the values of COLUMNS for *event*; half a character becomes ``?``."""
    return (
        _whole(event.window),
        event.marker and str(event.marker),
        event.task_id,
        event.wire_id,
        _whole(event.text),
        json.dumps(event.flags),
        event.state and str(event.state),
        stamp(event.time),
        json.dumps(event.witnesses),
    )


def event_of(number: int, row: Row) -> Event:
    """Return the event of a row's COLUMNS, its time in local time."""
    window, marker, task_id, wire_id, text, flags, state, time, witnesses = row
    return Event(
        window,
        Marker(marker) if marker else None,
        task_id,
        wire_id,
        text or "",
        tuple(json.loads(flags)),
        state,
        time_of(time),
        tuple(json.loads(witnesses)),
        number,
    )


def stamp(time: datetime) -> str:
    """Return *time* as ISO 8601 in UTC with milliseconds; later times are greater as text."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_of(stamped: str) -> datetime:
    """Return the time of a :func:`stamp`, in local time."""
    return datetime.fromisoformat(stamped).astimezone()


def merged(stored: Row, row: Row) -> str:
    """Return the witnesses of both rows, each once, in their order."""
    if stored[-1] == row[-1]:
        return str(row[-1])
    return json.dumps(list(dict.fromkeys((*json.loads(stored[-1]), *json.loads(row[-1])))))


def said(row: Row) -> tuple[object, object]:
    """Return state and text of a row: what makes one state another."""
    return row[6], row[4]


def is_pruned(row: Row) -> bool:
    """Return whether only what tells the event again is left of a row."""
    return row[4] is None


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
