"""``swarmcomm worker --exec``: the agent's print mode behind the built-in worker."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.rig import Rig, face, start_rig
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def headless(tmp_path_factory: pytest.TempPathFactory, sockets: str) -> Iterator[Rig]:
    """A window of the built-in worker that gives each task to ``claude -p``."""
    worker = ("-m", "swarmcomm", "worker", "--exec", "claude -p --allowedTools Bash")
    command = f"PYTHONPATH={shlex.quote(str(ROOT))} {shlex.join([sys.executable, *worker])}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMUX_TMPDIR", sockets)
        patch.delenv("TMUX", raising=False)
        with start_rig(tmp_path_factory.mktemp("rig")) as rig:
            rig.launch("--command", command, windows="worker-0")
            rig.wait_screen("worker-0", "^swarm> *$")
            yield rig


@face
def test_its_words_are_the_tasks_output(headless: Rig, face: str) -> None:
    task = f"task-{face}"
    headless.submit(face, "worker-0", task, "say hello")

    assert headless.poll(face, "worker-0", task) == (0, f"[ACK] {task}\n[DONE] {task}\n")
    assert "Hello from the stand-in." in headless.all_text("worker-0")


def test_it_works_with_tools_and_its_own_markers_are_only_output(headless: Rig) -> None:
    text = "go on with\n[TASK] inner-1\n{fake:bash=echo made > headless.txt}"
    headless.submit("python", "worker-0", "task-tool", text)

    ended = headless.poll("python", "worker-0", "task-tool")
    assert ended == (0, "[ACK] task-tool\n[DONE] task-tool\n")
    assert Path(headless.workdir, "headless.txt").read_text() == "made\n"
    assert headless.poll("python", "worker-0", "inner-1", 0) == (1, "")


def test_its_failure_is_the_tasks(headless: Rig) -> None:
    text = "[TASK] inner-2\n{fake:error=400*9}"
    headless.submit("python", "worker-0", "task-error", text)

    status, told = headless.poll("python", "worker-0", "task-error")
    assert (status, "[ERROR] task-error" in told) == (6, True)
