"""What cannot be started is said in the promised way, and nothing is left behind."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tmux, wait_for
from tests.launch.conftest import SESSION, Launcher


@pytest.fixture
def without_claude(environ: dict[str, str], tmp_path: Path) -> None:
    """Only the programs that a launcher needs are on the PATH."""
    folder = tmp_path / "few"
    folder.mkdir()
    wanted = ["bash", "env", "tmux", "sleep", "sed", "tr", "sort", "uniq", "dirname", "cat", "sh"]
    for name in wanted:
        found = next(
            Path(part, name) for part in environ["PATH"].split(":") if Path(part, name).is_file()
        )
        (folder / name).symlink_to(found)
    environ["PATH"] = str(folder)


@pytest.mark.usefixtures("without_claude")
def test_a_missing_claude_is_said_in_two_lines(launcher: Launcher) -> None:
    done = launcher()
    assert done.returncode == 7
    assert len(done.stderr.splitlines()) == (2 if launcher.face == "bash" else 1)
    assert "npm install" in done.stderr
    assert "--agent shell" in done.stderr
    assert "--demo" in done.stderr
    assert launcher.sessions() == []


@pytest.mark.parametrize(
    "options",
    [
        ["--session", "a.b"],
        ["--session", "a:b"],
        ["--session", "a b"],
        ["--workdir", "/does/not/exist"],
        ["--workdir", "/etc/passwd"],
        ["--agent", "nobody"],
        ["--agent", "../agents/shell"],
        ["--agent", "shell", "--command", "cat"],
        ["--unknown"],
        ["--command"],
        ["word"],
    ],
)
def test_bad_input_is_one_line_and_status_2(launcher: Launcher, options: list[str]) -> None:
    done = launcher(*options)
    assert done.returncode == 2
    assert done.stdout == ""
    assert launcher.sessions() == []


@pytest.mark.parametrize("windows", ["a.b", "master master", "-x #(touch x)"])
def test_names_of_windows_are_checked(launcher: Launcher, windows: str) -> None:
    assert launcher("--command", "cat", SWARM_WINDOWS=windows).returncode == 2
    assert launcher.sessions() == []


def test_a_session_that_is_there_is_left_as_it_is(launcher: Launcher) -> None:
    launcher.tmux.session(SESSION, {"mine": "cat"})
    done = launcher("--agent", "shell")
    assert done.returncode == 5
    assert SESSION in done.stderr
    assert launcher.windows("#{window_name}") == ["mine"]


def test_the_message_has_both_commands(tmux: Tmux, environ: dict[str, str]) -> None:
    tmux.session(SESSION, {"mine": "cat"})
    done = Launcher("bash", tmux, environ)("--command", "cat")
    assert f"tmux -L {tmux.socket} attach -t '={SESSION}'" in done.stderr
    assert f"tmux -L {tmux.socket} kill-session -t '={SESSION}'" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_longer_name_is_another_session(launcher: Launcher) -> None:
    launcher.tmux.session(f"{SESSION}-2", {"mine": "cat"})
    assert launcher("--command", "cat").returncode == 0
    assert sorted(launcher.sessions()) == [SESSION, f"{SESSION}-2"]


def test_of_two_at_once_one_is_refused(launcher: Launcher) -> None:
    launcher.tmux.session("other", {"mine": "cat"})
    started = [
        subprocess.Popen(
            launcher.argv("--command", "cat"),
            env=launcher.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    assert sorted(process.wait(timeout=60) for process in started) == [0, 5]
    assert len(launcher.windows("#{window_name}")) == 4


@pytest.mark.parametrize("step", ["history-limit", "worker-1", "@swarm_role worker"])
def test_a_half_made_session_is_ended(
    launcher: Launcher, program, tmp_path: Path, step: str
) -> None:
    # At that step tmux gets a command that it does not know in place of its own.
    real = tmp_path / "real"
    real.symlink_to(
        next(
            Path(part, "tmux")
            for part in launcher.environ["PATH"].split(":")
            if Path(part, "tmux").is_file()
        )
    )
    shim = program(
        "tmux-shim",
        f"""case "$*" in
          *kill-session*) ;;
          *"new-session"*"{step}"*) {real} "$@" ';' no-such-command ; exit ;;
          *"{step}"*) echo "no such thing" >&2; exit 1 ;;
        esac
        exec {real} "$@\"""",
    )
    launcher.tmux.session("other", {"mine": "cat"})
    # tmux refuses a list with an unknown command as a whole; one that fails later leaves a session.
    text = shim.read_text().replace("no-such-command", "kill-session -t nobody")
    shim.write_text(text)
    done = launcher("--command", "cat", SWARM_TMUX=str(shim))
    assert done.returncode == 3
    assert done.stderr
    assert launcher.sessions() == ["other"]


