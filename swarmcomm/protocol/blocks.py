"""The full level: an agent's screen as blocks, each said by somebody (protocol.md 14)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from swarmcomm.protocol.grammar import MARKER, Marker, is_decoration

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Columns at the right edge that a program may leave free in a row that it broke inside a word.
EDGE = 1

_FIRST_WORD = re.compile(r"\S+")
_LAST_WORD = re.compile(r"\S+$")


@dataclass(frozen=True)
class Style:
    """How an agent's screen tells who said what.

    *user*, *agent* and *aside* match the beginning of a block's first row, up to its text; *aside*
    is what neither of them says, such as a tool's output. Later rows of a block begin with
    *indent* blanks, those of an aside with *aside_indent* or more.
    """

    user: re.Pattern[str]
    agent: re.Pattern[str]
    aside: re.Pattern[str] | None
    indent: int
    aside_indent: int


class _Speaker(Enum):
    USER = auto()
    AGENT = auto()
    NOBODY = auto()


def spoken(screen: str, style: Style, width: int) -> str:
    """Return *screen* with only what counts, for a reader of lines.

    It has as many lines as *screen*. What the agent said stands without its indent, rows that it
    wrapped itself joined where they begin with an answer, and a backslash before such a marker
    taken away. Of the user's blocks the ``[TASK]`` line is left. All other lines are empty.
    """
    rows = screen.split("\n")
    lines = [""] * len(rows)
    unfinished: int | None = None  # a line with a marker, which the next row may go on
    for number, (speaker, text, is_first) in enumerate(_said(rows, style)):
        marker = _marker_at_head(text)
        begins = marker is not None and (
            (speaker is _Speaker.AGENT and marker is not Marker.TASK)
            or (speaker is _Speaker.USER and marker is Marker.TASK and is_first)
        )
        if begins:
            lines[number] = _forgive_backslash(text) if speaker is _Speaker.AGENT else text
            unfinished = number
            continue
        joined = None
        if unfinished is not None and text and not is_first and marker is None:
            joined = _joined(lines[unfinished], rows[number - 1], text, width, style.indent)
        if joined is not None and unfinished is not None:
            lines[unfinished] = joined
            continue
        unfinished = None
        if speaker is _Speaker.AGENT and marker is None:
            lines[number] = text
    return "\n".join(lines)


def _said(rows: list[str], style: Style) -> Iterator[tuple[_Speaker, str, bool]]:
    """Yield for each row who said it, its text, and whether a block begins with it."""
    speaker = _Speaker.NOBODY
    aside = False
    indent = " " * style.indent
    for row in rows:
        head = style.user.match(row) or style.agent.match(row)
        if head is not None:
            speaker = _Speaker.USER if style.user.match(row) else _Speaker.AGENT
            aside = False
            yield speaker, row[head.end() :].rstrip(), True
        elif style.aside is not None and style.aside.match(row):
            aside = True
            yield _Speaker.NOBODY, "", False
        elif not row.strip():
            yield speaker, "", False
        elif not row.startswith(indent):
            speaker, aside = _Speaker.NOBODY, False
            yield speaker, "", False
        elif aside and row.startswith(" " * style.aside_indent):
            yield _Speaker.NOBODY, "", False
        else:
            aside = False
            yield speaker, row[style.indent :].rstrip(), False


def _marker_at_head(text: str) -> Marker | None:
    match = MARKER.search(text)
    return Marker(match[1]) if match and is_decoration(text[: match.start()]) else None


def _forgive_backslash(text: str) -> str:
    match = MARKER.search(text)
    assert match is not None
    return text[: match.start()].rstrip("\\") + text[match.start() :]


def _joined(line: str, row: str, text: str, width: int, indent: int) -> str | None:
    """Return *line* with *text* behind it, or None where its last *row* ended by itself.

    A program breaks a row at a blank when the next word has no room, and inside a word only when
    a whole row has no room for it.
    """
    last, first = _LAST_WORD.search(line), _FIRST_WORD.match(text.lstrip())
    if last is None or first is None:
        return None
    used = columns(row.rstrip())
    if used >= width - EDGE and columns(last[0] + first[0]) > width - indent:
        return line + text.lstrip()
    if used + 1 + columns(first[0]) > width:
        return f"{line} {text.lstrip()}"
    return None


def columns(text: str) -> int:
    """Return how many columns *text* takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
