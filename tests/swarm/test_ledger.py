"""One entry of what several witnesses tell, for as long as anybody may ask, in bounded memory."""

from __future__ import annotations

import pytest

from swarmcomm.protocol import Answer, Marker, WireId
from swarmcomm.swarm import ledger as module
from swarmcomm.swarm.ledger import HOOK, SCREEN, Ledger, WitnessedAnswer

T = WireId("t")
DONE = Answer(Marker.DONE, T, "", ())


def test_an_id_that_is_sent_again_after_many_others_has_its_next_exchange(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_IDS_KEPT", 3)
    ledger = Ledger()
    for exchange in range(3):
        ledger.sent(SCREEN, "t")
        entry = ledger.take(SCREEN, DONE)
        assert entry
        assert entry.exchange == exchange
        for number in range(5):
            ledger.sent(SCREEN, f"other-{number}")
            ledger.take(SCREEN, Answer(Marker.DONE, WireId(f"other-{number}"), "", ()))
    assert len(ledger._exchanges) <= 3


def test_an_open_task_that_was_forgotten_goes_on_in_its_exchange(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_IDS_KEPT", 2)
    ledger = Ledger()
    ledger.take(SCREEN, Answer(Marker.ACK, T, "", ()))
    for number in range(3):
        ledger.take(SCREEN, Answer(Marker.DONE, WireId(f"other-{number}"), "", ()))
    entry = ledger.take(SCREEN, DONE)
    assert entry
    assert entry.exchange == 0


def test_what_is_forgotten_takes_no_room_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDS_KEPT", 3)
    monkeypatch.setattr(module, "_PACKED_KEPT", 10)
    ledger = Ledger()
    for number in range(100):
        for witness in (SCREEN, HOOK):
            ledger.sent(witness, f"t{number}")
            ledger.take(witness, Answer(Marker.DONE, WireId(f"t{number}"), "", ()))
    rooms = (ledger._exchanges, ledger._first, ledger._packed, ledger._place, ledger._sent)
    assert all(len(room) <= 10 for room in rooms)
    monkeypatch.setattr(module, "_PACKED_CHARS", 50_000)
    for number in range(100):
        ledger.take(SCREEN, Answer(Marker.DONE, WireId(f"u{number}"), "x" * 4_096, ()))
    assert 0 < ledger._packed_chars == sum(map(len, ledger._packed.values())) <= 50_000


def test_a_history_of_very_many_answers_that_is_read_again_tells_none_of_them_twice() -> None:
    ledger = Ledger()
    answers = [
        Answer(marker, WireId(f"t{number}"), text, ("no-ack",))
        for number in range(10_000)
        for marker, text in ((Marker.WAIT, "for \u4e2d \ud800 one"), (Marker.DONE, f"{number}"))
    ]
    for again in range(3):
        new = [ledger.take(SCREEN, answer) for answer in answers]
        assert [entry.answer for entry in new if entry] == ([] if again else answers)
    ledger.take(HOOK, answers[1])
    assert [entry.witnessed() for entry in ledger.seconded] == [
        WitnessedAnswer(Marker.DONE, WireId("t0"), "0", ("no-ack",), 0, (SCREEN, HOOK))
    ]
    ledger.sent(SCREEN, "t1")
    entry = ledger.take(SCREEN, answers[3])
    assert entry
    assert entry.exchange == 1


def test_what_readers_before_told_is_known_and_the_next_sending_is_not() -> None:
    told = {"t": [WitnessedAnswer(Marker.DONE, T, "", (), 0, (SCREEN,), 4)]}
    ledger = Ledger(lambda wire_id: told.get(wire_id, []))
    assert ledger.take(SCREEN, DONE) is None
    assert ledger.take(HOOK, DONE) is None
    assert [entry.exchange for entry in ledger.seconded] == [4]
    ledger.sent(SCREEN, "t")
    entry = ledger.take(SCREEN, DONE)
    assert entry
    assert entry.exchange == 5


def test_an_end_that_was_stored_late_does_not_bring_its_exchange_back() -> None:
    told = [
        WitnessedAnswer(marker, T, "", (), 0, (SCREEN,), exchange)
        for marker, exchange in ((Marker.ACK, 0), (Marker.WAIT, 1), (Marker.ERROR, 0))
    ]
    ledger = Ledger(lambda _: told)
    assert ledger.take(SCREEN, Answer(Marker.WAIT, T, "", ())) is None
    entry = ledger.take(SCREEN, Answer(Marker.HELP, T, "", ()))
    assert entry
    assert entry.exchange == 1


def test_an_end_of_long_ago_that_is_seen_without_the_newer_task_is_no_third_one() -> None:
    ledger = Ledger()
    first, second, third = (Answer(Marker.DONE, T, text, ()) for text in ("one", "two", "three"))
    ledger.take(SCREEN, first)
    ledger.sent(SCREEN, "t")
    assert ledger.take(SCREEN, second)
    assert ledger.take(SCREEN, first) is None
    assert ledger.take(SCREEN, third)
    ledger.sent(SCREEN, "t")
    again = ledger.take(SCREEN, first)
    assert again
    assert again.exchange == 3
