"""What the built-in worker puts on its screen: a command's output made harmless. Pure."""

from __future__ import annotations

import codecs
import re

from swarmcomm.frontends.worker_input import prompt_row
from swarmcomm.protocol import Marker, neutralise

LINE_LIMIT = 1 << 16  # characters of one line that are held back before it is cut in two
ECHO_LINES = 10
ECHO_CHARS = 2_000

_C1 = re.compile("[\x80-\x9f]")
_NOT_PLAIN = re.compile(r"[^\n -~]")
_MARKS = tuple(f"[{marker}]" for marker in Marker)


def harmless(text: str) -> str:
    """Return *text* such that none of it is a marker line or moves the cursor (protocol.md 9.3).

    Line ends are LF; a tab becomes blanks, because at the right margin it takes no room at all.
    """
    if not _NOT_PLAIN.search(text) and not any(mark in text for mark in _MARKS):
        return text  # most output, and it comes in floods
    # C1 sequences first: nobody writes them in UTF-8, and a line of nothing else is slow to read.
    return neutralise(text if text.isascii() else _C1.sub("", text)).expandtabs(8)


def one_line(text: str, limit: int = 200) -> str:
    """Return *text* harmless, on one line, at most *limit* characters and an ellipsis."""
    line = " ".join(harmless(text[: 4 * limit]).split())
    return line if len(line) <= limit else line[:limit] + "…"


def echo(description: str) -> str:
    """Return what is shown of a task: whole lines, harmless, and how much was left out."""
    shown = description[:ECHO_CHARS]
    lines = shown.split("\n")[:ECHO_LINES]
    shown = "\n".join(lines)
    left = len(description) - len(shown)
    more = f"\n(and {left:,} characters more)" if left else ""
    return harmless(shown) + more + "\n"


class Output:
    """A command's bytes, in pieces as they come, made whole harmless lines."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held: list[str] = []
        self._size = 0

    def feed(self, data: bytes, end: bool = False) -> str:
        """Return the lines that *data* finishes, each with its LF; with *end* all that is left.

        CR ends a line too. A line over LINE_LIMIT characters is cut: a line end comes between.
        """
        text = self._decoder.decode(data, end)
        self._held.append(text)
        self._size += len(text)
        if not end and self._size < LINE_LIMIT and "\n" not in text and "\r" not in text:
            return ""
        text = "".join(self._held)
        cut = len(text) if end else self._cut(text)
        self._held = [text[cut:]]
        self._size = len(text) - cut
        lines = text[:cut].replace("\r\n", "\n").replace("\r", "\n")
        if lines and not lines.endswith("\n"):
            lines += "\n"
        return harmless(lines)

    def _cut(self, text: str) -> int:
        # A CR at the very end may be half of a CR LF.
        cut = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
        return cut if len(text) - cut < LINE_LIMIT else len(text)


class Screen:
    """The rows that are to be written, and the prompt row that always stands below them."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._shown = ""  # the prompt row as it stands on the terminal
        self._shown_columns = 0
        self._backslash = False

    def say(self, lines: str) -> None:
        """Add *lines*: harmless, each with its LF."""
        if lines:
            self._rows.append(lines)
            last = lines[lines.rfind("\n", 0, -1) + 1 :][-4096:]
            self._backslash = re.sub(r"[^!-~]", "", last).endswith("\\")

    def mark(self, line: str) -> None:
        r"""Add a marker line of our own.

        A reader takes a long row that ends in a backslash for the wrapped escape of the next
        row's marker (protocol.md 5.2): an empty row comes between.
        """
        self._rows.append(f"\n{line}\n" if self._backslash else f"{line}\n")
        self._backslash = False

    def frame(self, draft: bytes | bytearray, columns: int, prompt: bool = True) -> str:
        """Return what brings the terminal up to date in one write; empty if it is."""
        row = prompt_row(draft, columns) if prompt else ""
        if not self._rows and row == self._shown and columns == self._shown_columns:
            return ""
        text = self._wiped(columns) + "".join(self._rows)
        self._rows.clear()
        self._shown, self._shown_columns = row, columns
        # Without automatic margins, whatever a terminal thinks of a character's width.
        return f"{text}\x1b[?7l{row}\x1b[?7h" if row else text

    def _wiped(self, columns: int) -> str:
        if not self._shown:
            return ""
        # A terminal made narrower may have wrapped the row: then it is left standing, because
        # going up could wipe an answer.
        wrapped = columns < self._shown_columns and columns <= 2 * len(self._shown)
        return "\r\n" if wrapped else "\r\x1b[K"
