"""``swarmcomm plugin path`` says where the plugin is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from swarmcomm.frontends.plugin import FOLDER


def test_the_folder_is_printed_and_has_the_plugin() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swarmcomm", "plugin", "path"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    folder = Path(done.stdout.removesuffix("\n"))
    assert folder.is_absolute()
    for part in (".claude-plugin/plugin.json", "hooks/hooks.json", ".mcp.json", "README.md"):
        assert (folder / part).is_file()


def test_the_command_of_its_hooks_imports_no_more_than_it_needs(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    for name in ("click", "rich", "libtmux", "mcp", "pydantic", "asyncio"):
        (tmp_path / f"{name}.py").write_text("open(__file__ + '.imported', 'w').close()\n")
    path = f"{tmp_path}:{environ['PYTHONPATH']}"
    done = subprocess.run(
        [Path(sys.executable).with_name("swarmcomm-hook"), "report"],
        env={**environ, "SWARM_SESSION_NAME": "child_web_task_3", "PYTHONPATH": path},
        input='{"hook_event_name": "SessionStart", "source": "startup"}',
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "child_web_task_3" in done.stdout
    assert not list(tmp_path.glob("*.imported"))
    subprocess.run(
        [sys.executable, "-c", "import click"], env={**environ, "PYTHONPATH": path}, check=True
    )
    assert list(tmp_path.glob("*.imported"))


def start_hook(folder: Path, verb: str, **environ: str) -> tuple[int, str, str]:
    """Run the hook of a start that has this verb; return its status and what it and ours said."""
    hooks = json.loads((FOLDER / "hooks" / "hooks.json").read_text())["hooks"]["SessionStart"]
    (hook,) = [each for each in hooks[0]["hooks"] if verb in each["args"]]
    done = subprocess.run(
        [hook["command"], *hook["args"]],
        env={"PATH": f"{folder}:/usr/bin:/bin", **environ},
        input="the input",
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("environ", "is_ours"),
    [
        ({}, False),
        ({"PROJECT_ID": "of-a-cloud"}, False),
        ({"TASK_ID": "9", "SESSION_ROLE": "admin", "MASTER_SESSION_ID": "x"}, False),
        ({"PROJECT_ID": "", "TASK_ID": "9", "SWARM_SESSION_NAME": ""}, False),
        ({"SWARM_SESSION_NAME": "child_web_task_3"}, True),
        ({"PROJECT_ID": "web", "TASK_ID": "3"}, True),
        ({"PROJECT_ID": "web", "SESSION_ROLE": "master"}, True),
        ({"PROJECT_ID": "web", "MASTER_SESSION_ID": "master_project_web"}, True),
    ],
)
def test_its_parts_agree_on_whose_a_session_is(
    tmp_path: Path, environ: dict[str, str], is_ours: bool
) -> None:
    for name in ("swarmcomm", "swarmcomm-hook"):
        (tmp_path / name).write_text('#!/bin/sh\necho "${0##*/} $*"\ncat\n')
        (tmp_path / name).chmod(0o755)
    said = "swarmcomm-hook report\nthe input" if is_ours else ""
    assert start_hook(tmp_path, "report", **environ) == (0, said, "")
    assert start_hook(tmp_path, "wait", **environ)[1].startswith("swarmcomm-hook wait") is is_ours
    server = subprocess.run(
        ["/bin/sh", FOLDER / "session-coordinator.sh"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    assert server.stdout == ("swarmcomm mcp\n" if is_ours else "")


@pytest.mark.parametrize(
    ("status", "report", "wait"), [(0, 0, 0), (1, 0, 0), (2, 0, 0), (42, 0, 2), (None, 0, 0)]
)
def test_an_agent_is_woken_by_a_message_alone(
    tmp_path: Path, status: int | None, report: int, wait: int
) -> None:
    if status is not None:
        (tmp_path / "swarmcomm-hook").write_text(f"#!/bin/sh\necho words >&2\nexit {status}\n")
        (tmp_path / "swarmcomm-hook").chmod(0o755)
    ours = {"SWARM_SESSION_NAME": "child_web_task_3"}
    assert start_hook(tmp_path, "report", **ours) == (report, "", "")
    found, _, said = start_hook(tmp_path, "wait", **ours)
    assert (found, "words" in said) == (wait, status is not None)
