"""What the doctor says of a swarm, and of a profile that it tries in a window."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tmux

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_good_profile_is_all_ok(swarmcomm: Run) -> None:
    done = swarmcomm("doctor", "--agent", "shell")
    assert done.returncode == 0, done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ok"] * 6
    assert "an empty box is seen: 'swarm>'" in done.stdout
    assert "C-u takes it back" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("^swarm> *$", "^other> *$", "at its cursor stands 'swarm>'"),
        ("column = 7", "column = 3", "not ready"),
        ('ready = "^swarm> *$"', "", "no pattern"),
    ],
)
def test_a_profile_that_does_not_fit_is_told_with_what_was_seen(
    swarmcomm: Run, tmp_path: Path, old: str, new: str, said: str
) -> None:
    ours = (ROOT / "swarmcomm" / "agents" / "shell.toml").read_text()
    assert old in ours
    mine = tmp_path / "mine.toml"
    mine.write_text(ours.replace(old, new))
    done = swarmcomm("doctor", "--agent-file", str(mine), timeout=90)
    assert done.returncode == 5
    last = done.stdout.splitlines()[-1]
    assert last.startswith("WRONG")
    assert said in last


def test_an_agent_that_is_not_installed_is_told_how(swarmcomm: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('command = ["no-such-agent"]\nmissing = ["get it there"]\npause_ms = 0\n')
    done = swarmcomm("doctor", "--agent-file", str(mine))
    assert done.returncode == 7
    assert "WRONG  get it there" in done.stdout


def test_a_swarm_is_told_window_by_window(tmux: Tmux, swarmcomm: Run) -> None:
    assert swarmcomm("doctor").returncode == 3
    tmux.session("s", {"worker-0": "cat", "worker-1": "cat"})
    tmux.run("set", "-w", "-t", "=s:worker-1", "remain-on-exit", "on")
    done = swarmcomm("doctor")
    assert done.returncode == 0
    assert "session s: worker-0 worker-1" in done.stdout
