"""What may not be typed into: dialogs, drafts, panes in a mode, dead agents, commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.agents.rig import DIALOG, FACES, SESSION, Rig, face
from tests.conftest import wait_for

SWARM = "worker-0 worker-1"


@pytest.fixture
def manual(rig: Rig, worker: str) -> str:
    """A window where every tool call is asked about."""
    rig.make_manual(worker)
    return worker


@pytest.fixture
def dialog(rig: Rig, manual: str, request: pytest.FixtureRequest) -> str:
    """A window where a tool call waits for a person."""
    rig.open_dialog(manual, f"task-{abs(hash(request.node.name))}")
    return manual


def check_untouched(rig: Rig, window: str, enters: int) -> None:
    """See that the dialog is open as it was, and close it."""
    still_open = rig.has_dialog(window)
    if still_open:
        rig.close_dialog(window)
    assert still_open
    assert not rig.approved()
    assert rig.enters() == enters


@face
def test_a_send_into_an_open_dialog_is_refused_with_its_reason(
    rig: Rig, dialog: str, face: str
) -> None:
    enters = rig.enters()
    texts = ["some text", "1", "first\n1\n1\ny\nlast"]
    sent = [
        rig.send(face, dialog, f"task-d{n}-{face}", text, wait_s=0) for n, text in enumerate(texts)
    ]
    check_untouched(rig, dialog, enters)

    for done in sent:
        assert (done.returncode, done.stdout) == (5, "")
        assert "dialog" in done.stderr
    assert not any(rig.received(f"task-d{n}-{face}") for n in range(len(texts)))


@face
def test_a_send_that_waits_arrives_once_when_the_dialog_is_closed(
    rig: Rig, dialog: str, face: str
) -> None:
    task = f"task-waits-{face}"
    sender = rig.start(face, "send", "--wait", "20", dialog, task, "text")
    with pytest.raises(subprocess.TimeoutExpired):
        sender.wait(1)
    rig.close_dialog(dialog)
    out, err = sender.communicate(timeout=30)

    assert out == f"submitted {dialog} {task}\n", err
    wait_for(lambda: rig.received(task), "the task at the model")
    assert rig.received(task) == [f"[TASK] {task}\ntext"]


def test_a_dialog_is_told_as_waiting_and_nobody_answers_it(rig: Rig, dialog: str) -> None:
    enters = rig.enters()
    told = rig.face("python", "status", dialog)
    watch = rig.start("python", "watch", "--json", dialog)
    try:
        assert watch.stdout
        events = (json.loads(line) for line in watch.stdout)
        event = next(event for event in events if event["state"])
    finally:
        watch.terminate()
        watch.communicate()
    check_untouched(rig, dialog, enters)

    assert told.stdout.startswith("(waiting)"), told.stdout
    assert event["state"] == "waiting"
    for text in (told.stdout, event["text"]):
        assert "mkdir approved" in text
        assert "Do you want to proceed?" in text


@face
def test_a_tool_call_that_opens_a_dialog_at_once_is_not_answered(
    rig: Rig, manual: str, face: str
) -> None:
    """The dialog is there a moment after the Enter: a second Enter would approve it."""
    enters = rig.enters()
    task = f"task-at-once-{face}"
    sent = rig.send(face, manual, task, "{fake:noack}{fake:bash=mkdir approved}")
    rig.wait_screen(manual, DIALOG)

    assert sent.stdout == f"submitted {manual} {task}\n", sent.stderr
    check_untouched(rig, manual, enters + 1)


@face
def test_a_dialog_that_opens_while_a_task_is_typed(rig: Rig, manual: str, face: str) -> None:
    """The second send meets the time between the first one's Enter and its dialog."""
    texts = {}
    for turn, delay_s in enumerate((0.1, 0.4)):
        first, second = f"task-m{turn}-{face}", f"task-n{turn}-{face}"
        rig.submit(face, manual, first, f"{{fake:later={delay_s}}}{{fake:bash=mkdir approved}}")
        texts[second] = "1\n" * 400 + "1"
        sent = rig.send(face, manual, second, texts[second], wait_s=0)
        rig.close_dialog(manual)
        if sent.returncode == 4:
            rig.press(manual, "C-c")
        rig.wait_ready(manual)
        assert sent.returncode in (0, 4, 5), sent.stderr
        assert not rig.approved()


@face
def test_a_persons_draft_is_left_alone(rig: Rig, worker: str, face: str) -> None:
    rig.type(worker, "half a thought")
    rig.wait_screen(worker, "half a thought")
    sent = rig.send(face, worker, f"task-draft-{face}", "text", wait_s=0.5)
    screen = rig.visible(worker)
    rig.press(worker, "C-c")
    rig.wait_ready(worker)

    assert sent.returncode == 5, (sent.stdout, sent.stderr)
    assert "half a thought" in sent.stderr
    assert "❯\u00a0half a thought\n" in screen


@face
@pytest.mark.parametrize(
    "text", ["x" * 4_000, "1\n" * 2_000 + "end"], ids=["one line", "many lines"]
)
def test_what_a_killed_sender_left_is_not_sent(rig: Rig, worker: str, text: str, face: str) -> None:
    half, whole = f"task-half-{len(text)}-{face}", f"task-whole-{len(text)}-{face}"
    sender = rig.start("python", "send", worker, half, text)
    typing = ("display-message", "-p", "-t", rig.pane(worker), "#{@swarm_typing}")
    wait_for(lambda: rig.tmux.run(*typing).strip() == half, "a text half typed")
    sender.kill()
    sender.communicate()

    sent = rig.send(face, worker, whole, "text", wait_s=3)
    if sent.returncode:
        rig.press(worker, "C-c")
        rig.wait_ready(worker)
    assert sent.stdout == f"submitted {worker} {whole}\n", sent.stderr
    wait_for(lambda: rig.received(whole), "the task at the model", 5)
    assert rig.received(whole) == [f"[TASK] {whole}\ntext"]
    assert rig.received(half) == []


