"""The line editor of the built-in worker: bytes of a raw terminal in, messages out. Pure."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum

PROMPT = "swarm> "
MARGIN = 9  # columns of a row that the draft never uses: the prompt and two to spare
DRAFT_LIMIT = 1 << 18  # bytes; four times the largest message, so that escapes always fit

_ENTER, _CLEAR, _INTERRUPT, _LEAVE = b"\r", b"\x15", b"\x03", b"\x04"
_ERASE = (b"\x7f", b"\x08")
_SPECIAL = re.compile(rb"([\r\x15\x03\x04\x7f\x08])")
# Arrow and function keys and paste brackets, as far as terminals send them. The list of last
# bytes is closed, so that a lone ESC before "[TASK]" takes nothing of the message with it.
_KEYS = re.compile(rb"\x1b(?:\[[0-9;]*[A-DFHPQRSZ~]|O[A-DFHMP-S])?")
_IGNORED = bytes(b for b in range(32) if b not in b"\n\t")
_C1 = re.compile("[\x80-\x9f]")


class Key(Enum):
    """What a person asks for with one key, and a message that was too long to keep."""

    INTERRUPT = "interrupt"
    LEAVE = "leave"
    TOO_LONG = "too long"


class Editor:
    """Collect one message at a time; *draft* is what stands unfinished in the box."""

    def __init__(self) -> None:
        self.draft = bytearray()
        self._lost = False

    def feed(self, data: bytes) -> list[str | Key]:
        """Take bytes as the terminal gave them; return finished messages and keys, in order.

        A message may be empty. LEAVE is returned only for an empty draft.
        """
        found: list[str | Key] = []
        for part in _SPECIAL.split(_KEYS.sub(b"", data)):
            if part == _ENTER:
                found.append(self._finish())
            elif part == _CLEAR:
                self._clear()
            elif part == _INTERRUPT:
                found.append(Key.INTERRUPT)
            elif part == _LEAVE:
                if not self.draft:
                    found.append(Key.LEAVE)
            elif part in _ERASE:
                self._erase()
            else:
                self._append(part.translate(None, _IGNORED))
        return found

    def feed_early(self, data: bytes) -> list[str | Key]:
        """Take what was typed before raw mode, where the terminal had made CR an LF."""
        return self.feed(data[:-1] + _ENTER if data.endswith(b"\n") else data)

    def _append(self, data: bytes) -> None:
        if self._lost or len(self.draft) + len(data) > DRAFT_LIMIT:
            self._lost = True
            del self.draft[: -DRAFT_LIMIT // 2]  # its end still shows that something stands here
            self.draft += data[-DRAFT_LIMIT // 2 :]
        else:
            self.draft += data

    def _erase(self) -> None:
        while self.draft and self.draft[-1] & 0xC0 == 0x80:
            self.draft.pop()
        if self.draft:
            self.draft.pop()

    def _clear(self) -> None:
        self.draft.clear()
        self._lost = False

    def _finish(self) -> str | Key:
        lost, text = self._lost, self.draft.decode("utf-8", "replace")
        self._clear()
        return Key.TOO_LONG if lost else _C1.sub("", text)


def prompt_row(draft: bytes | bytearray, columns: int) -> str:
    """Return the prompt and as much of the end of *draft* as one row of *columns* holds."""
    room = max(columns - MARGIN, 0)
    # A character with its combining signs may be long; eight times the row is enough of them.
    text = bytes(draft[-8 * room :] if room else b"").decode("utf-8", "ignore")
    start = len(text)
    while start and (size := char_columns(text[start - 1])) <= room:
        room -= size
        start -= 1
    while start < len(text) and not char_columns(text[start]):
        start += 1  # a combining sign without its letter would land on the prompt
    return PROMPT + _C1.sub("", text[start:].replace("\n", " ").replace("\t", " "))


def char_columns(char: str) -> int:
    """Return how many columns a terminal may use for *char*, rather one too many than too few."""
    if char.isascii():
        return 1
    if unicodedata.east_asian_width(char) in "WF" or "\U0001f1e6" <= char <= "\U0001f1ff":
        return 2
    category = unicodedata.category(char)
    if category == "Cn":
        return 2  # newer than our tables: perhaps wide
    if char == "\ufe0f":
        return 1  # makes the character before it wide on some terminals
    return 0 if category in ("Mn", "Me", "Cf") else 1
