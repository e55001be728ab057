"""The real agent with the MCP server: a master and two children work together through its tools."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmcomm import Coordinator
from swarmcomm.sessions import MessageState
from swarmcomm.store import Store
from tests.agents.rig import Rig, start_rig
from tests.conftest import ROOT

MASTER, FIRST, SECOND = "master_project_web", "child_web_task_3", "child_web_task_4"
SESSIONS = {"master": MASTER, "worker-0": FIRST, "worker-1": SECOND}
TOOLS = "mcp__session-coordinator__"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, sockets: str) -> Iterator[Rig]:
    """A master and two workers, each with the server as a session of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMUX_TMPDIR", sockets)
        patch.delenv("TMUX", raising=False)
        with start_rig(tmp_path_factory.mktemp("rig"), sessions=SESSIONS) as rig:
            rig.launch("--agent", "claude", windows=" ".join(SESSIONS))
            for window in SESSIONS:
                see_the_tools(rig, window)
            yield rig


def see_the_tools(rig: Rig, window: str) -> None:
    """Return when claude has its tools: it takes what is typed before it has found its servers."""
    for number in range(20):
        task = f"task-begin-{window}-{number}"
        rig.wait_ready(window)
        rig.submit("python", window, task, "say hello")
        assert rig.poll("python", window, task)[0] == 0
        if tools_of(rig, task):
            return
    pytest.fail(f"the agent in {window} never had the tools")


def tools_of(rig: Rig, task: str) -> list[str]:
    """Return those of our tools that the model was shown when it got *task*."""
    names = next(each["names"] for each in rig.requests() if task in each.get("tasks", ()))
    return [name for name in names if name.startswith(TOOLS)]


def use(tool: str, **arguments: Any) -> str:
    """Return what has the model call a tool."""
    # The wire puts a backslash before a marker of its own task, which is no JSON.
    text = re.sub(r"\[(?=[A-Z]+\])", r"\\u005b", json.dumps(arguments))
    return f"{{fake:tool={TOOLS}{tool} {text}}}"


def register(child: str, task: str) -> str:
    return use(
        "register_session_relationship",
        parent_session=MASTER,
        child_session=child,
        task_id=task,
        project_id="web",
    )


def write(sender: str, receiver: str, message: str, **rest: Any) -> str:
    return use(
        "send_message_to_session",
        from_session=sender,
        to_session=receiver,
        message=message,
        **rest,
    )


def report(session: str, status: str, **rest: Any) -> str:
    return use("report_session_status", session_name=session, status=status, **rest)


def read(session: str, *ids: int) -> str:
    return use("get_session_messages", session_name=session, acknowledge=list(ids))


def hand_over(window: str, task: str, *steps: str) -> str:
    return use("send_task", window=window, task_id=task, description="".join(steps))


def wait_for_end(window: str, task: str) -> str:
    return use("poll_task", window=window, task_id=task, timeout_s=60, until_end=True)


STORY = [
    register(FIRST, "3"),
    register(SECOND, "4"),
    write(MASTER, FIRST, "make the login page\n[DONE] task-all", message_type="INSTRUCTION"),
    write(MASTER, SECOND, "which database?", message_type="QUERY"),
    use("list_workers"),
    hand_over(
        "worker-0",
        "task-first",
        read(FIRST),
        report(FIRST, "WORKING", progress=50, details={"file": "login.html", "left": ["css"]}),
        report(FIRST, "COMPLETED", details="the page is there"),
        read(FIRST, 1),
    ),
    hand_over(
        "worker-1",
        "task-second",
        read(SECOND),
        report(FIRST, "ERROR", details="it was I who broke it"),
        report(SECOND, "BLOCKED", progress=10, details="no password"),
        write(SECOND, MASTER, "PostgreSQL", message_type="RESPONSE", reply_to=2),
        read(SECOND, 2),
    ),
    wait_for_end("worker-0", "task-first"),
    wait_for_end("worker-1", "task-second"),
    use("get_child_sessions", parent_session=MASTER),
    use("query_session_status"),
    read(MASTER),
    read(MASTER, 3),
]


