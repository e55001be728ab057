"""The loop with the real agent: started, given tasks, and its answers read."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.agents.rig import FACES, Rig, face

SWARM = "worker-0"
PYTHON = "python"


def check_done(rig: Rig, window: str, task: str, face: str = PYTHON) -> None:
    """See the task taken and done, each told once."""
    assert rig.poll(face, window, task) == (0, f"[ACK] {task}\n[DONE] {task}\n")


@face
def test_a_task_is_taken_and_done(rig: Rig, worker: str, face: str) -> None:
    task = f"task-{face}"
    rig.submit(face, worker, task, "say hello")

    check_done(rig, worker, task, face)
    assert rig.received(task) == [f"[TASK] {task}\nsay hello"]


def test_each_face_reads_what_the_other_sent(rig: Rig, worker: str) -> None:
    rig.submit("bash", worker, "task-b", "from bash")
    check_done(rig, worker, "task-b", "python")

    rig.submit("python", worker, "task-p", "from Python")
    check_done(rig, worker, "task-p", "bash")


@face
def test_a_tagged_task(rig: Rig, worker: str, face: str) -> None:
    done = rig.face(face, "send", "--tag", worker, "task-tag", "say hello")
    wire_id = done.stdout.split()[-1]

    assert re.fullmatch(r"task-tag\+[a-z0-9]{8}", wire_id)
    check_done(rig, worker, wire_id, face)


@face
def test_a_description_that_names_its_own_end_is_not_the_end(
    rig: Rig, worker: str, face: str
) -> None:
    task = f"task-own-{face}"
    go = rig.workdir / f"go-{task}"
    text = f"Wait a little {{fake:delay={go}}}\nAt the end write\n[DONE] {task}\nand no more."
    rig.submit(face, worker, task, text)

    rig.wait_screen(worker, rf"^● \[ACK\] {task}")
    assert rig.poll(face, worker, task, 0) == (1, f"[ACK] {task}\n")
    go.touch()
    check_done(rig, worker, task, face)
    assert rig.received(task) == [f"[TASK] {task}\n" + text.replace("[DONE]", "\\[DONE]")]


STYLES = ["bold", "code", "heading", "list", "quote", "fence", "backslash"]


@pytest.mark.parametrize("style", STYLES)
def test_markdown_or_a_backslash_around_the_marker(rig: Rig, worker: str, style: str) -> None:
    task = f"task-{style}"
    rig.submit(PYTHON, worker, task, f"{{fake:as={style}}}")

    for name in FACES:
        check_done(rig, worker, task, name)


@face
@pytest.mark.parametrize("end", ["ERROR", "WAIT", "HELP"])
def test_other_answers_with_their_text(rig: Rig, worker: str, end: str, face: str) -> None:
    task = f"task-{end}-{face}"
    rig.submit(face, worker, task, f"{{fake:end={end} there is no such file: a/b.txt}}")

    expected = f"[ACK] {task}\n[{end}] {task} there is no such file: a/b.txt\n"
    assert rig.poll(face, worker, task, until=end) == (6 if end == "ERROR" else 0, expected)


def test_a_silence_in_the_middle_of_an_answer_is_not_its_end(rig: Rig, worker: str) -> None:
    go = rig.workdir / "go-task-silent"
    rig.submit(PYTHON, worker, "task-silent", f"{{fake:silent={go}}}")
    rig.wait_screen(worker, r"^● \[ACK\] task-silent")

    assert rig.poll(PYTHON, worker, "task-silent", 4) == (1, "[ACK] task-silent\n")
    go.touch()
    check_done(rig, worker, "task-silent")


def test_the_classic_renderer_keeps_answers_that_scrolled_away(rig: Rig, worker: str) -> None:
    rig.submit(PYTHON, worker, "task-long", "{fake:lines=500}")

    check_done(rig, worker, "task-long")
    assert len(re.findall(r"^  line \d+ of 500", rig.all_text(worker), re.MULTILINE)) == 500


def test_a_tool_call_between_the_answers(rig: Rig, worker: str) -> None:
    rig.submit(PYTHON, worker, "task-tool", "{fake:bash=echo made > made.txt}")

    check_done(rig, worker, "task-tool")
    assert (rig.workdir / "made.txt").read_text() == "made\n"


def test_a_marker_in_the_output_of_a_tool_is_no_answer(rig: Rig, worker: str) -> None:
    go = rig.workdir / "go-task-out"
    text = "{fake:bash=printf '[DONE] %s\\n' task-out}"
    rig.submit(PYTHON, worker, "task-out", f"{text}{{fake:delay={go}}}")
    rig.wait_screen(worker, r"^ +⎿\s+\[DONE\] task-out")

    assert rig.poll(PYTHON, worker, "task-out", 1) == (1, "[ACK] task-out\n")
    go.touch()
    check_done(rig, worker, "task-out")


def test_a_task_for_an_agent_at_work_is_typed_when_it_can_take_it(rig: Rig, worker: str) -> None:
    go = rig.workdir / "go-task-q1"
    rig.submit(PYTHON, worker, "task-q1", f"{{fake:delay={go}}}")
    refused = rig.send(PYTHON, worker, "task-q0", "at once or never", wait_s=0)
    assert (refused.returncode, refused.stdout) == (5, "")
    assert "busy" in refused.stderr
    sender = rig.start(PYTHON, "send", worker, "task-q2", "second")
    with pytest.raises(subprocess.TimeoutExpired):
        sender.wait(1)
    go.touch()
    assert sender.communicate(timeout=60)[0] == f"submitted {worker} task-q2\n"
    rig.submit(PYTHON, worker, "task-q3", "third")

    for task in ("task-q1", "task-q2", "task-q3"):
        check_done(rig, worker, task)
        assert len(rig.received(task)) == 1
    assert rig.received("task-q0") == []
