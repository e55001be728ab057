"""What the ``swarmcomm`` command takes: options that all share, and words made into values."""

from __future__ import annotations

import inspect
import re
import sys
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from swarmcomm.errors import InvalidInputError
from swarmcomm.protocol.outgoing import DESCRIPTION_MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmcomm.protocol import Marker

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_AGE = re.compile("([0-9]{1,5})([dhms])")
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}

P = ParamSpec("P")
R = TypeVar("R")


def session_option(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command ``--session``, which may stand before or after its name."""
    option = click.option("--session", metavar="S", help="tmux session (default: SWARM_SESSION)")
    return option(_either_side(command, "session"))


def socket_option(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command ``--socket``, which may stand before or after its name."""
    option = click.option(
        "--socket", metavar="L", help="tmux -L socket name (default: SWARM_SOCKET)"
    )
    return option(_either_side(command, "socket"))


def where(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command ``--session`` and ``--socket``, which may stand before or after its name."""
    return session_option(socket_option(command))


def _either_side(command: Callable[P, R], name: str) -> Callable[P, R]:
    @wraps(command)
    def with_place(*args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs.get(name) is None:
            kwargs[name] = click.get_current_context().find_root().params.get(name)
        return command(*args, **kwargs)

    return with_place


as_json = click.option("--json", "as_json", is_flag=True, help="print JSON, one object a line")


class Examples(click.Command):
    """A command whose docstring's last paragraph is an example, shown as it is written."""

    def get_short_help_str(self, _limit: int = 0) -> str:
        """Return the first sentence whole; the list of commands goes on below itself."""
        return super().get_short_help_str(200)

    def format_help_text(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help text without joining its lines."""
        formatter.write_paragraph()
        for line in inspect.cleandoc(self.help or "").splitlines():
            formatter.write(f"  {line}".rstrip() + "\n")


class TextCommand(Examples):
    """A command whose last positional argument is a text, taken as it is even if it begins "-".

    Only an option of the command's own is none there, where another word follows it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args* with the positional ones moved behind ``--``."""
        takes_value = {
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag
            for name in param.opts
        }
        own = {name for param in self.params for name in param.opts}
        wanted = sum(isinstance(param, click.Argument) for param in self.params)
        options: list[str] = []
        positional: list[str] = []
        rest = iter(args)
        for word in rest:
            is_last = args[-1] is word
            is_text = len(positional) == wanted - 1 and (is_last or word not in own)
            if is_text or not word.startswith("-") or word == "-":
                positional.append(word)
            elif word == "--":
                positional.extend(rest)
            else:
                options.append(word)
                options.extend([next(rest, "")] if word in takes_value else [])
        return super().parse_args(ctx, [*options, "--", *positional])


class Group(click.Group):
    """Commands with an example each, in the order they are written."""

    command_class = Examples

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of this file."""
        return list(self.commands)


def text(argument: str) -> str:
    """Return *argument*, or for "-" standard input without one final newline.

    Raises:
        InvalidInputError: standard input cannot be read, or is not UTF-8.
    """
    if argument != "-":
        return argument
    if sys.stdin is None or sys.stdin.closed:
        raise InvalidInputError("standard input is closed; give the text, or pipe it in")
    try:
        # A byte more than is ever sent, and a final newline: the rest would be refused as well.
        data = sys.stdin.buffer.read(DESCRIPTION_MAX_BYTES + 2)
        return _decoded(data).removesuffix("\n")
    except OSError as error:
        raise InvalidInputError(f"standard input cannot be read: {error.strerror}") from error


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if len(data) > DESCRIPTION_MAX_BYTES:  # perhaps cut inside a character, and too long anyway
            return data.decode("utf-8", "replace")
        raise InvalidInputError(
            f"standard input is not UTF-8 at byte {error.start}; convert it first"
        ) from error


def seconds(value: float, name: str, least: float = 0.0) -> float:
    """Return *value*.

    Raises:
        InvalidInputError: it is below *least*, infinite or no number.
    """
    if not least <= value < float("inf"):
        raise InvalidInputError(f"{name} {value:g} is no time; give seconds from {least:g} up")
    return value


def age(word: str) -> timedelta:
    """Return the time that ``30d``, ``12h``, ``5m`` or ``10s`` is.

    Raises:
        InvalidInputError: *word* is not of that form.
    """
    match = _AGE.fullmatch(word)
    if not match:
        raise InvalidInputError(f"{word!r} is no age; give a number and d, h, m or s, as in 30d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def poll_words(
    words: tuple[str, ...], timeout_s: float | None, task_id: str | None
) -> tuple[float, str | None]:
    """Return time and task id from ``[TIMEOUT] [TASK_ID]``: the first number is the time.

    Raises:
        InvalidInputError: the words are not of that form.
    """
    rest = list(words)
    if rest and timeout_s is None:
        if _NUMBER.fullmatch(rest[0]):
            timeout_s = float(rest.pop(0))
        elif len(rest) > 1 or task_id is not None:
            raise InvalidInputError(
                f"{rest[0]!r} is no time; give seconds, as in: poll WINDOW 30 TASK_ID"
            )
    if rest and task_id is None:
        task_id = rest.pop(0)
    if rest:
        raise InvalidInputError(f"{rest[0]!r} is one argument too many: poll WINDOW 30 TASK_ID")
    return seconds(30.0 if timeout_s is None else timeout_s, "the time"), task_id


def markers(words: str | None) -> frozenset[Marker] | None:
    """Return the markers that ``A,B`` names; None for None.

    Raises:
        InvalidInputError: one is no marker of an answer.
    """
    if words is None:
        return None
    from swarmcomm import protocol

    names = [name.strip().upper() for name in words.split(",")]
    known = {marker.value: marker for marker in protocol.ANSWERS}
    for name in names:
        if name not in known:
            raise InvalidInputError(
                f"{name!r} is no marker; --until takes some of {','.join(sorted(known))}"
            )
    return frozenset(known[name] for name in names)
