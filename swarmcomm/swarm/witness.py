"""A second witness beside the screen: what an agent's hooks wrote down (hooks/witness.py).

Which file that is, its pane's option ``@swarm_witness`` and its server's pid say.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from swarmcomm import protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmcomm.tmux.pane import Pane

PROMPT = "UserPromptSubmit"
STOP = "Stop"

#: Bytes at the end of a spool that are read: some thousand turns.
_TAIL_BYTES = 4 * 1024 * 1024

#: Columns of a row that nothing wrapped.
_WIDTH = 1_000_000_000

# A transcript looks like a screen, so that it is read by the same rules.
_USER, _AGENT, _MORE = "> ", "# ", "  "
_STYLE = protocol.Style(re.compile(f"^{_USER}"), re.compile(f"^{_AGENT}"), None, 2, 2)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a spool: *event* as the agent calls it, and the *turn* that it belongs to.

    *text* is the first line of a prompt, or the last message of a turn, else the error, the tool
    or the reason that the event names.
    """

    event: str
    turn: str
    text: str


def records(text: str) -> list[Record]:
    """Return what the lines of a spool say; a line that is none of ours is passed over."""
    return [record for line in text.split("\n") if (record := _record(line))]


def _record(line: str) -> Record | None:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("event"), str):
        return None

    def word(key: str) -> str:
        value = told.get(key)
        # Half a character cannot be printed.
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""

    texts = (word(key) for key in ("prompt", "message", "error", "tool", "reason"))
    return Record(word("event"), word("turn"), next(filter(None, texts), ""))


def task_of(record: Record) -> str | None:
    """Return the wire id of the task that *record* shows to have reached the agent."""
    if record.event != PROMPT:
        return None
    return next(iter(protocol.open_ids(_prompt(record), _WIDTH, _STYLE)), None)


def transcript(told: Iterable[Record]) -> str:
    """Return *told* as a screen: the line of each task, and the agent's own words.

    An id that is sent once more while its turn runs stands behind that turn, whose end may be that
    of the task before.
    """
    lines: list[str] = []
    asked: set[str] = set()  # since the end of the turn before
    queued: list[str] = []
    turn = ""
    for record in told:
        if record.event == PROMPT:
            task = task_of(record)
            again = task in asked and bool(turn) and record.turn == turn
            (queued if again else lines).append(_prompt(record))
            turn = record.turn
            if task is not None:
                asked.add(task)
        elif record.event in (STOP, "StopFailure"):
            if record.event == STOP:
                lines.append(_AGENT + record.text.replace("\n", f"\n{_MORE}"))
            lines += queued
            queued.clear()
            asked.clear()
    return "\n".join(lines)


def _prompt(record: Record) -> str:
    return _USER + record.text.partition("\n")[0]


def read(told: Iterable[Record], ask: str | None) -> list[protocol.Answer]:
    """Return the answers to *ask* in *told*.

    Without the task's own line it says nothing of a plain id; and since a turn's last message need
    not hold its ACK, nothing of an ACK that is missing either.

    Raises:
        InvalidInputError: *ask* is not an id.
    """
    found = protocol.read(transcript(told), ask, _WIDTH, _STYLE).answers
    return [
        replace(answer, flags=tuple(flag for flag in answer.flags if flag != "no-ack"))
        for answer in found
        if "task-not-seen" not in answer.flags
    ]


class Spool:
    """The file of one window, read from where it was read before."""

    def __init__(self, folder: str, pane: Pane) -> None:
        self.path = Path(folder, f"{pane.server_pid}-{pane.pane_id[1:]}.jsonl")
        self._file: tuple[int, int] | None = None
        self._read = 0

    def news(self) -> list[Record]:
        """Return the records that are new since the last call; none where there is no file.

        A file that is not ours alone is as good as none.
        """
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return []
        try:
            return records(self._new_lines(file).decode("utf-8", "replace"))
        except OSError:
            return []
        finally:
            os.close(file)

    def has_news(self) -> bool:
        """Tell whether the file has grown, or is another one, since it was read."""
        try:
            found = self.path.lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) != self._file or found.st_size != self._read

    def _new_lines(self, file: int) -> bytes:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            return b""
        identity = (found.st_dev, found.st_ino)
        if identity != self._file or found.st_size < self._read:
            self._file = identity
            self._read = max(0, found.st_size - _TAIL_BYTES)
        if found.st_size == self._read:
            return b""
        text = os.pread(file, found.st_size - self._read, self._read)
        # Behind the last newline: half a line.
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole
