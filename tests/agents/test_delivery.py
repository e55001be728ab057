"""What the agent's model receives of what was sent."""

from __future__ import annotations

import pytest

from tests.agents.rig import FACES, Rig, face
from tests.agents.soak import description, sender_rounds, soak, typed
from tests.conftest import wait_for


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
@pytest.mark.parametrize("size", [2_000, 20_000])
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
    assert sender_rounds(rig, worker, 3) == 3


@pytest.mark.timeout(180)
def test_a_tenth_of_the_soak(rig: Rig) -> None:
    figures = soak(rig, 15, tuple(FACES))
    assert not figures.faults(), figures
