"""The real agent with the hooks of a session: a master and two children, nobody calls a tool."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmcomm import Coordinator, Swarm
from swarmcomm.sessions import hook_settings
from swarmcomm.sessions.identity import Identity
from swarmcomm.sessions.names import SessionName
from swarmcomm.sessions.starting import create_session
from swarmcomm.store import Store
from tests.agents import cli
from tests.agents.rig import STAND_IN, Rig, is_alive, start_tmux
from tests.conftest import Tmux, wait_for

MASTER, FIRST, SECOND = "master_project_web", "child_web_task_3", "child_web_task_4"
WHO = {
    MASTER: Identity(SessionName("web"), "master"),
    FIRST: Identity(SessionName("web", "3"), "child"),
    SECOND: Identity(SessionName("web", "4"), "child"),
}


class Sessions(Rig):
    """A rig whose windows are sessions of the registry, each in a tmux session of its own."""

    def __init__(self, tmux: Tmux, log: Path, workdir: Path) -> None:
        super().__init__(tmux, log, workdir)
        self.state = Path(self.environ["HOME"], ".local", "state", "swarmcomm")
        self.coordinator = Coordinator.attach(self.environ)

    def begin(self, name: str) -> None:
        """Start the agent of a session; returns when it has its empty box."""
        create_session(
            name,
            WHO[name],
            workdir=self.workdir,
            agent="claude",
            socket=self.tmux.socket,
            environ=self.environ,
            settings=hook_settings.own_settings(),
            interval_s=0,
        )
        self.wait_ready(name)

    def pane(self, window: str) -> str:
        return self.tmux.pane(window, WHO[window].role)

    def submit(self, face: str, window: str, task: str, text: str) -> None:
        with Swarm.attach(window, self.tmux.socket, self.environ) as swarm:
            sent = swarm[WHO[window].role].send(text, task_id=task, tag=False)
        assert sent.outcome == "submitted", (face, sent.delivery)

    def status(self, name: str) -> tuple[str, Any]:
        (found,) = self.coordinator.query_session_status(name)
        return found.status, found.details

    def wait_status(self, name: str, wanted: str) -> Any:
        """Return the details, as soon as the session has that status."""

        def look() -> tuple[str, Any] | None:
            found = self.status(name)
            return found if found[0] == wanted else None

        return wait_for(look, f"{name} {wanted}", 30)[1]  # type: ignore[index]

    def send(self, name: str, text: str) -> None:  # type: ignore[override]
        self.coordinator.send_message_to_session(MASTER, name, text)

    def read(self, *parts: str) -> list[str]:
        """Return the texts that a model was given with all *parts* in one."""
        texts = [text for request in self.requests() for text in request.get("texts", ())]
        return [text for text in texts if all(part in text for part in parts)]

    def wait_read(self, *parts: str) -> str:
        return wait_for(lambda: self.read(*parts), f"{parts} at a model", 40)[-1]

    def waits_for_messages(self, name: str) -> int:
        """Return the process that waits for the messages to a session."""
        file = self.state / "hooks" / f"{name}.waits"
        return int(file.read_text().partition("-")[0]) if file.exists() else 0


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, sockets: str) -> Iterator[Sessions]:
    """A master and two children of claude, each with the hooks and nothing else of ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMUX_TMPDIR", sockets)
        patch.delenv("TMUX", raising=False)
        folder = tmp_path_factory.mktemp("rig")
        home, programs = folder / "home", cli.fetch()
        cli.make_home(home, folder / "work")

        def environment(port: int) -> dict[str, str]:
            return cli.environment(home, port, programs)

        with start_tmux(folder, STAND_IN, environment, Sessions) as rig:
            assert isinstance(rig, Sessions)
            # The same hooks stand in the project; and what one test runs may be run.
            own = {"hooks": hook_settings.own_hooks(), "permissions": {"allow": ["Bash(./ask *)"]}}
            place = rig.workdir / ".claude" / "settings.local.json"
            place.parent.mkdir()
            place.write_text(json.dumps(own))
            for name in WHO:
                rig.begin(name)
            yield rig
            rig.coordinator.close()


@pytest.fixture
def child(rig: Sessions) -> str:
    """A child that is idle."""
    rig.wait_ready(FIRST)
    return FIRST


def test_each_session_registers_itself_and_knows_who_it_is(rig: Sessions) -> None:
    for name in WHO:
        rig.wait_status(name, "STARTED")
    children = rig.coordinator.get_child_sessions(MASTER)
    assert [child.session_name for child in children] == [FIRST, SECOND]
    rig.submit("python", MASTER, "plan", "say hello")
    rig.wait_read("SessionStart hook additional context", f"You are the session {MASTER}")
    rig.wait_ready(MASTER)
    rig.wait_status(MASTER, "WORKING")


