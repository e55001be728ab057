"""tmux control mode, without any input or output: its lines are read and commands are quoted."""

from __future__ import annotations

import re
from typing import NamedTuple

from swarmcomm.errors import InvalidInputError

#: Bytes of one line; tmux's own are below 16 KiB, only a reply's may be as long as what was asked.
LINE_BYTES = 4 << 20

#: Bytes of one reply that are kept.
REPLY_BYTES = 16 << 20

_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
_BYTE = {b"%03o" % value: bytes([value]) for value in range(256)}

#: Most of what is escaped in the output of a program that prints lines, and in colours.
_COMMON = ((rb"\015", b"\r"), (rb"\012", b"\n"), (rb"\033", b"\x1b"))

_COMMAND = re.compile(r"[a-z][a-z-]*")
_UNSAFE = re.compile(r"""[^A-Za-z0-9_@%:.,/=+ #()!&*?<>|^\[\]-]""")


class Reply(NamedTuple):
    """What one command printed, or why it failed; *cut* says that *body* is not all of it.

    Bit 1 of *flags* is set where the command came from this client.
    """

    time: int
    number: int
    flags: int
    ok: bool
    body: bytes
    cut: bool


class Output(NamedTuple):
    """What the program in a pane wrote, as it wrote it."""

    pane_id: str
    data: bytes


class Notice(NamedTuple):
    """Any other line: its name without the ``%``, and the rest of it."""

    name: str
    text: str


class Broken(NamedTuple):
    """What comes cannot be control mode; nothing is read after it."""

    reason: str


Message = Reply | Output | Notice | Broken


class Parser:
    """Reads the bytes of one control client; how they are cut makes no difference.

    Memory is bounded by *line_bytes* and *reply_bytes*.
    """

    def __init__(self, line_bytes: int = LINE_BYTES, reply_bytes: int = REPLY_BYTES) -> None:
        self._line_bytes = line_bytes
        self._reply_bytes = reply_bytes
        self._rest = b""
        self._guard: bytes | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._cut = False
        self._broken = False

    def feed(self, data: bytes) -> list[Message]:
        """Return what *data* completes, in order; :class:`Broken` is the last there ever is."""
        found: list[Message] = []
        if self._broken:
            return found
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if len(line) > self._line_bytes:
                break
            if self._guard is not None:
                self._read_body(line, found)
            elif line.startswith((b"%output ", b"%extended-output ")):
                found.append(_output(line))
            else:
                self._read_notice(line, found)
        else:
            if len(self._rest) <= self._line_bytes:
                return found
        self._broken = True
        self._rest = b""
        self._body = []
        found.append(Broken(f"a line of more than {self._line_bytes} bytes"))
        return found

    def _read_notice(self, line: bytes, found: list[Message]) -> None:
        name, _, rest = line.partition(b" ")
        if name == b"%begin" and _guard(rest):
            self._guard = rest
            self._body, self._size, self._cut = [], 0, False
            return
        found.append(Notice(name.removeprefix(b"%").decode("utf-8", "replace"), _text(rest)))

    def _read_body(self, line: bytes, found: list[Message]) -> None:
        # Only the guard of its own %begin ends a reply: what a pane shows may look like another.
        name, _, rest = line.partition(b" ")
        if rest == self._guard and name in (b"%end", b"%error"):
            time, number, flags = _guard(rest)
            body = b"".join(self._body)
            found.append(Reply(time, number, flags, name == b"%end", body, self._cut))
            self._guard, self._body = None, []
            return
        self._size += len(line) + 1
        self._cut = self._cut or self._size > self._reply_bytes
        if not self._cut:
            self._body += (line, b"\n")


def quote(args: tuple[str, ...]) -> str:
    """Return *args* as one command line; no text in them ends it or starts another one.

    Raises:
        InvalidInputError: *args* begins with no command's name, or holds what tmux cannot take.
    """
    if not args or not _COMMAND.fullmatch(args[0]):
        raise InvalidInputError(f"{args[:1]!r} is no tmux command")
    if any("\0" in arg for arg in args):
        raise InvalidInputError("a tmux command holds no NUL")
    return " ".join([args[0], *map(_quoted, args[1:])])


def sequence(*commands: tuple[str, ...]) -> str:
    """Return *commands* as one line; they run at one go, up to the first that fails.

    Raises:
        InvalidInputError: as :func:`quote`.
    """
    return " ; ".join(map(quote, commands))


def unescape(data: bytes) -> bytes:
    """Return *data* with each ``\\ooo`` as the byte that it stands for."""
    if b"\\" not in data:
        return data
    for escaped, byte in _COMMON:
        data = data.replace(escaped, byte)
    return _OCTAL.sub(lambda found: _BYTE[found[1]], data) if b"\\" in data else data


def _quoted(arg: str) -> str:
    return '"' + _UNSAFE.sub(lambda found: _escaped(found[0]), arg) + '"'


def _escaped(char: str) -> str:
    return f"\\{ord(char):03o}" if ord(char) < 128 else char


def _output(line: bytes) -> Message:
    head, _, data = line.partition(b" : " if line.startswith(b"%e") else b" ")
    if head == b"%output":
        pane, _, data = data.partition(b" ")
    else:
        pane = head.split(b" ", 2)[1]
    return Output(pane.decode("ascii", "replace"), unescape(data))


def _guard(text: bytes) -> tuple[int, ...]:
    fields = text.split(b" ")
    if len(fields) != 3 or len(text) > 60 or not all(map(bytes.isdigit, fields)):
        return ()
    return tuple(map(int, fields))


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
