"""From a captured screen to answers and near misses (protocol.md 2 to 7)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmcomm.protocol.blocks import spoken
from swarmcomm.protocol.exchange import Exchange, State, Verdict
from swarmcomm.protocol.grammar import (
    ENDS,
    MARKER,
    NEAR_MISS_MAX_BYTES,
    TEXT_MAX_BYTES,
    Head,
    Marker,
    WireId,
    byte_length,
    clean,
    cut,
    is_decoration,
    read_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmcomm.protocol.blocks import Style

#: Columns that a program may leave free at the right edge when it wraps a row itself.
WRAP_SLACK = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """An accepted answer. *row* counts the lines of the screen from 0 and is not compared."""

    marker: Marker
    wire_id: WireId
    text: str
    flags: tuple[str, ...]
    row: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A line that looks like an answer and is none: *reason* is tag, id, sentence or late."""

    reason: str
    line: str
    row: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one screen says.

    *wire_id* is the id whose answers were looked for and *state* where its exchange is. Without
    an ask *wire_id* is None, *state* is that of the last answer's exchange, and *task_seen* says
    whether any ``[TASK]`` line is on the screen.
    """

    answers: tuple[Answer, ...]
    near_misses: tuple[NearMiss, ...]
    task_seen: bool
    wire_id: WireId | None
    state: State


@dataclass(frozen=True, slots=True)
class Line:
    """A line that may matter; *head* is None when its markers stand inside a sentence."""

    row: int
    line: str
    head: Head | None

    @property
    def wire_id(self) -> WireId | None:
        return self.head.id.wire_id if self.head else None

    @property
    def is_task(self) -> bool:
        return self.head is not None and self.head.marker is Marker.TASK


def read(
    screen: str,
    ask: str | None,
    width: int,
    style: Style | None = None,
    exact: bool = False,
) -> Reading:
    """Return what *screen*, captured with wrapped rows joined, answers to *ask*.

    *ask* is a task id, a wire id with its tag, or None (or empty) for any task. *width* is the
    pane's width in columns. With *style* it reads at the full level: blocks, not lines
    (protocol.md 14). With *exact* a plain id is not looked for with a tag: for who knows that it
    was sent without. Any text can be read; nothing but a bad *ask* raises.

    Raises:
        InvalidInputError: *ask* is not an id.
    """
    lines = list(_lines(screen if style is None else spoken(screen, style, width), width))
    return _read_one(lines, WireId.parse(ask), exact) if ask else _read_any(lines)


def open_ids(screen: str, width: int, style: Style | None = None) -> frozenset[str]:
    """Return the wire ids whose newest ``[TASK]`` line has no end below it (protocol.md 5.5)."""
    still_open: set[str] = set()
    for line in _lines(screen if style is None else spoken(screen, style, width), width):
        if line.head is None or line.wire_id is None:
            continue
        if line.is_task:
            still_open.add(str(line.wire_id))
        elif line.head.marker in ENDS:
            still_open.discard(str(line.wire_id))
    return frozenset(still_open)


def task_counts(screen: str, width: int, style: Style | None = None) -> Counter[str]:
    """Return how many ``[TASK]`` lines of each wire id are on the screen."""
    lines = _lines(screen if style is None else spoken(screen, style, width), width)
    return Counter(str(line.wire_id) for line in lines if line.is_task and line.wire_id)


def render(reading: Reading) -> str:
    """Return *reading* as the lines of a vector's ``expected.txt``, in screen order."""
    rows = [
        (a.row, f"answer\t{a.marker}\t{a.wire_id}\t{','.join(a.flags) or '-'}\t{a.text}\n")
        for a in reading.answers
    ]
    rows += [(n.row, f"near\t{n.reason}\t{n.line}\n") for n in reading.near_misses]
    return "".join(text for _, text in sorted(rows, key=lambda row: row[0]))


def line_of(row: int, raw: str, before: str, width: int) -> Line | None:
    """Return *raw* as a line that may matter, where *before* is the one above it.

    None: without a marker, with an escaped one, or without an id (2.6, 4.1, 5.1).
    """
    line = clean(raw)
    match = MARKER.search(line)
    if match is None:
        return None
    prefix = line[: match.start()]
    if not is_decoration(prefix):
        return Line(row, line, None)
    if prefix.endswith("\\") or _wrapped_escape(before, width):
        return None
    read = read_id(line, match.end())
    return Line(row, line, Head(Marker(match[1]), read)) if read is not None else None


def _lines(screen: str, width: int) -> Iterator[Line]:
    before = ""
    for row, raw in enumerate(screen.split("\n")):
        # Most lines end here: 50,000 of them in a few milliseconds.
        if "[" in raw:
            line = line_of(row, raw, before, width)
            if line is not None:
                yield line
        before = raw


def _wrapped_escape(before: str, width: int) -> bool:
    """Return whether a program broke its row between a backslash and the marker (5.2)."""
    before = clean(before)
    return before.endswith("\\") and byte_length(before) >= width - WRAP_SLACK