@face
def test_copy_mode_is_left_for_a_send(rig: Rig, worker: str, face: str) -> None:
    rig.tmux.run("copy-mode", "-t", rig.pane(worker))
    rig.submit(face, worker, f"task-mode-{face}", "text")
    wait_for(lambda: rig.received(f"task-mode-{face}"), "the task at the model")


@face
@pytest.mark.parametrize("text", ["/clear", "!touch approved", " \n/exit", "?"])
def test_a_raw_text_is_no_command_of_the_agent(rig: Rig, worker: str, text: str, face: str) -> None:
    enters = rig.enters()
    sent = rig.face(face, "send-raw", worker, text)
    if sent.returncode == 0:
        rig.press(worker, "Escape")

    assert (sent.returncode, sent.stdout) == (5, "")
    assert rig.enters() == enters
    assert rig.is_ready(worker)
    assert not rig.approved()


@face
@pytest.mark.parametrize("text", ["/clear", "!touch approved"])
def test_a_task_whose_text_looks_like_a_command_is_text(
    rig: Rig, worker: str, text: str, face: str
) -> None:
    task = f"task-command-{len(text)}-{face}"
    rig.submit(face, worker, task, text)
    wait_for(lambda: rig.received(task), "the task at the model")
    assert rig.received(task) == [f"[TASK] {task}\n{text}"]


def test_a_narrow_window_while_it_writes(rig: Rig, worker: str) -> None:
    """Each answer is told once; its id is cut in the middle, and reprinted."""
    task = "task-narrow-" + "with-a-long-identifier-" * 2 + "0001"
    watch = rig.start("python", "watch", "--interval", "0.1", worker)
    told: list[str] = []
    reader = threading.Thread(target=lambda: told.extend(watch.stdout or ()))
    reader.start()
    resize = ("resize-window", "-t", f"={SESSION}:{worker}", "-y", "50", "-x")
    try:
        rig.submit("python", worker, task, "{fake:delay=1}{fake:lines=80}{fake:delay=1}")
        rig.wait_screen(worker, rf"^● \[ACK\] {task[:20]}")
        rig.tmux.run(*resize, "60")
        assert rig.poll("python", worker, task)[1] == f"[ACK] {task}\n[DONE] {task}\n"
        rig.wait_ready(worker)
        rig.tmux.run(*resize, "220")
        rig.submit("python", worker, "task-after", "and on")
        wait_for(lambda: any("[DONE] task-after" in line for line in told), "the next task")
    finally:
        watch.terminate()
        reader.join()
        watch.communicate()
        rig.tmux.run(*resize, "220")
    for marker in ("ACK", "DONE"):
        assert sum(line.endswith(f"[{marker}] {task}\n") for line in told) == 1


@pytest.mark.parametrize("code", ["529*2", "500"])
def test_an_error_of_the_api_then_success(rig: Rig, worker: str, code: str) -> None:
    task = f"task-{code[:3]}"
    rig.submit("python", worker, task, f"{{fake:error={code}}}")

    assert rig.poll("python", worker, task) == (0, f"[ACK] {task}\n[DONE] {task}\n")


@face
def test_the_question_whether_a_folder_is_trusted(rig: Rig, face: str, tmp_path: Path) -> None:
    """It stands there from the start; an Enter would answer it."""
    respawn = ("respawn-pane", "-k", "-t", rig.pane("worker-1"), "-c")
    rig.tmux.run(*respawn, str(tmp_path))
    screen = rig.wait_screen("worker-1", r"^ +❯ ")
    enters = rig.enters()

    sent = rig.send(face, "worker-1", f"task-trust-{face}", "1\ny", wait_s=0.5)
    assert (sent.returncode, sent.stdout, rig.enters()) == (5, "", enters)
    assert "dialog" in sent.stderr
    assert rig.visible("worker-1") == screen

    waits = rig.start(face, "send", "--wait", "30", "worker-1", f"task-trusted-{face}", "text")
    rig.tmux.run(*respawn, str(rig.workdir))
    out, err = waits.communicate(timeout=60)
    assert out == f"submitted worker-1 task-trusted-{face}\n", err


def test_an_agent_that_is_killed_and_started_again(rig: Rig) -> None:
    pane = rig.pane("worker-1")
    rig.submit("python", "worker-1", "task-killed", "{fake:delay=60}")
    rig.wait_screen("worker-1", r"^● \[ACK\] task-killed")
    pid = int(rig.tmux.run("display-message", "-p", "-t", pane, "#{pane_pid}"))
    os.kill(pid, signal.SIGKILL)
    dead = ("display-message", "-p", "-t", pane, "#{pane_dead}")
    wait_for(lambda: rig.tmux.run(*dead).strip() == "1", "a dead pane")

    for name in FACES:
        sent = rig.send(name, "worker-1", f"task-dead-{name}", "text", wait_s=0)
        assert (sent.returncode, sent.stdout) == (3, "")
        assert rig.poll(name, "worker-1", "task-killed", 1)[0] == 3

    rig.tmux.run("respawn-pane", "-t", pane)
    rig.submit("python", "worker-1", "task-again", "text")
    assert rig.poll("python", "worker-1", "task-again")[1].endswith("[DONE] task-again\n")
    status, told = rig.poll("python", "worker-1", "task-killed", 0)
    assert (status, "DONE" in told) == (1, False)
