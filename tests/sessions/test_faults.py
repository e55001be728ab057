"""What happens to sessions and messages when their users, their disk or their file fail."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmcomm import Coordinator, errors, settings
from swarmcomm.sessions import MessageState, Outgoing, Report, Status
from swarmcomm.store import FILE, database, files
from tests.sessions.conftest import CHILD, MASTER, Attach, attach_to, events
from tests.store.processes import die_at, run, start

#: Messages whose readers are killed below; they take some five seconds.
MESSAGES = 10_000


def check_whole(folder: Path) -> None:
    connection = sqlite3.connect(folder / FILE)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


# Several at once


def write_many(folder: Path, number: int, go: int) -> None:
    """Register, report and send, 100 writes in all; any error ends this process."""
    os.read(go, 1)
    child, shared = f"child_web_task_{number}", "child_web_task_shared"
    with attach_to(folder) as coordinator:
        coordinator.register_session_relationship(MASTER, child, str(number), "web")
        coordinator.register_session_relationship(MASTER, shared, "shared", "web")
        for i in range(1, 50):
            coordinator.report_session_status(child, "WORKING", i, {"writer": number, "i": i})
            coordinator.send_message_to_session(child, MASTER, f"{number} {i}")


def test_t03_of_16_processes_that_write_100_times_each_none_sees_an_error_and_nothing_is_lost(
    folder: Path,
) -> None:
    waiting, go = os.pipe()
    processes = [start(write_many, folder, number, waiting) for number in range(16)]
    os.write(go, b"x" * 16)
    for process in processes:
        process.join(100)
    os.close(waiting)
    os.close(go)
    assert [process.exitcode for process in processes] == [0] * 16
    with attach_to(folder) as coordinator:
        statuses = {s.session_name: s for s in coordinator.query_session_status()}
        assert len(statuses) == 1 + 16 + 1
        for number in range(16):
            status = statuses[f"child_web_task_{number}"]
            assert (status.status, status.progress) == (Status.WORKING, 49)
            assert status.details == {"writer": number, "i": 49}
        got = coordinator.get_session_messages(MASTER, 10_000)
    assert len(got) == 16 * 49
    for number in range(16):
        said = [m.text for m in got if m.from_session == f"child_web_task_{number}"]
        assert said == [f"{number} {i}" for i in range(1, 50)]
    found = events(folder)
    found += events(folder, found[-1].number or 0)
    assert len(found) == 18 + 16 * 49 * 2  # one for each registration, report and message
    check_whole(folder)


def take_some(folder: Path, out: int) -> None:
    with attach_to(folder, CHILD) as reader:
        while got := reader.get_session_messages(CHILD, 3):
            for message in got:
                os.write(out, f"{message.id} {int(message.redelivered)}\n".encode())
            reader.acknowledge_messages(CHILD, [message.id for message in got])


def test_t15_of_8_readers_of_one_session_each_message_is_taken_by_one(
    coordinator: Coordinator, folder: Path
) -> None:
    """Nobody waits here, so one that finds the others at work may end before the last is taken."""
    sent = coordinator.send_many(Outgoing(MASTER, CHILD, str(i)) for i in range(100))
    readable, out = os.pipe()
    processes = [start(take_some, folder, out) for _ in range(8)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    take_some(folder, out)
    os.close(out)
    with os.fdopen(readable) as lines:
        taken = [tuple(map(int, line.split())) for line in lines]
    assert sorted(taken) == [(message.id, 0) for message in sent]
    assert [number for number, _ in taken] == sorted(number for number, _ in taken)


def test_threads_share_one_coordinator(coordinator: Coordinator) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            child = f"child_web_task_t{number}"
            coordinator.register_session_relationship(MASTER, child, f"t{number}", "web")
            for i in range(20):
                coordinator.report_session_status(child, "WORKING", i)
                coordinator.send_message_to_session(MASTER, child, str(i))
                coordinator.query_session_status()
            got = coordinator.get_session_messages(child)
            assert [message.text for message in got] == [str(i) for i in range(20)]
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


# Killed


def act(folder: Path, name: str, log: int, stop: int) -> None:
    """Read, act on each message by writing a line, and acknowledge it, until *stop* is closed."""
    os.set_blocking(stop, False)
    with attach_to(folder, name) as reader:
        while True:
            got = reader.get_session_messages(name, 5)
            for message in got:
                fields = (message.id, message.redelivered, os.getpid())
                fields += (message.from_session, message.to_session)
                os.write(log, (json.dumps(fields) + "\n").encode())
                reader.acknowledge_messages(name, [message.id])
            if not got:
                try:
                    if os.read(stop, 1) == b"":
                        return
                except BlockingIOError:
                    time.sleep(0.002)


def send_some(folder: Path, pairs: list[tuple[str, str]], number: int, seed: int) -> None:
    choose = random.Random(seed)
    with attach_to(folder) as coordinator:
        left = number
        while left:
            count = min(left, choose.randrange(1, 20))
            out = [Outgoing(*choose.choice(pairs), f"m{left}") for _ in range(count)]
            coordinator.send_many(out)
            left -= count


def test_messages_of_20_sessions_whose_readers_are_killed_are_all_acted_on(
    folder: Path, tmp_path: Path
) -> None:
    """At least once, in order; twice only what a reader had that was killed, and marked then."""
    names, pairs = [], []
    with attach_to(folder) as coordinator:
        for project in "abcd":
            master = f"master_project_{project}"
            names.append(master)
            for task in "1234":
                child = f"child_{project}_task_{task}"
                coordinator.register_session_relationship(master, child, task, project)
                names.append(child)
                pairs += [(master, child), (child, master)]
    assert len(names) == 20
    log = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    stop, go_on = os.pipe()
    os.set_inheritable(go_on, False)

    def reader(name: str) -> object:
        def child() -> None:
            os.close(go_on)
            act(folder, name, log, stop)

        return start(child)

    readers = {name: reader(name) for name in names}
    senders = [start(send_some, folder, pairs, MESSAGES // 4, seed) for seed in range(4)]
    choose = random.Random(7)
    killed: set[int] = set()
    deadline = time.monotonic() + 100
    with attach_to(folder) as looking:
        while any(sender.is_alive() for sender in senders) or any(
            status.unread for status in looking.query_session_status()
        ):
            assert time.monotonic() < deadline
            name = choose.choice(names)
            victim = readers[name]
            os.kill(victim.pid, signal.SIGKILL)  # type: ignore[attr-defined]
            victim.join(20)  # type: ignore[attr-defined]
            killed.add(victim.pid)  # type: ignore[attr-defined]
            readers[name] = reader(name)
            time.sleep(choose.uniform(0, 0.03))
    os.close(go_on)
    for process in [*senders, *readers.values()]:
        process.join(20)  # type: ignore[attr-defined]
        assert process.exitcode == 0  # type: ignore[attr-defined]
    os.close(stop)
    os.close(log)
    with attach_to(folder) as coordinator:
        sent = coordinator.message_history(limit=MESSAGES + 1)
    assert {message.state for message in sent} == {MessageState.ACKNOWLEDGED}
    lines = (tmp_path / "log").read_text().splitlines()
    check_acted([json.loads(line) for line in lines], len(sent), killed)
    check_whole(folder)


def check_acted(acted: list[tuple[int, bool, int, str, str]], sent: int, killed: set[int]) -> None:
    assert sent == MESSAGES
    by: dict[int, list[int]] = defaultdict(list)
    first: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, redelivered, pid, sender, receiver in acted:
        if number in by:
            assert redelivered, f"{number} came twice and was not marked"
            assert by[number][-1] in killed, f"{number} came twice and nobody was killed"
        else:
            first[sender, receiver].append(number)
        by[number].append(pid)
    assert set(by) == set(range(1, sent + 1))
    assert all(numbers == sorted(numbers) for numbers in first.values())
    twice = len(acted) - len(by)
    marked = sum(redelivered for _, redelivered, *_ in acted)
    print(f"{sent} messages, {len(killed)} readers killed, {marked} marked, {twice} acted on twice")
    assert len(killed) >= 20


def report_and_die(folder: Path, step: int, every: int) -> None:
    die_at(step, every)
    with attach_to(folder) as coordinator:
        coordinator.register_session_relationship(MASTER, CHILD, "3", "web")
        coordinator.report_many([Report(CHILD, "WORKING", 5, "x" * 3000)])
        coordinator.send_message_to_session(MASTER, CHILD, "y" * 3000)
        coordinator.get_session_messages(CHILD)
        coordinator.acknowledge_messages(CHILD, [1])


@pytest.mark.parametrize("every", [10**6, 37])
def test_t01_who_is_killed_at_any_step_leaves_each_change_with_its_event_or_neither(
    tmp_path: Path, every: int
) -> None:
    """Each round is killed one step later than the one before, until one is through."""
    ways: set[tuple[object, ...]] = set()
    for step in range(1, 10_000):
        folder = tmp_path / str(step)
        code = run(report_and_die, folder, step, every)
        if (folder / FILE).exists():
            ways.add(left_behind(folder))
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert step > 30
    registered = ("registered",) * 2
    assert ways == {
        (),
        registered,
        (*registered, "working"),
        (*registered, "working", "sent"),
        (*registered, "working", "sent", "acknowledged"),
    }


def left_behind(folder: Path) -> tuple[object, ...]:
    """Return what the events tell, which the tables have to agree with."""
    check_whole(folder)
    told = tuple(event.state or event.flags[1] for event in events(folder))
    with attach_to(folder) as coordinator:
        statuses = coordinator.query_session_status()
        messages = coordinator.message_history()
    assert len(statuses) == told.count("registered")
    assert [s.status for s in statuses if s.progress] == ["WORKING"] * told.count("working")
    assert len(messages) == told.count("sent")
    is_done = [m.state is MessageState.ACKNOWLEDGED for m in messages]
    assert is_done.count(True) == told.count("acknowledged")
    return told


# A file that cannot be used

CHANGES: list[Callable[[Coordinator], object]] = [
    lambda c: c.register_session_relationship(MASTER, "child_web_task_9", "9", "web"),
    lambda c: c.report_session_status(CHILD, "WORKING", 1, "x" * 20_000),
    lambda c: c.send_message_to_session(MASTER, CHILD, "x" * 20_000),
    lambda c: c.get_session_messages(CHILD),
]


def test_t02_a_change_waits_for_another_program_and_asking_does_not(
    coordinator: Coordinator, folder: Path
) -> None:
    holder = sqlite3.connect(folder / FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    done: list[int] = []

    def change() -> None:
        with attach_to(folder) as other:
            done.append(other.report_session_status(CHILD, "WORKING", 7).progress)

    thread = threading.Thread(target=change)
    thread.start()
    assert coordinator.query_session_status(CHILD)[0].progress == 0
    thread.join(0.3)
    assert done == []
    holder.execute("COMMIT")
    thread.join(20)
    assert done == [7]
    holder.close()


def test_t02_a_lock_that_is_held_too_long_is_a_named_error_and_nothing_is_changed(
    coordinator: Coordinator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "STORE_BUSY_S", 0.1)
    coordinator.send_message_to_session(MASTER, CHILD, "a")
    number = len(events(folder))
    holder = sqlite3.connect(folder / FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    for change in CHANGES:
        with pytest.raises(errors.StoreBusyError, match=r"its lock for 0\.1 s; try again"):
            change(coordinator)
    holder.execute("ROLLBACK")
    holder.close()
    assert len(events(folder)) == number
    assert [m.redelivered for m in coordinator.get_session_messages(CHILD)] == [False]


def test_t04_a_full_disk_is_a_named_error_and_later_it_works(
    coordinator: Coordinator, folder: Path
) -> None:
    connection = coordinator._store._database._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    number = len(events(folder))
    for change in CHANGES[1:3]:
        with pytest.raises(errors.StoreFullError, match="make room"):
            change(coordinator)
    assert coordinator.query_session_status(CHILD)[0].status is Status.UNKNOWN
    assert coordinator.message_history() == []
    assert len(events(folder)) == number
    connection.execute("PRAGMA max_page_count = 1000000")
    for change in CHANGES:
        change(coordinator)
    check_whole(folder)


def test_t06_t07_a_damaged_and_a_newer_file_are_refused_and_kept(folder: Path) -> None:
    attach_to(folder).close()
    path = folder / FILE
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(database.MIGRATIONS) + 1}")
    connection.close()
    data = path.read_bytes()
    with pytest.raises(errors.StoreNewerError, match="upgrade swarmcomm"):
        attach_to(folder)
    assert path.read_bytes() == data
    for damaged in (b"", b"x" * 5000):
        path.write_bytes(damaged)
        with pytest.raises(errors.StoreCorruptError, match="move it away"):
            attach_to(folder)
        assert path.read_bytes() == damaged


def test_t08_a_network_file_system_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attach: Attach
) -> None:
    assert attach().note == ""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(files, "_MOUNTS", mounts)
    assert "network file system (nfs4)" in attach().note