def _read_one(lines: list[Line], ask: WireId, exact: bool) -> Reading:
    plain = ask.tag is None
    tasks = [t for t in lines if t.is_task and t.wire_id is not None]
    follows_tag = plain and not exact
    own = [t for t in tasks if t.wire_id == ask or (follows_tag and _same_task(t.wire_id, ask))]
    wire_id = own[-1].wire_id if own else ask
    assert wire_id is not None
    near_from = own[-1].row if own else -1
    answers_from = near_from if plain else -1
    seen = {t.wire_id.task_id for t in tasks if t.wire_id}
    collected = _Collected()
    for line in lines:
        if line.is_task:
            continue
        if line.head and line.wire_id == wire_id:
            if line.row > answers_from:
                unseen = plain and not own
                collected.take(line, line.head, wire_id, unseen, keep_late=line.row > near_from)
        elif line.row > near_from:
            reason = _near_reason(line, wire_id, seen)
            if reason:
                collected.near(reason, line)
    return collected.reading(bool(own), wire_id, collected.exchange(wire_id).state)


def _read_any(lines: list[Line]) -> Reading:
    newest: dict[WireId, int] = {}
    for line in lines:
        if line.is_task and line.wire_id:
            newest[line.wire_id] = line.row
    collected = _Collected()
    above: set[str] = set()  # task ids of the [TASK] lines above this one
    echoing: set[WireId] = set()  # wire ids whose own text may still be standing here
    for line in lines:
        if line.head is None:
            continue
        wire_id = line.wire_id
        if line.is_task:
            if wire_id:
                above.add(wire_id.task_id)
                echoing.add(wire_id)
        elif wire_id is None:
            if not echoing:
                collected.near("id", line)
        elif wire_id in newest:
            echoing.discard(wire_id)
            if line.row > newest[wire_id]:
                collected.take(line, line.head, wire_id, unseen=False)
        elif wire_id.task_id in above:
            collected.near("tag", line)
        elif not echoing:
            collected.take(line, line.head, wire_id, unseen=wire_id.tag is None)
    last = collected.answers[-1].wire_id if collected.answers else None
    state = collected.exchange(last).state if last else State.SENT
    return collected.reading(bool(newest), None, state)


def near_miss(reason: str, line: Line) -> NearMiss:
    """Return *line* as one that looks like an answer and is none."""
    return NearMiss(reason, cut(line.line.lstrip(" "), NEAR_MISS_MAX_BYTES), line.row)


def _same_task(wire_id: WireId | None, other: WireId) -> bool:
    return wire_id is not None and wire_id.task_id == other.task_id


def _near_reason(line: Line, wire_id: WireId, seen: set[str]) -> str | None:
    """Return why *line*, which is no answer of *wire_id*, looks like one (protocol.md 7)."""
    if line.head is None:
        return "sentence" if _names(line.line, wire_id) else None
    if _same_task(line.wire_id, wire_id):
        return "tag"
    said = line.wire_id.task_id if line.wire_id else line.head.id.run
    ours, theirs = wire_id.task_id.lower(), said.lower()
    alike = ours.startswith(theirs) or theirs.startswith(ours)
    return "id" if alike and (line.wire_id is None or said not in seen) else None


def _names(line: str, wire_id: WireId) -> bool:
    """Return whether an unescaped answer marker inside *line* is followed by our id, whole."""
    for match in MARKER.finditer(line):
        if match[1] != Marker.TASK and line[match.start() - 1 : match.start()] != "\\":
            read = read_id(line, match.end())
            if read and read.wire_id in (wire_id, WireId(wire_id.task_id)):
                return True
    return False


class _Collected:
    """What has been accepted and kept so far, each exchange on its own."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.near_misses: list[NearMiss] = []
        self._exchanges: dict[WireId, Exchange] = {}

    def exchange(self, wire_id: WireId) -> Exchange:
        return self._exchanges.setdefault(wire_id, Exchange())

    def take(
        self, line: Line, head: Head, wire_id: WireId, unseen: bool, keep_late: bool = True
    ) -> None:
        exchange = self.exchange(wire_id)
        text = cut(head.text, TEXT_MAX_BYTES)
        verdict = exchange.take(head.marker, text)
        if verdict is Verdict.LATE and keep_late:
            self.near("late", line)
        if verdict is not Verdict.ACCEPTED:
            return
        flags = {
            "task-not-seen": unseen,
            "no-ack": head.marker in ENDS and not exchange.acknowledged,
            "cut": text != head.text,
        }
        names = tuple(name for name, is_set in flags.items() if is_set)
        self.answers.append(Answer(head.marker, wire_id, text, names, line.row))

    def near(self, reason: str, line: Line) -> None:
        self.near_misses.append(near_miss(reason, line))

    def reading(self, task_seen: bool, wire_id: WireId | None, state: State) -> Reading:
        return Reading(tuple(self.answers), tuple(self.near_misses), task_seen, wire_id, state)
