"""The import table is checked, and the check has been seen red."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LINT = Path(sys.executable).with_name("lint-imports")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    # From the copy, not from where the package is installed.
    return subprocess.run(
        [str(LINT), "--no-cache"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its table."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "swarmcomm", tmp_path / "swarmcomm", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def test_the_package_keeps_the_table(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("protocol/__init__.py", "from swarmcomm import clock"),
        ("protocol/__init__.py", "import os"),
        ("agents/__init__.py", "import swarmcomm.tmux.server"),
        ("tmux/launch.py", "import swarmcomm.agents"),
        ("tmux/launch.py", "import time"),
        ("tmux/launch.py", "import click"),
        ("swarm/__init__.py", "import libtmux"),
        ("swarm/__init__.py", "import sqlite3"),
        ("store/__init__.py", "import swarmcomm.swarm"),
        ("store/__init__.py", "import swarmcomm.agents"),
        ("store/database.py", "import swarmcomm.tmux.server"),
        ("store/database.py", "import time"),
        ("store/__init__.py", "import swarmcomm.sessions"),
        ("swarm/__init__.py", "import swarmcomm.frontends.cli"),
        ("swarm/__init__.py", "import swarmcomm.sessions"),
        ("sessions/__init__.py", "import swarmcomm.frontends.cli"),
        ("sessions/__init__.py", "import sqlite3"),
        ("sessions/__init__.py", "import time"),
        ("sessions/__init__.py", "import click"),
        ("settings.py", "from swarmcomm import clock"),
        ("settings.py", "from swarmcomm import permissions"),
        ("permissions.py", "from swarmcomm.tmux import guard"),
    ],
)
def test_an_import_that_goes_upwards_is_found(copy: Path, module: str, line: str) -> None:
    path = copy / "swarmcomm" / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    done = lint(copy)
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout


def test_a_new_room_has_to_be_in_the_table(copy: Path) -> None:
    (copy / "swarmcomm" / "attic").mkdir()
    (copy / "swarmcomm" / "attic" / "__init__.py").write_text("import swarmcomm.errors\n")
    assert lint(copy).returncode == 1
