"""Messages to a worker, and what a worker prints for others (protocol.md 5, 8, 9.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from swarmcomm.errors import InvalidInputError, TextTooLongError, UnsafeTextError
from swarmcomm.protocol.grammar import (
    GAP,
    ID_RUN,
    Marker,
    WireId,
    byte_length,
    cut,
    read_id,
    wire_id_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

#: Bytes of a description. Well below what any shell takes as one argument (128 KiB on Linux).
DESCRIPTION_MAX_BYTES = 65_536

#: Bytes at the end of a text that its tail is made of, and characters of the tail.
TAIL_BYTES = 24
TAIL_LENGTH = 8

#: What a terminal puts around a paste; no text can hold it, since ESC is not typed.
PASTE_BEGIN, PASTE_END = "\x1b[200~", "\x1b[201~"

_NO_BLANKS = str.maketrans("", "", " \t\n")

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

# The look-behind keeps a long run of backslashes linear.
_ESCAPABLE = re.compile(
    rf"(?<!\\)(\\*)(\[(TASK|ACK|DONE|ERROR|WAIT|HELP)\]{GAP})({ID_RUN})"
)  # protocol.md 5.3

_BEGIN = re.compile(r"[ \t\n]*[^ \t\n][^\n]*\n[^\n]*\n")

_HEAD = re.compile(r"\s*\[TASK\]")

# CSI; the strings (OSC, DCS, SOS, PM, APC) that end on their row; every other sequence.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# A terminal may drop characters that it cannot show, so a marker with such inside counts too.
_DROPPED = r"[^\x00-\x7f]*"
_NEUTRAL = re.compile(
    rf"\[{_DROPPED}(?:{'|'.join(_DROPPED.join(m) for m in Marker)}){_DROPPED}(?=\])"
)


def check_text(text: str) -> None:
    """Accept *text* as something that may be typed, or raise (protocol.md 8.2).

    Raises:
        InvalidInputError: it is empty.
        TextTooLongError: it is longer than 65,536 bytes.
        UnsafeTextError: it holds a control character other than newline and tab, or is not UTF-8.
    """
    if not text:
        raise InvalidInputError("the text is empty; give at least one character")
    size = byte_length(text)
    if size > DESCRIPTION_MAX_BYTES:
        raise TextTooLongError(size, DESCRIPTION_MAX_BYTES, "the text")
    match = _UNSAFE.search(text)
    if match is not None:
        raise UnsafeTextError(_named(match[0]), byte_length(text[: match.start()]))


def check_description(text: str) -> None:
    """Accept *text* as a task's description, or raise as :func:`check_text` does.

    Raises:
        InvalidInputError: it is empty or holds nothing but blanks.
    """
    if not text.strip(" \t\n"):
        raise InvalidInputError("the description is empty; say what the task is")
    check_text(text)


def compose(wire_id: WireId, description: str, open_ids: Collection[str]) -> str:
    r"""Return the message that is typed: the ``[TASK]`` line, a newline, the description.

    A marker with an id in *description* gets a backslash where its echo could be mistaken: every
    ``[TASK]``, and the ids that are sent or open on the window, with their tag and without
    (protocol.md 5.3). One that has backslashes already gets one more (5.4), so that
    :func:`parse_message` gives *description* back exactly.
    """
    guarded = {str(wire_id), wire_id.task_id}
    for name in open_ids:
        guarded |= {name, name.partition("+")[0]}

    def escape(match: re.Match[str]) -> str:
        named = wire_id_of(match[4])
        if named is None:
            return match[0]
        needed = match[1] or match[3] == Marker.TASK or str(named) in guarded
        return f"\\{match[0]}" if needed else match[0]

    return f"[{Marker.TASK}] {wire_id}\n{_ESCAPABLE.sub(escape, description)}"


def parse_message(text: str) -> tuple[WireId, str] | None:
    """Return the id and the description of a message that a worker was sent, None if it is none.

    The description is what :func:`compose` was given. Text on the ``[TASK]`` line itself is taken
    as its first line; a message without any has the description "".
    """
    match = _HEAD.match(text)
    if match is None:
        return None
    first, newline, rest = text.partition("\n")
    if match.end() > len(first):  # blank lines above the head: typed by hand
        return parse_message(text.lstrip())
    read = read_id(first, match.end())
    if read is None or read.wire_id is None:
        return None
    same_line = read.rest.strip(" \t")
    description = f"{same_line}{newline}{rest}" if same_line else rest
    return read.wire_id, _ESCAPABLE.sub(_unescape, description)


def neutralise(text: str) -> str:
    r"""Return *text* such that no part of it can be read as an answer (protocol.md 9.3).

    Control sequences and control characters go (a carriage return becomes a newline, tabs stay),
    and ``[DONE]`` becomes ``[DONE\]``: no wrapping, cutting or joining of rows makes a marker of
    that. Give it whole lines: a marker that is split over two calls is not seen.
    """
    text = _SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _NEUTRAL.sub(r"\g<0>\\", _CONTROL.sub("", text))


def lines(text: str, limit: int) -> list[str]:
    """Return *text* line by line, each with its newline, and longer ones as :func:`pieces`."""
    return [piece for line in re.findall(r"[^\n]*\n|[^\n]+", text) for piece in pieces(line, limit)]


def pieces(text: str, limit: int) -> list[str]:
    """Return *text* in pieces of at most *limit* bytes (*limit* >= 16), cut between characters.

    A piece ends behind a newline if it holds one, and never between the backslashes of an escaped
    marker and its id: what a program prints between two pieces must not bring that marker to the
    head of a row (protocol.md W4).
    """
    return list(_cut(text, 0, limit, is_box=False))


def _cut(text: str, start: int, limit: int, *, is_box: bool) -> Iterator[str]:
    """Yield *text* from *start* on; see :func:`pieces` and :func:`box_pieces`."""
    kept = [match.span() for match in _ESCAPABLE.finditer(text) if match[1]]
    while start < len(text):
        end = len(text)
        if byte_length(text[start:]) > limit:
            end = start + len(cut(text[start : start + limit], limit))
            newline = text.rfind("\n", start, end)
            if newline >= 0:
                end = newline + 1
            else:
                end = next((a for a, b in kept if start < a < end < b), end)
        before, so_far = text[:start], text[:end]
        same_row = before.endswith("\n") == so_far.endswith("\n")
        if is_box and same_row and may_end_alike(before, so_far):
            if text[end - 1] == "\n":
                end = max(end - 1, start + 1)
            else:
                end = text.rfind("\n", start, end) + 1 or end
        yield text[start:end]
        start = end


def box_pieces(text: str, row: int, limit: int) -> list[str]:
    """Return *text* as :func:`pieces`, but so that each is seen to arrive in a box (W4).

    The first one is seen whole: it has at most *row* bytes (16 at the least), and two lines and
    the blanks before them. Where two end in the same words, only the cursor tells them apart in a
    full box, so one of them ends behind a newline and the other does not.
    """
    begin = _BEGIN.match(text)
    head = pieces(begin[0] if begin else text, max(16, min(row, limit)))[0]
    return [head, *_cut(text, len(head), limit, is_box=True)]


def has_escape(text: str) -> bool:
    """Return whether *text* holds a marker that was escaped for its echo (protocol.md 5.1)."""
    return any(match[1] for match in _ESCAPABLE.finditer(text))


def in_paste_brackets(text: str) -> str:
    """Return *text* with each run between newlines as one paste of its own (protocol.md W4)."""
    return "\n".join(f"{PASTE_BEGIN}{run}{PASTE_END}" if run else "" for run in text.split("\n"))


def tail(text: str) -> str:
    """Return what must stand at the cursor once *text* has arrived; may be empty (W7).

    It is of the last line that is not blank: a shell prints between the lines of a text.
    """
    line = text.rstrip(" \t\n").rpartition("\n")[2]
    end = line.encode("utf-8", "surrogatepass")[-TAIL_BYTES:]
    return _visible(end.decode("utf-8", "replace"))[-TAIL_LENGTH:]


def may_end_alike(before: str, text: str) -> bool:
    """Return whether the tail of *text* may stand at the cursor when only *before* has arrived."""
    one, other = tail(before), tail(text)
    return one.endswith(other) or other.endswith(one)


def ends_with_tail(screen: str, tail: str) -> bool:
    """Return whether *screen*, the rows down to the cursor, ends in *tail*."""
    return _visible(screen).endswith(tail)


def box_holds(rows: Sequence[str], prompt: str, text: str) -> bool:
    """Return whether an input box holds *text* and nothing else (W7).

    *rows* are those down to the cursor's; the box's first one begins with *prompt*.
    """
    wanted = _squeezed(text)
    return any(
        row.startswith(prompt)
        and _squeezed("".join((row[len(prompt) :], *rows[number + 1 :]))) == wanted
        for number, row in enumerate(rows)
    )


def shows_tail(screen: str, tail: str) -> bool:
    """Return whether *tail* stands anywhere on *screen* (W7: several lines, plain terminal)."""
    return tail in _visible(screen)


def scatters_tail(screen: str, tail: str) -> bool:
    """Return whether the characters of *tail* stand on *screen* in their order (W7).

    Where a terminal's echo and a program's output mix, other text comes between them.
    """
    shown = iter(_visible(screen))
    return all(char in shown for char in tail)


def _visible(text: str) -> str:
    return "".join(char for char in text if "!" <= char <= "~")


def _squeezed(text: str) -> bytes:
    """The first byte that is no blank, which may be of any character, and the ASCII behind it."""
    solid = text.translate(_NO_BLANKS).encode("utf-8", "surrogatepass")
    return solid[:1] + bytes(byte for byte in solid[1:] if 0x21 <= byte <= 0x7E)


def _unescape(match: re.Match[str]) -> str:
    return match[0][1:] if match[1] and wire_id_of(match[4]) else match[0]


def _named(char: str) -> str:
    code = ord(char)
    if code >= 0xD800:
        return "a byte that is not UTF-8"
    known = {0x00: "NUL", 0x03: "Ctrl-C", 0x04: "Ctrl-D", 0x0D: "a carriage return"}
    known |= {0x1A: "Ctrl-Z", 0x1B: "ESC", 0x7F: "DEL"}
    kind = "the control character" if code < 0x80 else "the C1 control character"
    return f"{known[code]} (0x{code:02x})" if code in known else f"{kind} U+{code:04X}"
