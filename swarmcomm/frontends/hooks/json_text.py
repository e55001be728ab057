"""Hooks put into the text of a settings file, and taken out: all else stays, byte for byte.

No value is read and written again, so numbers, escapes, blanks and the order of keys cannot
change. What is put in stands behind what is there. A list or an object that is made for it has its
first part on a line of its own; in one that was there, and empty, the first part stands beside its
bracket: so that taking out removes the one and leaves the other.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarmcomm.sessions.hook_settings import Hooks

_SPACE = re.compile(r"[ \t\n\r]*")
_COMMENT = re.compile(r"//|/\*|#")
_BYTE_ORDER_MARK = "\ufeff"
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


class UnfitError(ValueError):
    """A text that cannot be edited without loss; says what is wrong, and what would be right."""


@dataclass(frozen=True)
class _Part:
    """A member of an object, or an item of a list: where it begins, its value begins, it ends."""

    key: str | None
    start: int
    value: int
    end: int


@dataclass(frozen=True)
class _Step:
    """A part on the way to a value: the bracket it stands behind, its neighbours, its number."""

    at: int
    parts: list[_Part]
    index: int


def read(text: str) -> dict[str, Any]:
    """Return the settings that *text* holds, with numbers as text; a blank one holds none.

    Raises:
        UnfitError: it is no JSON object, a key stands twice in an object, or its hooks have
            another shape than those of claude.
    """
    begin = _begin(text)
    if begin == len(text):
        return {}
    try:
        settings = json.loads(
            text[begin:],
            parse_int=str,
            parse_float=str,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except json.JSONDecodeError as error:
        at = begin + error.pos
        line = text.count("\n", 0, at) + 1
        if _COMMENT.match(text, at):
            raise UnfitError(f"line {line} has a comment, which JSON does not know") from error
        raise UnfitError(f"line {line} is no JSON: {error.msg}") from error
    except RecursionError as error:
        raise UnfitError("it is nested too deeply to be read") from error
    if not isinstance(settings, dict):
        raise UnfitError(f"it holds {_kind(settings)}, where settings are an object")
    _check_hooks(settings.get("hooks", {}))
    return settings


def handlers(settings: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield event and handler of each hook in what :func:`read` returned."""
    for event, groups in settings.get("hooks", {}).items():
        for group in groups:
            for handler in group["hooks"]:
                yield event, handler


