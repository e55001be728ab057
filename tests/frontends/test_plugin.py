"""``swarmcomm plugin path`` says where the plugin is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_folder_is_printed_and_has_the_plugin() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swarmcomm", "plugin", "path"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    folder = Path(done.stdout.removesuffix("\n"))
    assert folder.is_absolute()
    for part in (".claude-plugin/plugin.json", "hooks/hooks.json", ".mcp.json", "README.md"):
        assert (folder / part).is_file()


def test_the_command_of_its_hooks_imports_no_more_than_it_needs(environ: dict[str, str]) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("swarmcomm-hook"), "report"],
        env={**environ, "SWARM_SESSION_NAME": "child_web_task_3", "PYTHONPROFILEIMPORTTIME": "1"},
        input='{"hook_event_name": "SessionStart", "source": "startup"}',
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "child_web_task_3" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "swarmcomm.sessions" in imported
    assert not {"click", "rich", "libtmux", "mcp", "pydantic", "asyncio"} & imported
