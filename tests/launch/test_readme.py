"""What the README shows is run, in its order, on a private server with the built-in agent."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from swarmcomm import Coordinator, permissions
from swarmcomm.frontends.cli import cli
from swarmcomm.frontends.hooks import handlers
from swarmcomm.sessions import hook_settings
from swarmcomm.store import NOTICES, Event
from tests.conftest import ROOT, Tmux

SESSION = "swarm-claude-default"


def blocks(name: str) -> list[tuple[str, str]]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r"^```(bash|python|text)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_every_example_does_what_it_says(
    tmux: Tmux, environ: dict[str, str], tmp_path: Path
) -> None:
    said = ""
    command = Path(sys.executable).parent
    for language, text in blocks("README.md"):
        if language == "text":
            continue
        shell = ["bash", "-euc", text]
        done = subprocess.run(
            shell if language == "bash" else [sys.executable, "-c", text],
            cwd=ROOT,
            env={
                **environ,
                "SWARM_SOCKET": tmux.socket,
                "SWARM_WORKDIR": str(tmp_path),
                "PATH": f"{command}:{environ['PATH']}",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
    assert (tmp_path / "hello.txt").read_text() == "hello\n"
    for answer in (
        "submitted worker-0 task-001",
        "[DONE] task-001",
        "=== Claude Swarm Status ===",
        "[DONE] task-002+",
        "task-004 ended in ERROR",
        "worker-2 DONE task-006",
        "worker-0: [DONE] task-001",
        '"task_id": "task-006", "wire_id": "task-006", "marker": "DONE"',
        "child_web_task_3  COMPLETED",
    ):
        assert answer in said, said
    assert tmux.run("list-sessions", check=False) == ""
    assert SESSION in said


def test_both_languages_show_the_same_commands() -> None:
    def commands(name: str) -> list[tuple[str, str]]:
        # What stands behind a command of the two is a remark.
        return [(kind, re.sub(r"   +\S.*", "", text)) for kind, text in blocks(name)]

    assert commands("README.md") == commands("README.zh-CN.md")


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_status_and_variable_is_told(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    statuses = re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)
    assert statuses == ["0", "1", "2", "3", "4", "5", "6", "7", "70", "130"]
    for variable in (
        "SESSION_NAME",
        "SESSION",
        "SOCKET",
        "TMUX",
        "WORKDIR",
        "AGENT",
        "WINDOWS",
        "NO_INSTALL",
    ):
        assert f"`SWARM_{variable}`" in text


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_notice_and_every_field_of_a_watch_is_told(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    told = " ".join(re.findall(r"^\| (`[a-z-]+`.*?) \|", text, flags=re.MULTILINE))
    assert set(re.findall(r"`([a-z-]+)`", told)) == NOTICES
    for field in fields(Event):
        assert f"`{field.name}`" in text


def json_blocks(name: str) -> list[dict[str, Any]]:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"^```json\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [json.loads(each) for each in found]


def test_the_configuration_to_paste_starts_a_command_that_is_there() -> None:
    servers, settings, *_ = json_blocks("README.md")
    assert json_blocks("README.zh-CN.md") == json_blocks("README.md")
    ((name, entry),) = servers["mcpServers"].items()
    assert settings["enabledMcpjsonServers"] == [name]
    assert settings["permissions"]["allow"] == [f"mcp__{name}"]
    assert Path(sys.executable).with_name(entry["command"]).exists()
    assert entry["args"][0] in cli.commands


def test_the_files_of_handlers_and_permissions_are_taken(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    _, _, named, allowed = json_blocks("README.md")
    for name, content in ((handlers.FILE, named), ("permissions.json", allowed)):
        file = tmp_path / name
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_text(json.dumps(content))
        file.chmod(0o600)
    assert list(handlers.read(tmp_path)) == ["session_completed"]
    found = permissions.load(tmp_path / "permissions.json")
    assert found[permissions.MASTER].max_child_sessions == 3
    assert found["reviewer"].can_create_sessions


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_handler_and_every_permission_is_told(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for word in (*handlers.NAMES, *(field.name for field in fields(permissions.Permissions))):
        assert word in text


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_hook_is_told(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    told = " ".join(re.findall("^[|] (`[A-Z][a-z].*?) [|]", text, flags=re.MULTILINE))
    assert set(re.findall("`([A-Za-z]+)`", told)) == set(hook_settings.REPORT_ON)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_tool_is_told_with_its_arguments(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)\((.*?)\)` \|", text, flags=re.MULTILINE)
    assert len(told) == 6
    for tool, arguments in told:
        taken = inspect.signature(getattr(Coordinator, tool)).parameters
        assert list(taken)[1:][: arguments.count(",") + 1] == arguments.split(", ")
    for tool in ("send_task", "poll_task", "list_workers"):
        assert f"`{tool}`" in text