def put(text: str | None, hooks: Hooks) -> str:
    """Return *text* with *hooks* behind those that it has; None is a file that is not there.

    Raises:
        UnfitError: as :func:`read`.
    """
    if text is None:
        return put("", hooks) + "\n"
    read(text)
    begin = _begin(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    if begin == len(text):
        return text + _made({"hooks": hooks}, 0, "  ", newline)
    unit = _unit(text, begin)
    for event, groups in hooks.items():
        for group in groups:
            text = _put_one(text, begin, event, group, unit, newline)
    return text


def take(text: str, is_ours: Callable[[dict[str, Any]], bool]) -> str | None:
    """Return *text* without the handlers that are ours; None: it was made by :func:`put` for them.

    Raises:
        UnfitError: as :func:`read`.
    """
    read(text)
    while (way := _find(text, is_ours)) is not None:
        span = _span(text, way)
        if span is None:
            begin, end = _begin(text), _end(text, _begin(text))
            was_made = begin == 0 and text[end:] == "\n"
            return None if was_made else text[:begin] + text[end:]
        text = text[: span[0]] + text[span[1] :]
    return text


def _begin(text: str) -> int:
    return _skip(text, len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _end(text: str, at: int) -> int:
    """Return where the value that begins at *at* ends."""
    return _DECODER.raw_decode(text, at)[1]


def _unit(text: str, begin: int) -> str:
    """Return the indent of one level."""
    parts = _parts(text, begin)
    before = text[begin + 1 : parts[0].start] if parts else ""
    return (before.rpartition("\n")[2] if "\n" in before else "") or "  "


def _parts(text: str, at: int) -> list[_Part]:
    """Return what the list or object holds whose bracket stands at *at*."""
    is_object = text[at] == "{"
    found = []
    at = _skip(text, at + 1)
    while text[at] not in "]}":
        start, key = at, None
        if is_object:
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        end = _end(text, at)
        found.append(_Part(key, start, at, end))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _put_one(text: str, at: int, event: str, group: dict[str, Any], unit: str, newline: str) -> str:
    body = json.dumps(group, ensure_ascii=False)
    values: tuple[tuple[str, object], ...] = (("hooks", {event: [group]}), (event, [group]))
    depth = 0
    for key, value in values:
        member = next((part for part in _parts(text, at) if part.key == key), None)
        if member is None:
            body = f"{json.dumps(key)}: {_made(value, depth + 1, unit, newline)}"
            break
        at, depth = member.value, depth + 1
    parts = _parts(text, at)
    if parts:
        at = parts[-1].end
        return f"{text[:at]},{newline}{unit * (depth + 1)}{body}{text[at:]}"
    return text[: at + 1] + body + text[at + 1 :]


def _made(value: object, depth: int, unit: str, newline: str) -> str:
    """Return the text of objects and lists down to the groups, which have a line each."""
    inner, outer = newline + unit * (depth + 1), newline + unit * depth
    if isinstance(value, dict):
        rows = [
            f"{json.dumps(key)}: {_made(part, depth + 1, unit, newline)}"
            for key, part in value.items()
        ]
        return f"{{{inner}{f',{inner}'.join(rows)}{outer}}}"
    assert isinstance(value, list)
    rows = [json.dumps(group, ensure_ascii=False) for group in value]
    return f"[{inner}{f',{inner}'.join(rows)}{outer}]"


def _find(text: str, is_ours: Callable[[dict[str, Any]], bool]) -> list[_Step] | None:
    """Return the way to the first handler that is ours, or to its group where all in it are."""

    def ours(part: _Part) -> bool:
        return is_ours(_DECODER.raw_decode(text, part.value)[0])

    root = _begin(text)
    members = _parts(text, root) if root < len(text) else []
    place = next((number for number, part in enumerate(members) if part.key == "hooks"), None)
    if place is None:
        return None
    hooks = members[place].value
    events = _parts(text, hooks)
    for number, event in enumerate(events):
        groups = _parts(text, event.value)
        for index, group in enumerate(groups):
            (inner,) = (part for part in _parts(text, group.value) if part.key == "hooks")
            found = _parts(text, inner.value)
            which = [place for place, part in enumerate(found) if ours(part)]
            if which and len(which) == len(found):
                return [
                    _Step(root, members, place),
                    _Step(hooks, events, number),
                    _Step(event.value, groups, index),
                ]
            if which:
                return [_Step(inner.value, found, which[0])]
    return None


def _span(text: str, way: list[_Step]) -> tuple[int, int] | None:
    """Return what to cut, with the lists and objects that were made for it; None: all of it."""
    for step in reversed(way):
        part = step.parts[step.index]
        if step.index:
            return step.parts[step.index - 1].end, part.end
        if len(step.parts) > 1:
            return part.start, step.parts[1].start
        if "\n" not in text[step.at : part.start]:
            return step.at + 1, part.end
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UnfitError(f"the key {twice[:80]!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> None:
    raise UnfitError(f"{name} is no JSON")


def _check_hooks(hooks: object) -> None:
    if not isinstance(hooks, dict):
        raise UnfitError(f'"hooks" is {_kind(hooks)}, where an object of events should be')
    for event, groups in hooks.items():
        where = f"hooks.{event[:80]}"
        if not isinstance(groups, list):
            raise UnfitError(f"{where} is {_kind(groups)}, where a list of objects should be")
        for group in groups:
            inner = group.get("hooks") if isinstance(group, dict) else None
            if not isinstance(inner, list) or not all(isinstance(each, dict) for each in inner):
                raise UnfitError(f'{where} holds what is not {{"hooks": [{{"type": ...}}, ...]}}')


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "null" if value is None else "a text, a number, true or false"
