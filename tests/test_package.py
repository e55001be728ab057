"""What a user of the package meets first: names, types, cost, and a project that stands alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import swarmcomm
from tests.conftest import ROOT

FRONT_DOOR_LIMIT = 12


def test_the_front_door_is_small_and_every_name_is_documented() -> None:
    assert len(swarmcomm.__all__) <= FRONT_DOOR_LIMIT
    assert [n for n in swarmcomm.__all__ if not getattr(swarmcomm, n).__doc__] == []
    assert {"Swarm", "Window", "Task", "Marker", "Answer", "Event"} <= set(swarmcomm.__all__)


def test_the_package_is_typed() -> None:
    assert Path(swarmcomm.__file__).with_name("py.typed").exists()


def loaded_by(*words: str) -> set[str]:
    """Return the names of the modules that Python loads for *words*."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return {line.split("|")[-1].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize("words", [["-c", "import swarmcomm"], ["-m", "swarmcomm", "--help"]])
def test_heavy_modules_are_not_imported_before_they_are_needed(words: list[str]) -> None:
    loaded = loaded_by(*words)
    assert "swarmcomm" in loaded or "swarmcomm.errors" in loaded
    heavy = ("libtmux", "rich", "mcp", "pydantic", "anyio")
    assert {name for name in loaded if name.split(".")[0] in heavy} == set()


def test_what_every_command_needs_loads_no_openssl() -> None:
    loaded = loaded_by("-c", "from swarmcomm import Swarm; Swarm")
    assert "swarmcomm.tmux.client" in loaded
    assert "_hashlib" not in loaded


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_nothing_points_at_a_machine() -> None:
    # Homes, and hosts of package indexes, are different for everybody.
    wrong = re.compile(r"/home/(?!u\b|me\b|user)\w+|/Users/\w|/root/|index-url|--find-links")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in tracked()
        if path.name != Path(__file__).name and "vectors" not in path.parts
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if wrong.search(line)
    ]
    assert found == []


def test_links_of_the_readmes_lead_somewhere() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        assert links
        assert [link for link in links if not (ROOT / link).exists()] == []


def test_both_launchers_and_the_wheel_share_their_data() -> None:
    here = Path(swarmcomm.__file__).parent
    for name in ("session.conf", "agents/agents.sh", "agents/worker.md", "agents/master.md"):
        assert (here / name).is_file()


def test_the_version_is_said_by_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swarmcomm", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert swarmcomm.__version__ in done.stdout
