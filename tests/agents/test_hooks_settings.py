"""Settings files with our hooks: the real agent takes them, and the user's own hooks in them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmcomm.frontends.hooks import settings
from swarmcomm.sessions import hook_settings
from tests.agents import cli
from tests.agents.rig import STAND_IN, Rig, own_stand_in, start_rig
from tests.conftest import wait_for

Claude = Callable[..., "subprocess.CompletedProcess[str]"]

# It writes down what it was started with and told.
PROGRAM = """
import json, sys
from pathlib import Path
told = json.load(sys.stdin)
with Path(__file__).with_name("told").open("a") as file:
    file.write(json.dumps([told["hook_event_name"], sys.flags.isolated, *sys.argv[1:]]) + "\\n")
"""

#: Files with a hook of the user's in them; OWN is that hook.
FILES = {
    "one line": '{"hooks": {"Stop": [OWN], "SessionStart": []}}',
    "tabs": '{\n\t"hooks": {\n\t\t"Stop": [\n\t\t\tOWN\n\t\t]\n\t}\n}\n',
    "CRLF and a byte order mark": '\ufeff{\r\n  "x-mine": "é",\r\n  "hooks": {"Stop": [OWN]}\r\n}',
    "a matcher": '{"hooks": {"Stop": [OWN], "PreToolUse": [{"matcher": "Bash", "hooks": []}]}}',
}


@pytest.fixture(scope="module")
def claude(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Claude]:
    """Run ``claude`` in a folder, with the stand-in behind it."""
    folder = tmp_path_factory.mktemp("claude")
    programs = cli.fetch()
    with own_stand_in(STAND_IN, folder / "requests.jsonl") as (port, entered):

        def run(workdir: Path, *words: str) -> subprocess.CompletedProcess[str]:
            home = workdir / "home"
            cli.make_home(home, workdir)
            return subprocess.run(
                [*entered, str(programs / "claude"), *words],
                cwd=workdir,
                env=cli.environment(home, port, programs),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )

        yield run


@pytest.mark.parametrize("kind", FILES)
def test_our_hooks_fire_and_so_does_the_users(claude: Claude, tmp_path: Path, kind: str) -> None:
    program = tmp_path / "swarmcomm" / "frontends" / "hooks" / "program.py"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    told = program.with_name("told")
    heard = tmp_path / "user heard"
    own = {"type": "command", "command": f"echo heard >>{shlex.quote(str(heard))}"}
    file = settings.default_file(tmp_path)
    file.parent.mkdir()
    was = FILES[kind].replace("OWN", json.dumps({"hooks": [own]})).encode()
    file.write_bytes(was)
    words = ["--project-id", "web's $HOME", "--role", "child"]
    settings.install(file, hook_settings.hooks(sys.executable, str(program), words))
    made = file.read_bytes()

    done = claude(tmp_path, "-p", "say hello")

    assert done.returncode == 0, done.stderr
    assert "settings" not in done.stderr, done.stderr
    assert heard.read_text() == "heard\n"
    wait_for(lambda: "SessionEnd" in told.read_text(), "the end of the session")
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    for event in ("SessionStart", "UserPromptSubmit", "Stop", "SessionEnd"):
        assert [event, 1, "report", *words] in lines
    waited = [line for line in lines if line[2] == "wait"]
    assert all(line[3:-1] == [*words, "--agent"] and line[-1].isdigit() for line in waited)
    assert file.read_bytes() == made
    settings.remove(file)
    assert file.read_bytes() == was


def test_without_program_and_without_python_claude_goes_on(claude: Claude, tmp_path: Path) -> None:
    place = "swarmcomm/frontends/hooks/program.py"
    file = settings.default_file(tmp_path)
    for python in (sys.executable, "/no/such/python3"):
        settings.install(file, hook_settings.hooks(python, f"{tmp_path}/none/{place}"))
        done = claude(tmp_path, "-p", "[TASK] task-1 say hello")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert done.stdout.split() == ["[ACK]", "task-1", "[DONE]", "task-1"]


def test_what_claude_itself_writes_into_the_file_keeps_our_hooks_removable(
    claude: Claude, tmp_path: Path
) -> None:
    market = tmp_path / "market"
    for name, said in (
        (
            ".claude-plugin/marketplace.json",
            {"name": "here", "owner": {"name": "x"}, "plugins": [{"name": "p", "source": "./p"}]},
        ),
        ("p/.claude-plugin/plugin.json", {"name": "p", "version": "1.0.0", "description": "d"}),
    ):
        (market / name).parent.mkdir(parents=True)
        (market / name).write_text(json.dumps(said))
    file = settings.default_file(tmp_path)
    file.parent.mkdir()
    file.write_text('{"model": "opus"}')
    settings.install(file, hook_settings.own_hooks())
    before = settings.ours(settings.read(file))
    assert claude(tmp_path, "plugin", "marketplace", "add", str(market)).returncode == 0
    added = claude(tmp_path, "plugin", "install", "p@here", "--scope", "local")
    assert added.returncode == 0, added.stderr

    assert settings.ours(settings.read(file)) == before
    settings.remove(file)
    assert json.loads(file.read_text()) == {"model": "opus", "enabledPlugins": {"p@here": True}}


@pytest.fixture
def rig(tmp_path: Path, sockets: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A tmux server where claude can be started."""
    monkeypatch.setenv("TMUX_TMPDIR", sockets)
    monkeypatch.delenv("TMUX", raising=False)
    with start_rig(tmp_path) as rig:
        yield rig


def test_a_session_begun_by_hand_and_one_that_is_created_take_part(rig: Rig) -> None:
    def hooks(*words: str) -> str:
        done = rig.face("python", "hooks", *words)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stderr if words[0] == "generate" else done.stdout

    def listed() -> dict[str, list[str]]:
        rows = [line.split("  ") for line in hooks("list-sessions").splitlines()]
        return {row[0]: row[1:] for row in rows}

    place = ("--workdir", str(rig.workdir))
    start = hooks("generate", "child", "by-hand", "--project-id", "web", "--task-id", "3", *place)
    words = shlex.split(start.removeprefix("start it with: "))
    at = words.index("new-session") + 1
    size = ("-d", "-x", "120", "-y", "40")
    subprocess.run([*words[:at], *size, *words[at:]], env=rig.environ, timeout=30, check=True)
    wait_for(lambda: "STARTED" in listed()["by-hand"], "that it reports", 60)
    assert listed()["by-hand"] == ["child_web_task_3", "child", "STARTED", "0 %"]

    hooks("remove", *place)
    assert not settings.default_file(rig.workdir).exists()
    hooks("create-session", "child", "made", "--project-id", "web", "--task-id", "4", *place)
    wait_for(lambda: "STARTED" in listed()["made"], "that it reports", 60)
    assert not settings.default_file(rig.workdir).exists()
    done = rig.face("python", "send", "--session", "made", "child", "4", "say hello")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: listed()["made"][2:] == ["COMPLETED", "100 %"], "its end", 60)
    assert listed()["by-hand"][2] == "STARTED"
