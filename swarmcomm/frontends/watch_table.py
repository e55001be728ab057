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

#: Events below the table, and those for which there is room beside many windows.
_NEWEST = 8
_NEWEST_LEAST = 3

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
    told: int = 0  # how many events there were when the last of this window came


class WatchTable:
    """The table; ``with`` shows it, and leaves its last picture on the screen."""

    def __init__(self, windows: Sequence[str], console: Console | None = None) -> None:
        self._rows = {window: _Row() for window in windows}
        self._newest: deque[Event] = deque(maxlen=_NEWEST)
        self._told = 0
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
        self._told += 1
        row = self._rows.get(event.window)
        if row:
            row.told = self._told
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
        shown = self._shown()
        for window, row in shown:
            answer = row.answer
            table.add_row(
                Text(one_line(window)),
                Text(row.state, _STYLES.get(row.state, "")),
                str(row.done),
                str(row.failed),
                f"{answer.time:%H:%M:%S}" if answer else "",
                Text(what(answer), _STYLES[answer.marker or ""]) if answer else "",
            )
        hidden = len(self._rows) - len(shown)
        below = Text(f"… {hidden} more in which less has happened lately" if hidden else "")
        room = max(1, self._size.height - len(shown) - 2)
        newest = list(self._newest)[-room:]
        lines = [Text(_line(event), no_wrap=True, overflow="ellipsis") for event in newest]
        return Group(table, below, *lines)

    def _shown(self) -> list[tuple[str, _Row]]:
        """Return the rows that fit on the terminal, those with the newest events, in order."""
        rows = list(self._rows.items())
        room = max(1, self._size.height - 2 - _NEWEST_LEAST)
        lately = sorted(rows, key=lambda item: item[1].told, reverse=True)[:room]
        names = {name for name, _ in lately}
        return [item for item in rows if item[0] in names]


def _line(event: Event) -> str:
    window = f"{one_line(event.window)}: " if event.window else ""
    return f"[{event.time:%H:%M:%S}] {window}{what(event)}"