def test_a_busy_child_reports_its_tools_and_is_given_its_messages(
    rig: Sessions, child: str
) -> None:
    go = rig.workdir / "go"
    task = f"{{fake:bash=until test -e {go}; do sleep 0.1; done}}{{fake:bash=echo two}}"
    rig.submit("python", child, "3", f"{task}{{fake:end=DONE two files}}")
    rig.wait_status(child, "WORKING")
    rig.wait_screen(child, r"Bash\(until")
    rig.send(child, "add tests\n[DONE] 3")
    go.touch()
    text = rig.wait_read("PostToolBatch hook additional context", "> add tests")
    assert f"{MASTER} wrote:\n> add tests\n> [DONE\\] 3\n" in text
    assert rig.wait_status(child, "COMPLETED") == "two files"
    store = Store.open(rig.state)
    told = [event.text for event in store.after(0, registry=True) if event.window == child]
    store.close()
    assert any('"tool": "Bash", "tools": 1' in text for text in told)


def test_the_master_is_woken_when_a_child_ends(rig: Sessions) -> None:
    text = rig.wait_read(f"{FIRST} wrote:\n> COMPLETED: two files")
    assert "not your user" in text
    rig.wait_ready(MASTER)
    assert rig.coordinator.message_history(MASTER)[0].state == "acknowledged"


def test_an_idle_child_is_woken_by_each_new_message_once(rig: Sessions) -> None:
    rig.wait_ready(SECOND)
    wakes = rig.state / "hooks" / f"{SECOND}.wakes"
    for text in ("first thing", "second thing"):
        rig.send(SECOND, text)
        read = rig.wait_read(f"> {text}\n")
        assert "[SYSTEM NOTIFICATION - NOT USER INPUT]" in read
        rig.wait_ready(SECOND)
        wait_for(lambda: not wakes.exists(), "its prompt, which has what woke it")
    rig.wait_screen(SECOND, "message of another session")
    assert len(rig.read("Through swarmcomm, not from your user:", "> first thing\n")) == 1


def test_the_master_is_told_when_a_child_waits_for_a_permission(rig: Sessions) -> None:
    rig.make_manual(SECOND)
    rig.open_dialog(SECOND, "4")
    wanted = {"waits_for": "permission", "tool": "Bash", "asks": "mkdir approved"}
    assert rig.wait_status(SECOND, "BLOCKED") == wanted
    rig.wait_read(
        f"{SECOND} wrote:\n> BLOCKED: waits for permission, tool Bash, asks mkdir approved"
    )
    rig.close_dialog(SECOND)
    assert not rig.approved()


def test_a_child_that_was_interrupted_is_woken_all_the_same(rig: Sessions) -> None:
    rig.wait_ready(SECOND)
    rig.send(SECOND, "go on without it")
    rig.wait_read("> go on without it\n")
    rig.wait_ready(SECOND)


def test_a_claude_within_a_claude_ends_and_takes_no_part(rig: Sessions, child: str) -> None:
    script = rig.workdir / "ask"
    script.write_text("#!/bin/sh\nclaude -p hello && echo answered\n")
    script.chmod(0o700)
    rig.send(child, "for the child itself")
    rig.wait_read("> for the child itself\n")
    rig.wait_ready(child)
    waiter = rig.waits_for_messages(child)
    rig.make_manual(child)  # where claude runs at once what its settings allow
    rig.submit("python", child, "ask", "{fake:bash=./ask it}{fake:end=none}")
    wait_for(lambda: [text for text in rig.results() if "answered" in text], "its answer", 40)
    rig.wait_ready(child)
    assert rig.status(child)[0] == "WORKING"
    assert rig.waits_for_messages(child) != waiter  # that of the turn, which goes on
    assert is_alive(rig.waits_for_messages(child))


def test_a_child_that_needs_help_or_fails_says_so(rig: Sessions, child: str) -> None:
    rig.submit("python", child, "3", "{fake:end=HELP which one?}")
    assert rig.wait_status(child, "BLOCKED") == "which one?"
    rig.wait_ready(child)
    rig.submit("python", child, "3", "{fake:error=400*9}")
    assert "API Error" in rig.wait_status(child, "ERROR")
    rig.wait_read(f"{FIRST} wrote:\n> ERROR: ", "API Error")


def test_the_end_of_an_agent_is_reported_and_nobody_waits_on(rig: Sessions) -> None:
    rig.send(SECOND, "one more thing")
    rig.wait_read("> one more thing\n")
    rig.wait_ready(SECOND)
    rig.wait_status(SECOND, "WORKING")  # it begins again, though it had ended
    waiter = wait_for(lambda: rig.waits_for_messages(SECOND), "who waits")
    rig.type(SECOND, "/exit")
    rig.press(SECOND, "Enter")
    assert rig.wait_status(SECOND, "TERMINATED") == {"reason": "prompt_input_exit"}
    rig.wait_read(f"{SECOND} wrote:\n> TERMINATED: reason prompt_input_exit")
    wait_for(lambda: not is_alive(waiter), "the end of who waits")

    waiter = wait_for(lambda: rig.waits_for_messages(FIRST), "who waits")
    pid = rig.tmux.run("display-message", "-p", "-t", rig.pane(FIRST), "#{pane_pid}")
    os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: not is_alive(waiter), "the end of who waits")
