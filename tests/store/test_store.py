"""Each event once, under a number that only grows."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmcomm import store as room
from swarmcomm.protocol import Marker
from swarmcomm.store import Found, Store
from swarmcomm.swarm import State
from tests.conftest import ROOT
from tests.store.conftest import SERVER, TIME, answer, other, place


def numbers(store: Store, *found: Found) -> list[int | None]:
    return [event.number for event in store.record(found)]


def test_what_is_recorded_comes_back_as_it_was_with_a_number(store: Store) -> None:
    found = [
        answer("t1+k3f9m2xd", Marker.WAIT, "二 more\twords", flags=("no-ack",)),
        other("the line", flags=("tag",)),
        other("Proceed? y/n", state=State.WAITING),
        other("12 lines", flags=("gap",)),
    ]
    stored = store.record(found)
    assert [event.number for event in stored] == [1, 2, 3, 4]
    for event, one in zip(stored, found, strict=True):
        was = one.event
        assert (event.window, event.marker, event.task_id, event.wire_id, event.text) == (
            (was.window, was.marker, was.task_id, was.wire_id, was.text)
        )
        assert (event.flags, event.state, event.time, event.witnesses) == (
            (was.flags, was.state, was.time, was.witnesses)
        )
    assert store.after(0) == stored


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (answer(), answer(), True),
        (answer(), answer(time=TIME + timedelta(days=1)), True),
        (answer(), answer(flags=("no-ack",), witnesses=("hook",)), True),
        (answer(), answer(window="renamed"), True),
        (answer(), answer(exchange=1), False),
        (answer(), answer(pane="%1"), False),
        (answer(), answer("t1+k3f9m2xd"), False),
        (answer(), answer(marker=Marker.ACK), False),
        (answer(), answer(text="more"), True),
        (answer(marker=Marker.WAIT), answer(marker=Marker.WAIT, text="more"), False),
        (answer(text="x"), other("x", flags=("t1",)), False),
        (other("line", flags=("tag",)), other("line", flags=("tag",)), True),
        (other("line", flags=("tag",)), other("line", flags=("id",)), False),
        (other("line", flags=("tag",)), other("lines", flags=("tag",)), False),
        (other("line", flags=("tag",)), other("line", flags=("tag",), pane="%1"), False),
        (other("lost", flags=("gap",)), other("lost", flags=("gap",)), False),
        (other(state="busy"), other(state="busy"), True),
        (other(state="busy"), other(state="idle"), False),
        (other(state="busy"), other(state="busy", pane="%1"), False),
        (other("a", state="waiting"), other("b", state="waiting"), False),
    ],
)
def test_what_is_the_same_is_one_event(store: Store, one: Found, two: Found, same: bool) -> None:
    first = numbers(store, one)
    assert (numbers(store, two) == first) is same
    assert len(store.after(0)) == (1 if same else 2)


def test_the_same_twice_in_one_call_is_one_event(store: Store) -> None:
    assert numbers(store, answer(), answer(), answer("t2"), answer()) == [1, 1, 2, 1]


def test_a_state_that_comes_back_is_told_again(store: Store) -> None:
    states = [other(state=state) for state in ("busy", "idle", "idle", "busy")]
    assert numbers(store, *states) == [1, 2, 2, 3]


def test_the_newest_state_of_a_pane_is_known(store: Store) -> None:
    assert store.newest_state(SERVER, "%0") is None
    events = store.record([other(state="busy"), other("?", state="waiting"), answer()])
    store.record([other(state="idle", pane="%1")])
    assert store.newest_state(SERVER, "%0") == events[1]


def test_witnesses_come_together_and_the_rest_stays_as_it_was_first(store: Store) -> None:
    store.record([answer(witnesses=("screen",), flags=("no-ack",))])
    later = answer(witnesses=("hook", "screen"), time=TIME + timedelta(1))
    (event,) = store.record([later])
    assert event.witnesses == ("screen", "hook")
    assert (event.flags, event.time) == (("no-ack",), TIME)
    assert store.after(0) == [event]


def test_a_time_is_kept_to_the_millisecond_in_utc(store: Store, folder: Path) -> None:
    (event,) = store.record([answer(time=TIME.replace(microsecond=678999))])
    assert event.time == TIME
    with sqlite3.connect(folder / room.FILE) as connection:
        assert connection.execute("SELECT time FROM event").fetchone() == (
            "2026-01-02T03:04:05.678Z",
        )
    connection.close()


def test_a_reader_that_missed_a_sending_makes_no_second_event_of_an_answer(store: Store) -> None:
    run = (answer(marker=Marker.ACK), answer(text="one"))
    assert numbers(store, *run) == [1, 2]
    # The others are in the second exchange, and one takes it for the first.
    wait, late = (answer(marker=Marker.WAIT, text="x", exchange=at) for at in (1, 0))
    assert numbers(store, wait, late) == [3, 3]
    done, late = (answer(text="two", exchange=at) for at in (1, 0))
    assert numbers(store, done, late) == [4, 4]
    # It may also be the first to tell.
    late, wait = (answer(marker=Marker.HELP, text="y", exchange=at) for at in (0, 2))
    assert numbers(store, late, wait) == [5, 5]
    late, done = (answer(text="three", exchange=at) for at in (1, 2))
    assert numbers(store, late, done) == [6, 6]
    assert [event.text for event in store.after(0)] == ["", "one", "x", "two", "y", "three"]


def test_an_end_that_is_stored_late_keeps_none_of_what_was_seen_after_it(store: Store) -> None:
    """A reader that did not see the end told what comes behind it, before another told the end."""
    ack, end = answer(marker=Marker.ACK), answer(text="one", time=TIME + timedelta(seconds=1))
    wait, next_end = (
        answer(marker=marker, text=marker.lower(), time=TIME + timedelta(seconds=2))
        for marker in (Marker.WAIT, Marker.ERROR)
    )
    assert numbers(store, ack, wait, next_end) == [1, 2, 3]
    assert numbers(store, end) == [4]
    later = [replace(each, exchange=1) for each in (ack, wait, next_end)]
    assert numbers(store, *later) == [5, 2, 3]
    # The reader that told them first still counts them to the exchange before.
    assert numbers(store, wait, next_end) == [2, 3]
    told = [(event.number, exchange) for event, exchange in store.told(SERVER, "%0", "t1")]
    assert told == [(1, 0), (2, 1), (3, 1), (4, 0), (5, 1)]


def test_what_was_seen_before_the_end_and_is_stored_behind_it_is_of_that_exchange(
    store: Store,
) -> None:
    late = answer(marker=Marker.WAIT, text="x", time=TIME - timedelta(seconds=1))
    assert numbers(store, answer(), late, answer(exchange=1, text="next")) == [1, 2, 3]
    told = [(event.number, exchange) for event, exchange in store.told(SERVER, "%0", "t1")]
    assert told == [(1, 0), (2, 0), (3, 1)]


def test_a_clock_that_goes_back_within_an_exchange_takes_no_ack_from_it(store: Store) -> None:
    ack = answer(marker=Marker.ACK)
    end = answer(time=TIME - timedelta(seconds=5))
    assert numbers(store, ack, end, replace(ack, exchange=1)) == [1, 2, 3]


def test_an_end_that_others_saw_cut_is_the_same_end(store: Store) -> None:
    whole = answer(text="all **good**", time=TIME + timedelta(seconds=1))
    assert numbers(store, whole, answer(text="all go")) == [1, 1]


def test_of_two_ends_of_one_exchange_the_first_is_it(store: Store) -> None:
    assert numbers(store, answer(text="all good"), answer(text="all go", witnesses=("hook",))) == [
        1,
        1,
    ]
    (event,) = store.after(0)
    assert (event.text, event.witnesses) == ("all good", ("screen", "hook"))


def test_half_a_character_and_a_null_do_not_stop_it(store: Store) -> None:
    (event,) = store.record([answer(text="a\udc80b\0c")])
    assert event.text == "a?b\0c"
    assert numbers(store, answer(text="a\udc80b\0c")) == [1]
    assert numbers(store, other("\udc80", state="error"), other("\udc80", state="error")) == [2, 2]


def test_after_takes_what_it_is_asked_for(store: Store) -> None:
    store.record([answer("t1"), answer("t2", pane="%1", window="worker-1")])
    store.record([answer("t3", pane="%2", session="other"), answer("t4")])

    def ids(*args: object, **more: object) -> list[str | None]:
        return [event.task_id for event in store.after(*args, **more)]  # type: ignore[arg-type]

    assert ids(0) == ["t1", "t2", "t3", "t4"]
    assert ids(2) == ["t3", "t4"]
    assert ids(4) == ids(10**6) == []
    assert ids(0, "s") == ["t1", "t2", "t4"]
    assert ids(0, windows=["worker-1", "x"]) == ["t2"]
    assert ids(0, windows=[]) == []
    socket = SERVER.split(":")[0]
    assert ids(0, socket=socket) == ids(0)
    assert ids(0, socket=socket[:-1]) == ids(0, socket="another") == []
    assert ids(0, limit=2) == ["t1", "t2"]
    assert ids(2, "s", ["worker-0"], socket, 1) == ["t4"]


def test_a_reader_goes_on_from_what_was_told_and_its_anchor(store: Store, folder: Path) -> None:
    found = [answer("t1", exchange=0), answer("t1", exchange=1), other(state="busy")]
    store.record([*found, answer("t9", pane="%1")], {place(): ("1:abc", 0), place("%1"): ("x", 0)})
    store.record([], {place(): ("2:def", 2)})
    again = Store.open(folder)
    told = again.told(SERVER, "%0")
    assert [(event.number, exchange) for event, exchange in told] == [(1, 0), (2, 1)]
    assert again.anchor(SERVER, "%0") == ("2:def", 2)
    assert again.anchor(SERVER, "%1") == ("x", 4)
    assert again.anchor("another", "%0") == ("", 0)
    again.close()


def test_a_reader_that_is_behind_does_not_move_an_anchor_back(store: Store) -> None:
    first, second = answer("t1"), answer("t2")
    store.record([first, second], {place(): ("ahead", 0)})
    store.record([first], {place(): ("behind", 0)})
    assert store.anchor(SERVER, "%0") == ("ahead", 2)
    store.record([second], {place(): ("as far", 1)})
    assert store.anchor(SERVER, "%0") == ("as far", 2)


def test_what_was_told_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "TOLD_KEPT", 3)
    store.record([answer(f"t{i}") for i in range(5)])
    assert [event.task_id for event, _ in store.told(SERVER, "%0")] == ["t2", "t3", "t4"]


def test_events_and_anchors_are_stored_together_or_not_at_all(store: Store) -> None:
    broken = answer("t2")
    object.__setattr__(broken.event, "time", None)
    with pytest.raises(AttributeError):
        store.record([answer("t1"), broken], {place(): ("new", 0)})
    assert store.after(0) == []
    assert store.anchor(SERVER, "%0") == ("", 0)
    assert numbers(store, answer("t3")) == [1]


def test_last_is_the_highest_number_that_was_ever_given(store: Store) -> None:
    assert store.last() == 0
    store.record([answer(f"t{i}") for i in range(3)])
    store.record([answer("t0")])
    assert store.last() == 3
    assert store.prune(TIME + timedelta(1)) == 3
    assert store.last() == 3
    assert numbers(store, answer("t9")) == [4]


def test_prune_takes_what_is_older_and_nothing_else(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_PRUNED_AT_ONCE", 2)
    old = [answer(f"old{i}", time=TIME - timedelta(milliseconds=1)) for i in range(5)]
    store.record([*old, answer("new"), other(state="busy", time=TIME - timedelta(1))])
    assert store.prune(TIME) == 6
    assert [event.task_id for event in store.after(0)] == ["new"]
    assert store.prune(TIME) == 0


def test_what_was_pruned_and_is_still_on_a_screen_is_not_told_again(store: Store) -> None:
    store.record([answer(text="secret"), answer(exchange=1), other("x", flags=("tag",))])
    store.prune(TIME + timedelta(1))
    told = store.told(SERVER, "%0")
    assert [(event.number, event.text, exchange) for event, exchange in told] == [
        (1, "", 0),
        (2, "", 1),
    ]
    (event,) = store.record([answer(text="secret", witnesses=("hook",))])
    assert (event.number, event.text, event.witnesses) == (1, "secret", ("screen", "hook"))
    assert store.after(0) == []
    assert numbers(store, answer(exchange=2)) == [4]


def test_what_is_left_of_pruned_events_is_bounded(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TOLD_KEPT", 3)
    store.record([answer(f"t{i}") for i in range(10)])
    assert store.prune(TIME + timedelta(1)) == 10
    with sqlite3.connect(folder / room.FILE) as connection:
        assert connection.execute("SELECT number FROM event ORDER BY 1").fetchall() == [
            (8,),
            (9,),
            (10,),
        ]
    connection.close()


def test_the_room_of_what_was_pruned_goes_back_to_the_disk(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TOLD_KEPT", 10)
    store.record([answer(f"t{i}", text="x" * 1000) for i in range(6000)])
    reader = Store.open(folder)
    assert len(reader.after(0)) == 1000
    store.prune(TIME + timedelta(1))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 200_000
    assert reader.after(0) == []
    reader.close()


def test_sqlite_is_not_loaded_before_a_store_is_opened() -> None:
    code = (
        "import sys, swarmcomm; swarmcomm.Event; swarmcomm.Swarm; print('sqlite3' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "False\n"


FOUND = st.one_of(
    st.builds(
        answer,
        st.sampled_from(["t1", "t1+abcdefgh", "t2"]),
        # An exchange that has ended takes no more; that has tests of its own.
        st.sampled_from([Marker.ACK, Marker.WAIT]),
        st.sampled_from(["", "x"]),
        exchange=st.integers(0, 1),
        pane=st.sampled_from(["%0", "%1"]),
        witnesses=st.sampled_from([("screen",), ("hook",)]),
    ),
    st.builds(other, st.sampled_from(["", "x"]), flags=st.sampled_from([("tag",), ("id",)])),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(calls=st.lists(st.tuples(st.booleans(), st.lists(FOUND, max_size=4)), max_size=12))
def test_two_stores_hold_the_set_of_what_both_recorded(
    calls: Sequence[tuple[bool, list[Found]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("store") / "s"
    one, two = Store.open(folder), Store.open(folder)

    def what(found: Found) -> tuple[object, ...]:
        event = found.event
        near = event.flags if event.marker is None else ()
        return (found.place.pane_id, found.exchange, event.wire_id, event.marker, near, event.text)

    given: dict[object, tuple[int, set[str]]] = {}
    for first, found in calls:
        for one_found, event in zip(found, (one if first else two).record(found), strict=True):
            fresh = (len(given) + 1, set[str]())
            number, witnesses = given.setdefault(what(one_found), fresh)
            witnesses.update(one_found.event.witnesses)
            assert event.number == number
            assert set(event.witnesses) == witnesses
    for store in (one, two):
        stored = store.after(0)
        assert [event.number for event in stored] == list(range(1, len(given) + 1))
        assert [set(event.witnesses) for event in stored] == [kept for _, kept in given.values()]
        store.close()


def test_numbers_grow_over_many_calls_of_two_stores(store: Store, folder: Path) -> None:
    second = Store.open(folder)
    turns = itertools.cycle((store, second))
    seen = [next(turns).record([answer(f"t{i}")])[0].number for i in range(50)]
    assert seen == list(range(1, 51))
    second.close()
