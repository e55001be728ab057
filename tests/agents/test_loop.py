"""The loop with the real agent: started, given tasks, and its answers read."""

from __future__ import annotations

import re

import pytest

from tests.agents.rig import Rig


def send(rig: Rig, window: str, task: str, text: str) -> None:
    done = rig.comm("send", window, task, text)
    assert (done.returncode, done.stdout) == (0, f"submitted {window} {task}\n"), done.stderr


def ends(rig: Rig, window: str, task: str, timeout_s: float = 20) -> str:
    """Return what poll prints until the task ends."""
    done = rig.comm(
        "poll", window, "--task-id", task, "--until", "DONE", "--timeout", str(timeout_s)
    )
    return done.stdout


def test_a_task_is_taken_and_done(rig: Rig, worker: str) -> None:
    send(rig, worker, "task-001", "say hello")

    assert ends(rig, worker, "task-001") == "[ACK] task-001\n[DONE] task-001\n"
    assert rig.received("task-001") == ["[TASK] task-001\nsay hello"]


def test_python_reads_what_bash_sent_and_the_other_way_round(rig: Rig, worker: str) -> None:
    send(rig, worker, "task-b", "from bash")
    read = rig.swarmcomm("poll", worker, "--task-id", "task-b", "--until", "DONE")
    assert read.stdout == "[ACK] task-b\n[DONE] task-b\n"

    rig.wait_ready(worker)
    sent = rig.swarmcomm("send", worker, "task-p", "from Python")
    assert sent.stdout == f"submitted {worker} task-p\n", sent.stderr
    assert ends(rig, worker, "task-p") == "[ACK] task-p\n[DONE] task-p\n"
    assert rig.received("task-p") == ["[TASK] task-p\nfrom Python"]


def test_a_tagged_task(rig: Rig, worker: str) -> None:
    done = rig.comm("send", "--tag", worker, "task-tag", "say hello")
    wire_id = done.stdout.split()[-1]

    assert re.fullmatch(r"task-tag\+[a-z0-9]{8}", wire_id)
    assert ends(rig, worker, wire_id) == f"[ACK] {wire_id}\n[DONE] {wire_id}\n"


def test_a_description_that_names_its_own_end_is_not_the_end(rig: Rig, worker: str) -> None:
    text = "Wait a little {fake:delay=2}\nAt the end write\n[DONE] task-own\nand no more."
    send(rig, worker, "task-own", text)

    rig.wait_screen(worker, r"^● \[ACK\] task-own")
    early = rig.comm("poll", worker, "0", "task-own", "--until", "DONE")
    assert (early.returncode, early.stdout) == (1, "[ACK] task-own\n")
    assert ends(rig, worker, "task-own") == "[ACK] task-own\n[DONE] task-own\n"
    assert rig.received("task-own") == ["[TASK] task-own\n" + text.replace("[DONE]", "\\[DONE]")]


@pytest.mark.parametrize("style", ["bold", "code", "heading", "list", "quote", "fence"])
def test_markdown_around_the_marker(rig: Rig, worker: str, style: str) -> None:
    send(rig, worker, f"task-{style}", f"{{fake:as={style}}}")

    assert ends(rig, worker, f"task-{style}").endswith(f"[DONE] task-{style}\n")


@pytest.mark.parametrize("end", ["ERROR", "WAIT", "HELP"])
def test_other_answers_with_their_text(rig: Rig, worker: str, end: str) -> None:
    task = f"task-{end}"
    send(rig, worker, task, f"{{fake:end={end} there is no such file: a/b.txt}}")

    done = rig.comm("poll", worker, "--task-id", task, "--until", end, "--timeout", "20")
    expected = f"[ACK] {task}\n[{end}] {task} there is no such file: a/b.txt\n"
    assert (done.returncode, done.stdout) == (6 if end == "ERROR" else 0, expected)


def test_a_silence_in_the_middle_of_an_answer_is_not_its_end(rig: Rig, worker: str) -> None:
    send(rig, worker, "task-silent", "{fake:silent=6}")

    early = rig.comm("poll", worker, "4", "task-silent", "--until", "DONE")
    assert (early.returncode, early.stdout) == (1, "[ACK] task-silent\n")
    assert ends(rig, worker, "task-silent").endswith("[DONE] task-silent\n")


def test_the_classic_renderer_keeps_answers_that_scrolled_away(rig: Rig, worker: str) -> None:
    send(rig, worker, "task-long", "{fake:lines=500}")

    assert ends(rig, worker, "task-long") == "[ACK] task-long\n[DONE] task-long\n"
    assert len(re.findall(r"^  line \d+ of 500", rig.all_text(worker), re.MULTILINE)) == 500


def test_a_tool_call_between_the_answers(rig: Rig, worker: str) -> None:
    send(rig, worker, "task-tool", "{fake:bash=echo made > made.txt}")

    assert ends(rig, worker, "task-tool") == "[ACK] task-tool\n[DONE] task-tool\n"
    assert (rig.workdir / "made.txt").read_text() == "made\n"


def test_an_overloaded_api_then_success(rig: Rig, worker: str) -> None:
    send(rig, worker, "task-529", "{fake:error=529*2}")

    assert ends(rig, worker, "task-529") == "[ACK] task-529\n[DONE] task-529\n"


def test_two_tasks_that_the_agent_took_as_one_turn(rig: Rig, worker: str) -> None:
    send(rig, worker, "task-q1", "{fake:delay=2}")
    rig.wait_screen(worker, r"^● \[ACK\] task-q1")
    send(rig, worker, "task-q2", "second")
    send(rig, worker, "task-q3", "third")

    for task in ("task-q1", "task-q2", "task-q3"):
        assert ends(rig, worker, task) == f"[ACK] {task}\n[DONE] {task}\n"
        assert len(rig.received(task)) == 1


@pytest.mark.xfail(reason="read by lines: the tool's output counts as the agent's words")
def test_a_marker_in_the_output_of_a_tool_is_no_answer(rig: Rig, worker: str) -> None:
    send(rig, worker, "task-out", "{fake:bash=printf '[DONE] %s\\n' task-out}{fake:delay=2}")
    rig.wait_screen(worker, r"^ +(⎿ +\[DONE\] task-out|Ran 1)|^● Bash")

    early = rig.comm("poll", worker, "1", "task-out", "--until", "DONE")
    assert (early.returncode, early.stdout) == (1, "[ACK] task-out\n")


def test_a_backslash_before_the_agents_own_marker(rig: Rig, worker: str) -> None:
    send(rig, worker, "task-slash", "{fake:as=backslash}")

    assert ends(rig, worker, "task-slash", 5).endswith("[DONE] task-slash\n")
