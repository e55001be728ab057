"""What is refused: each by its own error, with a sentence that says what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmcomm import Coordinator, errors
from swarmcomm.sessions import Status
from tests.sessions.conftest import CHILD, MASTER, Attach, events

OTHER = "child_web_task_4"
STRANGER = "child_x_task_1"

Call = Callable[[Coordinator], object]

REFUSED: list[tuple[str, Call, type[errors.SwarmError], int, str]] = [
    (
        "format",
        lambda c: c.report_session_status("worker-0", "WORKING"),
        errors.SessionNameError,
        2,
        "'worker-0' is no session name; use master_project_{PROJECT_ID} or"
        " child_{PROJECT_ID}_task_{TASK_ID}, where an id is 1 to 64 letters, digits, '.', '_' and"
        " '-', the first and the last a letter or digit, without '..' and '_task_'",
    ),
    (
        "not registered",
        lambda c: c.report_session_status(OTHER, "WORKING"),
        errors.SessionNotRegisteredError,
        3,
        "child_web_task_4 is not registered; register it first: register_session_relationship, or"
        " swarmcomm register master_project_web child_web_task_4",
    ),
    (
        "master not registered",
        lambda c: c.get_child_sessions("master_project_x"),
        errors.SessionNotRegisteredError,
        3,
        "master_project_x is not registered; register it first: register_session_relationship, or"
        " swarmcomm register master_project_x child_x_task_TASK_ID",
    ),
    (
        "status",
        lambda c: c.report_session_status(CHILD, "DONE"),
        errors.InvalidInputError,
        2,
        "'DONE' is no status; use one of UNKNOWN, STARTING, STARTED, WORKING, COMPLETED, BLOCKED,"
        " ERROR, TERMINATED",
    ),
    (
        "range",
        lambda c: c.report_session_status(CHILD, "WORKING", 101),
        errors.ProgressError,
        2,
        "progress 101 is out of range; give a whole number from 0 to 100",
    ),
    (
        "order",
        lambda c: [c.report_session_status(CHILD, s) for s in ("ERROR", "COMPLETED")],
        errors.WrongStatusError,
        5,
        "child_web_task_3 is ERROR, which COMPLETED cannot follow; ERROR is followed by STARTED,"
        " STARTING, TERMINATED; where its work begins again, report STARTED first",
    ),
    (
        "details",
        lambda c: c.report_session_status(CHILD, "WORKING", 1, ["a"]),  # type: ignore[arg-type]
        errors.InvalidInputError,
        2,
        "details are no JSON object; give text, or an object of JSON",
    ),
    (
        "relation of a child",
        lambda c: c.send_message_to_session(CHILD, OTHER, "hi"),
        errors.UnknownRelationError,
        3,
        "child_web_task_3 and child_web_task_4 are not a master and its child; messages go from a"
        " master to its children and back: child_web_task_3 sends to master_project_web",
    ),
    (
        "relation of a master",
        lambda c: c.send_message_to_session(MASTER, STRANGER, "hi"),
        errors.UnknownRelationError,
        3,
        "master_project_web and child_x_task_1 are not a master and its child; messages go from a"
        " master to its children and back: master_project_web sends to child_web_task_{TASK_ID}",
    ),
    (
        "relation registered",
        lambda c: c.register_session_relationship(MASTER, STRANGER, "1", "x"),
        errors.UnknownRelationError,
        3,
        "child_x_task_1 is no child of master_project_web; its master is master_project_x",
    ),
    (
        "parent is a child",
        lambda c: c.register_session_relationship(CHILD, OTHER, "4", "web"),
        errors.SessionNameError,
        2,
        "parent_session child_web_task_3 is no master; give master_project_web",
    ),
    (
        "children of a child",
        lambda c: c.get_child_sessions(CHILD),
        errors.SessionNameError,
        2,
        "parent_session child_web_task_3 is no master; give master_project_web",
    ),
    (
        "id that is a number",
        lambda c: c.register_session_relationship(MASTER, CHILD, 3, "web"),  # type: ignore[arg-type]
        errors.SessionNameError,
        2,
        "task id 3 cannot be part of a session name; use a text of 1 to 64 letters, digits, '.',"
        " '_' and '-', the first and the last a letter or digit, without '..' and '_task_'",
    ),
    (
        "child is a master",
        lambda c: c.register_session_relationship(MASTER, MASTER, "4", "web"),
        errors.SessionNameError,
        2,
        "child_session master_project_web is no child; give a child_{PROJECT_ID}_task_{TASK_ID}",
    ),
    (
        "ids",
        lambda c: c.register_session_relationship(MASTER, OTHER, "5", "web"),
        errors.SessionNameError,
        2,
        "child_session child_web_task_4 does not agree with project_id 'web' and task_id '5', whose"
        " session is child_web_task_5",
    ),
    (
        "type",
        lambda c: c.send_message_to_session(MASTER, CHILD, "hi", "ORDER"),
        errors.InvalidInputError,
        2,
        "'ORDER' is no message_type; use one of INSTRUCTION, QUERY, STATUS_REQUEST, RESPONSE",
    ),
    (
        "type of a child",
        lambda c: c.send_message_to_session(CHILD, MASTER, "hi", "INSTRUCTION"),
        errors.InvalidInputError,
        2,
        "a child answers with RESPONSE; INSTRUCTION comes from its master",
    ),
    (
        "type of a master",
        lambda c: c.send_message_to_session(MASTER, CHILD, "hi", "RESPONSE"),
        errors.InvalidInputError,
        2,
        "a master sends INSTRUCTION, QUERY or STATUS_REQUEST, not RESPONSE",
    ),
    (
        "nothing said",
        lambda c: c.send_message_to_session(MASTER, CHILD, ""),
        errors.InvalidInputError,
        2,
        "the message is empty; say something in it",
    ),
    (
        "nothing but blanks",
        lambda c: c.send_message_to_session(MASTER, CHILD, " \t\n"),
        errors.InvalidInputError,
        2,
        "the message is empty; say something in it",
    ),
    (
        "control characters",
        lambda c: c.send_message_to_session(MASTER, CHILD, "a\x1b[2J"),
        errors.UnsafeTextError,
        5,
        "the text holds ESC (0x1b) at byte 1; only newline, tab and printable text are typed",
    ),
    (
        "too long",
        lambda c: c.send_message_to_session(MASTER, CHILD, "x" * 65_001),
        errors.TextTooLongError,
        5,
        "the message is 65001 bytes; the limit is 65000 bytes",
    ),
    (
        "details too long",
        lambda c: c.report_session_status(CHILD, "WORKING", 1, "x" * 65_535),
        errors.TextTooLongError,
        5,
        "the JSON of details is 65537 bytes; the limit is 65536 bytes",
    ),
    (
        "answer to nothing",
        lambda c: c.send_message_to_session(CHILD, MASTER, "yes", reply_to=99),
        errors.InvalidInputError,
        2,
        "reply_to 99 is no message from master_project_web to child_web_task_3; give the id of the"
        " one that is answered, or none",
    ),
    (
        "expiry",
        lambda c: c.send_message_to_session(MASTER, CHILD, "hi", expires_s=0),
        errors.InvalidInputError,
        2,
        "expires_s 0 is no time to wait; give seconds above 0, ten years at most",
    ),
    (
        "expiry that is text",
        lambda c: c.send_message_to_session(MASTER, CHILD, "hi", expires_s="5"),  # type: ignore[arg-type]
        errors.InvalidInputError,
        2,
        "expires_s '5' is no time to wait; give seconds above 0, ten years at most",
    ),
    (
        "acknowledged unread",
        lambda c: c.acknowledge_messages(
            CHILD, [c.send_message_to_session(MASTER, CHILD, "hi").id]
        ),
        errors.InvalidInputError,
        2,
        "message 1 was never given out to child_web_task_3; read it first",
    ),
    (
        "acknowledged for another",
        lambda c: c.acknowledge_messages(
            MASTER, [c.send_message_to_session(MASTER, CHILD, "hi").id]
        ),
        errors.InvalidInputError,
        2,
        "'1' is no message to master_project_web; give ids that get_session_messages returned",
    ),
    (
        "limit",
        lambda c: c.get_session_messages(CHILD, 0),
        errors.InvalidInputError,
        2,
        "limit '0' cannot be used; give 1 or more",
    ),
]


@pytest.mark.parametrize(
    ("call", "error", "status", "sentence"),
    [pytest.param(*words, id=name) for name, *words in REFUSED],
)
def test_what_is_refused_says_what_to_do(
    coordinator: Coordinator,
    call: Call,
    error: type[errors.SwarmError],
    status: int,
    sentence: str,
) -> None:
    with pytest.raises(error) as caught:
        call(coordinator)
    assert str(caught.value) == sentence
    assert caught.value.exit_status == status
    assert type(caught.value) is error


def test_a_refusal_changes_nothing(coordinator: Coordinator, folder: Path) -> None:
    for name, call, error, *_ in REFUSED:
        if name in ("order", "acknowledged unread", "acknowledged for another"):
            continue
        number = len(events(folder))
        with pytest.raises(error):
            call(coordinator)
        assert len(events(folder)) == number, name
    assert coordinator.message_history() == []
    assert coordinator.query_session_status(CHILD)[0].status is Status.UNKNOWN


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.get_session_messages(OTHER),
        lambda c: c.message_history(OTHER),
        lambda c: c.acknowledge_messages(OTHER, [1]),
        lambda c: c.query_session_status(OTHER),
        lambda c: c.send_message_to_session(MASTER, OTHER, "x"),
        lambda c: c.send_message_to_session(OTHER, MASTER, "x"),
    ],
)
def test_nothing_is_read_from_or_sent_to_who_is_not_registered(
    coordinator: Coordinator, call: Call
) -> None:
    with pytest.raises(errors.SessionNotRegisteredError, match=f"^{OTHER} is not registered"):
        call(coordinator)


@pytest.mark.parametrize("progress", [-1, 101, 1.5, "7", True, 10**30, float("nan")])
def test_progress_is_a_whole_number_from_0_to_100(coordinator: Coordinator, progress: int) -> None:
    with pytest.raises(errors.ProgressError, match="whole number from 0 to 100"):
        coordinator.report_session_status(CHILD, "WORKING", progress)


@pytest.mark.parametrize(
    "details",
    [{1: "a"}, {"a": (1, 2)}, {"a": float("nan")}, {"a": "\ud800"}, "\ud800", {"a": {1}}, 7],
)
def test_details_that_json_would_change_are_refused(coordinator: Coordinator, details: str) -> None:
    with pytest.raises(errors.InvalidInputError, match="object of JSON"):
        coordinator.report_session_status(CHILD, "WORKING", 1, details)


def test_details_without_a_bottom_are_refused(coordinator: Coordinator) -> None:
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(errors.InvalidInputError, match="object of JSON"):
        coordinator.report_session_status(CHILD, "WORKING", 1, deep)


@pytest.mark.parametrize("number", [0, -1, 2**63, 2**64, True, "1", 1.0, None])
def test_an_id_that_is_no_number_of_a_message_is_refused(
    coordinator: Coordinator, number: int
) -> None:
    coordinator.send_message_to_session(MASTER, CHILD, "hi")
    coordinator.get_session_messages(CHILD)
    with pytest.raises(errors.InvalidInputError, match="is no message to"):
        coordinator.acknowledge_messages(CHILD, [number])


BOUND: list[tuple[str, Call, str]] = [
    ("report", lambda c: c.report_session_status(OTHER, "ERROR"), "report as child_web_task_4"),
    ("read", lambda c: c.get_session_messages(OTHER), "read the messages of child_web_task_4"),
    ("look", lambda c: c.message_history(OTHER), "read the messages of child_web_task_4"),
    ("acknowledge", lambda c: c.acknowledge_messages(OTHER, [1]), "acknowledge for child_web_task"),
    ("send", lambda c: c.send_message_to_session(MASTER, OTHER, "x"), "send as master_project_web"),
    (
        "register",
        lambda c: c.register_session_relationship(MASTER, OTHER, "4", "web"),
        "register children of master_project_web",
    ),
]


@pytest.mark.parametrize(("call", "what"), [pytest.param(*w, id=n) for n, *w in BOUND])
def test_who_is_bound_to_a_session_is_nobody_else(
    coordinator: Coordinator, attach: Attach, folder: Path, call: Call, what: str
) -> None:
    coordinator.register_session_relationship(MASTER, OTHER, "4", "web")
    number = len(events(folder))
    with pytest.raises(errors.AnotherSessionError) as caught:
        call(attach(CHILD))
    assert str(caught.value).startswith(f"you are {CHILD} and cannot {what}")
    assert str(caught.value).endswith("; use your own name")
    assert caught.value.exit_status == 5
    assert len(events(folder)) == number


def test_who_is_bound_acts_as_itself_and_may_ask_for_all(
    coordinator: Coordinator, attach: Attach
) -> None:
    child, master = attach(CHILD), attach(MASTER)
    assert child.session_name == CHILD
    assert coordinator.session_name is None
    child.register_session_relationship(MASTER, CHILD, "3", "web")
    child.report_session_status(CHILD, "WORKING")
    sent = master.send_message_to_session(MASTER, CHILD, "how far?", "QUERY")
    master.register_session_relationship(MASTER, OTHER, "4", "web")
    assert child.get_session_messages(CHILD)[0].text == "how far?"
    child.acknowledge_messages(CHILD, [sent.id])
    child.send_message_to_session(CHILD, MASTER, "half", reply_to=sent.id)
    coordinator.send_message_to_session(MASTER, OTHER, "not for the first")
    assert [m.text for m in child.message_history()] == ["how far?", "half"]
    assert len(child.query_session_status()) == 3
    assert len(child.get_child_sessions(MASTER)) == 2


def test_who_is_bound_is_said_by_the_environment_or_the_caller(folder: Path) -> None:
    environ = {"SWARM_STATE_DIR": str(folder), "SWARM_SESSION_NAME": CHILD}
    with Coordinator.attach(environ) as itself:
        assert itself.session_name == CHILD
    with Coordinator.attach(environ, as_session=MASTER) as other:
        assert other.session_name == MASTER
    with Coordinator.attach({**environ, "SWARM_SESSION_NAME": ""}) as nobody:
        assert nobody.session_name is None


def test_binding_to_what_is_no_name_is_refused_before_a_store_is_made(folder: Path) -> None:
    environ = {"SWARM_STATE_DIR": str(folder), "SWARM_SESSION_NAME": "child_web"}
    with pytest.raises(errors.SessionNameError, match=r"^SWARM_SESSION_NAME: 'child_web' is no "):
        Coordinator.attach(environ)
    assert not folder.exists()


def test_a_store_that_cannot_be_reached_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.StoreError, match="no folder for the store: HOME is not set; set SW"):
        Coordinator.attach({})
    plain = tmp_path / "plain"
    plain.write_text("")
    with pytest.raises(errors.StoreError, match="set SWARM_STATE_DIR") as caught:
        Coordinator.attach({"SWARM_STATE_DIR": str(plain)})
    assert caught.value.exit_status == 5


def test_d16_the_store_is_private_whatever_the_umask(folder: Path) -> None:
    old = os.umask(0)
    try:
        with Coordinator.attach({"SWARM_STATE_DIR": str(folder)}) as opened:
            opened.register_session_relationship(MASTER, CHILD, "3", "web")
            modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}, modes
