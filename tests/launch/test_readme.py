"""What the README shows is run, in its order, on a private server with the built-in agent."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

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
    for variable in ("SESSION", "SOCKET", "TMUX", "WORKDIR", "AGENT", "WINDOWS", "NO_INSTALL"):
        assert f"`SWARM_{variable}`" in text


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_notice_and_every_field_of_a_watch_is_told(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    told = " ".join(re.findall(r"^\| (`[a-z-]+`.*?) \|", text, flags=re.MULTILINE))
    assert set(re.findall(r"`([a-z-]+)`", told)) == NOTICES
    for field in fields(Event):
        assert f"`{field.name}`" in text
