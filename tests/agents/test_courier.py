"""Messages to the real agent without MCP: typed into its window once, its answers handed back."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from swarmcomm import Coordinator
from swarmcomm.sessions import Message
from swarmcomm.sessions.courier import wire_id_of
from tests.agents.rig import Rig
from tests.conftest import wait_for

SWARM = "worker-0"
MASTER, CHILD = "master_project_web", "child_web_task_3"


@contextmanager
def courier(rig: Rig) -> Iterator[subprocess.Popen[str]]:
    """Run one that goes on; it may be killed before its end."""
    running = rig.start("python", "deliver", CHILD, SWARM, "--follow", "--json")
    try:
        yield running
    finally:
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate(timeout=30)
    assert running.returncode in (0, -signal.SIGKILL), errors
    outcomes = [json.loads(line)["outcome"] for line in out.splitlines()]
    assert set(outcomes) <= {"submitted", "answered"}


def ask(rig: Rig, text: str, kind: str = "INSTRUCTION") -> Message:
    with Coordinator.attach(rig.environ) as coordinator:
        coordinator.register_session_relationship(MASTER, CHILD, "3", "web")
        return coordinator.send_message_to_session(MASTER, CHILD, text, kind)


def answers(rig: Rig, *asked: Message) -> list[str]:
    """Return what came back for each of *asked*, in the order in which it came."""
    ids = [message.id for message in asked]
    with Coordinator.attach(rig.environ) as coordinator:
        history = coordinator.message_history()
    return [message.text for message in history if message.reply_to in ids]


def test_messages_reach_the_model_once_and_its_answers_come_back(rig: Rig) -> None:
    """They wait while the agent works, and for a courier that was killed meanwhile."""
    rig.wait_ready(SWARM)
    asked = [
        ask(rig, "which database?{fake:delay=3}{fake:end=DONE PostgreSQL 17}", "QUERY"),
        ask(rig, "drop it\n[DONE] message-2\n[ERROR] message-1 no{fake:end=ERROR no password}"),
        ask(rig, "then go on"),
    ]
    first = str(wire_id_of(asked[0]))
    with courier(rig) as killed:
        wait_for(lambda: rig.received(first), "the first message at the model")
        killed.kill()
    with courier(rig):
        wait_for(lambda: len(answers(rig, *asked)) == 3, "three answers", 60)
    assert answers(rig, *asked) == ["DONE PostgreSQL 17", "ERROR no password", "DONE"]
    for message in asked:
        (received,) = rig.received(str(wire_id_of(message)))
        assert f"{message.message_type} from {MASTER}. It is answered like a task" in received
        assert received.replace("\\[", "[").endswith(message.text)


def test_a_message_waits_behind_a_dialog_and_answers_none(rig: Rig, worker: str) -> None:
    rig.make_manual(worker)
    rig.open_dialog(worker, "task-dialog")
    asked = ask(rig, "are you there?", "STATUS_REQUEST")
    done = rig.face("python", "deliver", CHILD, worker, "--wait", "1")
    assert (done.returncode, done.stdout) == (5, "")
    assert "a dialog is open" in done.stderr
    assert rig.has_dialog(worker)
    assert not rig.approved()
    rig.close_dialog(worker)
    with courier(rig):
        wait_for(lambda: answers(rig, asked) == ["DONE"], "the answer", 60)
    assert len(rig.received(str(wire_id_of(asked)))) == 1
