"""What a program printed, as a stream: bytes of a terminal to lines, lines to answers.

For programs that print lines. Nothing is lost between two looks, however much scrolls by; a program
that paints is read from its screen.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from swarmcomm.protocol.exchange import Exchange, State, Verdict
from swarmcomm.protocol.grammar import ENDS, TEXT_MAX_BYTES, Marker, WireId, cut
from swarmcomm.protocol.screen import Answer, NearMiss, line_of, near_miss

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swarmcomm.protocol.screen import Line

#: Characters of one line that are kept; what is longer is cut.
LINE_MAX = 65_536
#: Wire ids that are remembered: of the oldest the exchange is forgotten.
IDS_KEPT = 2_000
#: Lines by which a place is found again.
ANCHOR_LINES = 6
#: Of them so many must be left.
ANCHOR_LEAST = 3

_CONTROL = re.compile(
    r"\x1b\[([0-?]*)[ -/]*([@-~])"  # CSI: parameters, final
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC and other strings
    r"|\x1b[ -/]*([0-~])"  # other escapes
    r"|([\x00-\x1f\x7f-\x9f])",
    re.DOTALL,
)
_TAB = 8
#: Finals of CSI and escapes that leave the row: who uses them paints.
_LEAVES_ROW = frozenset("ABEFHLMSTdefr")
_ESCAPE_LEAVES_ROW = frozenset("78DEMc")
_WORDS = re.compile(r"[^A-Za-z0-9]+")


class LineBuffer:
    """Makes lines of what a program prints; every way of cutting the bytes gives the same.

    A line is what its row showed at its end: what a carriage return, a backspace or an escape
    sequence overwrote is gone. *painted* tells that the cursor was moved to other rows: from there
    on only the screen knows what stands where, and nothing is a line until somebody says False.
    It begins with the text of an *unfinished* row, the cursor in *column*.
    """

    def __init__(self, unfinished: str = "", column: int = 0) -> None:
        self.painted = False
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._raw = ""
        self._segment = 0  # characters since the last carriage return
        self._began = False
        self._append(f"{unfinished.ljust(column)}\r" + (f"\x1b[{column}C" if column else ""))

    def takes(self, data: bytes) -> bool:
        """Tell whether *data* can be what comes next: not the second half of a character."""
        return self._began or data[:1] < b"\x80" or data[:1] >= b"\xc0"

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that *data* completes, without blanks at their ends."""
        self._began = True
        *whole, rest = self._decode(data).split("\n")
        lines = []
        for raw in whole:
            line = raw.rstrip("\r")
            if self._raw or not line.isprintable() or len(line) > LINE_MAX:
                line = self._end(raw)
            if not self.painted:
                lines.append(line.rstrip())
        self._append(rest)
        return lines

    @property
    def is_begun(self) -> bool:
        """Whether anything was printed in the row that no newline has ended."""
        return bool(self._raw.strip())

    @property
    def unfinished(self) -> str:
        """The row that no newline has ended yet, as it shows now."""
        return self._shown(self._raw.rstrip("\r"))

    def _end(self, raw: str) -> str:
        self._append(raw)
        line = self._shown(self._raw.rstrip("\r"))
        self._raw, self._segment = "", 0
        return line

    def _append(self, text: str) -> None:
        for number, part in enumerate(text.split("\r")):
            if number:
                if len(self._raw) > LINE_MAX:
                    self._raw = self._shown(self._raw)
                self._raw += "\r"
                self._segment = 0
            room = LINE_MAX - self._segment
            self._raw += part[:room]
            self._segment += len(part[:room])

    def _shown(self, raw: str) -> str:
        """Return what a row shows after *raw*."""
        row = _Row()
        end = 0
        for control in _CONTROL.finditer(raw):
            row.put(raw[end : control.start()])
            end = control.end()
            if not row.obey(control):
                self.painted = True
                row = _Row()
        row.put(raw[end:])
        return "".join(row.cells[:LINE_MAX]).rstrip()


