"""Swarms of the real agent for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agents.rig import Rig, start_rig

WINDOWS = "worker-0 worker-1 worker-2"


@pytest.fixture(scope="module")
def rig(
    tmp_path_factory: pytest.TempPathFactory, sockets: str, request: pytest.FixtureRequest
) -> Iterator[Rig]:
    """Three windows of claude, shared by the tests of a module: each leaves an empty box."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMUX_TMPDIR", sockets)
        patch.delenv("TMUX", raising=False)
        with start_rig(tmp_path_factory.mktemp("rig")) as rig:
            rig.launch("--agent", "claude", windows=getattr(request.module, "SWARM", WINDOWS))
            yield rig


@pytest.fixture
def worker(rig: Rig) -> str:
    """A window whose box is empty and whose agent is idle."""
    rig.wait_ready("worker-0")
    return "worker-0"
