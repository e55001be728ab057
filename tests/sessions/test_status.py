"""What sessions report: the table, progress, details, and one event for each change."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swarmcomm import Coordinator, Marker
from swarmcomm.errors import AnotherSessionError, RefusedError, WrongStatusError
from swarmcomm.sessions import ENDS, NEXT, Report, Status
from tests.sessions.conftest import CHILD, MASTER, Attach, events

#: A way to each status from the beginning.
_WAY = {
    Status.UNKNOWN: [],
    Status.STARTING: ["STARTING"],
    Status.STARTED: ["STARTED"],
    Status.WORKING: ["WORKING"],
    Status.BLOCKED: ["BLOCKED"],
    Status.COMPLETED: ["COMPLETED"],
    Status.ERROR: ["ERROR"],
    Status.TERMINATED: ["TERMINATED"],
}


def report_all(coordinator: Coordinator, *statuses: str) -> None:
    coordinator.report_many([Report(CHILD, status) for status in statuses])


@pytest.mark.parametrize(("was", "then"), list(itertools.product(Status, Status)))
def test_what_may_follow_what_is_the_table(
    coordinator: Coordinator, was: Status, then: Status
) -> None:
    report_all(coordinator, *_WAY[was])
    if then is was or then in NEXT[was]:
        assert coordinator.report_session_status(CHILD, then).status is then
        return
    with pytest.raises(WrongStatusError, match=f"is {was}, which {then} cannot follow") as caught:
        coordinator.report_session_status(CHILD, then, 7, "x")
    for allowed in NEXT[was]:
        assert allowed in str(caught.value)
    (now,) = coordinator.query_session_status(CHILD)
    assert (now.status, now.details) == (was, None)


def test_after_an_end_only_a_start_goes_on_and_nothing_else_undoes_it() -> None:
    starts = {Status.STARTING, Status.STARTED}
    for end in ENDS:
        assert NEXT[end] - {Status.TERMINATED} == starts
    assert Status.TERMINATED not in NEXT[Status.TERMINATED]
    assert all(Status.STARTING in NEXT[was] for was in Status if was is not Status.STARTING)
    assert set(NEXT) == set(Status)


def test_the_error_after_an_end_says_how_work_begins_again(coordinator: Coordinator) -> None:
    report_all(coordinator, "COMPLETED")
    with pytest.raises(WrongStatusError, match="report STARTED first"):
        report_all(coordinator, "WORKING")


def test_progress_stays_where_none_is_said_but_an_end_is_whole_and_a_start_is_none(
    coordinator: Coordinator,
) -> None:
    def progress(status: str, said: int | None = None) -> int:
        return coordinator.report_session_status(CHILD, status, said).progress

    assert progress("WORKING") == 0
    assert progress("WORKING", 40) == 40
    assert progress("BLOCKED") == 40
    assert progress("WORKING", 0) == 0
    assert progress("WORKING", 100) == 100
    assert progress("WORKING", 30) == 30
    assert progress("COMPLETED") == 100
    assert progress("STARTED") == 0
    assert progress("WORKING", 60) == 60
    assert progress("ERROR") == 60
    assert progress("TERMINATED") == 60
    assert progress("STARTING", 5) == 5


@pytest.mark.parametrize(
    "details",
    [
        "text",
        "",
        '{"a": 1}',
        {"a": [1, 2.5, None, True, {"b": "ü\n\x1b[2J\u2028"}], "名": ""},
        {},
        "x" * 60_000,
    ],
)
def test_details_are_stored_whole(
    coordinator: Coordinator, attach: Attach, details: str | dict[str, object]
) -> None:
    said = coordinator.report_session_status(CHILD, "WORKING", 1, details)
    (stored,) = attach().query_session_status(CHILD)
    assert said.details == stored.details == details
    assert type(stored.details) is type(details)


def test_details_stay_while_the_status_does_and_go_with_it(coordinator: Coordinator) -> None:
    coordinator.report_session_status(CHILD, "BLOCKED", 1, "which database?")
    assert coordinator.report_session_status(CHILD, "BLOCKED", 2).details == "which database?"
    assert coordinator.report_session_status(CHILD, "WORKING").details is None


def test_each_change_has_its_event_and_the_same_again_has_none(
    coordinator: Coordinator, folder: Path
) -> None:
    before = events(folder)
    assert [(e.window, e.flags, e.state) for e in before] == [
        (MASTER, ("session", "registered"), None),
        (CHILD, ("session", "registered"), None),
    ]
    for _ in range(3):
        coordinator.report_session_status(CHILD, "WORKING", 40, {"step": "tests"})
    coordinator.report_session_status(CHILD, "WORKING", 50)
    coordinator.report_session_status(CHILD, "COMPLETED", details="all green")
    with pytest.raises(WrongStatusError):
        coordinator.report_session_status(CHILD, "ERROR")
    assert [(e.state, e.text, e.task_id, e.flags) for e in events(folder, 2)] == [
        ("working", '40 %: {"step": "tests"}', "3", ("session",)),
        (None, '50 %: {"step": "tests"}', "3", ("session",)),
        ("completed", "100 %: all green", "3", ("session",)),
    ]


def test_a_batch_is_stored_whole_or_not_at_all(coordinator: Coordinator, folder: Path) -> None:
    number = len(events(folder))
    reports = [Report(CHILD, "WORKING", 10), Report(CHILD, "COMPLETED"), Report(CHILD, "WORKING")]
    with pytest.raises(WrongStatusError):
        coordinator.report_many(reports)
    assert coordinator.query_session_status(CHILD)[0].status is Status.UNKNOWN
    assert len(events(folder)) == number
    done = coordinator.report_many(reports[:2])
    assert [status.status for status in done] == ["WORKING", "COMPLETED"]
    assert coordinator.report_many([]) == []


def test_d12_the_same_end_by_marker_and_by_report_is_one_change(
    coordinator: Coordinator, attach: Attach, folder: Path
) -> None:
    """Whoever sees the marker reports as nobody, the session as itself, and both at once."""
    status_of = {Marker.DONE: "COMPLETED", Marker.ERROR: "ERROR"}
    report_all(coordinator, "WORKING")
    itself = attach(CHILD)
    number = len(events(folder))
    barrier = threading.Barrier(2)

    def by_marker() -> None:
        barrier.wait()
        coordinator.report_session_status(CHILD, status_of[Marker.DONE])

    def by_report() -> None:
        barrier.wait()
        itself.report_session_status(CHILD, "COMPLETED", 100, {"tests": 12})

    threads = [threading.Thread(target=work) for work in (by_marker, by_report)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    coordinator.report_session_status(CHILD, "COMPLETED")  # a hook tells it a third time
    (now,) = coordinator.query_session_status(CHILD)
    assert (now.status, now.progress, now.details) == ("COMPLETED", 100, {"tests": 12})
    assert [e.state for e in events(folder, number) if e.state] == ["completed"]


@pytest.mark.parametrize("first", ["COMPLETED", "ERROR"])
def test_t20_of_two_ends_the_first_is_the_one(
    coordinator: Coordinator, attach: Attach, first: str
) -> None:
    second = {"COMPLETED": "ERROR", "ERROR": "COMPLETED"}[first]
    report_all(coordinator, "WORKING", first)
    with pytest.raises(WrongStatusError):
        attach(CHILD).report_session_status(CHILD, second)
    assert coordinator.query_session_status(CHILD)[0].status == first


def test_what_is_asked_for_comes_in_the_order_of_registration(coordinator: Coordinator) -> None:
    for task in ("9", "10", "1"):
        child = f"child_web_task_{task}"
        coordinator.register_session_relationship(MASTER, child, task, "web")
    coordinator.register_session_relationship("master_project_x", "child_x_task_1", "1", "x")
    coordinator.report_session_status("child_web_task_10", "WORKING", 3)
    children = [status.session_name for status in coordinator.get_child_sessions(MASTER)]
    assert children == [CHILD, "child_web_task_9", "child_web_task_10", "child_web_task_1"]
    names = [status.session_name for status in coordinator.query_session_status()]
    assert names == [MASTER, *children, "master_project_x", "child_x_task_1"]
    (one,) = coordinator.query_session_status("child_x_task_1")
    assert (one.parent_session, one.project_id, one.task_id) == ("master_project_x", "x", "1")
    (master,) = coordinator.query_session_status(MASTER)
    assert (master.parent_session, master.task_id, master.status) == (None, None, "UNKNOWN")


def test_registering_again_changes_nothing(coordinator: Coordinator, folder: Path) -> None:
    first = coordinator.register_session_relationship(MASTER, CHILD, "3", "web")
    report_all(coordinator, "WORKING")
    number = len(events(folder))
    assert coordinator.register_session_relationship(MASTER, CHILD, "3", "web") == first
    assert coordinator.query_session_status(CHILD)[0].status is Status.WORKING
    assert len(events(folder)) == number


def test_records_become_json(coordinator: Coordinator) -> None:
    record = coordinator.report_session_status(CHILD, "WORKING", 5, {"a": 1}).as_dict()
    assert type(record["status"]) is str
    assert record["details"] == {"a": 1}
    assert record["changed_at"].startswith("20")
    assert set(record) >= {"session_name", "progress", "parent_session", "unread"}


# Registered alone, and told to the master


def test_a_session_registers_itself_and_a_child_its_master_too(attach: Attach) -> None:
    with attach(CHILD) as child:
        found = child.register_session(CHILD)
        assert (found.status, found.parent_session) == ("UNKNOWN", MASTER)
        child.report_session_status(CHILD, "WORKING", 40)
        assert child.register_session(CHILD).progress == 40
        with pytest.raises(AnotherSessionError):
            child.register_session(MASTER)
    with attach(MASTER) as master:
        assert master.register_session(MASTER).parent_session is None
        master.register_session("child_web_task_4")
        names = [found.session_name for found in master.query_session_status()]
        assert names == [MASTER, CHILD, "child_web_task_4"]


def test_news_reach_the_master_once_though_many_report_the_same(
    coordinator: Coordinator, attach: Attach
) -> None:
    blocked = Report(CHILD, "BLOCKED", details="a permission", news="I wait for a person")
    others = [attach(CHILD) for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda other: other.report_many([blocked] * 3), others))
    (message,) = coordinator.get_session_messages(MASTER)
    assert (message.from_session, message.message_type) == (CHILD, "RESPONSE")
    assert message.text == "I wait for a person"
    coordinator.report_session_status(CHILD, "WORKING")
    coordinator.report_many([blocked])
    assert len(coordinator.get_session_messages(MASTER)) == 1


def test_news_that_cannot_be_sent_leave_the_status_as_it_was(coordinator: Coordinator) -> None:
    with pytest.raises(RefusedError):
        coordinator.report_many([Report(CHILD, "WORKING"), Report(CHILD, "ERROR", news="\x1b[2J")])
    with pytest.raises(WrongStatusError):
        coordinator.report_many(
            [Report(CHILD, "ERROR", news="failed"), Report(CHILD, "WORKING", news="on again")]
        )
    assert coordinator.query_session_status(CHILD)[0].status == "UNKNOWN"
    assert coordinator.get_session_messages(MASTER) == []


def test_news_of_a_master_are_told_to_nobody(coordinator: Coordinator) -> None:
    coordinator.report_many([Report(MASTER, "BLOCKED", news="I wait")])
    assert coordinator.message_history() == []
