"""What happens to the store when its users, its disk or its file fail."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import threading
from pathlib import Path

import pytest

from swarmcomm import errors, settings
from swarmcomm.store import FILE, Store, database, files
from tests.store.conftest import SERVER, answer, names, place
from tests.store.processes import die_at, run, start


def check_whole(folder: Path) -> None:
    connection = sqlite3.connect(folder / FILE)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


# Several at once


def record_many(folder: Path, name: str, go: int, told: int) -> None:
    os.read(go, 1)
    store = Store.open(folder)
    for i in range(20):
        first, _ = store.record(
            [answer(f"shared-{i}", witnesses=(name,)), answer(f"own-{name}-{i}")]
        )
        os.write(told, f"{i} {first.number}\n".encode())
    store.close()


def test_16_processes_at_once_from_the_first_write_on_make_one_event_of_each(
    folder: Path,
) -> None:
    waiting, go = os.pipe()
    told, tell = os.pipe()
    people = [f"p{i:02}" for i in range(16)]
    processes = [start(record_many, folder, name, waiting, tell) for name in people]
    os.write(go, b"x" * len(people))
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 16
    os.close(tell)
    with os.fdopen(told) as lines:
        answered = {tuple(map(int, line.split())) for line in lines}
    os.close(waiting)
    os.close(go)
    assert len(answered) == 20  # all were given the same number for the same
    store = Store.open(folder)
    events = store.after(0)
    assert [event.number for event in events] == list(range(1, 20 + 16 * 20 + 1))
    shared = [event for event in events if (event.task_id or "").startswith("shared")]
    assert {event.number for event in shared} == {number for _, number in answered}
    assert all(sorted(event.witnesses) == people for event in shared)
    store.close()
    check_whole(folder)
    assert names(folder) == [FILE]


def test_threads_share_one_store_and_one_file(folder: Path) -> None:
    stores: list[Store] = []
    failed: list[BaseException] = []
    barrier = threading.Barrier(8)

    def work(name: int) -> None:
        try:
            barrier.wait()
            stores.append(Store.open(folder))
            for i in range(20):
                stores[0].record([answer(f"t{i}"), answer(f"t{name}-{i}")])
                stores[0].after(0)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(stores[1].after(0)) == stores[1].last() == 20 + 8 * 20
    for store in stores:
        store.close()


# Killed


def record_and_tell(folder: Path, told: int, step: int, every: int) -> None:
    """Record batches of three events and an anchor; tell of each that was acknowledged."""
    die_at(step, every)
    store = Store.open(folder)
    done = len(store.told(SERVER, "%0")) // 3
    for batch in range(done, done + 3):
        store.record(
            [answer(f"t{batch}", exchange=i, text="x" * 3000) for i in range(3)],
            {place(): (str(batch), 0)},
        )
        os.write(told, f"{batch}\n".encode())
    store.prune(answer().event.time)
    store.close()


def killed_at(folder: Path, step: int, every: int) -> tuple[bool, int]:
    """Return whether the writer was killed, and how many batches it left."""
    readable, told = os.pipe()
    code = run(record_and_tell, folder, told, step, every)
    os.close(told)
    with os.fdopen(readable) as lines:
        acknowledged = [int(line) for line in lines]
    assert code in (0, -signal.SIGKILL)
    return code != 0, check_after_kill(folder, acknowledged)


def check_after_kill(folder: Path, acknowledged: list[int]) -> int:
    if not (folder / FILE).exists():
        assert acknowledged == []
        return 0
    check_whole(folder)
    store = Store.open(folder)
    told = store.told(SERVER, "%0")
    batches = len(told) // 3
    assert [(event.task_id, exchange) for event, exchange in told] == [
        (f"t{batch}", i) for batch in range(batches) for i in range(3)
    ]
    expected = (str(batches - 1), 3 * batches) if batches else ("", 0)
    assert store.anchor(SERVER, "%0") == expected
    assert all(batch < batches for batch in acknowledged)
    assert [event.number for event in store.walk(0)] == list(range(1, 3 * batches + 1))
    store.close()
    return batches


@pytest.mark.parametrize("every", [10**6, 37])
def test_a_writer_that_is_killed_at_any_step_leaves_whole_transactions(
    tmp_path: Path, every: int
) -> None:
    """Each round is killed one step later than the one before, until one is through."""
    for step in range(1, 10_000):
        folder = tmp_path / str(step)
        killed, batches = killed_at(folder, step, every)
        if not killed:
            break
        store = Store.open(folder)  # the next one goes on with what it finds
        assert store.record([answer("next")])[0].number == 3 * batches + 1
        store.close()
    assert step > 30
    assert batches == 3


def test_writers_that_are_killed_one_after_the_other_go_on_where_the_one_before_ended(
    folder: Path,
) -> None:
    steps = random.Random(4)
    left = [killed_at(folder, steps.randrange(1, 500), 11) for _ in range(100)]
    assert sum(killed for killed, _ in left) > 30
    batches = [batches for _, batches in left]
    assert batches == sorted(batches)
    assert batches[-1] > 30


# Locked


def test_a_write_waits_for_another_program_and_reading_does_not(store: Store, folder: Path) -> None:
    store.record([answer("t1")])
    holder = sqlite3.connect(folder / FILE, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    late = Store.open(folder)
    done: list[int | None] = []
    thread = threading.Thread(target=lambda: done.append(late.record([answer("t2")])[0].number))
    thread.start()
    assert len(store.after(0)) == 1
    thread.join(0.5)
    assert done == []
    assert thread.is_alive()
    holder.execute("COMMIT")
    thread.join(30)
    assert done == [2]
    late.close()
    holder.close()


def test_a_lock_that_is_held_too_long_is_an_error_with_a_name_and_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "STORE_BUSY_S", 0.2)
    store = Store.open(folder)
    holder = sqlite3.connect(folder / FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.StoreBusyError, match=r"lock for 0\.2 s"):
        store.record([answer()], {place(): ("x", 0)})
    with pytest.raises(errors.StoreBusyError):
        store.prune(answer().event.time)
    Store.open(folder).close()  # who only reads need not wait
    holder.execute("ROLLBACK")
    assert store.anchor(SERVER, "%0") == ("", 0)
    assert store.record([answer()])[0].number == 1
    holder.close()
    store.close()


# Full


def test_a_full_disk_is_an_error_with_a_name_and_later_it_works(store: Store, folder: Path) -> None:
    store.record([answer("t1")])
    connection = store._database._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(errors.StoreFullError, match="swarmcomm events --prune"):
        store.record([answer(f"x{i}", text="x" * 3000) for i in range(50)], {place(): ("x", 0)})
    assert len(store.after(0)) == 1
    assert store.anchor(SERVER, "%0") == ("", 0)
    connection.execute("PRAGMA max_page_count = 1000000")
    assert len(store.record([answer(f"x{i}", text="x" * 3000) for i in range(50)])) == 50
    check_whole(folder)


def test_a_limit_on_the_size_of_files_is_an_error_with_a_name_and_later_it_works(
    folder: Path,
) -> None:
    many = [answer(f"x{i}", text="x" * 3000) for i in range(100)]

    def child() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        with pytest.raises(errors.StoreFullError):
            Store.open(folder)
        assert names(folder) == []
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        store = Store.open(folder)
        store.record([answer("t1")])
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        with pytest.raises(errors.StoreFullError):
            store.record(many)
        assert len(store.after(0)) == 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert store.record(many)[-1].number == 101
        store.close()

    assert run(child) == 0
    check_whole(folder)


# Damaged


def write_and_die(folder: Path) -> None:
    store = Store.open(folder)
    for i in range(30):
        store.record([answer(f"t{i}", text="x" * 500) for i in range(30 * i, 30 * i + 30)])
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_damaged_page_is_an_error_with_a_name_and_the_file_is_kept(folder: Path) -> None:
    store = Store.open(folder)
    store.record([answer(f"t{i}", text="x" * 500) for i in range(1000)])
    store.close()
    path = folder / FILE
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    store = Store.open(folder)
    with pytest.raises(errors.StoreCorruptError, match=r"\.recover"):
        store.after(0)
    with pytest.raises(errors.StoreCorruptError):
        store.record([answer("new")])
    store.close()
    assert path.read_bytes() == bytes(data)


@pytest.mark.parametrize(
    "content",
    [b"", b"a text that is no database\n" * 100, b"x", b"SQLite format 3\0" + b"\xff" * 4080],
)
def test_a_file_that_is_no_database_is_an_error_with_a_name_and_is_kept(
    folder: Path, content: bytes
) -> None:
    folder.mkdir(parents=True)
    path = folder / FILE
    path.write_bytes(content)
    with pytest.raises(errors.StoreCorruptError, match="move it away") as raised:
        Store.open(folder)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == content
    path.rename(folder / "away")
    Store.open(folder).close()


def test_a_cut_file_is_an_error_with_a_name(folder: Path) -> None:
    store = Store.open(folder)
    store.record([answer(f"t{i}", text="x" * 500) for i in range(1000)])
    store.close()
    for size in (100_000, 4096, 100):
        os.truncate(folder / FILE, size)
        with pytest.raises(errors.StoreCorruptError):
            Store.open(folder).after(0)
        assert (folder / FILE).stat().st_size == size


def test_a_cut_write_ahead_log_ends_at_a_whole_transaction(folder: Path) -> None:
    """That is how a log looks after a power cut, so it cannot be told from one."""
    assert run(write_and_die, folder) == -signal.SIGKILL
    log = folder / f"{FILE}-wal"
    size, before = log.stat().st_size, 900
    for cut in (1, 4000, size // 3, 2 * size // 3, size - 10, size):
        os.truncate(log, max(0, size - cut))
        connection = sqlite3.connect(f"{(folder / FILE).as_uri()}?mode=ro", uri=True)
        (count,) = connection.execute("SELECT count(*) FROM event").fetchone()
        connection.execute("PRAGMA integrity_check").fetchall()
        assert count % 30 == 0
        assert count <= before
        before = count
        # A copy of the log would be written back when the last one closes.
        os.link(log, kept := folder / f"log-{cut}")
        connection.close()
        if not log.exists():
            kept.rename(log)
    store = Store.open(folder)
    assert store.record([answer("new")])[0].number == store.last()
    store.close()
    check_whole(folder)


def test_a_database_of_somebody_else_is_left_alone(folder: Path) -> None:
    folder.mkdir(parents=True)
    connection = sqlite3.connect(folder / FILE)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    data = (folder / FILE).read_bytes()
    with pytest.raises(errors.StoreCorruptError, match="no store of swarmcomm"):
        Store.open(folder)
    assert (folder / FILE).read_bytes() == data


def test_a_file_that_is_removed_while_in_use_is_not_written_to_in_secret(
    store: Store, folder: Path
) -> None:
    (folder / FILE).unlink()
    with pytest.raises(errors.StoreError, match="removed or replaced"):
        store.record([answer()])
    other = Store.open(folder)
    with pytest.raises(errors.StoreError, match="removed or replaced"):
        store.after(0)
    other.close()


# Versions


def test_a_newer_schema_is_refused_and_nothing_is_written(folder: Path) -> None:
    Store.open(folder).close()
    connection = sqlite3.connect(folder / FILE)
    connection.execute(f"PRAGMA user_version = {len(database.MIGRATIONS) + 1}")
    connection.close()
    data = (folder / FILE).read_bytes()
    with pytest.raises(errors.StoreNewerError, match="upgrade swarmcomm"):
        Store.open(folder)
    assert (folder / FILE).read_bytes() == data
    assert names(folder) == [FILE]


def test_an_older_schema_is_brought_up_once_by_many_and_keeps_its_events(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(folder)
    store.record([answer()])
    store.close()
    more = (*database.MIGRATIONS, ("CREATE TABLE more (x)", "INSERT INTO more VALUES (1)"))
    monkeypatch.setattr(database, "MIGRATIONS", more)
    processes = [start(lambda: Store.open(folder).close()) for _ in range(8)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    store = Store.open(folder)
    assert len(store.after(0)) == 1
    connection = sqlite3.connect(folder / FILE)
    assert connection.execute("SELECT * FROM more").fetchall() == [(1,)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(more),)
    connection.close()
    store.close()


def test_a_migration_that_fails_leaves_the_schema_before_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(folder).close()
    now = database.MIGRATIONS
    broken = (*now, ("CREATE TABLE half (x)", "CREATE TABLE event (x)"))
    monkeypatch.setattr(database, "MIGRATIONS", broken)
    with pytest.raises(errors.StoreError):
        Store.open(folder)
    monkeypatch.setattr(database, "MIGRATIONS", now)
    store = Store.open(folder)
    assert store.record([answer()])[0].number == 1
    store.close()


# Where it is


def test_a_network_file_system_is_said_and_a_disk_is_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(files, "_MOUNTS", mounts)

    def note(*lines: str) -> str:
        mounts.write_text("".join(f"{line} rw 0 0\n" for line in lines))
        store = Store.open(folder)
        store.close()
        return store.note

    home = str(tmp_path)
    assert note("dev / ext4", f"host:/x {home} nfs4").startswith(f"{folder} is on a network")
    assert "(nfs4)" in note("dev / ext4", f"host:/x {home} nfs4")
    assert note("host:/x / nfs4", f"dev {home} ext4") == ""
    assert note("dev / ext4", f"host:/x {home}x nfs4") == ""
    assert note("dev / ext4", f"host:/x {home} nfs4", f"dev {folder} ext4") == ""
    assert "fuse.sshfs" in note(f"dev {home} ext4", f"me@host: {home} fuse.sshfs")
    mounts.unlink()
    store = Store.open(folder)
    assert store.note == ""
    store.close()


def test_a_mount_with_a_blank_in_its_name_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.setattr(files, "_MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text(f"x / ext4 rw 0 0\nx {tmp_path}/a\\040b cifs rw 0 0\n")
    assert files.network(folder) == "cifs"


def test_a_file_of_the_first_schema_is_brought_up_and_keeps_its_events(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", database.MIGRATIONS[:1])
        old = Store.open(folder)
        stored = old.record([answer("t1", text="done"), answer("t2")])
        old.close()
    connection = sqlite3.connect(folder / FILE)
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    assert set(connection.execute(tables)) == {("event",), ("anchor",)}
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.execute("INSERT INTO anchor VALUES (?, '%0', 'here')", (SERVER,))
    connection.commit()
    connection.close()
    store = Store.open(folder)
    assert store.after(0) == stored
    assert store.anchor(SERVER, "%0") == ("", 0)  # it said not which answers stand above it
    assert store.rows("SELECT name FROM session") == store.rows("SELECT text FROM message") == []
    columns = store.rows("SELECT name FROM pragma_index_info('answers')")
    assert ("exchange",) in columns
    assert store.record([answer("t3")])[0].number == 3
    store.close()
    check_whole(folder)
