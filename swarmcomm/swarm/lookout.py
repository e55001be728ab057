"""Looking at the windows of a session when something happens on them, and only then.

What a program prints wakes us. Where programs print lines, the stream of it is what is read; where
they paint, the screen is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmcomm import clock, settings
from swarmcomm.errors import NotFoundError, TmuxError
from swarmcomm.store import Place
from swarmcomm.swarm.states import State
from swarmcomm.swarm.watched import Memory, Sighting, Watched
from swarmcomm.tmux.connection import Lost
from swarmcomm.tmux.pane import ask_panes, locate_pane, read_panes
from swarmcomm.tmux.server import server_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from swarmcomm.swarm.reading import Gaze
    from swarmcomm.tmux.connection import Connection
    from swarmcomm.tmux.pane import Pane


def _remember_nothing(_place: Place) -> Memory:
    return Memory()


class Lookout:
    """Watches some windows of one session; each thing is told once."""

    def __init__(
        self,
        connection: Connection,
        session: str,
        gazes: Iterable[Gaze],
        interval_s: float,
        remember: Callable[[Place], Memory] = _remember_nothing,
    ) -> None:
        """Take the *gazes*, one for each window; those that have looked already go on from there.

        *interval_s* is the time between two looks where the connection brings no output. What
        *remember* returns of a place was told before.
        """
        self._connection = connection
        self._session = session
        self._interval_s = interval_s
        self._remember = remember
        self._server = ""
        self._watched = [Watched(connection, gaze) for gaze in gazes]
        self._by_pane: dict[str, Watched] = {}
        self._listed = ""
        self._panes: list[Pane] = []
        self._by_window: dict[str, list[Pane]] = {}
        self._beat_at = self._anchors_at = 0.0
        self._silent = False

    def news(self, timeout_s: float) -> list[Sighting]:
        """Return what was seen, oldest first; blocks up to *timeout_s* for the first of it.

        Raises:
            NotFoundError: there is no such session, or it went away.
            TmuxError: tmux could not be asked.
        """
        deadline = clock.monotonic() + timeout_s
        while True:
            seen = self._round(deadline)
            if seen or clock.monotonic() >= deadline:
                return seen

    def anchors(self, now: bool) -> dict[Place, str]:
        """Return where the reading of each window stands that has gone on since it was returned.

        That is asked for *now* when something was seen; else it can wait for some seconds. "" is no
        place any more.
        """
        if not now and clock.monotonic() < self._anchors_at:
            return {}
        self._anchors_at = clock.monotonic() + settings.ANCHORS_S
        return {
            watched.place: anchor
            for watched in self._watched
            if watched.place and (anchor := watched.moved_anchor()) is not None
        }

    def _round(self, deadline: float) -> list[Sighting]:
        times = [deadline, self._beat_at, *(w.due for w in self._watched if w.due is not None)]
        wait_s = max(0.0, min(times) - clock.monotonic())
        if not self._connection.streams:
            wait_s = self._interval_s if self._server else 0.0
        seen: list[Sighting] = []
        for item in self._connection.wait(wait_s):
            if isinstance(item, Lost):
                self._look_again(item)
            elif item.pane_id in self._by_pane:
                seen += self._by_pane[item.pane_id].hear(item.data)
        now = clock.monotonic()
        if now >= self._beat_at or any(w.is_due(now) for w in self._watched):
            seen += self._look(now)
        return seen

    def _look_again(self, lost: Lost) -> None:
        for watched in self._watched:
            pane = watched.gaze.pane
            if lost.pane_id is None or (pane and pane.pane_id == lost.pane_id):
                watched.lose()
        if lost.pane_id is None:
            self._beat_at = 0.0

    def _look(self, now: float) -> list[Sighting]:
        is_beat = now >= self._beat_at
        if is_beat:
            self._beat_at = now + settings.BEAT_S
        try:
            listed = ask_panes(self._connection, self._session)
            if listed != self._listed:
                self._take_list(listed)
        except NotFoundError:
            if not self._connection.streams:
                raise
            # The connection waits for it to come back, and says so when it does not.
            return []
        except TmuxError as error:
            return self._say_silent(error)
        self._silent = False
        seen: list[Sighting] = []
        for watched in self._watched:
            if is_beat or watched.is_due(now):
                try:
                    seen += self._look_at(watched, now)
                except TmuxError as error:
                    seen += watched.fail(error)
        return seen

    def _take_list(self, listed: str) -> None:
        self._server = server_id(self._connection)
        self._listed, self._panes, self._by_window = listed, read_panes(listed), {}
        for pane in self._panes:
            self._by_window.setdefault(pane.window, []).append(pane)

    def _look_at(self, watched: Watched, now: float) -> list[Sighting]:
        window = watched.gaze.window
        try:
            mine = self._by_window.get(window) or self._panes
            pane = locate_pane(mine, self._session, window)
        except NotFoundError as error:
            place = watched.place or Place(self._server, self._session, window, "")
            watched.forget()
            return watched.tell_state(place, (State.GONE, str(error)))
        place = Place(self._server, self._session, window, pane.pane_id)
        if place != watched.place:
            self._by_pane[pane.pane_id] = watched
            watched.begin(place, self._remember(place))
        watched.beat(pane, now)
        return watched.look(pane) if watched.is_due(now) else []

    def _say_silent(self, error: TmuxError) -> list[Sighting]:
        if self._silent:
            return []
        self._silent = True
        places = (w.place for w in self._watched if w.place)
        return [Sighting(place, notice=("silent", str(error))) for place in places][:1]
