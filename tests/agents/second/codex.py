"""A second real agent, which is known by its profile only: ``codex``, with its API."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.agents import cli
from tests.agents.rig import Rig, start_tmux

HERE = Path(__file__).parent
PROFILE = HERE / "codex.toml"
VERSION = "0.169.0"
API_KEY = "sk-of-the-tests"


def platform_package() -> str:
    """Return the npm package that holds the program for this machine, with its version."""
    return f"@openai/codex@{VERSION}-{sys.platform}-{cli.CPU[platform.machine().lower()]}"


def fetch() -> Path:
    """Return the folder that holds ``codex``, fetched on the first call; for a PATH."""
    return cli.fetch_program(platform_package(), "codex", "vendor/*/bin/codex", VERSION)


def environment(home: Path, port: int, programs: Path) -> dict[str, str]:
    """Return the whole environment of codex, and write its settings into *home*."""
    quoted = json.dumps
    (home / ".codex").mkdir(parents=True, exist_ok=True)
    (home / ".codex" / "config.toml").write_text(
        'model = "stand-in"\n'
        'model_provider = "stand-in"\n'
        "check_for_update_on_startup = false\n"
        "[analytics]\nenabled = false\n"
        "[model_providers.stand-in]\n"
        'name = "stand-in"\n'
        f'base_url = "http://127.0.0.1:{port}/v1"\n'
        'env_key = "STAND_IN_KEY"\n'
        'wire_api = "responses"\n'
        f'[projects.{quoted(str(home.parent / "work"))}]\ntrust_level = "trusted"\n'
    )
    return {
        **cli.alone(home, programs),
        "STAND_IN_KEY": API_KEY,
        "XDG_CONFIG_HOME": os.fspath(home / ".config"),
    }


class CodexRig(Rig):
    """What differs in codex for a person who looks at it."""

    DIALOG = r"^  Would you like to run the following command\?"
    CLOSED = "Conversation interrupted"

    def is_ready(self, window: str) -> bool:
        return self.visible(window).count("\n  Ready ") == 1

    def make_manual(self, window: str) -> None:
        """Do nothing: its stand-in asks about every command."""
        self.wait_ready(window)


@contextmanager
def start_codex(folder: Path, windows: str) -> Iterator[Rig]:
    """Yield a swarm of codex."""
    home, programs = folder / "home", fetch()
    stand_in = HERE / "responses.py"
    with start_tmux(
        folder, stand_in, lambda port: environment(home, port, programs), CodexRig
    ) as rig:
        rig.launch("--agent-file", str(PROFILE), windows=windows)
        yield rig
