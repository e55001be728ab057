"""Messages: kept until their reader says it has them, in order, and marked when they come again."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from swarmcomm import Coordinator, clock, errors, settings
from swarmcomm.sessions import Message, MessageState, Outgoing
from swarmcomm.store import FILE
from tests.conftest import wait_for
from tests.sessions.conftest import CHILD, MASTER, Attach, attach_to, events
from tests.store.processes import run, start

OTHER = "child_web_task_4"


def send(coordinator: Coordinator, *texts: str, to: str = CHILD) -> list[int]:
    out = [Outgoing(MASTER, to, text) for text in texts]
    return [message.id for message in coordinator.send_many(out)]


def texts(messages: list[Message]) -> list[str]:
    return [message.text for message in messages]


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.wall = datetime.now().astimezone().replace(microsecond=0)
        self.uptime = 1000.0

    def sleep(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.uptime += seconds


@pytest.fixture
def turned(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(clock, "now", lambda: fake.wall)
    monkeypatch.setattr(clock, "monotonic", lambda: fake.uptime)
    return fake


# Given out


def test_a_message_reaches_its_session_whole_and_no_other(
    coordinator: Coordinator, turned: Clock
) -> None:
    coordinator.register_session_relationship(MASTER, OTHER, "4", "web")
    text = "run [DONE] task-1\n\ttabs, ü, 任务\n" + "x" * 64_900
    sent = coordinator.send_message_to_session(MASTER, CHILD, text, "QUERY")
    assert coordinator.get_session_messages(OTHER) == []
    assert coordinator.get_session_messages(MASTER) == []
    (got,) = coordinator.get_session_messages(CHILD)
    assert (got.text, got.from_session, got.to_session) == (text, MASTER, CHILD)
    assert (got.id, got.message_type, got.reply_to) == (sent.id, "QUERY", None)
    assert (got.redelivered, got.state) == (False, "given")
    assert got.sent_at == turned.wall
    assert got.expires_at - got.sent_at == timedelta(days=7)


def test_the_type_is_that_of_who_sends_where_none_is_said(coordinator: Coordinator) -> None:
    asked = coordinator.send_message_to_session(MASTER, CHILD, "go")
    told = coordinator.send_message_to_session(CHILD, MASTER, "went", reply_to=asked.id)
    for word in ("query", "STATUS_REQUEST", "Instruction"):
        assert coordinator.send_message_to_session(MASTER, CHILD, "x", word).message_type == (
            word.upper()
        )
    assert asked.message_type == "INSTRUCTION"
    (answer,) = coordinator.get_session_messages(MASTER)
    assert (answer.message_type, answer.reply_to, answer.id) == ("RESPONSE", asked.id, told.id)
    with pytest.raises(errors.InvalidInputError, match=f"reply_to {told.id} is no message from"):
        coordinator.send_message_to_session(CHILD, MASTER, "x", reply_to=told.id)


def test_what_was_given_out_is_given_to_nobody_again_while_its_reader_is_there(
    coordinator: Coordinator, attach: Attach
) -> None:
    send(coordinator, "a", "b", "c")
    first, second = attach(CHILD), attach(CHILD)
    assert texts(first.get_session_messages(CHILD, limit=2)) == ["a", "b"]
    assert second.get_session_messages(CHILD) == []  # "c" would come before "a" was acted on
    assert texts(first.get_session_messages(CHILD)) == ["c"]
    assert first.get_session_messages(CHILD) == []


def test_what_is_acknowledged_never_comes_again(coordinator: Coordinator, attach: Attach) -> None:
    ids = send(coordinator, "a", "b", "c")
    reader = attach(CHILD)
    reader.get_session_messages(CHILD)
    assert coordinator.query_session_status(CHILD)[0].unread == 3
    assert reader.acknowledge_messages(CHILD, ids[:2]) == 2
    assert reader.acknowledge_messages(CHILD, ids[:2]) == 0
    assert reader.acknowledge_messages(CHILD, [ids[0], ids[0], ids[2]]) == 1
    assert coordinator.query_session_status(CHILD)[0].unread == 0
    reader.close()
    assert attach(CHILD).get_session_messages(CHILD) == []


def test_an_acknowledgement_with_a_wrong_id_stores_nothing(coordinator: Coordinator) -> None:
    ids = send(coordinator, "a", "b")
    coordinator.get_session_messages(CHILD)
    with pytest.raises(errors.InvalidInputError):
        coordinator.acknowledge_messages(CHILD, [*ids, 99])
    assert {m.state for m in coordinator.message_history(CHILD)} == {MessageState.GIVEN}


def test_a_reader_that_is_closed_gives_back_what_it_did_not_acknowledge(
    coordinator: Coordinator, attach: Attach
) -> None:
    send(coordinator, "a", "b", "c")
    reader = attach(CHILD)
    first, *_ = reader.get_session_messages(CHILD, limit=2)
    reader.acknowledge_messages(CHILD, [first.id])
    reader.close()
    again = attach(CHILD).get_session_messages(CHILD)
    assert [(m.text, m.redelivered) for m in again] == [("b", True), ("c", False)]


def read_and_die(folder: Path) -> None:
    reader = attach_to(folder, CHILD)
    assert texts(reader.get_session_messages(CHILD)) == ["a"]
    os.kill(os.getpid(), 9)


def test_what_a_killed_reader_had_comes_again_at_once_and_is_marked(
    coordinator: Coordinator, attach: Attach, folder: Path
) -> None:
    send(coordinator, "a")
    assert run(read_and_die, folder) == -9
    (again,) = attach(CHILD).get_session_messages(CHILD)
    assert (again.text, again.redelivered) == ("a", True)
    assert [e.flags[1] for e in events(folder) if e.flags[0] == "message"] == [
        "sent",
        "redelivered",
    ]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not say it")
def test_a_killed_reader_whose_end_nobody_has_asked_for_is_gone_as_well(
    coordinator: Coordinator, attach: Attach, folder: Path
) -> None:
    send(coordinator, "a")
    killed = start(read_and_die, folder)
    wait_for(lambda: Path(f"/proc/{killed.pid}/stat").read_text().split()[2] == "Z", "its end")
    assert [m.redelivered for m in attach(CHILD).get_session_messages(CHILD)] == [True]
    killed.join()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not say it")
def test_another_process_with_the_number_of_a_killed_reader_is_not_taken_for_it(
    coordinator: Coordinator, attach: Attach, folder: Path
) -> None:
    send(coordinator, "a")
    assert run(read_and_die, folder) == -9
    connection = sqlite3.connect(folder / FILE)
    with connection:
        ((holder,),) = connection.execute("SELECT holder FROM message")
        later = ":".join([str(os.getppid()), *holder.split(":")[1:]])
        connection.execute("UPDATE message SET holder = ?", (later,))
    connection.close()
    assert [m.redelivered for m in attach(CHILD).get_session_messages(CHILD)] == [True]


def test_closing_raises_nothing_where_the_store_is_gone(
    coordinator: Coordinator, folder: Path
) -> None:
    send(coordinator, "a")
    coordinator.get_session_messages(CHILD)
    (folder / FILE).unlink()
    coordinator.close()


def test_a_reader_that_hangs_loses_what_it_had_after_a_time(
    coordinator: Coordinator, attach: Attach, turned: Clock
) -> None:
    (number,) = send(coordinator, "a")
    hangs, other = attach(CHILD), attach(CHILD)
    hangs.get_session_messages(CHILD)
    turned.sleep(settings.LEASE_S - 1)
    assert other.get_session_messages(CHILD) == []
    turned.sleep(1)
    assert [(m.text, m.redelivered) for m in other.get_session_messages(CHILD)] == [("a", True)]
    assert hangs.acknowledge_messages(CHILD, [number]) == 1  # it had it after all
    assert other.acknowledge_messages(CHILD, [number]) == 0
    hangs.close()
    other.close()
    assert attach(CHILD).get_session_messages(CHILD) == []


def test_the_same_reader_gets_again_what_it_forgot_to_acknowledge(
    coordinator: Coordinator, turned: Clock
) -> None:
    send(coordinator, "a")
    coordinator.get_session_messages(CHILD)
    turned.sleep(settings.LEASE_S)
    assert [m.redelivered for m in coordinator.get_session_messages(CHILD)] == [True]


def test_order_is_kept_for_each_sender_and_nobody_waits_for_another(
    coordinator: Coordinator, attach: Attach
) -> None:
    """A master waits for the messages of one child only behind those of the same child."""
    coordinator.register_session_relationship(MASTER, OTHER, "4", "web")

    def answer(child: str, text: str) -> None:
        coordinator.send_message_to_session(child, MASTER, text)

    answer(CHILD, "a1")
    first, second = attach(MASTER), attach(MASTER)
    assert texts(first.get_session_messages(MASTER)) == ["a1"]
    answer(CHILD, "a2")
    answer(OTHER, "b1")
    assert texts(second.get_session_messages(MASTER)) == ["b1"]
    first.close()
    assert [(m.text, m.redelivered) for m in second.get_session_messages(MASTER)] == [
        ("a1", True),
        ("a2", False),
    ]


@limits(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(0, 3)),
            st.tuples(st.just("read"), st.integers(0, 1), st.integers(1, 4)),
            st.tuples(st.just("ack"), st.integers(0, 1)),
            st.tuples(st.just("die"), st.integers(0, 1)),
        ),
        max_size=40,
    )
)
def test_whatever_readers_do_each_sender_is_heard_in_order_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("order")
    children = [f"child_web_task_{i}" for i in range(4)]
    main = attach_to(folder)
    for i, child in enumerate(children):
        main.register_session_relationship(MASTER, child, str(i), "web")
    readers = [attach_to(folder), attach_to(folder)]
    has: list[list[int]] = [[], []]
    fresh: dict[str, list[int]] = {child: [] for child in children}
    sent: list[int] = []
    acknowledged: set[int] = set()
    seen: set[int] = set()

    def read(who: int, limit: int) -> None:
        for message in readers[who].get_session_messages(MASTER, limit):
            assert message.redelivered is (message.id in seen)
            assert message.id not in acknowledged
            if not message.redelivered:
                fresh[message.from_session].append(message.id)
            seen.add(message.id)
            has[who].append(message.id)
        assert not set(has[0]) & set(has[1])

    for kind, *words in steps:
        if kind == "send":
            child = children[words[0]]  # type: ignore[call-overload]
            sent.append(main.send_message_to_session(child, MASTER, "x").id)
            continue
        who: int = words[0]  # type: ignore[assignment]
        if kind == "read":
            read(who, words[1])  # type: ignore[arg-type]
        elif kind == "ack" and has[who]:
            acknowledged.add(has[who][0])
            readers[who].acknowledge_messages(MASTER, [has[who].pop(0)])
        elif kind == "die":
            readers[who].close()
            readers[who], has[who] = attach_to(folder), []
    for who in (0, 1):
        readers[who].close()
        readers[who], has[who] = attach_to(folder), []
    read(0, 1000)
    assert set(has[0]) | acknowledged == set(sent)
    assert has[0] == sorted(has[0])
    assert all(numbers == sorted(numbers) for numbers in fresh.values())
    for opened in (main, *readers):
        opened.close()


def test_what_is_answered_once_is_not_answered_again(
    coordinator: Coordinator, attach: Attach
) -> None:
    for text in ("how far?", "and now?"):
        coordinator.send_message_to_session(MASTER, CHILD, text, "QUERY")
    answer = Outgoing(CHILD, MASTER, "DONE", reply_to=1, once=True)
    (first,) = coordinator.send_many([answer])
    assert attach().send_many([answer, replace(answer, message="again")]) == [first, first]
    (other,) = coordinator.send_many([replace(answer, reply_to=2)])
    assert other.reply_to == 2
    assert [m.id for m in coordinator.get_session_messages(MASTER)] == [first.id, other.id]


def test_a_batch_is_sent_whole_or_not_at_all(coordinator: Coordinator) -> None:
    good, bad = Outgoing(MASTER, CHILD, "a"), Outgoing(MASTER, OTHER, "b")
    with pytest.raises(errors.SessionNotRegisteredError):
        coordinator.send_many([good, bad])
    assert coordinator.message_history() == []
    assert coordinator.send_many([]) == []


def test_each_change_of_a_message_has_its_event(
    coordinator: Coordinator, attach: Attach, folder: Path
) -> None:
    number = len(events(folder))
    (first, _) = send(coordinator, "a\nb", "c" * 9000)
    reader = attach(CHILD)
    reader.get_session_messages(CHILD, 1)
    reader.acknowledge_messages(CHILD, [first])
    told = events(folder, number)
    assert [(e.window, e.state, e.flags) for e in told] == [
        (CHILD, None, ("message", "sent")),
        (CHILD, None, ("message", "sent")),
        (CHILD, None, ("message", "acknowledged")),
    ]
    assert told[0].text == f"1 INSTRUCTION from {MASTER}: a\nb"
    assert len(told[1].text) == 4096
    assert told[2].text == f"1 INSTRUCTION from {MASTER} acknowledged"


def test_looking_takes_nothing_and_says_where_each_is(
    coordinator: Coordinator, attach: Attach
) -> None:
    ids = send(coordinator, "a", "b", "c")
    reader = attach(CHILD)
    reader.get_session_messages(CHILD, 2)
    reader.acknowledge_messages(CHILD, ids[:1])
    states = ["acknowledged", "given", "waiting"]
    assert [m.state for m in coordinator.message_history()] == states
    assert [m.state for m in coordinator.message_history(MASTER, limit=2)] == states[1:]
    assert texts(reader.get_session_messages(CHILD)) == ["c"]


# Time


def test_a_message_expires_and_stays_visible_as_expired(
    coordinator: Coordinator, turned: Clock, folder: Path
) -> None:
    coordinator.send_message_to_session(MASTER, CHILD, "now or never", expires_s=60)
    send(coordinator, "later")
    turned.sleep(60)
    assert [m.state for m in coordinator.message_history()] == ["expired", "waiting"]
    number = len(events(folder))
    for _ in range(2):
        coordinator.get_session_messages(CHILD)
    assert [m.state for m in coordinator.message_history()] == ["expired", "given"]
    (told,) = events(folder, number)
    assert (told.flags, told.text) == (
        ("message", "expired"),
        f"1 INSTRUCTION from {MASTER} expired",
    )
    with pytest.raises(errors.InvalidInputError, match="expired before it was read"):
        coordinator.acknowledge_messages(CHILD, [1])


def test_a_message_that_expires_while_its_reader_acts_on_it_can_be_acknowledged(
    coordinator: Coordinator, turned: Clock
) -> None:
    coordinator.send_message_to_session(MASTER, CHILD, "a", expires_s=60)
    coordinator.get_session_messages(CHILD)
    turned.sleep(settings.LEASE_S + 60)
    assert coordinator.get_session_messages(CHILD) == []
    assert coordinator.acknowledge_messages(CHILD, [1]) == 1


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=9000)])
def test_t18_a_clock_that_is_turned_takes_nothing_from_a_reader_and_changes_no_order(
    coordinator: Coordinator, attach: Attach, turned: Clock, jump: timedelta
) -> None:
    send(coordinator, "a")
    reader, other = attach(CHILD), attach(CHILD)
    reader.get_session_messages(CHILD)
    turned.wall += jump
    send(coordinator, "b")
    assert other.get_session_messages(CHILD) == []
    turned.wall -= 2 * jump
    send(coordinator, "c")
    assert other.get_session_messages(CHILD) == []
    assert texts(reader.get_session_messages(CHILD)) == ["b", "c"]
    reader.close()
    assert texts(other.get_session_messages(CHILD)) == ["a", "b", "c"]
    coordinator.report_session_status(CHILD, "WORKING", 10)
    turned.wall += jump
    assert coordinator.report_session_status(CHILD, "WORKING", 20).progress == 20
    assert coordinator.query_session_status(CHILD)[0].progress == 20


def test_t18_a_clock_that_is_turned_forward_does_not_make_messages_old(
    coordinator: Coordinator, turned: Clock
) -> None:
    send(coordinator, "a")
    coordinator.report_session_status(CHILD, "COMPLETED")
    turned.wall += timedelta(days=365)
    assert coordinator.query_session_status(CHILD)[0].unread == 1
    assert coordinator.forget(turned.wall) == 0
    assert texts(coordinator.get_session_messages(CHILD)) == ["a"]


def test_t19_a_machine_that_slept_gives_its_readers_the_time_that_they_had_left(
    coordinator: Coordinator, attach: Attach, turned: Clock
) -> None:
    send(coordinator, "a")
    reader, other = attach(CHILD), attach(CHILD)
    reader.get_session_messages(CHILD)
    turned.sleep(settings.LEASE_S / 2)
    turned.wall += timedelta(hours=9)  # the other clock stood still meanwhile
    turned.sleep(settings.LEASE_S / 2 - 1)
    assert other.get_session_messages(CHILD) == []
    turned.sleep(1)
    assert texts(other.get_session_messages(CHILD)) == ["a"]


def test_after_a_restart_of_the_machine_leases_are_over_and_expiry_goes_by_the_wall_clock(
    coordinator: Coordinator, attach: Attach, turned: Clock
) -> None:
    coordinator.send_message_to_session(MASTER, CHILD, "old", expires_s=3600)
    send(coordinator, "a")
    attach(CHILD).get_session_messages(CHILD)
    turned.wall += timedelta(hours=2)
    turned.uptime = 5.0
    again = attach(CHILD).get_session_messages(CHILD)
    assert [(m.text, m.redelivered) for m in again] == [("a", True)]


# Forgetting


@pytest.fixture
def forget(coordinator: Coordinator, turned: Clock) -> Callable[[], int]:
    return lambda: coordinator.forget(turned.wall - timedelta(days=30))


def names(coordinator: Coordinator) -> list[str]:
    return [status.session_name for status in coordinator.query_session_status()]


def test_what_is_over_for_long_is_forgotten_and_nothing_else(
    coordinator: Coordinator, turned: Clock, forget: Callable[[], int], folder: Path
) -> None:
    coordinator.register_session_relationship("master_project_x", "child_x_task_1", "1", "x")
    coordinator.register_session_relationship(MASTER, OTHER, "4", "web")
    coordinator.report_session_status(CHILD, "COMPLETED")
    coordinator.report_session_status(OTHER, "WORKING")
    coordinator.report_session_status("child_x_task_1", "ERROR")
    assert forget() == 0
    turned.sleep(31 * 86_400)
    coordinator.register_session_relationship("master_project_y", "child_y_task_1", "1", "y")
    coordinator.report_session_status("child_y_task_1", "TERMINATED")
    number = len(events(folder))
    assert forget() == 3
    assert names(coordinator) == [MASTER, OTHER, "master_project_y", "child_y_task_1"]
    assert sorted(e.window for e in events(folder, number)) == sorted(
        [CHILD, "child_x_task_1", "master_project_x"]
    )
    assert {e.flags for e in events(folder, number)} == {("session", "forgotten")}
    assert forget() == 0
    coordinator.register_session_relationship(MASTER, CHILD, "3", "web")
    assert coordinator.query_session_status(CHILD)[0].status == "UNKNOWN"


def test_a_session_with_a_message_that_waits_is_not_forgotten(
    coordinator: Coordinator, turned: Clock, forget: Callable[[], int]
) -> None:
    coordinator.report_session_status(CHILD, "COMPLETED")
    turned.sleep(31 * 86_400)
    (number,) = send(coordinator, "one more thing")
    assert forget() == 0
    coordinator.get_session_messages(CHILD)
    coordinator.acknowledge_messages(CHILD, [number])
    assert forget() == 2
    assert coordinator.message_history() == []


def test_old_messages_that_are_over_are_forgotten_and_their_ids_not_given_again(
    coordinator: Coordinator, turned: Clock, forget: Callable[[], int]
) -> None:
    coordinator.send_message_to_session(MASTER, CHILD, "read")
    coordinator.send_message_to_session(MASTER, CHILD, "expired", expires_s=1)
    coordinator.send_message_to_session(MASTER, CHILD, "waits", expires_s=86_400 * 365)
    coordinator.get_session_messages(CHILD, 1)
    coordinator.acknowledge_messages(CHILD, [1])
    turned.sleep(31 * 86_400)
    assert forget() == 0
    assert texts(coordinator.message_history()) == ["waits"]
    assert send(coordinator, "next") == [4]
