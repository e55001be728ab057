"""Both launchers behind one call, each on a private server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tmux

SESSION = "swarm"


@dataclass
class Launcher:
    """Starts swarms through *face*, ``bash`` or ``python``."""

    face: str
    tmux: Tmux
    environ: dict[str, str] = field(default_factory=dict)

    def argv(self, *options: str) -> list[str]:
        if self.face == "bash":
            return [str(ROOT / "run_claude_swarm.sh"), "--no-attach", *options]
        return [sys.executable, "-m", "swarmcomm", "up", *options]

    def environment(self, **extra: str) -> dict[str, str]:
        named = {"SWARM_SOCKET": self.tmux.socket, "SWARM_SESSION": SESSION}
        return {**self.environ, **named, **extra}

    def __call__(
        self, *options: str, cwd: Path | None = None, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*options),
            env=self.environment(**extra),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def sessions(self) -> list[str]:
        return self.tmux.run("list-sessions", "-F", "#{session_name}", check=False).split()

    def windows(self, form: str, session: str = SESSION) -> list[str]:
        return self.tmux.run("list-panes", "-s", "-t", f"={session}", "-F", form).splitlines()

    def describe(self) -> dict[str, list[str]]:
        """Everything of the session that a launcher decides."""
        run = self.tmux.run
        panes = self.windows("#{pane_id}")
        told = {
            "windows": self.windows(
                "#{window_index} #{window_name} #{window_active} #{window_width}x#{window_height}"
                " #{history_limit} #{pane_dead} #{pane_current_path} #{pane_start_command}"
            ),
            "session options": run("show-options", "-t", f"={SESSION}:").splitlines(),
            "environment": run("show-environment", "-t", f"={SESSION}").splitlines(),
        }
        for number, pane in enumerate(panes):
            told[f"window options {number}"] = run("show-options", "-wt", pane).splitlines()
            told[f"pane options {number}"] = run("show-options", "-pt", pane).splitlines()
        return {key: sorted(map(normalised, lines)) for key, lines in told.items()}


def normalised(line: str) -> str:
    """Return *line* without what differs from run to run: the Python and the socket."""
    # bash takes the python3 of the PATH for the hooks.
    line = re.sub(r'/[^" \\]*/python[0-9.]*\b', "PYTHON", line)
    return re.sub(r"swarmtest-\w+", "SOCKET", line)


@pytest.fixture(params=["bash", "python"])
def launcher(request: pytest.FixtureRequest, tmux: Tmux, environ: dict[str, str]) -> Launcher:
    """Each launcher in turn."""
    return Launcher(request.param, tmux, environ)


@pytest.fixture
def both(environ: dict[str, str]) -> Iterator[list[Launcher]]:
    """Both launchers, each with a server of its own."""
    made = [Launcher(face, Tmux(environ), environ) for face in ("bash", "python")]
    yield made
    for launcher in made:
        launcher.tmux.run("kill-server", check=False)


@pytest.fixture
def program(tmp_path: Path, environ: dict[str, str]) -> Callable[[str, str], Path]:
    """Put a program of a name and a shell text on the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    environ["PATH"] = f"{folder}:{environ['PATH']}"

    def put(name: str, text: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return put
