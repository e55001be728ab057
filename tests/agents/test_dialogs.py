"""What may not be typed into: dialogs, drafts, panes in a mode, dead agents."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.agents.rig import Rig
from tests.conftest import wait_for

SWARM = "worker-0 worker-1"
DIALOG = r"^ Do you want to proceed\?"


@pytest.fixture
def dialog(rig: Rig, worker: str) -> str:
    """A window where a tool call waits for a person; it would make the file ``approved``."""
    if (rig.workdir / "approved").exists():
        (rig.workdir / "approved").rmdir()
    wait_for(lambda: manual_mode(rig, worker), "manual mode")
    sent = rig.comm("send", worker, "task-dialog", "{fake:bash=mkdir approved}")
    assert sent.returncode == 0, sent.stderr
    rig.wait_screen(worker, DIALOG)
    return worker


def manual_mode(rig: Rig, window: str) -> bool:
    """Is every tool call asked about? Switches on to the next mode where it is not."""
    if "manual mode on" in rig.visible(window):
        return True
    before = rig.visible(window)
    rig.press(window, "BTab")
    wait_for(lambda: rig.visible(window) != before, "another mode")
    return False


def refuse(rig: Rig, window: str) -> None:
    """Close the dialog as a person does who does not want it."""
    rig.press(window, "Escape")
    rig.wait_screen(window, r"Interrupted|rejected")


def test_no_send_approves_an_open_dialog(rig: Rig, dialog: str) -> None:
    check_not_approved(rig, dialog, ["some text", "yes, go on"])


@pytest.mark.xfail(reason="a line of one digit, typed key by key, chooses in the dialog")
def test_no_text_chooses_in_an_open_dialog(rig: Rig, dialog: str) -> None:
    check_not_approved(rig, dialog, ["first", "1", "first\n1\n1\ny\nlast"])


def check_not_approved(rig: Rig, dialog: str, texts: list[str]) -> None:
    outcomes = [
        rig.comm("send", "--wait", "0.1", dialog, f"task-d{n}", text).returncode
        for n, text in enumerate(texts)
    ]
    still_open = "Do you want to proceed?" in rig.visible(dialog)
    if still_open:
        refuse(rig, dialog)

    assert still_open
    assert not (rig.workdir / "approved").exists()
    assert set(outcomes) <= {4, 5}
    assert not any(rig.received(f"task-d{n}") for n in range(len(texts)))


@pytest.mark.xfail(reason="the task is typed into the dialog: outcome typed (4), not refused (5)")
def test_a_send_into_an_open_dialog_is_refused_with_its_reason(rig: Rig, dialog: str) -> None:
    sent = rig.comm("send", "--wait", "0.2", dialog, "task-refused", "text")
    refuse(rig, dialog)

    assert (sent.returncode, sent.stdout) == (5, ""), sent.stderr
    assert "dialog" in sent.stderr


@pytest.mark.xfail(reason="it is typed into the dialog at once, and lost")
def test_a_send_that_waits_arrives_once_when_the_dialog_is_closed(rig: Rig, dialog: str) -> None:
    sender = rig.start_send("--wait", "20", dialog, "task-waits", "text")
    with pytest.raises(subprocess.TimeoutExpired):
        sender.wait(1.5)
    refuse(rig, dialog)
    out, err = sender.communicate(timeout=30)

    assert out == f"submitted {dialog} task-waits\n", err
    assert rig.received("task-waits") == ["[TASK] task-waits\ntext"]


@pytest.mark.xfail(reason="no box is known of claude: the task is glued to the draft")
def test_a_persons_draft_is_left_alone(rig: Rig, worker: str) -> None:
    rig.type(worker, "half a thought")
    rig.wait_screen(worker, "half a thought")
    sent = rig.comm("send", "--wait", "0.5", worker, "task-draft", "text")
    screen = rig.visible(worker)
    rig.press(worker, "C-c")
    rig.wait_ready(worker)

    assert sent.returncode == 5, (sent.stdout, sent.stderr)
    assert "❯\u00a0half a thought\n" in screen


def test_copy_mode_is_left_for_a_send(rig: Rig, worker: str) -> None:
    rig.tmux.run("copy-mode", "-t", rig.pane(worker))
    sent = rig.comm("send", worker, "task-mode", "text")

    assert sent.stdout == f"submitted {worker} task-mode\n", sent.stderr
    wait_for(lambda: rig.received("task-mode"), "the task at the model")
    assert rig.received("task-mode") == ["[TASK] task-mode\ntext"]


def test_a_dead_agent_takes_nothing(rig: Rig) -> None:
    pane = rig.pane("worker-1")
    pid = int(rig.tmux.run("display-message", "-p", "-t", pane, "#{pane_pid}"))
    os.kill(pid, signal.SIGKILL)
    dead = ("display-message", "-p", "-t", pane, "#{pane_dead}")
    wait_for(lambda: rig.tmux.run(*dead).strip() == "1", "a dead pane")

    sent = rig.comm("send", "worker-1", "task-dead", "text")
    assert (sent.returncode, sent.stdout) == (3, "")
