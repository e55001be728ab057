"""What several witnesses told of the answers of one window, made one.

Screen and hooks tell the same answers; the ledger makes one entry of them, whoever is first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmcomm import protocol
from swarmcomm.protocol import ENDS, Marker, are_alike, without_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The terminal: what it shows, and what was printed to it.
SCREEN = "screen"
HOOK = "hook"

_WITNESSES = (SCREEN, HOOK)

#: Wire ids whose answers are at hand; those of others are packed, a sixth of the size.
_IDS_KEPT = 500

#: Ids that are packed: as many as the history that a session is given has lines, since a history
#: can be read again as a whole. Their texts have so many characters at most.
_PACKED_KEPT = 50_000
_PACKED_CHARS = 8 << 20


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
        self._packed: dict[str, str] = {}  # the newest exchange of ids that are not at hand
        self._packed_chars = 0
        self._place: dict[tuple[str, str], int] = {}
        self._sent: set[tuple[str, str]] = set()

    def take(self, witness: str, answer: protocol.Answer, is_full: bool = False) -> Entry | None:
        """Return a new entry, or None for what is known, or came after the end.

        *is_full*: its row reaches to the edge of the screen, so that more of it may follow.
        """
        wire_id = str(answer.wire_id)
        entries = self._at(witness, wire_id)
        known = self.known(witness, answer, is_full)
        if known is not None:
            if witness not in known.told:
                known.told[witness] = answer.text
                self.seconded.append(known)
            return None
        end = _end(entries)
        if end is not None and answer.marker in ENDS and witness in end.told:
            if self._is_older(witness, answer):
                return None  # the newer task's line was painted over, and its end shows no more
            # A reader takes one end of an exchange: this is the end of the next one.
            self._go_on(witness, wire_id)
            return self.take(witness, answer, is_full)
        if end is not None or (entries and answer.marker is Marker.ACK):
            return None
        place = self._place_of(witness, wire_id)
        entries.append(Entry(answer, {witness: answer.text}, place))
        return entries[-1]

    def known(self, witness: str, answer: protocol.Answer, is_full: bool = False) -> Entry | None:
        """Return the entry of *answer*, which *witness* tells, if there is one."""
        entries = self._at(witness, str(answer.wire_id))
        return next(
            (
                entry
                for entry in entries
                if entry.answer.marker is answer.marker
                and _is_same(entry, witness, answer, is_full)
            ),
            None,
        )

    def _is_older(self, witness: str, answer: protocol.Answer) -> bool:
        """Tell whether *answer* is one of an exchange before that of *witness*."""
        wire_id = str(answer.wire_id)
        before = self._exchanges[wire_id][: self._place_of(witness, wire_id)]
        text = without_marks(answer.text)
        return any(
            entry.answer.marker is answer.marker
            and without_marks(entry.told.get(witness, "\0")) == text
            for entries in before
            for entry in entries
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
        packed = self._packed.pop(wire_id, None)
        if packed is not None:
            self._packed_chars -= len(packed)
            self._unpack(wire_id, packed)
        else:
            # An end that was stored late stands behind what came after it.
            for answer in sorted(self._told(wire_id), key=lambda told: told.exchange):
                self._first[wire_id] = answer.exchange
                self._sent.update((witness, wire_id) for witness in _WITNESSES)
                # The text is that of who came first; others may word it differently.
                told = dict.fromkeys(answer.witnesses[:1], answer.text)
                self._at(SCREEN, wire_id).append(Entry(answer, told, answer.exchange))
        if len(self._exchanges) > _IDS_KEPT:
            self._pack(next(iter(self._exchanges)))
        return exchanges

    def _pack(self, wire_id: str) -> None:
        """Keep of an id the newest exchange alone, in little room."""
        exchanges = self._exchanges.pop(wire_id)
        for witness in _WITNESSES:
            self._place.pop((witness, wire_id), None)
        self._first.pop(wire_id, None)
        sent = [witness for witness in _WITNESSES if (witness, wire_id) in self._sent]
        self._sent.difference_update((witness, wire_id) for witness in _WITNESSES)
        entries = [
            (entry.answer.marker, entry.answer.text, entry.answer.flags, entry.told)
            for entry in (exchanges[-1] if exchanges else [])
        ]
        place = max(0, len(exchanges) - 1)
        packed = json.dumps((place, sent, entries), ensure_ascii=False, separators=(",", ":"))
        self._packed[wire_id] = packed
        self._packed_chars += len(packed)
        while len(self._packed) > _PACKED_KEPT or self._packed_chars > _PACKED_CHARS:
            self._packed_chars -= len(self._packed.pop(next(iter(self._packed))))

    def _unpack(self, wire_id: str, packed: str) -> None:
        place, sent, entries = json.loads(packed)
        self._first[wire_id] = place
        self._sent.update((witness, wire_id) for witness in sent)
        known = self._at(SCREEN, wire_id)
        for marker, text, flags, told in entries:
            answer = protocol.Answer(
                Marker(marker), protocol.WireId.parse(wire_id), text, tuple(flags)
            )
            known.append(Entry(answer, told, place))


def _end(entries: Sequence[Entry]) -> Entry | None:
    return next((entry for entry in entries if entry.answer.marker in ENDS), None)


def _is_same(entry: Entry, witness: str, answer: protocol.Answer, is_full: bool) -> bool:
    """Tell whether *answer* is the one of *entry*, both of one marker.

    A witness tells each of its own with one text, but for marks that were lost. Of another witness
    the text may differ by Markdown and by a wrap; an ACK and an end are there only once. tmux can
    forget that a row was wrapped: then what was told whole shows only its first row, which is full.
    """
    if witness in entry.told:
        told, text = without_marks(entry.told[witness]), without_marks(answer.text)
        may_be_cut = bool(text) and (is_full or answer.marker in ENDS)
        return told == text or (may_be_cut and told.startswith(text))
    if answer.marker not in (Marker.WAIT, Marker.HELP):
        return True
    return are_alike(answer.text, entry.answer.text)