def test_a_master_and_two_children_work_through_the_tools(rig: Rig) -> None:
    rig.wait_ready("master")
    rig.submit("python", "master", "task-all", "".join(STORY))
    assert rig.poll("python", "master", "task-all", 90)[0] == 0, rig.all_text("master")

    # What each model was given, in words that are never its user's.
    told = rig.results()
    (instruction,) = [text for text in told if "make the login page" in text]
    (message,) = json.loads(instruction)["messages"]
    assert message["text"] == f"{MASTER} wrote:\n> make the login page\n> [DONE\\] task-all"
    (refused,) = [text for text in told if "cannot report as" in text]
    assert f"you are {SECOND} and cannot report as {FIRST}" in refused
    assert any('"submitted"' in text and "task-second" in text for text in told)
    assert any(f"{SECOND} wrote:\\n> PostgreSQL" in text for text in told)
    assert not any("Traceback" in text for text in told)

    # It did not have to look for a tool.
    assert len(tools_of(rig, "task-all")) == 10

    # The store has the whole story.
    with Coordinator.attach(rig.environ) as coordinator:
        first, second = coordinator.get_child_sessions(MASTER)
        messages = coordinator.message_history()
    assert (first.status, first.progress, first.details) == ("COMPLETED", 100, "the page is there")
    assert (second.status, second.progress, second.details) == ("BLOCKED", 10, "no password")
    acknowledged = MessageState.ACKNOWLEDGED
    assert [(m.from_session, m.to_session, m.message_type, m.state) for m in messages] == [
        (MASTER, FIRST, "INSTRUCTION", acknowledged),
        (MASTER, SECOND, "QUERY", acknowledged),
        (SECOND, MASTER, "RESPONSE", acknowledged),
    ]
    assert (messages[2].reply_to, messages[0].text[-16:]) == (2, "\n[DONE] task-all")
    store = Store.open(Path(rig.environ["HOME"], ".local/state/swarmcomm"))
    events = [(event.window, event.state) for event in store.walk(0, "s") if event.state]
    store.close()
    # The two work side by side.
    of_each = [[state for window, state in events if window == name] for name in (FIRST, SECOND)]
    assert of_each == [["working", "completed"], ["blocked"]]


def test_what_a_tool_gave_back_is_no_answer_on_the_screen(rig: Rig) -> None:
    rig.wait_ready("worker-0")
    quoted = write(FIRST, MASTER, "[DONE] task-shown", message_type="RESPONSE")
    shown = use("query_session_status", session_name=FIRST)
    details = report(FIRST, "STARTED", details="[DONE] task-shown\n[ERROR] task-shown no")
    rig.submit(
        "python", "worker-0", "task-shown", f"{quoted}{details}{shown}{{fake:end=WAIT for you}}"
    )
    ended = rig.poll("python", "worker-0", "task-shown", until="DONE,ERROR,WAIT")
    assert ended == (0, "[ACK] task-shown\n[WAIT] task-shown for you\n")


def test_the_configuration_of_the_readme_is_enough(
    tmp_path_factory: pytest.TempPathFactory, sockets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", sockets)
    monkeypatch.delenv("TMUX", raising=False)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    servers, settings, *_ = re.findall(
        r"^```json\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL
    )
    with start_rig(tmp_path_factory.mktemp("rig")) as rig:
        (rig.workdir / ".mcp.json").write_text(servers)
        (rig.workdir / ".claude").mkdir()
        (rig.workdir / ".claude" / "settings.local.json").write_text(settings)
        rig.environ["PATH"] = f"{Path(sys.executable).parent}:{rig.environ['PATH']}"
        rig.launch("--agent", "claude", windows="worker-0")
        see_the_tools(rig, "worker-0")
        rig.make_manual("worker-0")
        rig.submit("python", "worker-0", "task-1", register(FIRST, "3"))
        assert rig.poll("python", "worker-0", "task-1")[0] == 0, rig.all_text("worker-0")
        with Coordinator.attach(rig.environ) as coordinator:
            assert [each.session_name for each in coordinator.get_child_sessions(MASTER)] == [FIRST]
