"""What the agent's model receives of what was sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.agents.rig import Rig
from tests.conftest import wait_for

PASTED = "<pasted_content"


def description(task: str, size: int) -> str:
    """Return *size* bytes of many lines that name the task's own end."""
    line = f"Write ünïcode 中文, `code` and \\back; then the line\n[DONE] {task}\nand go on. "
    return (line * (size // len(line.encode()) + 1)).encode()[: size - 4].decode(
        errors="ignore"
    ) + " end"


def all_received(rig: Rig, *tasks: str) -> bool:
    return all(rig.received(task) for task in tasks)


def typed(task: str, text: str) -> str:
    return f"[TASK] {task}\n" + text.replace(f"[DONE] {task}", f"\\[DONE] {task}")


@pytest.mark.parametrize("size", [20, 200])
def test_short_texts_arrive_exactly(rig: Rig, worker: str, size: int) -> None:
    task = f"task-{size}"
    text = description(task, size)
    sent = rig.comm("send", worker, task, "-", stdin=text)

    assert sent.returncode == 0, sent.stderr
    wait_for(lambda: rig.received(task), "the task at the model")
    assert rig.received(task) == [typed(task, text)]


@pytest.mark.xfail(reason="pieces of 1,600 bytes fold into pasted text: not seen, or not own words")
@pytest.mark.parametrize("sender", ["bash", "python"])
@pytest.mark.parametrize("size", [2_000, 20_000, 60_000])
def test_long_texts_arrive_exactly_as_own_words(
    rig: Rig, worker: str, size: int, sender: str
) -> None:
    task = f"task-{size}-{sender}"
    text = description(task, size)
    if sender == "bash":
        sent = rig.comm("send", worker, task, "-", stdin=text)
    else:
        sent = rig.swarmcomm("send", worker, task, text)
    if sent.returncode:
        rig.press(worker, "C-c")

    assert sent.returncode == 0, sent.stderr
    wait_for(lambda: rig.received(task), "the task at the model")
    (received,) = rig.received(task)
    assert PASTED not in received
    assert received == typed(task, text)


@pytest.mark.xfail(reason="the agent puts four spaces for a tab and its cursor three too early")
def test_tabs_in_a_text_of_several_pieces(rig: Rig, worker: str) -> None:
    text = "a line\twith\ttabs\n" * 120 + "end"
    sent = rig.comm("send", worker, "task-tabs", text)
    if sent.returncode:
        rig.press(worker, "C-c")

    assert sent.returncode == 0, sent.stderr
    wait_for(lambda: rig.received("task-tabs"), "the task at the model")
    assert rig.received("task-tabs") == ["[TASK] task-tabs\n" + text.replace("\t", "    ")]


def test_two_senders_at_once_arrive_apart_and_whole(rig: Rig, worker: str) -> None:
    for turn in range(3):
        bash, python = f"task-bash-{turn}", f"task-python-{turn}"
        with ThreadPoolExecutor() as pool:
            one = pool.submit(rig.comm, "send", worker, bash, "b" * 150)
            two = pool.submit(rig.swarmcomm, "send", worker, python, "p" * 150)
            assert (one.result().returncode, two.result().returncode) == (0, 0)
        wait_for(partial(all_received, rig, bash, python), "both tasks")
        for task, letter in ((bash, "b"), (python, "p")):
            (text,) = rig.received(task)
            assert f"[TASK] {task}\n{letter * 150}" in text


def test_a_tenth_of_the_soak_with_short_texts(rig: Rig) -> None:
    tasks = [(f"worker-{n % 3}", f"task-soak-{n}") for n in range(15)]
    for window, task in tasks:
        sent = rig.comm("send", window, task, description(task, 100 + len(task)))
        assert sent.stdout == f"submitted {window} {task}\n", sent.stderr
    for window, task in tasks:
        done = rig.comm("poll", window, "--task-id", task, "--until", "DONE", "--timeout", "20")
        assert done.stdout == f"[ACK] {task}\n[DONE] {task}\n", done.stderr
        assert len(rig.received(task)) == 1
