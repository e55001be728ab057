"""What was seen becomes events: each stored once, and given out in the order of the numbers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from swarmcomm import clock, settings
from swarmcomm.errors import StoreError
from swarmcomm.protocol import WireId
from swarmcomm.store import FILE, Event, Found, Place, Store
from swarmcomm.swarm.ledger import WitnessedAnswer
from swarmcomm.swarm.states import State
from swarmcomm.swarm.watched import Memory
from swarmcomm.tmux.server import server_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from swarmcomm.swarm.watched import Sighting
    from swarmcomm.tmux.server import Server

#: Events that are kept for a store that cannot be used now; the oldest go.
_KEPT = 10_000

#: Events that are fetched at once.
_PAGE = 1_000


def stored_answers(
    folder: Path | None, server: Server, session: str, window: str, wire_id: str, since: datetime
) -> list[WitnessedAnswer]:
    """Return what watchers have stored of a task since it was sent; none where they cannot tell.

    Raises:
        TmuxError: tmux could not be asked.
    """
    if folder is None or not (folder / FILE).exists():
        return []
    try:
        store = Store.open(folder)
        try:
            events = store.answers(server_id(server), session, window, wire_id, since)
        finally:
            store.close()
    except StoreError:
        return []
    return [answer_of(event) for event in events]


class Journal:
    """The events of some windows: those of this watcher, and of all others that use the store.

    Where the store cannot be used it says so once, gives events without a number, and tries again
    later: what was kept meanwhile is stored then.
    """

    def __init__(
        self,
        folder: Path | None,
        socket: str,
        session: str,
        windows: Sequence[str],
        since: int | None,
        registry: bool = False,
    ) -> None:
        """Take the state *folder* and the path of the tmux server's *socket*.

        Events with a number above *since* come first, None: none. With *registry* those of
        registered sessions come too.
        """
        self._folder = folder
        self._socket = socket
        self._session = session
        self._windows = windows
        self._since = since
        self._registry = registry
        self._store: Store | None = None
        self._try_at = 0.0
        self._began_at: int | None = None  # the last number when the store was first opened
        self._last = 0
        self._given: set[int] = set()
        self._reached: dict[Place, int] = {}  # the newest answer that this reader has read
        self._unstored: list[Found] = []
        self._troubles: list[Event] = []
        self._said = ""  # the trouble that was told last

    def close(self) -> None:
        """Close the store."""
        if self._store:
            self._store.close()
            self._store = None

    def remember(self, place: Place) -> Memory:
        """Return what is known of a pane; nothing where the store cannot be used."""
        told = partial(self._told, place, None)
        try:
            store = self._opened()
            if store is None:
                return Memory(told)
            state = store.newest_state(place.server, place.pane_id)
            last_state = (State(state.state), state.text) if state and state.state else None
            anchor, reached = store.anchor(place.server, place.pane_id)
            self._reached[place] = reached
            return Memory(told, partial(self._told, place, reached), anchor, last_state)
        except StoreError as error:
            self._give_up(error)
            return Memory(told)

    def _told(self, place: Place, until: int | None, wire_id: str) -> list[WitnessedAnswer]:
        """Return what was told of a wire id up to *until*, None: before this watcher began."""
        if self._store is None:
            return []
        try:
            until = self._began_at if until is None else until
            told = self._store.told(place.server, place.pane_id, wire_id, until)
        except StoreError as error:
            self._give_up(error)
            return []
        return [answer_of(event, exchange) for event, exchange in told]

    def record(self, seen: Sequence[Sighting], anchors: Mapping[Place, str]) -> list[Event]:
        """Store what was *seen* and return the events that it is time to give out.

        Those are the new ones of all watchers, by number; before them, at the first call, those
        above *since*, else those among *seen* that were stored already.
        """
        found = [_found(sighting) for sighting in seen]
        try:
            store = self._opened()
            stored = self._record(store, found, anchors) if store else []
            given = [*self._known(stored), *self._others(store)] if store else None
        except StoreError as error:
            self._give_up(error)
            given = None
        if given is None:
            new = [each for each, one in zip(found, seen, strict=True) if not one.again]
            self._unstored = [*self._unstored, *new][-_KEPT:]
            given = [each.event for each in new]
        troubles, self._troubles = self._troubles, []
        return [*troubles, *given]

    def _record(
        self, store: Store, found: list[Found], anchors: Mapping[Place, str]
    ) -> list[Event]:
        late = self._unstored
        if not (late or found or anchors):
            return []
        every = [*late, *found]
        places = {place: (anchor, self._reached.get(place, 0)) for place, anchor in anchors.items()}
        stored = store.record(every, places)
        for one, event in zip(every, stored, strict=True):
            if event.marker:
                number = max(event.number or 0, self._reached.get(one.place, 0))
                self._reached[one.place] = number
        # Those were given out without a number.
        self._given.update(event.number or 0 for event in stored[: len(late)])
        self._unstored, self._said = [], ""
        return stored[len(late) :]

    def _known(self, stored: list[Event]) -> list[Event]:
        """Return of *stored* those that nobody will give out as new ones."""
        if self._since is not None or self._began_at is None:
            return []
        numbers = {event.number or 0: event for event in stored}
        known = sorted(n for n in numbers if n <= self._began_at and n not in self._given)
        self._given.update(known)
        return [numbers[number] for number in known]

    def _others(self, store: Store) -> list[Event]:
        """Return the events behind the last one that was given out, whoever recorded them."""
        events: list[Event] = []
        while True:
            place = (self._session, self._windows, self._socket)
            page = store.after(self._last, *place, limit=_PAGE, registry=self._registry)
            if page:
                self._last = page[-1].number or self._last
            events += (event for event in page if event.number not in self._given)
            if len(page) < _PAGE:
                return events

    def _opened(self) -> Store | None:
        if self._store is None and self._folder and clock.monotonic() >= self._try_at:
            store = self._store = Store.open(self._folder)
            if store.note:
                self._troubles.append(notice("store", store.note))
            # Another file may be there by now, whose numbers begin at 1.
            if self._began_at is None or store.last() < self._last:
                self._given.clear()
                self._began_at = self._last = store.last()
                if self._since is not None:
                    self._last = min(self._since, self._last)
        return self._store

    def _give_up(self, error: StoreError) -> None:
        self.close()
        self._try_at = clock.monotonic() + settings.STORE_AGAIN_S
        if str(error) != self._said:
            self._said = str(error)
            text = f"{error}; watching goes on without the store"
            self._troubles.append(notice("no-store", text))


def _found(sighting: Sighting) -> Found:
    answer, near = sighting.answer, sighting.near_miss
    if answer:
        event = Event(
            sighting.place.window,
            answer.marker,
            answer.wire_id.task_id,
            str(answer.wire_id),
            answer.text,
            answer.flags,
            None,
            sighting.time,
            answer.witnesses,
        )
        return Found(sighting.place, event, answer.exchange)
    if near:
        return Found(sighting.place, _event(sighting, near.line, (near.reason,)))
    if sighting.state:
        return Found(sighting.place, _event(sighting, sighting.state[1], state=sighting.state[0]))
    assert sighting.notice is not None
    name, text = sighting.notice
    return Found(sighting.place, _event(sighting, text, (name,)))


def _event(
    sighting: Sighting, text: str, flags: tuple[str, ...] = (), state: State | None = None
) -> Event:
    window = sighting.place.window
    return Event(window, None, None, None, text, flags, state, sighting.time)


def notice(name: str, text: str) -> Event:
    """Return an event of now that is of no window; *name* is one of NOTICES."""
    return Event("", None, None, None, text, (name,), None, clock.now())


def answer_of(event: Event, exchange: int = 0) -> WitnessedAnswer:
    """Return the answer that *event* tells."""
    assert event.marker is not None
    wire_id = WireId.parse(event.wire_id or "")
    return WitnessedAnswer(
        event.marker, wire_id, event.text, event.flags, 0, event.witnesses, exchange
    )
