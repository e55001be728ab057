"""The real agent and the guard: a master's claude starts a child, the child's claude nothing."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from swarmcomm import Coordinator
from tests.agents.rig import start_rig
from tests.agents.test_mcp import see_the_tools, use
from tests.conftest import ROOT, wait_for

MASTER, CHILD = "master_project_web", "child_web_task_7"

UP = [sys.executable, "-m", "swarmcomm", "up", "--agent", "shell", "--session", "more"]
BASH = [str(ROOT / "run_claude_swarm.sh"), "--no-attach", "--agent", "shell", "--session", "more"]
UNSET = ["env", "-u", "TMUX", "-u", "TMUX_PANE", "-u", "SPLITMIND_SESSION_LEVEL"]
UNSET += ["-u", "SWARM_SESSION_NAME", "-u", "SESSION_ROLE", "-u", "PROJECT_ID", "-u", "TASK_ID"]


def test_a_master_starts_a_child_that_starts_none_by_command_by_tool_and_by_bash(
    tmp_path: Path, sockets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", sockets)
    monkeypatch.delenv("TMUX", raising=False)
    with start_rig(tmp_path, sessions={"master": MASTER, "child": CHILD}) as rig:
        environ = {**rig.environ, "TMUX_TMPDIR": sockets}
        empty = ["env", "-i", *(f"{name}={environ[name]}" for name in ("PATH", "HOME"))]
        empty += [f"TMUX_TMPDIR={sockets}", f"PYTHONPATH={ROOT}"]
        single = [*UP[:3], "hooks", "create-session", "child", "child_web_task_8"]
        tries = [UP, [*UNSET, *UP], [*empty, *UP], BASH, [*UNSET, *BASH], [*empty, *BASH], single]
        at_once = "".join(
            f"({shlex.join(words)} >try-{number} 2>&1; echo $? >>try-{number}) & "
            for number, words in enumerate(tries)
        )
        steps = f"{{fake:bash={at_once}wait}}"
        steps += use("create_session", session_name="child_web_task_9")

        settings = rig.workdir / ".claude" / "settings.json"
        settings.parent.mkdir()
        settings.write_text('{"permissions": {"allow": ["Bash"], "defaultMode": "default"}}')
        rig.launch("--agent", "claude", windows="master")
        see_the_tools(rig, "master")
        start = use("create_session", session_name=CHILD, task=steps)
        rig.submit("python", "master", "task-1", start)
        assert rig.poll("python", "master", "task-1", 60)[0] == 0, rig.all_text("master")
        done = rig.face("python", "--session", CHILD, "poll", "child", "60", "7", "--until", "DONE")
        assert done.returncode == 0, rig.tmux.screen(CHILD, "child")

        for number in range(len(tries)):
            said, status = (rig.workdir / f"try-{number}").read_text().splitlines()
            assert ("may start no other one" in said, status) == (True, "5"), said
        told = rig.results()
        [refused] = [text for text in told if "may start no other one" in text]
        assert refused.startswith("Error executing tool create_session")
        names = rig.tmux.run("list-sessions", "-F", "#{session_name}").split()
        assert sorted(names) == [CHILD, "keep", "s"]
        form = "#{@swarm_level} #{@swarm_parent}"
        assert rig.tmux.run("list-panes", "-s", "-t", f"={CHILD}", "-F", form) == "2 s\n"
        # Its hooks tell of the end by themselves.
        with Coordinator.attach(environ) as coordinator:

            def has_ended() -> bool:
                [child] = coordinator.get_child_sessions(MASTER)
                return (child.session_name, child.status) == (CHILD, "COMPLETED")

            wait_for(has_ended, "the end of the child in the registry")
