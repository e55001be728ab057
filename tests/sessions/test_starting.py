"""Sessions that are started: who they are, what they are told, and that nothing half is left."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from swarmcomm import Coordinator, Swarm
from swarmcomm.errors import AnotherSessionError, InvalidInputError, RefusedError
from swarmcomm.sessions.identity import Identity
from swarmcomm.sessions.names import SessionName
from swarmcomm.sessions.starting import Started, create_session
from tests.conftest import Tmux, wait_for

MASTER = Identity(SessionName("web"), "master")
CHILD = Identity(SessionName("web", "3"), "child")

# It writes down how it was started, and shows an input line.
REPORT = """#!/bin/sh
{ printf '%s\\n' "$@"; } > "$WORKTREE_PATH/words"
env > "$WORKTREE_PATH/env"
printf '❯\\302\\240'
exec cat
"""


@pytest.fixture
def where(tmux: Tmux, environ: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """What every start here is given: a folder, and a server and a registry of its own."""
    state = tmp_path / "state"
    named = {"SWARM_SOCKET": tmux.socket, "SWARM_STATE_DIR": str(state)}
    return {"workdir": tmp_path, "agent": "shell", "environ": {**environ, **named}}


def test_a_session_knows_who_it_is_and_is_registered(where: dict[str, Any], tmux: Tmux) -> None:
    started = create_session("build", CHILD, **where)
    attach = f"tmux -L {tmux.socket} attach -t '=build'"
    assert started == Started("build", "child", "child_web_task_3", attach)
    said = tmux.run("show-environment", "-t", "=build").splitlines()
    assert {
        "PROJECT_ID=web",
        "TASK_ID=3",
        "SESSION_ROLE=child",
        "MASTER_SESSION_ID=master_project_web",
        f"WORKTREE_PATH={where['workdir'].resolve()}",
        "SWARM_SESSION_NAME=child_web_task_3",
        "SWARM_SESSION=build",
    } < set(said)
    form = "#{window_name} #{@swarm_agent} #{@swarm_role}"
    assert tmux.run("list-panes", "-s", "-t", "=build", "-F", form) == "child shell worker\n"
    with Coordinator.attach(where["environ"]) as coordinator:
        [child] = coordinator.get_child_sessions("master_project_web")
    assert child.session_name == "child_web_task_3"


def test_a_master_has_no_task_even_where_its_server_was_begun_by_one_that_has(
    where: dict[str, Any], tmux: Tmux
) -> None:
    where["environ"]["TASK_ID"] = "9"
    create_session("lead", MASTER, **where)
    said = tmux.run("show-environment", "-t", "=lead").splitlines()
    assert {"TASK_ID=", "SESSION_ROLE=master", "SWARM_SESSION_NAME=master_project_web"} < set(said)
    assert tmux.run("list-panes", "-s", "-t", "=lead", "-F", "#{@swarm_role}") == "master\n"
    with Coordinator.attach(where["environ"]) as coordinator:
        [master] = coordinator.query_session_status("master_project_web")
    assert master.parent_session is None


def test_a_task_that_is_given_is_done(where: dict[str, Any]) -> None:
    started = create_session("build", CHILD, task="echo built", **where)
    assert (started.outcome, started.reason) in {("submitted", ""), ("acknowledged", "")}
    window = Swarm.attach("build", environ=where["environ"])["child"]
    answers = wait_for(lambda: [a for a in window.answers("3") if a.marker == "DONE"], "its end")
    assert str(answers[0].wire_id) == "3"


def test_settings_are_added_to_our_own_hooks(
    where: dict[str, Any], tmp_path: Path, environ: dict[str, str]
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "claude").write_text(REPORT, encoding="utf-8")
    (programs / "claude").chmod(0o755)
    where["environ"]["PATH"] = f"{programs}:{environ['PATH']}"
    where["agent"] = "claude"
    stop = {"hooks": [{"type": "command", "command": "/bin/true"}]}
    more = {"hooks": {"Stop": [stop], "SessionStart": [stop]}, "language": "Deutsch"}
    create_session("build", CHILD, settings=more, interval_s=2.5, **where)
    words = (tmp_path / "words").read_text(encoding="utf-8").splitlines()
    assert words.count("--settings") == 1
    told = json.loads(words[words.index("--settings") + 1])
    assert told["language"] == "Deutsch"
    assert told["hooks"]["Stop"][-1] == stop
    assert told["hooks"]["SessionStart"] == [stop]
    assert len(told["hooks"]["Stop"]) == 2
    assert "SWARM_HOOK_INTERVAL=2.5" in (tmp_path / "env").read_text().splitlines()

    Swarm.attach("build", environ=where["environ"]).down()
    where["environ"]["SWARM_HOOKS"] = "0"
    create_session("again", CHILD, settings=more, **where)
    words = (tmp_path / "words").read_text(encoding="utf-8").splitlines()
    assert json.loads(words[words.index("--settings") + 1]) == more


def test_a_name_that_says_another_session_is_refused(where: dict[str, Any], tmux: Tmux) -> None:
    with pytest.raises(InvalidInputError, match="call it child_web_task_3"):
        create_session("child_web_task_4", CHILD, **where)
    assert tmux.run("list-sessions", check=False) == ""


def test_a_session_that_is_there_is_left_as_it_is(where: dict[str, Any], tmux: Tmux) -> None:
    tmux.session("build", {"mine": "cat"})
    with pytest.raises(RefusedError, match="already there"):
        create_session("build", CHILD, **where)
    assert tmux.run("list-windows", "-t", "=build", "-F", "#{window_name}") == "mine\n"


def test_a_session_that_another_agent_is_already_is_refused(
    where: dict[str, Any], tmux: Tmux
) -> None:
    create_session("lead", MASTER, **where)
    create_session("build", CHILD, **where)
    with pytest.raises(RefusedError, match=r"already there, in session lead; attach with: .*=lead"):
        create_session("lead-2", MASTER, **where)
    pid = tmux.run("list-panes", "-t", "=lead", "-F", "#{pane_pid}").strip()
    os.kill(int(pid), signal.SIGKILL)
    dead = ("list-panes", "-t", "=lead", "-F", "#{pane_dead}")
    wait_for(lambda: tmux.run(*dead).strip() == "1", "its end")
    assert create_session("lead-2", MASTER, **where).session_name == "master_project_web"


@pytest.mark.parametrize(("task", "error"), [(" \n", InvalidInputError), ("\x1b[2J", RefusedError)])
def test_a_task_that_cannot_be_typed_makes_no_session(
    where: dict[str, Any], tmux: Tmux, task: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        create_session("build", CHILD, task=task, **where)
    assert tmux.run("list-sessions", check=False) == ""


def test_what_cannot_be_registered_does_not_stay(where: dict[str, Any], tmux: Tmux) -> None:
    where["environ"]["SWARM_SESSION_NAME"] = "master_project_other"
    with pytest.raises(AnotherSessionError):
        create_session("build", CHILD, **where)
    assert tmux.run("list-sessions", check=False) == ""