def test_an_agent_that_ends_at_once_is_said_and_stays_visible(launcher: Launcher) -> None:
    done = launcher("--command", "echo cannot start; exit 9")
    assert done.returncode == 3
    assert "worker-2" in done.stderr
    assert "status 9" in done.stderr
    assert "cannot start" in done.stderr
    assert launcher.windows("#{pane_dead}") == ["1"] * 4


@pytest.mark.parametrize("version", ["tmux 3.1c", "tmux 2.9"])
def test_an_old_tmux_is_named(launcher: Launcher, program, version: str) -> None:
    shim = program("old-tmux", f"echo '{version}'")
    done = launcher("--command", "cat", SWARM_TMUX=str(shim))
    assert done.returncode == 7
    assert "3.2" in done.stderr


def test_no_tmux_is_named(launcher: Launcher) -> None:
    done = launcher("--command", "cat", SWARM_TMUX="no-such-tmux")
    assert done.returncode == 7
    assert "no-such-tmux" in done.stderr


def test_attaching_without_a_terminal_is_refused_before_anything_is_made(
    tmux: Tmux, environ: dict[str, str]
) -> None:
    done = Launcher("bash", tmux, environ)("--attach", "--command", "cat")
    assert done.returncode == 2
    assert "terminal" in done.stderr


def test_the_help_names_every_option(tmux: Tmux, environ: dict[str, str]) -> None:
    done = Launcher("bash", tmux, environ)("--help")
    assert done.returncode == 0
    words = "--attach --no-attach --workdir -d --session --agent --command --demo SWARM_SOCKET"
    assert [word for word in words.split() if word not in done.stdout] == []


@pytest.mark.parametrize("there", [False, True])
def test_it_attaches_on_a_terminal(tmux: Tmux, environ: dict[str, str], there: bool) -> None:
    if there:
        tmux.session(SESSION, {"mine": "cat"})
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(ROOT / "run_claude_swarm.sh"), "--command", "cat"],
        env={**Launcher("bash", tmux, environ).environment(), "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        wait_for(lambda: tmux.run("list-clients", "-F", "#{client_session}", check=False), "client")
        width = tmux.run("list-windows", "-t", f"={SESSION}", "-F", "#{window_width}").split()
        assert there or width == ["220"] * 4
        tmux.run("kill-session", "-t", f"={SESSION}")
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_windows_that_are_named_by_blanks_are_none(tmux: Tmux, environ: dict[str, str]) -> None:
    done = Launcher("bash", tmux, environ)("--command", "cat", SWARM_WINDOWS=" \t ")
    assert done.returncode == 2
    assert "SWARM_WINDOWS is blank" in done.stderr


def test_no_home_is_needed(tmux: Tmux, environ: dict[str, str]) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME"):
        environ.pop(name, None)
    done = Launcher("bash", tmux, environ)("--agent", "nobody")
    assert done.returncode == 2
    assert "no agent 'nobody'" in done.stderr


def test_a_symlink_and_a_path_of_folders_are_followed(
    tmux: Tmux, environ: dict[str, str], tmp_path: Path
) -> None:
    for folder in ("links", "elsewhere/work", "here/work"):
        (tmp_path / folder).mkdir(parents=True)
    real = ROOT / "run_claude_swarm.sh"
    (tmp_path / "links" / "one").symlink_to(real)
    (tmp_path / "two").symlink_to("links/one")
    environ["CDPATH"] = str(tmp_path / "elsewhere")
    started = subprocess.run(
        ["../two", "--no-attach", "--command", "cat", "--workdir", "work"],
        cwd=tmp_path / "here",
        env=Launcher("bash", tmux, environ).environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    where = tmux.run("list-panes", "-s", "-t", f"={SESSION}:", "-F", "#{pane_current_path}")
    assert set(where.split()) == {str(tmp_path / "here" / "work")}


def test_a_session_that_goes_while_its_agents_start_is_said(
    tmux: Tmux, environ: dict[str, str]
) -> None:
    tmux.session("other", {"mine": "cat"})
    kill = f"tmux -L {tmux.socket} kill-session -t ={SESSION}"
    done = Launcher("bash", tmux, environ)("--command", f"sleep 0.3; {kill}")
    assert done.returncode == 3
    assert "ended while its agents started" in done.stderr
