"""The life of one wire id on one window: one table, the same for every reader (protocol.md 6)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from swarmcomm.protocol.grammar import Marker

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(StrEnum):
    """Where an exchange is."""

    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    WAITING = "waiting"
    ENDED = "ended"


_AFTER_ACK: Mapping[Marker, State] = {
    Marker.WAIT: State.WAITING,
    Marker.HELP: State.WAITING,
    Marker.DONE: State.ENDED,
    Marker.ERROR: State.ENDED,
}

#: What may follow what. A marker that is not in the row of a state leaves the state as it is.
NEXT: Mapping[State, Mapping[Marker, State]] = {
    State.SENT: {Marker.ACK: State.ACKNOWLEDGED, **_AFTER_ACK},
    State.ACKNOWLEDGED: _AFTER_ACK,
    State.WAITING: _AFTER_ACK,
    State.ENDED: {},
}


def step(state: State, marker: Marker) -> State:
    """Return the state after *marker*; the same state when the marker changes nothing."""
    return NEXT[state].get(marker, state)


class Verdict(StrEnum):
    """What an answer did to its exchange."""

    ACCEPTED = "accepted"
    NOTHING = "nothing"
    LATE = "late"


class Exchange:
    """Takes the answers of one wire id in screen order; :attr:`state` is where they lead."""

    __slots__ = ("_accepted", "acknowledged", "state")  # there are many of them

    def __init__(self) -> None:
        self.state = State.SENT
        self.acknowledged = False
        self._accepted: set[int] = set()  # hashes, since texts are long

    def take(self, marker: Marker, text: str) -> Verdict:
        """Take one answer and return what it did (protocol.md 6.1 to 6.5)."""
        said = hash((marker, text))
        if said in self._accepted:
            return Verdict.NOTHING
        if marker not in NEXT[self.state]:
            late = self.state is State.ENDED and marker is not Marker.ACK
            return Verdict.LATE if late else Verdict.NOTHING
        self.state = step(self.state, marker)
        self.acknowledged = self.acknowledged or marker is Marker.ACK
        self._accepted.add(said)
        return Verdict.ACCEPTED
