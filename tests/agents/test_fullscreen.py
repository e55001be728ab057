"""The renderer that paints the whole screen; nothing of it goes into tmux's history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agents.rig import Rig, face, start_rig
from tests.agents.soak import description, typed
from tests.conftest import wait_for


@pytest.fixture(scope="module")
def fullscreen(tmp_path_factory: pytest.TempPathFactory, sockets: str) -> Iterator[Rig]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMUX_TMPDIR", sockets)
        patch.delenv("TMUX", raising=False)
        with start_rig(tmp_path_factory.mktemp("rig"), fullscreen=True) as rig:
            rig.launch("--agent", "claude", windows="worker-0")
            yield rig


@face
def test_a_long_task_is_taken_and_done(fullscreen: Rig, face: str) -> None:
    task = f"task-{face}"
    text = description(task, 5_000)
    fullscreen.submit(face, "worker-0", task, text)

    assert fullscreen.poll(face, "worker-0", task)[1].endswith(f"[DONE] {task}\n")
    assert fullscreen.received(task) == [f"[TASK] {task}\n{typed(task, text)}"]
    alternate = ("display-message", "-p", "-t", fullscreen.pane("worker-0"), "#{alternate_on}")
    assert fullscreen.tmux.run(*alternate) == "1\n"


@face
def test_a_text_whose_pieces_end_at_the_same_place(fullscreen: Rig, face: str) -> None:
    task, text = f"task-same-{face}", "123456789\n" * 500 + "end"
    sent = fullscreen.send(face, "worker-0", task, text)
    try:
        assert sent.stdout == f"submitted worker-0 {task}\n", sent.stderr
    finally:
        if sent.returncode:
            fullscreen.press("worker-0", "C-c")
            fullscreen.wait_ready("worker-0")

    wait_for(lambda: fullscreen.received(task), "the task at the model")
    assert fullscreen.received(task) == [f"[TASK] {task}\n{text}"]