class _Row:
    """One row of a terminal."""

    def __init__(self) -> None:
        self.cells: list[str] = []
        self._at = 0

    def put(self, text: str) -> None:
        if not text:
            return
        self._reach()
        self.cells[self._at : self._at + len(text)] = text
        self._at += len(text)

    def _reach(self) -> None:
        self.cells += " " * (self._at - len(self.cells))

    def obey(self, control: re.Match[str]) -> bool:
        """Do what a control sequence says; return whether that stays in the row."""
        parameters, final, escape, byte = control.groups()
        if byte is not None:
            self._obey_byte(byte)
        elif escape is not None:
            return escape not in _ESCAPE_LEAVES_ROW
        elif final is not None:
            return self._obey_sequence(parameters, final)
        return True

    def _obey_byte(self, byte: str) -> None:
        if byte == "\r":
            self._at = 0
        elif byte == "\b":
            self._at = max(0, self._at - 1)
        elif byte == "\t":
            self._at += _TAB - self._at % _TAB

    def _obey_sequence(self, parameters: str, final: str) -> bool:
        if final in _LEAVES_ROW or parameters.startswith(("?1049", "?1047", "?47")):
            return False
        if final == "J":
            if parameters not in ("", "0"):
                return False
            final = "K"
        digits = parameters.split(";")[0]
        count = min(int(digits), LINE_MAX) if digits.isascii() and digits.isdigit() else 0
        if final == "K":
            self._erase(count)
        elif final == "C":
            self._at = min(LINE_MAX, self._at + max(1, count))
        elif final == "D":
            self._at = max(0, self._at - max(1, count))
        elif final in "G`":
            self._at = max(0, count - 1)
        elif final == "P":
            del self.cells[self._at : self._at + max(1, count)]
        elif final == "X":
            self._blank(self._at, self._at + max(1, count))
        elif final == "@":
            self._reach()
            self.cells[self._at : self._at] = " " * max(1, count)
        return True

    def _erase(self, what: int) -> None:
        if what == 0:
            del self.cells[self._at :]
        else:
            self._blank(0, self._at + 1 if what == 1 else len(self.cells))

    def _blank(self, first: int, end: int) -> None:
        for at in range(first, min(end, len(self.cells))):
            self.cells[at] = " "


class Heard(NamedTuple):
    """What one line told: *answer* or *near_miss*; neither where it is a ``[TASK]`` line.

    *begins* says that an exchange of *wire_id* begins with it.
    """

    wire_id: WireId | None
    begins: bool = False
    answer: Answer | None = None
    near_miss: NearMiss | None = None

    @property
    def is_task(self) -> bool:
        """Whether it is a ``[TASK]`` line."""
        return self.answer is None and self.near_miss is None


@dataclass(slots=True)
class _Asked:
    exchange: Exchange
    again: bool = False  # its [TASK] came once more before its end


