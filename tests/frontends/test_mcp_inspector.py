"""A client of other people's making: the command line of the MCP Inspector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.frontends.coordination import MASTER, SERVER
from tests.frontends.inspector import inspect

# An argument that looks like a number would be sent as one.
CHILD = "child_web_task_a3"
REGISTERING = {
    "parent_session": MASTER,
    "child_session": CHILD,
    "task_id": "a3",
    "project_id": "web",
}


@pytest.fixture
def environ(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """What the server is given: a store of its own and nothing of the person's."""
    kept = ("HOME", "PATH", "PYTHONPATH", "TMUX_TMPDIR")
    state = {"SWARM_STATE_DIR": str(tmp_path / "state")}
    return {name: value for name, value in environ.items() if name in kept} | state


@pytest.mark.timeout(600)  # the first time it is fetched
def test_the_inspector_accepts_the_schemas_and_calls_a_tool(
    environ: dict[str, str], tmp_path: Path
) -> None:
    status, told, said = inspect(tmp_path, SERVER, environ, "--method", "tools/list")
    assert status == 0, said
    tools = json.loads(told)["tools"]
    assert len(tools) == 10
    assert all({"inputSchema", "outputSchema", "annotations"} <= tool.keys() for tool in tools)

    words = ["--method", "tools/call", "--tool-name", "register_session_relationship"]
    for name, value in REGISTERING.items():
        words += ["--tool-arg", f"{name}={value}"]
    status, told, said = inspect(tmp_path, SERVER, environ, *words)
    assert status == 0, said
    assert json.loads(told)["structuredContent"]["child_session"] == CHILD

    words = ["--method", "tools/call", "--tool-name", "query_session_status"]
    other = "session_name=child_web_task_a4"
    _, told, said = inspect(tmp_path, SERVER, environ, *words, "--tool-arg", other)
    assert "is not registered" in told, said
