"""Profiles: how one kind of agent is started and typed to. One TOML file each, no code."""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from swarmcomm.errors import InvalidInputError
from swarmcomm.protocol import Style

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent

#: What stands in a profile for the Python that runs swarmcomm.
PYTHON = "{python}"

Role = Literal["master", "worker"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

#: Milliseconds above which a pause is a slip of the pen: a sender holds the window's lock so long.
_PAUSE_LIMIT_MS = 10_000

#: Bytes of a piece above which tmux would not take its command.
_PIECE_LIMIT_BYTES = 1_600

#: Columns of an indent above which it is a slip of the pen.
_COLUMNS_LIMIT = 40


@dataclass(frozen=True)
class Hooks:
    """How an agent is made to run our hook program: the option *flag* takes the text *settings*.

    In it ``{python}``, ``{hook}`` and ``{spool}`` stand for JSON strings: a Python, the program and
    the folder that it writes to.
    """

    flag: str
    settings: str

    def words(
        self, python: str, hook: str, spool: str, more: Mapping[str, Any] | None = None
    ) -> tuple[str, ...]:
        """Return the option and its value: our hook where there is a *spool*, and *more* settings.

        Hooks of *more* are added to ours.
        """
        filled = self.settings if spool else "{}"
        for name, value in (("python", python), ("hook", hook), ("spool", spool)):
            filled = filled.replace(f"{{{name}}}", json.dumps(value, ensure_ascii=False))
        if more:
            found = json.loads(filled)
            both = {**found, **more}
            both["hooks"] = {**found.get("hooks", {})}
            for event, entries in more.get("hooks", {}).items():
                both["hooks"][event] = [*both["hooks"].get(event, []), *entries]
            filled = json.dumps(both, ensure_ascii=False)
        return (self.flag, filled) if spool or more else ()


@dataclass(frozen=True)
class Profile:
    """One kind of agent.

    *command* is the argument list, *environment* and *unset* what it is started with and without,
    *keep* what it inherits besides KEEP of ``session.conf`` where another session starts it,
    *instructions_flag* the option that takes the standing instructions (None: it gets none). Where
    the program is not there, the lines of *missing* say what to install.

    Patterns are POSIX ERE, None where nothing is known. *ready* is the cursor's row when the input
    box is empty, and *column* the cursor's column then. *dialog* is the cursor's row or one below
    it while it waits for a person, *busy* a row below the cursor of an agent at work, *error* the
    last row above the box after an error, *refuse* a text that it would take for a command.
    *screen* says how its blocks look (None: it prints plain lines), *hooks* how it is made to run
    our hook (None: it cannot).

    A text is typed in pieces of *piece_bytes*, each seen before the next (None: as a whole), with
    *paste* its lines in the brackets of a paste. *pause_ms* are the milliseconds before Enter.
    """

    name: str
    file: Path
    command: tuple[str, ...]
    missing: tuple[str, ...]
    pause_ms: int
    environment: Mapping[str, str]
    unset: tuple[str, ...]
    keep: tuple[str, ...]
    instructions_flag: str | None
    ready: str | None
    column: int | None
    busy: str | None
    dialog: str | None
    error: str | None
    refuse: str | None
    piece_bytes: int | None
    paste: bool
    screen: Style | None
    hooks: Hooks | None

    @property
    def pane_options(self) -> dict[str, str]:
        """What senders and readers, bash and Python alike, find on the agent's pane."""
        options = {
            "@swarm_agent": self.name,
            "@swarm_profile": None if self.file.parent == HERE else str(self.file),
            "@swarm_pause": str(self.pause_ms),
            "@swarm_ready": self.ready,
            "@swarm_column": None if self.column is None else str(self.column),
            "@swarm_busy": self.busy,
            "@swarm_dialog": self.dialog,
            "@swarm_error": self.error,
            "@swarm_refuse": self.refuse,
            "@swarm_piece": None if self.piece_bytes is None else str(self.piece_bytes),
            "@swarm_paste": "on" if self.paste else None,
        }
        return {name: value for name, value in options.items() if value is not None}

    @property
    def program(self) -> str:
        """The program that has to be installed, or ``{python}``."""
        return self.command[0]

    def argv(
        self,
        role: Role,
        program: str,
        python: str,
        path: str | None = None,
        hooks: tuple[str, ...] = (),
    ) -> tuple[str, ...]:
        """Return the whole command of a window, with *path* as its PATH where one is given.

        *program* is the file that runs in place of the command's first word, found by who launches,
        since tmux may look along another PATH; *python* stands in for ``{python}``. *hooks* are
        the words of :meth:`hook_words`.
        """
        unset = [word for name in self.unset for word in ("-u", name)]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        rest = [python if word == PYTHON else word for word in self.command[1:]]
        told = [self.instructions_flag, instructions(role)] if self.instructions_flag else []
        variables += [f"PATH={path}"] if path else []
        return ("env", *unset, *variables, program, *rest, *hooks, *told)

    def hook_words(
        self, python: str, hook: str, spool: str, more: Mapping[str, Any] | None = None
    ) -> tuple[str, ...]:
        """Return the arguments that make the agent run *hook*, and what *more* settings it has.

        None where it cannot, or where there is neither a *spool* nor *more*.
        """
        return self.hooks.words(python, hook, spool, more) if self.hooks else ()


def own_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for a user's own profiles; it need not exist."""
    config = (
        environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~"), ".config").expanduser()
    )
    return Path(config) / "swarmcomm" / "agents"


def names() -> tuple[str, ...]:
    """Return the names of all profiles, the user's own among them, in alphabetical order."""
    return tuple(sorted({path.stem for at in (HERE, own_folder()) for path in at.glob("*.toml")}))


def file_of(name: str) -> Path:
    """Return the file of the profile called *name*; a user's own stands before ours.

    Raises:
        InvalidInputError: there is none of that name.
    """
    for folder in (own_folder(), HERE):
        if _NAME.fullmatch(name) and (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    raise InvalidInputError(
        f"no agent {name!r}; there are {', '.join(names())}, and your own go into {own_folder()}"
    )


def load(name: str) -> Profile:
    """Return the profile called *name*.

    Raises:
        InvalidInputError: there is none of that name, or its file cannot be used.
    """
    return read(file_of(name))


@cache
def style_of(name: str, file: str = "") -> Style | None:
    """Return how the screen of the agent called *name* is read: None for one that prints lines.

    *file* is its profile, where that is not found by the name. An agent that no profile describes
    is read line by line as well.

    Raises:
        InvalidInputError: its profile cannot be used.
    """
    if file:
        return read(Path(file)).screen
    return load(name).screen if name in names() else None


def instructions(role: str) -> str:
    """Return the standing instructions for *role*, without a final newline.

    Raises:
        InvalidInputError: *role* is neither ``master`` nor ``worker``.
    """
    if role not in ("master", "worker"):
        raise InvalidInputError(f"no instructions for {role!r}; there are master, worker")
    return (HERE / f"{role}.md").read_text(encoding="utf-8").rstrip("\n")


def read(path: Path) -> Profile:
    """Return the profile in the file *path*; its name is the file's.

    Raises:
        InvalidInputError: it cannot be read, or a key is missing, unknown or of a wrong type; file
            and key are named.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInputError(f"{path}: {error}") from error
    if not _NAME.fullmatch(path.stem):
        raise InvalidInputError(f"{path}: the name may hold a-z, 0-9, '_' and '-'")
    keys = _Keys(path, text, table)
    profile = Profile(
        name=path.stem,
        file=path.absolute(),
        command=keys.lines("command", required=True),
        missing=keys.lines("missing", required=True),
        pause_ms=keys.milliseconds("pause_ms"),
        environment=keys.variables("environment"),
        unset=keys.lines("unset"),
        keep=keys.lines("keep"),
        instructions_flag=keys.line("instructions_flag"),
        ready=keys.pattern("ready"),
        column=keys.columns("column") if "column" in table else None,
        busy=keys.pattern("busy"),
        dialog=keys.pattern("dialog"),
        error=keys.pattern("error"),
        refuse=keys.pattern("refuse"),
        piece_bytes=keys.piece("piece_bytes"),
        paste=keys.switch("paste"),
        screen=_style(keys.table_of("screen")),
        hooks=_hooks(keys.table_of("hooks")),
    )
    keys.check_all_used()
    kept = (name.removesuffix("*") for name in profile.keep)
    for name in (*profile.unset, *kept, *profile.environment):
        if not _VARIABLE.fullmatch(name):
            raise InvalidInputError(f"{path}: {name!r} is no name of a variable")
    return profile


def _style(keys: _Keys | None) -> Style | None:
    if keys is None:
        return None
    style = Style(
        user=re.compile(keys.required_pattern("user")),
        agent=re.compile(keys.required_pattern("agent")),
        aside=re.compile(keys.required_pattern("aside")),
        indent=keys.columns("indent"),
        aside_indent=keys.columns("aside_indent"),
    )
    keys.check_all_used()
    return style


def _hooks(keys: _Keys | None) -> Hooks | None:
    if keys is None:
        return None
    flag = keys.line("flag", required=True)
    run = keys.line("run", required=True)
    settings = keys.line("settings", required=True)
    assert flag is not None
    assert run is not None
    assert settings is not None
    keys.check_all_used()
    hooks = Hooks(flag, settings.replace("{run}", run))
    try:
        found = json.loads(hooks.words("", "", "x")[1])
    except ValueError as error:
        raise keys.wrong("settings", f"is no JSON with run in its place: {error}") from error
    if not isinstance(found, dict):
        raise keys.wrong("settings", "is no object of JSON")
    return hooks


class _Keys:
    """The keys of one table, taken one by one; every complaint names the file and the key."""

    def __init__(self, path: Path, text: str, table: dict[str, Any], prefix: str = "") -> None:
        self.path = path
        self.text = text
        self.table = table
        self.prefix = prefix

    def wrong(self, key: str, what: str) -> InvalidInputError:
        return InvalidInputError(f"{self.path}{self._line_of(key)}: {self.prefix}{key} {what}")

    def _line_of(self, key: str) -> str:
        word = re.escape(key.rpartition(".")[2])
        found = re.search(rf"^[ \t]*\[?[\"']?{word}\b", self.text, re.MULTILINE)
        return f":{self.text.count(chr(10), 0, found.start()) + 1}" if found else ""

    def table_of(self, key: str) -> _Keys | None:
        value = self._take(key, required=False)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table")
        return _Keys(self.path, self.text, value, f"{self.prefix}{key}.")

    def required_pattern(self, key: str) -> str:
        if key not in self.table:
            raise self.wrong(key, "is missing")
        pattern = self.pattern(key)
        assert pattern is not None
        return pattern

    def columns(self, key: str) -> int:
        value = self._take(key, required=True)
        if type(value) is not int or not 0 <= value <= _COLUMNS_LIMIT:
            raise self.wrong(key, f"must be whole columns, 0 to {_COLUMNS_LIMIT}")
        return value

    def line(self, key: str, *, required: bool = False) -> str | None:
        value = self._take(key, required=required)
        return None if value is None else self._line(key, value)

    def lines(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        value = self._take(key, required=required)
        if value is None:
            return ()
        if not isinstance(value, list) or (required and not value):
            raise self.wrong(key, "must be a list of texts")
        return tuple(self._line(key, item) for item in value)

    def variables(self, key: str) -> dict[str, str]:
        value = self._take(key, required=False)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table of texts")
        return {name: self._line(f"{key}.{name}", item) for name, item in value.items()}

    def milliseconds(self, key: str) -> int:
        value = self._take(key, required=True)
        if type(value) is not int or not 0 <= value <= _PAUSE_LIMIT_MS:
            raise self.wrong(key, f"must be whole milliseconds, 0 to {_PAUSE_LIMIT_MS}")
        return value

    def piece(self, key: str) -> int | None:
        value = self._take(key, required=False)
        if value is not None and (type(value) is not int or not 16 <= value <= _PIECE_LIMIT_BYTES):
            raise self.wrong(key, f"must be whole bytes, 16 to {_PIECE_LIMIT_BYTES}")
        return value

    def switch(self, key: str) -> bool:
        value = self._take(key, required=False)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return bool(value)

    def pattern(self, key: str) -> str | None:
        value = self.line(key)
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise self.wrong(key, f"is no pattern: {error}") from error
        return value

    def check_all_used(self) -> None:
        for key in self.table:
            raise self.wrong(key, "is no key of a profile")

    def _take(self, key: str, *, required: bool) -> Any:
        if required and key not in self.table:
            raise self.wrong(key, "is missing")
        return self.table.pop(key, None)

    def _line(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or not value or _CONTROL.search(value):
            raise self.wrong(key, "must be text in one line")
        return value