class Hearer:
    """Takes the lines of a window one by one, in their order, and tells what each one says.

    The rules are those of a screen that is read for any task (protocol.md 2 to 7), except that an
    exchange which has ended stays what it was when its id is sent again. Of *ask* an answer is also
    taken where the text of another task may still be standing.
    """

    def __init__(self, width: int, ask: WireId | None = None) -> None:
        self._width = width
        self._ask = ask
        self._before = ""
        self._asked: dict[WireId, _Asked] = {}
        self._newest: dict[str, WireId] = {}
        self._echoing: set[WireId] = set()
        self._last: deque[str] = deque(maxlen=ANCHOR_LINES)
        self._count = 0

    def take(self, lines: Sequence[str]) -> Iterator[Heard]:
        """Yield what *lines* tell, the next ones in order."""
        for number, raw in enumerate(lines):
            if "[" in raw:
                before = lines[number - 1] if number else self._before
                line = line_of(number, raw, before, self._width)
                heard = self._hear(line) if line and line.head else None
                if heard:
                    yield heard
        if lines:
            self._before = lines[-1]
            self._count += len(lines)
            self._last.extend(lines[-ANCHOR_LINES:])

    def tentative(self, row: str) -> Heard | None:
        """Return what a row says that nothing has ended yet; it is taken as it stands."""
        line = line_of(0, row, self._before, self._width)
        return self._hear(line) if line and line.head and not line.is_task else None

    def go_on(self, width: int, above: int) -> None:
        """Note that a row is *width* columns wide from now on, and how many lines stand above."""
        self._width = width
        self._count = above

    def newest(self, task_id: str) -> WireId | None:
        """Return the wire id under which *task_id* was sent last."""
        return self._newest.get(task_id)

    @property
    def anchor(self) -> Anchor:
        """The place after the last line that was taken."""
        return Anchor(self._count, tuple(map(_words, self._last)))

    def _hear(self, line: Line) -> Heard | None:
        wire_id = line.wire_id
        if line.is_task:
            return self._sent(wire_id) if wire_id else None
        if wire_id is None:
            return None if self._echoing else Heard(None, near_miss=near_miss("id", line))
        if wire_id in self._asked:
            self._echoing.discard(wire_id)
        elif wire_id.task_id in self._newest:
            return Heard(wire_id, near_miss=near_miss("tag", line))
        elif self._echoing and wire_id != self._ask:
            return None
        return self._answered(line, wire_id)

    def _sent(self, wire_id: WireId) -> Heard:
        self._newest[wire_id.task_id] = wire_id
        self._echoing.add(wire_id)
        asked = self._asked.get(wire_id)
        if asked is not None and asked.exchange.state not in (State.ENDED, State.SENT):
            asked.again = True
            return Heard(wire_id)
        begins = asked is None or asked.exchange.state is State.ENDED
        if begins:
            self._begin(wire_id)
        return Heard(wire_id, begins)

    def _begin(self, wire_id: WireId) -> _Asked:
        self._asked.pop(wire_id, None)  # the newest stands last
        self._asked[wire_id] = asked = _Asked(Exchange())
        if len(self._asked) > IDS_KEPT:
            oldest = next(iter(self._asked))
            del self._asked[oldest]
            self._newest.pop(oldest.task_id, None)
            self._echoing.discard(oldest)
        return asked

    def _answered(self, line: Line, wire_id: WireId) -> Heard | None:
        assert line.head is not None
        marker = line.head.marker
        asked = self._asked.get(wire_id)
        begins = asked is None
        unseen = wire_id.tag is None and wire_id.task_id not in self._newest
        if asked is None:
            asked = self._begin(wire_id)
        elif asked.again and asked.exchange.state is State.ENDED and marker is Marker.ACK:
            asked, begins = self._begin(wire_id), True
        text = cut(line.head.text, TEXT_MAX_BYTES)
        verdict = asked.exchange.take(marker, text)
        if verdict is Verdict.LATE:
            return Heard(wire_id, near_miss=near_miss("late", line))
        if verdict is not Verdict.ACCEPTED:
            return None
        flags = {
            "task-not-seen": unseen,
            "no-ack": marker in ENDS and not asked.exchange.acknowledged,
            "cut": text != line.head.text,
        }
        names = tuple(name for name, is_set in flags.items() if is_set)
        return Heard(wire_id, begins, Answer(marker, wire_id, text, names))


class Anchor(NamedTuple):
    """A place in what a window printed: so many lines stand *above* it; *words* are of the last."""

    above: int
    words: tuple[str, ...]

    def find(self, lines: Sequence[str], may_be_cut: bool = True) -> int | None:
        """Return how many of *lines* stand above the place, or None where it is not there.

        A history loses lines at its top only, so that the place can have moved up and never down:
        of lines that look alike the lowest that can be it is taken. A place near the very beginning
        is only known where lines cannot have been cut away above; one whose first lines have gone,
        by the others at the top.
        """
        wanted = self.words
        if may_be_cut and len(wanted) < ANCHOR_LINES:
            return None
        for end in range(min(self.above, len(lines)), len(wanted) - 1, -1):
            if _are(lines[end - len(wanted) : end], wanted):
                return end
        for left in range(len(wanted) - 1, ANCHOR_LEAST - 1, -1):
            for end in (left, left + 1):  # the line at the top may be a part of one
                if end <= len(lines) and _are(lines[end - left : end], wanted[-left:]):
                    return end
        return None


def _are(lines: Sequence[str], words: Sequence[str]) -> bool:
    return all(_words(line) == word for line, word in zip(lines, words, strict=True))


def _words(line: str) -> str:
    """Return of *line* what every way of reading a terminal agrees on."""
    return _WORDS.sub("", line)
