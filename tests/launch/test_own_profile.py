"""A new agent is one TOML file and no code, for both launchers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.launch.conftest import Launcher

PROFILE = """
command = ["sh", "-c", "echo ready; printf '> '; exec cat"]
missing = ["install a shell"]
pause_ms = 0
ready = '^> *$'
column = 2
"""


@pytest.mark.parametrize("way", ["folder", "file"])
def test_an_agent_of_ones_own_is_started_from_its_file(
    launcher: Launcher, tmp_path: Path, way: str
) -> None:
    if way == "folder":
        file = Path(launcher.environ["HOME"]) / ".config" / "swarmcomm" / "agents" / "mine.toml"
        options = ["--agent", "mine"]
    else:
        file = tmp_path / "a folder" / "mine.toml"
        options = ["--agent-file", str(file)]
    file.parent.mkdir(parents=True)
    file.write_text(PROFILE)
    done = launcher(*options)
    assert done.returncode == 0, done.stderr
    told = launcher.windows("#{@swarm_agent}|#{@swarm_ready}|#{@swarm_profile}")
    assert set(told) == {f"mine|^> *$|{file}"}


def test_a_broken_profile_names_file_line_and_key(launcher: Launcher, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(PROFILE + "colour = 1\n")
    done = launcher("--agent-file", str(file))
    assert done.returncode == 2
    assert f"{file}:7: colour is no key of a profile" in done.stderr
    assert launcher.sessions() == []
