"""What panes printed, on its way from the thread that reads it to whoever waits for it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from swarmcomm import clock

if TYPE_CHECKING:
    from swarmcomm.errors import TmuxError

#: Bytes that are counted for an entry beside its text.
_ENTRY_BYTES = 200


@dataclass(frozen=True, slots=True)
class Output:
    """What a pane printed, in order with everything else; *data* is as the program wrote it."""

    pane_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """Output of *pane_id* (None: of any pane) may be missing from here on: look at the screen."""

    pane_id: str | None
    reason: str


class Outbox:
    """A queue of at most *limit* bytes; what does not fit is dropped, and a Lost stands for it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: list[tuple[str, list[bytes]] | Lost] = []
        self._sizes: Counter[str] = Counter()
        self._size = 0
        # No Condition: it is Python, and an interrupt within it leaves it locked for ever.
        self._lock = threading.Lock()
        self._news: SimpleQueue[None] = SimpleQueue()
        self._end: TmuxError | None = None

    def put(self, pane_id: str, data: bytes) -> None:
        """Add what *pane_id* printed; the pane with most in the queue loses it if that is full."""
        with self._lock:
            last = self._entries[-1] if self._entries else None
            if isinstance(last, tuple) and last[0] == pane_id:
                last[1].append(data)
            else:
                self._entries.append((pane_id, [data]))
            self._sizes[pane_id] += len(data) + _ENTRY_BYTES
            self._size += len(data) + _ENTRY_BYTES
            if self._size > self._limit:
                loser = self._sizes.most_common(1)[0][0]
                self._drop(loser, Lost(loser, "whoever watches was too slow"))
            self._tell()

    def lose(self, pane_id: str | None, reason: str) -> None:
        """Say that output may be missing from here on; once is enough."""
        with self._lock:
            lost = Lost(pane_id, reason)
            if self._entries[-1:] != [lost]:
                self._entries.append(lost)
            self._tell()

    def drop(self, pane_id: str) -> None:
        """Drop what there is of *pane_id*: a newer look at it is known."""
        with self._lock:
            self._drop(pane_id, None)

    def end(self, error: TmuxError) -> None:
        """Let :meth:`take` raise *error* once what is there was taken; the first one counts."""
        with self._lock:
            self._end = self._end or error
            self._tell()

    def take(self, timeout_s: float) -> list[Output | Lost]:
        """Return all that is there, and leave nothing; blocks up to *timeout_s* for the first.

        Raises:
            TmuxError: nothing will come any more.
        """
        end = clock.monotonic() + timeout_s
        while not (entries := self._taken()):
            try:
                self._news.get(timeout=max(0.0, end - clock.monotonic()))
            except Empty:
                return []
        return [
            each if isinstance(each, Lost) else Output(each[0], b"".join(each[1]))
            for each in entries
        ]

    def _taken(self) -> list[tuple[str, list[bytes]] | Lost]:
        with self._lock:
            if self._end:
                self._tell()  # whoever else waits
                if not self._entries:
                    raise self._end
            entries, self._entries = self._entries, []
            self._sizes.clear()
            self._size = 0
            return entries

    def _tell(self) -> None:
        if self._news.empty():
            self._news.put(None)

    def _drop(self, pane_id: str, instead: Lost | None) -> None:
        kept: list[tuple[str, list[bytes]] | Lost] = []
        for each in self._entries:
            if (each.pane_id if isinstance(each, Lost) else each[0]) != pane_id:
                kept.append(each)
            elif instead:
                kept.append(instead)
                instead = None
        self._entries = kept
        self._size -= self._sizes.pop(pane_id, 0)
