"""The plugin in the real claude: it takes part in a session of ours, and in no other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmcomm import Coordinator, __version__
from swarmcomm.frontends.hooks import handlers
from swarmcomm.frontends.plugin import FOLDER
from swarmcomm.sessions import hook_settings
from swarmcomm.store import Store
from tests.agents import cli, rig
from tests.agents.rig import Rig, start_rig
from tests.conftest import ROOT, wait_for

TOOLS = "mcp__plugin_swarmcomm_session-coordinator__"
OURS = ({"SWARM_SESSION_NAME": "child_web_task_3"}, {"PROJECT_ID": "web", "SESSION_ROLE": "master"})
FOREIGN: tuple[dict[str, str], ...] = (
    {},
    {"PROJECT_ID": "of-a-cloud"},
    {"SESSION_ROLE": "admin", "TASK_ID": "9"},
)

# What the plugin starts by its name, and Python: each says that it was started.
TELL = '#!/bin/sh\necho "${0##*/} $*" >>"${0%/*}/../started"\n'


class Stage:
    """A home with claude, and whom it starts on the PATH."""

    def __init__(self, folder: Path, port: int, entered: list[str]) -> None:
        self.folder, self.home, self.workdir = folder, folder / "home", folder / "work"
        self.log = folder / "requests.jsonl"
        self._entered = entered
        self.workdir.mkdir()
        cli.make_home(self.home, self.workdir)
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in ("swarmcomm", "swarmcomm-hook", "python3", "python"):
            self.write(name, TELL)
        self.environ = cli.environment(self.home, port, cli.fetch())
        self.environ["PATH"] = f"{self.programs}:{self.environ['PATH']}"

    def write(self, name: str, text: str) -> None:
        program = self.programs / name
        program.write_text(text)
        program.chmod(0o755)

    def started(self) -> list[str]:
        """Return what was started, a line each."""
        file = self.folder / "started"
        return file.read_text().splitlines() if file.exists() else []

    def claude(self, *words: str | Path, **extra: str) -> str:
        """Run claude, which has to end well, and return what it printed."""
        done = subprocess.run(
            [*self._entered, "claude", *words],
            cwd=self.workdir,
            env={**self.environ, **extra},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{words}\n{done.stdout}{done.stderr}"
        return done.stdout

    def ask(self, *words: str | Path, steps: int = 0, **extra: str) -> list[dict[str, Any]]:
        """Have it do one task, and return all that it tells of that."""
        told = ("--output-format", "stream-json", "--verbose", "--allowedTools", "Bash")
        prompt = "[TASK] task-1" + "{fake:bash=sleep 1}" * steps
        out = self.claude(*words, "-p", prompt, *told, **extra)
        return [json.loads(line) for line in out.splitlines()]

    def texts(self) -> str:
        """Return all texts that a model was told."""
        return "\n".join(text for each in self._requests() for text in each.get("texts", ()))

    def tools(self) -> set[str]:
        """Return the tools that a model was shown."""
        return {name for each in self._requests() for name in each.get("names", ())}

    def _requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with rig.own_stand_in(rig.STAND_IN, tmp_path / "requests.jsonl") as (port, entered):
        yield Stage(tmp_path, port, entered)


def of_the_start(told: list[dict[str, Any]]) -> dict[str, Any]:
    return next(each for each in told if each.get("subtype") == "init")


def plugin_words(stage: Stage, how: str) -> list[str | Path]:
    """Have claude know the plugin: for one run, or installed in the home."""
    if how == "for one run":
        return ["--plugin-dir", FOLDER]
    stage.claude("plugin", "marketplace", "add", FOLDER)
    stage.claude("plugin", "install", "swarmcomm@swarmcomm")
    return []


def test_claude_finds_nothing_to_mend_in_the_plugin(stage: Stage) -> None:
    for how in (["--strict"], ["--profile", "directory"]):
        report = stage.claude("plugin", "validate", *how, "--json", FOLDER)
        assert json.loads(report)["success"] is True, report


def test_its_parts_say_what_the_package_says() -> None:
    manifest = json.loads((FOLDER / ".claude-plugin" / "plugin.json").read_text())
    assert manifest["version"] == __version__
    told = json.loads((FOLDER / "hooks" / "hooks.json").read_text())
    assert told == {"hooks": hook_settings.plugin_hooks()}


@pytest.mark.parametrize(("how", "those"), [("for one run", FOREIGN), ("installed", FOREIGN[:1])])
def test_a_session_that_is_not_ours_is_left_alone(
    stage: Stage, how: str, those: tuple[dict[str, str], ...]
) -> None:
    words = plugin_words(stage, how)
    for extra in those:
        told = stage.ask(*words, **extra)
        start = of_the_start(told)
        assert "swarmcomm" in [each["name"] for each in start["plugins"]]
        assert "Bash" in stage.tools()
        assert [name for name in stage.tools() if "coordinator" in name] == []
        states = {each["name"]: each["status"] for each in start["mcp_servers"]}
        assert states == {"plugin:swarmcomm:session-coordinator": "connected"}
        hooks = [each for each in told if each.get("subtype") == "hook_response"]
        assert {(each["exit_code"], each["stdout"], each["stderr"]) for each in hooks} == {
            (0, "", "")
        }
        # Its skills are told, and ours is not among them.
        assert "skills are available" in stage.texts()
        assert not re.search("swarmcomm|coordinator", stage.texts())
    assert stage.started() == []
    assert list(stage.workdir.iterdir()) == []
    assert not (stage.home / ".local").exists()


@pytest.mark.parametrize(("how", "those"), [("for one run", OURS[1:]), ("installed", OURS[:1])])
def test_a_session_of_ours_has_the_hooks_and_the_tools(
    stage: Stage, how: str, those: tuple[dict[str, str], ...]
) -> None:
    stage.write("swarmcomm", f'{TELL}exec {sys.executable} -m swarmcomm "$@"\n')
    stage.write("swarmcomm-hook", f'{TELL}cat >>"${{0%/*}}/../told"; echo >>"${{0%/*}}/../told"\n')
    words = plugin_words(stage, how)
    for extra in those:
        # Some steps, until it has found its servers.
        told = stage.ask(*words, steps=3, **extra, PYTHONPATH=str(ROOT))
        start = of_the_start(told)
        assert "swarmcomm" in [each["name"] for each in start["plugins"]]
        assert f"{TOOLS}report_session_status" in stage.tools()
        started = stage.started()
        assert "swarmcomm mcp" in started
        assert "swarmcomm-hook report" in started
        assert any(re.fullmatch("swarmcomm-hook wait --agent [0-9]+", each) for each in started)
        heard = [
            json.loads(line) for line in (stage.folder / "told").read_text().split("\n") if line
        ]
        events = {each["hook_event_name"] for each in heard}
        assert events >= {"SessionStart", "UserPromptSubmit", "Stop", "SessionEnd"}
        for name in ("started", "told", "requests.jsonl"):
            (stage.folder / name).unlink()


def test_it_is_taken_out_without_a_rest(stage: Stage) -> None:
    stage.ask()
    settings = stage.home / ".claude" / "settings.json"
    before = settings.read_text() if settings.exists() else "{}"
    plugin_words(stage, "installed")
    stage.claude("plugin", "uninstall", "swarmcomm@swarmcomm")
    stage.claude("plugin", "marketplace", "remove", "swarmcomm")
    left = json.loads(settings.read_text())
    assert {name: value for name, value in left.items() if value} == json.loads(before)
    start = of_the_start(stage.ask(**OURS[0]))
    assert "swarmcomm" not in [each["name"] for each in start["plugins"]]
    assert stage.started() == []


def test_a_session_of_ours_without_the_commands_works_on(stage: Stage) -> None:
    for name in ("swarmcomm", "swarmcomm-hook"):
        (stage.programs / name).unlink()
    # Nor where the tests themselves have them.
    usual = [
        each for each in stage.environ["PATH"].split(":") if not (Path(each) / "swarmcomm").exists()
    ]
    told = stage.ask("--plugin-dir", FOLDER, **OURS[0], PATH=":".join(usual))
    hooks = [each for each in told if each.get("subtype") == "hook_response"]
    assert {each["exit_code"] for each in hooks} == {0}
    assert told[-1]["is_error"] is False


def test_a_person_sees_nothing_of_it_in_another_session(
    tmp_path: Path, sockets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", sockets)
    monkeypatch.delenv("TMUX", raising=False)
    with start_rig(tmp_path) as swarm:
        install(swarm)
        swarm.launch("--agent", "claude", windows="worker-0")
        swarm.submit("python", "worker-0", "task-1", "{fake:bash=echo hello}")
        assert swarm.poll("python", "worker-0", "task-1")[0] == 0
        swarm.wait_ready("worker-0")
        shown = swarm.all_text("worker-0")
        assert not re.search("(?i)mcp|plugin|hook|coordinator|failed", shown), shown
        names = [name for each in swarm.requests() for name in each.get("names", ())]
        assert "Bash" in names
        assert [name for name in names if "coordinator" in name] == []


def test_a_session_begun_by_hand_takes_part(
    tmp_path: Path, sockets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", sockets)
    monkeypatch.delenv("TMUX", raising=False)
    master, child = "master_project_web", "child_web_task_3"
    with start_rig(tmp_path) as swarm:
        install(swarm)
        broken = swarm.workdir / handlers.FILE
        broken.parent.mkdir()
        broken.write_text("{}")
        path = f"{Path(sys.executable).parent}:{swarm.environ['PATH']}"
        who = ("PATH=" + path, f"PYTHONPATH={ROOT}", "PROJECT_ID=web", "TASK_ID=3")
        told = [word for each in (*who, "SESSION_ROLE=child") for word in ("-e", each)]
        size = ("-x", "220", "-y", "50", "-c", str(swarm.workdir))
        swarm.tmux.run("new-session", "-d", "-s", "s", "-n", "worker-0", *size, *told, "claude")
        swarm.wait_ready("worker-0")
        swarm.wait_screen("worker-0", re.escape(str(handlers.FILE)))  # a person is told once

        with Coordinator.attach(swarm.environ) as coordinator:

            def status() -> str:
                return str(coordinator.query_session_status(child)[0].status)

            wait_for(lambda: coordinator.query_session_status(), "its registration")
            assert [each.session_name for each in coordinator.get_child_sessions(master)] == [child]
            swarm.type("worker-0", "[TASK] 3 {fake:end=WAIT for the colour}")
            swarm.press("worker-0", "Enter")
            wait_for(lambda: status() == "BLOCKED", "its report")
            coordinator.send_message_to_session(master, child, "it is blue", "INSTRUCTION")
            # It is idle, and woken.
            quoted = f"{master} wrote:\n> it is blue"
            wait_for(lambda: quoted in texts(swarm), "the message before its model")


def test_a_session_with_hooks_of_its_own_reports_once_beside_the_plugin(
    tmp_path: Path, sockets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", sockets)
    monkeypatch.delenv("TMUX", raising=False)
    master, child = "master_project_web", "child_web_task_3"
    ours = Path(sys.executable).parent
    hook = tmp_path / "bin" / "swarmcomm-hook"
    hook.parent.mkdir()
    hook.write_text(f'{TELL}exec {ours}/swarmcomm-hook "$@"\n')
    hook.chmod(0o755)
    # The session has its PATH from the server.
    monkeypatch.setenv("PATH", f"{hook.parent}:{ours}:{os.environ['PATH']}")
    with start_rig(tmp_path) as swarm:
        install(swarm)
        create = ("hooks", "create-session", "child", child, "--workdir", str(swarm.workdir))
        done = swarm.face("python", *create, "--task", "{fake:bash=echo made}")
        assert done.returncode == 0, done.stderr
        with Coordinator.attach(swarm.environ) as coordinator:

            def has_ended() -> bool:
                return coordinator.query_session_status(child)[0].status == "COMPLETED"

            wait_for(has_ended, "its report")
            coordinator.send_message_to_session(master, child, "once more", "INSTRUCTION")
            wait_for(lambda: "> once more" in texts(swarm), "the message before its model")
            (news, _) = coordinator.message_history()
        assert (news.from_session, news.to_session) == (child, master)
        assert news.text.startswith("COMPLETED")
        given = [
            each for each in swarm.requests() if "> once more" in "".join(each.get("texts", ()))
        ]
        assert len(given) == 1
        store = Store.open(Path(swarm.environ["HOME"], ".local/state/swarmcomm"))
        states = [event.state for event in store.walk(0) if event.window == child and event.state]
        store.close()
        assert "swarmcomm-hook report" in (tmp_path / "started").read_text()
        assert states[:3] == ["started", "working", "completed"]


def texts(swarm: Rig) -> str:
    return "\n".join(text for each in swarm.requests() for text in each.get("texts", ()))


def install(swarm: Rig) -> None:
    for words in (("marketplace", "add", str(FOLDER)), ("install", "swarmcomm@swarmcomm")):
        subprocess.run(
            ["claude", "plugin", *words],
            env=swarm.environ,
            cwd=swarm.workdir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )


QUESTIONS = """\
{"jsonrpc":"2.0","id":"probe-1","method":"server/discover","params":{"_meta":{"a":{"id":"x"}}}}
{"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}},"jsonrpc":"2.0","id":0}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","method":"ping","id":1}

no JSON at all
{"jsonrpc":"2.0","result":{},"id":7}
{"jsonrpc":"2.0","id":2,"method":"tools/list"}
"""


@pytest.mark.parametrize("shell", ["/bin/sh", "bash"])
def test_the_server_without_tools_answers_what_it_is_asked(shell: str) -> None:
    done = subprocess.run(
        [shell, str(FOLDER / "session-coordinator.sh")],
        input=QUESTIONS,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    answers = {each["id"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert list(answers) == ["probe-1", 0, 1, 2]
    assert answers["probe-1"]["error"]["code"] == answers[2]["error"]["code"] == -32601
    assert answers[0]["result"]["protocolVersion"] == "2025-11-25"
    assert answers[0]["result"]["capabilities"] == {}
    assert answers[1]["result"] == {}
