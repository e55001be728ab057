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
