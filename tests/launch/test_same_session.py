"""``run_claude_swarm.sh`` and ``swarmcomm up`` build the same session."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from swarmcomm import agents
from tests.conftest import ROOT, wait_for
from tests.launch.conftest import SESSION, Launcher, normalised

# Shows the input line of claude, so that nobody waits for it, and stays.
READY = "printf '❯\\302\\240'; exec cat"

# Writes down how it was started, then the same.
REPORT = f"""
{{ for word in "$@"; do printf '%s\\n' "<$word>"; done; pwd; env | sort; }} > "$0.report.$$"
mv "$0.report.$$" "$SWARM_WORKDIR/report$TMUX_PANE"
{READY}
"""


def reports(folder: Path) -> list[str]:
    found = wait_for(
        lambda: [*folder.glob("report%*")] if len([*folder.glob("report%*")]) == 4 else [],
        "four reports",
    )
    return [path.read_text(encoding="utf-8") for path in sorted(found)]


@pytest.mark.parametrize(
    "options",
    [["--agent", "shell"], ["--agent", "claude"], ["--command", "echo ready; exec cat ;"]],
    ids=["shell", "claude", "command"],
)
def test_windows_options_commands_and_environment_are_equal(
    both, program, tmp_path: Path, options: list[str]
) -> None:
    program("claude", READY)
    described = []
    for launcher in both:
        done = launcher(*options, "--workdir", str(tmp_path))
        assert (done.returncode, done.stderr) == (0, "")
        described.append(launcher.describe())
    assert described[0] == described[1]


@pytest.mark.parametrize("setting", ["inherited", "state"])
def test_the_programs_get_the_same_arguments_and_environment(
    both, program, tmp_path: Path, setting: str
) -> None:
    program("claude", REPORT)
    seen = []
    for launcher in both:
        folder = tmp_path / launcher.face
        folder.mkdir()
        # The server is started by the launcher, so it hands on what a parent left to us.
        extra = {"CLAUDECODE": "1", "CLAUDE_CODE_SSE_PORT": "4711", "CLAUDE_CODE_ENTRYPOINT": "cli"}
        extra["SWARM_SESSION_NAME"] = "master_project_web"
        if setting == "state":
            extra = {"SWARM_STATE_DIR": str(tmp_path / "state;"), "SWARM_TMUX": "tmux"}
        assert launcher(cwd=folder, **extra).returncode == 0
        found = [text.replace(str(folder), "FOLDER") for text in reports(folder)]
        seen.append([comparable(text, launcher.tmux.socket) for text in found])
        for role, text in zip(("master", *["worker"] * 3), found, strict=True):
            assert f"<--append-system-prompt>\n<{agents.instructions(role)}>\nFOLDER\n" in text
            assert "\nCLAUDE_CODE_DISABLE_ALTERNATE_SCREEN=1\n" in text
            assert "CLAUDECODE=" not in text
            assert "4711" not in text
            assert f"\nSWARM_SESSION={SESSION}\n" in text
            assert f"\nSWARM_SOCKET={launcher.tmux.socket}\n" in text
            assert "\nSWARM_WORKDIR=FOLDER\n" in text
            assert "\nSWARM_SESSION_NAME=\n" in text
            assert (f"SWARM_STATE_DIR={tmp_path}/state;\n" in text) == (setting == "state")
            path = next(line for line in text.splitlines() if line.startswith("PATH="))
            assert path.endswith(f":{ROOT}/scripts")
    assert seen[0] == seen[1]


def comparable(text: str, socket: str) -> list[str]:
    """Return the lines that do not tell which shell or server it was."""
    own = (
        "_=",
        "TMUX=",
        "TMUX_PANE=",
        "SHLVL=",
        "OLDPWD=",
        "PYTEST_CURRENT_TEST=",
        "LC_CTYPE=",
        "PS1=",
    )
    return [
        normalised(line.replace(socket, "SOCKET"))
        for line in text.splitlines()
        if not line.startswith(own)
    ]


def test_windows_are_as_session_conf_says(launcher: Launcher) -> None:
    assert launcher("--command", "exec cat").returncode == 0
    form = (
        "#{window_name} #{window_width}x#{window_height} #{history_limit} #{pane_current_command}"
    )
    names = ("master", "worker-0", "worker-1", "worker-2")
    assert launcher.windows(form) == [f"{name} 220x50 50000 cat" for name in names]
    assert launcher.windows("#{@swarm_role}") == ["master", "worker", "worker", "worker"]
    # No profile, so nobody may wait for an input line or an agent.
    assert launcher.windows("#{@swarm_agent}#{@swarm_ready}#{@swarm_pause}") == [""] * 4


def test_windows_carry_what_the_profile_says(launcher: Launcher) -> None:
    assert launcher("--agent", "shell").returncode == 0
    told = launcher.windows("#{@swarm_agent} #{@swarm_role} #{@swarm_pause} #{@swarm_ready}")
    assert told[:2] == ["shell master 0 ^swarm> *$", "shell worker 0 ^swarm> *$"]
    # It returns when the agents can take a task.
    for pane in launcher.windows("#{pane_id}"):
        assert "swarm>" in launcher.tmux.run("capture-pane", "-p", "-t", pane)


def hooks_of(report: str) -> dict[str, list[dict[str, list[dict[str, object]]]]]:
    text = re.search(r"^<--settings>\n<(.*)>$", report, re.MULTILINE)
    return json.loads(text[1])["hooks"] if text else {}


def test_claude_is_started_with_hooks(launcher: Launcher, program, tmp_path: Path) -> None:
    program("claude", REPORT)
    state = tmp_path / 'a "state" \\ &'
    witness = state / "witness"
    witness.mkdir(parents=True, mode=0o755)
    old, young, running, mine = (
        witness / name for name in ("999999-1.jsonl", "999998-1.jsonl", "1-1.jsonl", "notes.txt")
    )
    for file in (old, young, running, mine):
        file.touch()
        os.utime(file, (1, 1) if file != young else None)
    assert launcher(SWARM_STATE_DIR=str(state), SWARM_WORKDIR=str(tmp_path)).returncode == 0

    for report in reports(tmp_path):
        hooks = hooks_of(report)
        assert {"UserPromptSubmit", "Stop", "StopFailure", "PermissionRequest"} < hooks.keys()
        [entry] = hooks["Stop"][0]["hooks"]
        assert Path(str(entry["command"])).is_absolute()
        program_and_folder = [str(ROOT / "swarmcomm/frontends/hooks/witness.py"), str(witness)]
        assert entry["args"][-2:] == program_and_folder
        # Whatever becomes of the program, the agent sees status 0 and not a word.
        for folder in (str(witness), str(tmp_path / "gone")):
            words = [entry["command"], *entry["args"][:-1], folder]
            for at, word in ((-2, words[-2]), (-2, "/no/such/witness.py"), (-3, "/no/python")):
                words[at] = word
                done = subprocess.run(words, input=b"{}", capture_output=True, check=False)
                assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert set(launcher.windows("#{@swarm_witness}")) == {str(witness)}
    assert witness.stat().st_mode & 0o777 == 0o700
    # What a server left that is gone is removed, one day later.
    assert [file.exists() for file in (old, young, running, mine)] == [False, True, True, True]


@pytest.mark.parametrize("way", ["option", "variable", "folder", "pythonless"])
def test_it_starts_without_hooks_where_they_are_not_wanted_or_cannot_be(
    launcher: Launcher, program, tmp_path: Path, way: str
) -> None:
    program("claude", REPORT)
    extra = {"variable": {"SWARM_HOOKS": "0"}, "folder": {"SWARM_STATE_DIR": "/dev/null/x"}}
    if way == "pythonless" and launcher.face == "bash":
        program("python3", "exit 127")
    elif way == "pythonless":
        pytest.skip("Python is there where Python runs")
    options = ["--no-hooks"] if way == "option" else []
    done = launcher(*options, SWARM_WORKDIR=str(tmp_path), **extra.get(way, {}))
    assert (done.returncode, done.stderr) == (0, "")
    assert not any(hooks_of(report) for report in reports(tmp_path))
    assert set(launcher.windows("#{@swarm_witness}")) == {""}


def test_windows_are_chosen_by_swarm_windows(launcher: Launcher) -> None:
    assert launcher("--command", "cat", SWARM_WINDOWS="alone master").returncode == 0
    assert launcher.windows("#{window_name} #{@swarm_role}") == ["alone worker", "master master"]


def test_a_dead_agent_stays_visible(launcher: Launcher) -> None:
    launcher("--command", "echo last words; exec cat")
    pane = launcher.tmux.pane(SESSION, "worker-1")
    os.kill(int(launcher.tmux.run("display-message", "-p", "-t", pane, "#{pane_pid}")), 9)
    wait_for(
        lambda: launcher.tmux.run("display-message", "-p", "-t", pane, "#{pane_dead}") == "1\n",
        "a dead pane",
    )
    assert "last words" in launcher.tmux.run("capture-pane", "-p", "-S", "-", "-t", pane)
    assert len(launcher.windows("#{pane_id}")) == 4


@pytest.mark.parametrize("name", ["a b", "#{pid}", "##[x", "a#(echo x)", "end;", "$HOME'\"", "漢"])
def test_a_folder_of_any_name_is_worked_in(launcher: Launcher, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    done = launcher("--command", "pwd; exec cat", "-d", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert set(launcher.windows("#{pane_current_path}")) == {str(folder)}
    told = launcher.tmux.run("show-environment", "-t", f"={SESSION}", "SWARM_WORKDIR")
    assert told == f"SWARM_WORKDIR={folder}\n"


def test_a_user_s_settings_of_tmux_change_nothing(launcher: Launcher) -> None:
    Path(launcher.environ["HOME"], ".tmux.conf").write_text(
        "set -g destroy-unattached on\nset -g base-index 1\nset -g renumber-windows on\n"
        "set -g remain-on-exit off\nset -g window-size smallest\nset -g history-limit 10\n"
        "set -g automatic-rename on\nset -g default-command 'exit 1'\nset -g default-size 80x24\n",
        encoding="utf-8",
    )
    before = "destroy-unattached on"
    done = launcher("--command", "cat")
    assert (done.returncode, done.stderr) == (0, "")
    form = "#{window_index} #{window_name} #{window_width}x#{window_height} #{history_limit}"
    assert launcher.windows(form)[:2] == ["1 master 220x50 50000", "2 worker-0 220x50 50000"]
    # ... and we change none of them.
    assert before in launcher.tmux.run("show-options", "-g")
    assert "remain-on-exit off" in launcher.tmux.run("show-options", "-wg")


def test_another_session_on_the_server_is_left_alone(launcher: Launcher) -> None:
    tmux = launcher.tmux
    tmux.session("swarm-2", {"mine": "cat"})

    def look() -> list[str]:
        own = ("-t", "swarm-2")
        asked = [("show-options", "-g"), ("show-options", "-wg"), ("show-environment", "-g")]
        asked += [("show-options", *own), ("show-environment", *own), ("list-panes", "-s", *own)]
        return [tmux.run(*words) for words in asked]

    before = look()
    assert launcher("--command", "cat").returncode == 0
    assert look() == before
