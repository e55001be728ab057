"""What several witnesses told of the answers of one window, made one.

Screen and hooks tell the same answers; the ledger makes one entry of them, whoever is first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmcomm import protocol
from swarmcomm.protocol import ENDS, Marker, without_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The terminal: what it shows, and what was printed to it.
SCREEN = "screen"
HOOK = "hook"

_WITNESSES = (SCREEN, HOOK)

#: Wire ids whose answers are remembered; of older ones the number of exchanges is, for so many.
_IDS_KEPT = 5_000
_COUNTS_KEPT = 50_000


@dataclass(frozen=True, slots=True)
class WitnessedAnswer(protocol.Answer):
    """An answer and who told it by the time that it was given out: screen, hook, or both.

    *exchange* counts the exchanges of its wire id on its pane, from 0.
    """

    witnesses: tuple[str, ...] = field(default=(), compare=False)
    exchange: int = field(default=0, compare=False)


@dataclass(slots=True)
class Entry:
    """One answer in the ledger, and what each witness told of it, in the order they came."""

    answer: protocol.Answer
    told: dict[str, str]
    exchange: int

    def witnessed(self) -> WitnessedAnswer:
        """Return the answer with its witnesses so far."""
        answer = self.answer
        return WitnessedAnswer(
            answer.marker,
            answer.wire_id,
            answer.text,
            answer.flags,
            answer.row,
            tuple(self.told),
            self.exchange,
        )


def _nothing(_wire_id: str) -> Sequence[WitnessedAnswer]:
    return ()


class Ledger:
    """Makes one entry of what two witnesses tell of the same answer; the first end stays.

    Each wire id has its exchanges one after the other, and each witness is in one of them: it may
    be behind, but what it tells of an exchange that is over is no news. *seconded* are the entries
    that a second witness has told since somebody emptied it.
    """

    def __init__(self, told: Callable[[str], Sequence[WitnessedAnswer]] = _nothing) -> None:
        """Take what returns the answers of a wire id that readers before this one have *told*."""
        self.seconded: list[Entry] = []
        self._told = told
        self._exchanges: dict[str, list[list[Entry]]] = {}
        self._first: dict[str, int] = {}  # the exchange in which a witness finds a wire id
        self._forgotten: dict[str, int] = {}  # the exchange that the next one would be
        self._place: dict[tuple[str, str], int] = {}
        self._sent: set[tuple[str, str]] = set()

    def take(self, witness: str, answer: protocol.Answer) -> Entry | None:
        """Return a new entry, or None for what is known, or came after the end."""
        wire_id = str(answer.wire_id)
        entries = self._at(witness, wire_id)
        known = self.known(witness, answer)
        if known is not None:
            if witness not in known.told:
                known.told[witness] = answer.text
                self.seconded.append(known)
            return None
        end = _end(entries)
        if end is not None and answer.marker in ENDS and witness in end.told:
            # A reader takes one end of an exchange: this is the end of the next one.
            self._go_on(witness, wire_id)
            return self.take(witness, answer)
        if end is not None or (entries and answer.marker is Marker.ACK):
            return None
        place = self._place_of(witness, wire_id)
        entries.append(Entry(answer, {witness: answer.text}, place))
        return entries[-1]

    def known(self, witness: str, answer: protocol.Answer) -> Entry | None:
        """Return the entry of *answer*, which *witness* tells, if there is one."""
        entries = self._at(witness, str(answer.wire_id))
        return next(
            (
                entry
                for entry in entries
                if entry.answer.marker is answer.marker and _is_same(entry, witness, answer)
            ),
            None,
        )

    def sent(self, witness: str, wire_id: str) -> None:
        """Note that *witness* saw the task sent: a new exchange, if the one before has ended.

        The first time it is the exchange that another witness may have told to its end already.
        """
        if (witness, wire_id) in self._sent or self.is_over(witness, wire_id):
            self._go_on(witness, wire_id)
        self._sent.add((witness, wire_id))

    def sent_before(self, witness: str, wire_id: str) -> None:
        """Note that *witness* has seen the task sent already when its first look was taken."""
        self._sent.add((witness, wire_id))

    def is_over(self, witness: str, wire_id: str) -> bool:
        """Tell whether *witness* has told the end of its exchange."""
        end = _end(self._at(witness, wire_id))
        return end is not None and witness in end.told

    def seen_open(self, witness: str, wire_id: str) -> None:
        """Note that *witness* sees no end: a new exchange, if it has told the end of one."""
        if self.is_over(witness, wire_id):
            self._go_on(witness, wire_id)

    def _go_on(self, witness: str, wire_id: str) -> None:
        if _end(self._at(witness, wire_id)) is not None:
            self._place[witness, wire_id] = self._place_of(witness, wire_id) + 1

    def _place_of(self, witness: str, wire_id: str) -> int:
        return self._place.get((witness, wire_id), self._first.get(wire_id, 0))

    def _at(self, witness: str, wire_id: str) -> list[Entry]:
        exchanges = self._exchanges.get(wire_id)
        if exchanges is None:
            exchanges = self._begin(wire_id)
        place = self._place_of(witness, wire_id)
        while len(exchanges) <= place:
            exchanges.append([])
        return exchanges[place]

    def _begin(self, wire_id: str) -> list[list[Entry]]:
        exchanges = self._exchanges[wire_id] = []
        if wire_id in self._forgotten:
            self._first[wire_id] = self._forgotten.pop(wire_id)
        else:
            for answer in self._told(wire_id):
                self._first[wire_id] = answer.exchange
                self._sent.update((witness, wire_id) for witness in _WITNESSES)
                # The text is that of who came first; others may word it differently.
                told = dict.fromkeys(answer.witnesses[:1], answer.text)
                self._at(SCREEN, wire_id).append(Entry(answer, told, answer.exchange))
        if len(self._exchanges) > _IDS_KEPT:
            self._forget(next(iter(self._exchanges)))
        return exchanges

    def _forget(self, wire_id: str) -> None:
        """Keep of an id only which exchange the next one would be."""
        exchanges = self._exchanges.pop(wire_id)
        for witness in _WITNESSES:
            self._place.pop((witness, wire_id), None)
            self._sent.discard((witness, wire_id))
        self._first.pop(wire_id, None)
        is_over = bool(exchanges) and _end(exchanges[-1]) is not None
        self._forgotten[wire_id] = max(0, len(exchanges) - 1) + is_over
        if len(self._forgotten) > _COUNTS_KEPT:
            del self._forgotten[next(iter(self._forgotten))]


def _end(entries: Sequence[Entry]) -> Entry | None:
    return next((entry for entry in entries if entry.answer.marker in ENDS), None)


def _is_same(entry: Entry, witness: str, answer: protocol.Answer) -> bool:
    """Tell whether *answer* is the one of *entry*, both of one marker.

    A witness tells each of its own with one text, but for marks that were lost. Of another witness
    the text may differ by Markdown and by a wrap; an ACK and an end are there only once. tmux can
    forget that a row was wrapped: then an end that was told whole shows only its first row.
    """
    if witness in entry.told:
        told, text = without_marks(entry.told[witness]), without_marks(answer.text)
        return told == text or (answer.marker in ENDS and bool(text) and told.startswith(text))
    if answer.marker not in (Marker.WAIT, Marker.HELP):
        return True
    ours, theirs = (_letters(text) for text in (answer.text, entry.answer.text))
    return ours == theirs or (bool(ours and theirs) and _begins_alike(ours, theirs))


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _begins_alike(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
