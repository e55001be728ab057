"""The words of the wire: markers, ids, and what may stand around them (protocol.md 2 and 3)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from swarmcomm.errors import InvalidInputError

#: Characters of a task id. Long enough for a branch name, short enough for one row.
TASK_ID_MAX = 64
#: Characters of a tag: 36**8 values; that two of 10,000 tags agree has a chance of 1 in 56,000.
TAG_LENGTH = 8
#: Bytes of the text of one answer; what is longer is cut and flagged ``cut``.
TEXT_MAX_BYTES = 4_096
#: Bytes of a near miss that are kept: enough to recognise the line.
NEAR_MISS_MAX_BYTES = 200

_TAG_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class Marker(StrEnum):
    """The six markers; TASK goes to the worker, the others come from it (protocol.md 2.1)."""

    TASK = "TASK"
    ACK = "ACK"
    DONE = "DONE"
    ERROR = "ERROR"
    WAIT = "WAIT"
    HELP = "HELP"


#: What a worker may say.
ANSWERS = frozenset(Marker) - {Marker.TASK}
#: What ends an exchange.
ENDS = frozenset({Marker.DONE, Marker.ERROR})

MARKER = re.compile(r"\[(TASK|ACK|DONE|ERROR|WAIT|HELP)\]")

# gap = *( WSP / ":" / U+FF1A / "*" / "`" )                              (protocol.md 2.4)
GAP = r"[ \t:：*`]*"
# Every character that an id may hold; the run is read whole, so task-1 is never task-10 (3.3).
ID_RUN = r"[A-Za-z0-9._+-]*"
_AFTER_MARKER = re.compile(rf"{GAP}({ID_RUN})")

# task-id = ALNUM [ 0*62( ALNUM / "." / "_" / "-" ) ALNUM ] ; wire-id = task-id [ "+" tag ]   (3.1)
_TASK_ID = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9._-]{{0,{TASK_ID_MAX - 2}}}[A-Za-z0-9])?")
_TAG = re.compile(rf"[a-z0-9]{{{TAG_LENGTH}}}")
_WIRE_ID = re.compile(rf"({_TASK_ID.pattern})(?:\+({_TAG.pattern}))?")

# closing = any of these, in any number                                          (protocol.md 3.4)
_CLOSING = re.compile(r"""[.,:;!?)\]}>"'`*，。：；！？、）】」』》〉”’…．]*""")

# decoration = ASCII without letters and digits, and the signs below           (protocol.md 2.3)
_DECORATION = re.compile(
    r"[ -/:-@\[-`{-~"
    r"\u00a0-\u00a9\u00ab-\u00b1\u00b4-\u00b8\u00bb\u00bf\u00d7\u00f7"
    r"\u2000-\u206f\u20a0-\u20ff\u2190-\u245f\u2500-\u2775\u2794-\u2bff"
    r"\u3000-\u3004\u3008-\u3020\u3030\ue000-\uf8ff\ufe0e\ufe0f"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
    r"\U0001f000-\U0001f0ff\U0001f300-\U0001faff]*"
)

# C0 without LF and tab, DEL, C1                                               (protocol.md 4.1)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BLANK_OR_BOX = " " + "".join(map(chr, range(0x2500, 0x2580)))


@dataclass(frozen=True, slots=True)
class WireId:
    """An id as it is typed: the task id, and the tag if the task has one (protocol.md 3.1)."""

    task_id: str
    tag: str | None = None

    def __str__(self) -> str:
        return self.task_id if self.tag is None else f"{self.task_id}+{self.tag}"

    @classmethod
    def parse(cls, text: str) -> WireId:
        """Return the wire id that *text* is, whole.

        Raises:
            InvalidInputError: *text* is not a task id, or its tag is not a tag.
        """
        task_id, plus, tag = text.partition("+")
        check_task_id(task_id)
        if plus and not _TAG.fullmatch(tag):
            raise InvalidInputError(
                f"tag {tag[:80]!r} is not {TAG_LENGTH} of a-z and 0-9, as in task-001+k3f9m2xd"
            )
        return cls(task_id, tag if plus else None)


#: Unicode's categories of characters that combine with others, or are not seen.
_MARKS = frozenset({"Mn", "Me", "Cf"})


