"""A watch on a terminal: a row for each window that changes in place, and the newest events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from swarmcomm.frontends.output import one_line, what
from swarmcomm.protocol import Marker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from swarmcomm.store import Event

#: Events below the table.
_NEWEST = 8

_STYLES = {
    **{marker.value: "cyan" for marker in Marker},
    "DONE": "green",
    "ERROR": "bold red",
    "HELP": "bold yellow",
    "WAIT": "yellow",
    "waiting": "bold yellow",
    "error": "bold red",
    "gone": "bold red",
}


@dataclass
class _Row:
    state: str = ""
    answer: Event | None = None
    done: int = 0
    failed: int = 0


class WatchTable:
    """The table; ``with`` shows it, and leaves its last picture on the screen."""

    def __init__(self, windows: Sequence[str], console: Console | None = None) -> None:
        self._rows = {window: _Row() for window in windows}
        self._newest: deque[Event] = deque(maxlen=_NEWEST)
        self._console = console or Console()
        self._size = self._console.size
        self._is_drawn = False
        self._live = Live(console=self._console, auto_refresh=False)

    def __enter__(self) -> WatchTable:
        self._live.start()
        self.draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.draw()
        self._live.stop()

    def tell(self, event: Event) -> None:
        """Take *event* into the next picture."""
        row = self._rows.get(event.window)
        if row and event.marker:
            row.answer = event
            row.done += event.marker is Marker.DONE
            row.failed += event.marker is Marker.ERROR
        elif row and event.state:
            row.state = event.state
        self._newest.append(event)
        self._is_drawn = False

    def draw(self) -> bool:
        """Draw the picture where it is another one now; return that more is wanted."""
        if self._size != self._console.size:
            # What the terminal has made of the old picture's rows is not known.
            self._size = self._console.size
            self._console.clear()
            self._is_drawn = False
        if not self._is_drawn:
            self._is_drawn = True
            self._live.update(self._picture(), refresh=True)
        return True

    def _picture(self) -> Group:
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
        for name in ("window", "state", "done", "error", "at"):
            table.add_column(name, no_wrap=True, overflow="ellipsis")
        # A long text gets the room that is left, and takes none of the others.
        table.add_column("last answer", no_wrap=True, overflow="ellipsis", ratio=1)
        for window, row in self._rows.items():
            answer = row.answer
            table.add_row(
                Text(one_line(window)),
                Text(row.state, _STYLES.get(row.state, "")),
                str(row.done),
                str(row.failed),
                f"{answer.time:%H:%M:%S}" if answer else "",
                Text(what(answer), _STYLES[answer.marker or ""]) if answer else "",
            )
        room = max(1, self._size.height - len(self._rows) - 2)
        newest = list(self._newest)[-room:]
        lines = [Text(_line(event), no_wrap=True, overflow="ellipsis") for event in newest]
        return Group(table, Text(""), *lines)


def _line(event: Event) -> str:
    window = f"{one_line(event.window)}: " if event.window else ""
    return f"[{event.time:%H:%M:%S}] {window}{what(event)}"
