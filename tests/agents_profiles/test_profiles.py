"""Profiles are data: what may stand in them, and what comes of them in both languages."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from swarmcomm import agents
from swarmcomm.agents import generate
from swarmcomm.errors import InvalidInputError

GOOD = """
command = ["{python}", "-m", "some agent", "x;"]
missing = ["install it", "or do not"]
pause_ms = 250
ready = '^it''s \\$HOME> *$'
column = 4
busy = 'at work'
dialog = '^ +> '
refuse = '^ */'
piece_bytes = 700
paste = true
instructions_flag = "--system"
unset = ["ONE", "TWO"]
[environment]
COLOUR = 'bl"u$e`s'
[screen]
user = '^> '
agent = '^[*] '
aside = '^  [|]'
indent = 2
aside_indent = 4
[hooks]
flag = "--conf"
run = '[{"run": [{python}, {hook}, {spool}]}]'
settings = '{"Stop": {run}, "End": {run}}'
""".replace("''", "")


def write(folder: Path, text: str, name: str = "some-agent") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_profiles_that_we_ship_can_be_read() -> None:
    assert agents.names() == ("claude", "shell")
    assert {agents.load(name).name for name in agents.names()} == {"claude", "shell"}


def test_claude_gets_its_instructions_the_classic_renderer_and_no_parent() -> None:
    argv = agents.load("claude").argv("worker", "/bin/claude", "/bin/python3")
    assert argv[0] == "env"
    assert "CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN=1" in argv
    assert argv[1:3] == ("-u", "CLAUDECODE")
    assert argv[-3:] == ("/bin/claude", "--append-system-prompt", agents.instructions("worker"))


def test_hooks_are_a_layer_of_settings_with_whatever_paths(tmp_path: Path) -> None:
    profile = agents.read(write(tmp_path, GOOD))
    flag, settings = profile.hook_words('/a "b"/python', "/h\\ook", "/spööl {run}")
    run = [{"run": ['/a "b"/python', "/h\\ook", "/spööl {run}"]}]
    assert (flag, json.loads(settings)) == ("--conf", {"Stop": run, "End": run})
    assert agents.load("shell").hook_words("p", "h", "s") == ()


def test_the_shell_agent_runs_our_worker_with_the_given_python() -> None:
    argv = agents.load("shell").argv("worker", "/x/python", "/x/python")
    assert argv == ("env", "/x/python", "-P", "-m", "swarmcomm", "worker")
    assert re.search(agents.load("shell").ready or "", "swarm> ")


def test_a_profile_is_what_its_file_says(tmp_path: Path) -> None:
    profile = agents.read(write(tmp_path, GOOD))
    assert profile.name == "some-agent"
    assert profile.pause_ms == 250
    assert profile.pane_options["@swarm_piece"] == "700"
    assert profile.screen is not None
    assert profile.screen.indent == 2
    assert profile.missing == ("install it", "or do not")
    assert profile.argv("master", "/p", "/q")[:8] == (
        *("env", "-u", "ONE", "-u", "TWO"),
        *('COLOUR=bl"u$e`s', "/p", "-m"),
    )


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda text: text + "[more]\n", "more"),
        (lambda text: "colour = 1\n" + text, "colour"),
        (lambda text: text.replace("command", "comand"), "command"),
        (lambda text: text.replace("pause_ms = 250", ""), "pause_ms"),
        (lambda text: text.replace("250", "true"), "pause_ms"),
        (lambda text: text.replace("250", "-1"), "pause_ms"),
        (lambda text: text.replace("250", "2.5"), "pause_ms"),
        (lambda text: text.replace("column = 4", "column = -1"), "column"),
        (lambda text: text.replace("'at work'", "'(at'"), "busy"),
        (lambda text: text.replace("700", "5"), "piece_bytes"),
        (lambda text: text.replace("paste = true", "paste = 1"), "paste"),
        (lambda text: text.replace("user = '^> '", ""), "screen.user"),
        (lambda text: text.replace("'^[*] '", "'['"), "screen.agent"),
        (lambda text: text.replace("indent = 2", "indent = '2'"), "screen.indent"),
        (lambda text: text.replace("indent = 2", "indent = 2\noutdent = 1"), "screen.outdent"),
        (lambda text: text + "more = 1\n", "hooks.more"),
        (lambda text: text.replace('flag = "--conf"', ""), "hooks.flag"),
        (lambda text: text.replace('"End": {run}', '"End": {walk}'), "hooks.settings"),
        (lambda text: text.replace('{"Stop": {run}, "End": {run}}', "[{run}]"), "hooks.settings"),
        (lambda text: text.replace('"--system"', "[]"), "instructions_flag"),
        (lambda text: text.replace('["ONE", "TWO"]', '"ONE"'), "unset"),
        (lambda text: text.replace('"TWO"', "2"), "unset"),
        (lambda text: text.replace('"TWO"', '"T-WO"'), "T-WO"),
        (lambda text: text.replace("COLOUR", '"COL OUR"'), "COL OUR"),
        (lambda text: text.replace("'bl\"u$e`s'", "7"), "environment.COLOUR"),
        (lambda text: text.replace("[environment]\nCOLOUR", "environment"), "environment"),
        (lambda text: text.replace("'^it", "'^(it"), "ready"),
        (lambda text: text.replace('"install it"', '"install\\nit"'), "missing"),
        (lambda text: text.replace("[\"install it\", \"or do not\"]", "[]"), "missing"),
    ],
)  # fmt: skip
def test_a_profile_that_is_wrong_names_its_file_and_key(tmp_path: Path, change, key) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path, change(GOOD))
    with pytest.raises(InvalidInputError) as caught:
        agents.read(path)
    assert str(path) in str(caught.value)
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["command = [", "\x00", None])
def test_a_file_that_is_no_toml_or_not_there_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "x.toml" if text is None else write(tmp_path, text)
    with pytest.raises(InvalidInputError, match=re.escape(str(path))):
        agents.read(path)


def test_an_unknown_agent_or_role_is_said_with_those_that_exist() -> None:
    with pytest.raises(InvalidInputError, match="claude, shell"):
        agents.load("../claude")
    with pytest.raises(InvalidInputError, match="master, worker"):
        agents.instructions("boss")


@pytest.mark.parametrize("role", ["master", "worker"])
def test_instructions_hold_no_line_that_could_be_an_answer(role: str) -> None:
    # In words or with <id>: an agent may show them, and a reader must not take them for one.
    text = agents.instructions(role)
    marks = re.findall(r"\[(?:TASK|ACK|DONE|ERROR|WAIT|HELP)\]([^\n]{0,5})", text)
    assert all(after.startswith(" <id>") for after in marks)


def test_the_generated_file_is_current() -> None:
    made = generate.render(map(agents.load, agents.names()))
    assert generate.TARGET.read_text(encoding="utf-8") == made, (
        "run python -m swarmcomm.agents.generate"
    )


def test_bash_reads_what_python_reads_and_runs_nothing_of_it(tmp_path: Path) -> None:
    nasty = GOOD.replace("some agent", "$(touch boo) `touch boo` ' ; #")
    profile = agents.read(write(tmp_path, nasty))
    (tmp_path / "agents.sh").write_text(generate.render([profile]), encoding="utf-8")
    program = """set -eu; source ./agents.sh; agent_profile some-agent
      printf '%s\\n' "${agent_command[@]}" "$agent_ready" "${agent_options[@]}" \
        "${agent_environment[@]}" "${agent_unset[@]}" "$agent_instructions_flag" \
        "${agent_missing[@]}"
      ! agent_profile other"""
    done = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        *profile.command,
        profile.ready,
        *(f"{name}={value}" for name, value in profile.pane_options.items()),
        'COLOUR=bl"u$e`s',
        "ONE",
        "TWO",
        "--system",
        "install it",
        "or do not",
    ]
    assert not (tmp_path / "boo").exists()
    assert shlex.split((tmp_path / "agents.sh").read_text())