def check_task_id(text: str) -> None:
    """Accept *text* as a task id, or raise InvalidInputError (protocol.md 3.1)."""
    if not _TASK_ID.fullmatch(text):
        problem = f"has {len(text)} characters" if len(text) > TASK_ID_MAX else "cannot be used"
        raise InvalidInputError(
            f"task id {text[:80]!r} {problem}; use 1 to {TASK_ID_MAX} letters, digits, '.', '_'"
            " and '-', the first and the last a letter or digit"
        )


def make_tag(number: int) -> str:
    """Return the tag for *number* (any integer from 0 on; the caller brings the randomness)."""
    letters = []
    for _ in range(TAG_LENGTH):
        number, index = divmod(number, len(_TAG_ALPHABET))
        letters.append(_TAG_ALPHABET[index])
    return "".join(letters)


def clean(line: str) -> str:
    """Return *line* without control characters and trailing blanks, tabs as blanks (4.1)."""
    if not line.isprintable():
        line = _CONTROL.sub("", line.replace("\t", " "))
    return line.rstrip(" ")


def without_marks(text: str) -> str:
    """Return of *text* what is read in every way alike.

    A terminal may lose characters that have no cell of their own: tmux 3.3a loses joiners between
    emoji that were not written at once.
    """
    if text.isascii():
        return text
    return "".join(char for char in text if unicodedata.category(char) not in _MARKS)


def are_alike(one: str, other: str) -> bool:
    """Tell whether two tellings are of one text; either may lack Markdown, wraps or its end."""
    one, other = ("".join(char for char in text if char.isalnum()) for text in (one, other))
    begins_alike = one.startswith(other) or other.startswith(one)
    return one == other or (bool(one and other) and begins_alike)


def columns(text: str) -> int:
    """Return how many cells of a terminal *text* takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.category(char) in _MARKS:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, limit: int) -> str:
    """Return the longest beginning of *text* of at most *limit* bytes, whole characters only."""
    if len(text) * 4 <= limit:
        return text
    data = text[: limit + 1].encode("utf-8", "surrogatepass")
    if len(data) <= limit:
        return text
    while data[limit] & 0xC0 == 0x80:
        limit -= 1
    return data[:limit].decode("utf-8", "surrogatepass")


def byte_length(text: str) -> int:
    """Return the length of *text* in bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class IdRead(NamedTuple):
    """What stands after a marker: *wire_id* is None when *run* is not whole and exact."""

    wire_id: WireId | None
    run: str
    rest: str


def wire_id_of(run: str) -> WireId | None:
    """Return the wire id that *run*, less its trailing full stops, is (protocol.md 3.3)."""
    match = _WIRE_ID.fullmatch(run.rstrip("."))
    return WireId(match[1], match[2]) if match else None


def read_id(line: str, start: int) -> IdRead | None:
    """Read the id that follows a marker which ends at *start* (protocol.md 3.3 and 3.4).

    Returns None when no id was meant: the line ends, or punctuation follows (``[DONE] <id>``).
    """
    match = _AFTER_MARKER.match(line, start)
    assert match is not None  # both parts may be empty
    run, end = match[1].rstrip("."), match.end()
    after = line[end : end + 1]
    if not run:
        foreign = not match[1] and after > "\x7f"
        return IdRead(None, "", line[end:]) if foreign else None
    closing = _CLOSING.match(line, match.start(1) + len(run))
    assert closing is not None
    terminated = closing.end() > closing.start() or after in ("", " ", "\t", "\n")
    wire_id = wire_id_of(run) if terminated else None
    return IdRead(wire_id, run, line[closing.end() :])


class Head(NamedTuple):
    """A marker at the head of a line, and the id and text behind it."""

    marker: Marker
    id: IdRead

    @property
    def text(self) -> str:
        """The whole text, without the blanks and the box line that frame it (protocol.md 2.5)."""
        return self.id.rest.lstrip(" ").rstrip(_BLANK_OR_BOX)


def is_decoration(prefix: str) -> bool:
    """Return whether a marker behind *prefix* stands at the head of its line."""
    return _DECORATION.fullmatch(prefix) is not None
