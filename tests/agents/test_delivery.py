"""What the agent's model receives of what was sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.agents.rig import Rig, face
from tests.agents.soak import check, description, soak, typed
from tests.conftest import wait_for


def all_received(rig: Rig, *tasks: str) -> bool:
    return all(rig.received(task) for task in tasks)


def check_received(rig: Rig, window: str, face: str, task: str, text: str, seen: str) -> None:
    """Send *text* and see that the model gets *seen* and nothing else."""
    sent = rig.send(face, window, task, text)
    if sent.returncode:
        rig.press(window, "C-c")

    assert sent.stdout == f"submitted {window} {task}\n", sent.stderr
    wait_for(lambda: rig.received(task), "the task at the model")
    assert rig.received(task) == [f"[TASK] {task}\n{seen}"]


@face
@pytest.mark.parametrize("size", [20, 200])
def test_short_texts_arrive_exactly(rig: Rig, worker: str, size: int, face: str) -> None:
    task = f"task-{size}-{face}"
    text = description(task, size)
    check_received(rig, worker, face, task, text, typed(task, text))


@face
@pytest.mark.parametrize("size", [2_000, 20_000, 60_000])
def test_long_texts_arrive_exactly_as_own_words(
    rig: Rig, worker: str, size: int, face: str
) -> None:
    """The user's own words: no ``<pasted_content>`` around them."""
    task = f"task-{size}-{face}"
    text = description(task, size)
    check_received(rig, worker, face, task, text, typed(task, text))


@face
def test_forty_lines_are_one_message(rig: Rig, worker: str, face: str) -> None:
    text = "\n".join(f"line {number} of forty" for number in range(40))
    check_received(rig, worker, face, f"task-lines-{face}", text, text)


@face
def test_tabs_in_a_text_of_several_pieces(rig: Rig, worker: str, face: str) -> None:
    """The agent puts four blanks for a tab."""
    text = "a line\twith\ttabs\n" * 120 + "end"
    check_received(rig, worker, face, f"task-tabs-{face}", text, text.replace("\t", "    "))


def test_two_senders_at_once_arrive_apart_and_whole(rig: Rig, worker: str) -> None:
    two_senders(rig, worker, rounds=3)


def two_senders(rig: Rig, window: str, rounds: int) -> None:
    for turn in range(rounds):
        tasks = {name: f"task-{name}-{turn}" for name in ("bash", "python")}
        with ThreadPoolExecutor() as pool:
            senders = [
                pool.submit(rig.send, name, window, task, description(task, 150 + 97 * turn))
                for name, task in tasks.items()
            ]
            assert [sender.result().returncode for sender in senders] == [0, 0]
        wait_for(partial(all_received, rig, *tasks.values()), "both tasks")
        for task in tasks.values():
            text = typed(task, description(task, 150 + 97 * turn))
            assert rig.received(task) == [f"[TASK] {task}\n{text}"]


@pytest.mark.timeout(180)
def test_a_tenth_of_the_soak(rig: Rig) -> None:
    check(soak(rig, 15, ("python", "bash")))
