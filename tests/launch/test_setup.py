"""``setup.sh`` in rooms of its own: what it would install, and what it says where it must not."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

NEEDED = "bash sed cat cksum rm mkdir chmod printf uname env sh touch ps"

# A Python of which only the words matter; VENV says whether it can make environments.
PYTHON = """#!/bin/sh
echo "python $*" >>"$LOG"
case "$*" in
  *version_info*) [ -n "$PYTHON_OLD" ] && exit 1; echo python3.12 ;;
  *ensurepip*) [ -e "$ROOM/venv-works" ] ;;
  "-V") echo "Python 3.12.0" ;;
  "-m venv"*) mkdir -p "$4/bin" && cat "$0" >"$4/bin/python" && chmod +x "$4/bin/python" ;;
  *) [ -z "$PIP_FAILS" ] ;;
esac
"""

# Installs by putting programs into the room.
APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$LOG"
[ -z "$APT_FAILS" ] || exit 100
for word in "$@"; do
  case "$word" in
    tmux) printf '#!/bin/sh\\necho tmux 3.3a\\n' >"$ROOM/tmux"; chmod +x "$ROOM/tmux" ;;
    python3-venv) touch "$ROOM/venv-works" ;;
    bats|shellcheck|gawk|npm|busybox|original-awk|git)
      printf '#!/bin/sh\\n' >"$ROOM/$word"; chmod +x "$ROOM/$word" ;;
  esac
done
"""


@dataclass
class Room:
    """A project of its own and a PATH on which only what a test put there can be found."""

    project: Path
    programs: Path
    log: Path

    def put(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def setup(self, *options: str, **extra: str) -> subprocess.CompletedProcess[str]:
        named = {"PATH": str(self.programs), "LOG": str(self.log), "ROOM": str(self.programs)}
        return subprocess.run(
            [str(self.programs / "bash"), str(self.project / "scripts" / "setup.sh"), *options],
            env={**named, **extra},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def logged(self, program: str) -> list[str]:
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith(program)]


@pytest.fixture
def room(tmp_path: Path, environ: dict[str, str]) -> Room:
    """A fresh Linux machine as root: Python without venv, apt-get, no tmux."""
    made = Room(tmp_path / "a project", tmp_path / "programs", tmp_path / "log")
    (made.project / "scripts").mkdir(parents=True)
    made.programs.mkdir()
    for name in NEEDED.split():
        found = (Path(part, name) for part in environ["PATH"].split(":"))
        (made.programs / name).symlink_to(next(path for path in found if path.is_file()))
    (made.project / "scripts" / "setup.sh").write_text((ROOT / "scripts" / "setup.sh").read_text())
    (made.project / "pyproject.toml").write_text("[project]\n")
    made.put("python3", PYTHON)
    made.put("apt-get", APT_GET)
    made.put("dirname", '#!/bin/sh\necho "${1%/*}"\n')
    made.put("id", "#!/bin/sh\necho 0\n")
    return made


def test_a_fresh_machine_is_made_ready_and_the_second_run_does_nothing(room: Room) -> None:
    done = room.setup()
    assert (done.returncode, done.stderr) == (0, "")
    assert room.logged("apt-get")[-1].endswith("tmux python3-venv")
    # It says what it will do.
    assert "installing the system packages tmux python3-venv" in done.stdout
    assert "making .venv" in done.stdout
    assert any("pip install" in line and "a project" in line for line in room.logged("python"))
    before = room.log.read_text()
    again = room.setup()
    assert (again.returncode, again.stdout) == (0, "")
    assert room.log.read_text() == before


def test_dev_installs_what_the_checks_need(room: Room) -> None:
    assert room.setup("--dev").returncode == 0
    installed = room.logged("apt-get")[-1]
    assert installed.endswith("tmux bats npm shellcheck gawk git busybox original-awk python3-venv")
    assert any("[dev]" in line for line in room.logged("python"))
    # What is there for the checks is more than enough to run.
    assert room.setup().stdout == ""


def test_mcp_adds_the_server_and_nothing_of_it_is_taken_away_again(room: Room) -> None:
    assert room.setup().returncode == 0
    assert room.setup("--mcp").returncode == 0
    assert room.logged("python")[-1].endswith("a project[mcp]")
    for less in ("", "--mcp"):
        assert room.setup(*less.split()).stdout == ""
    assert "installing swarmcomm[dev]" in room.setup("--dev").stdout
    for less in ("", "--mcp", "--dev"):
        assert room.setup(*less.split()).stdout == ""
    (room.project / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert "installing swarmcomm[dev]" in room.setup("--mcp").stdout


def test_a_changed_project_file_is_installed_again_in_the_same_environment(room: Room) -> None:
    room.setup("--dev")
    made = len(room.logged("python -m venv"))
    (room.project / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert room.setup().returncode == 0
    assert len(room.logged("python -m venv")) == made
    assert "[dev]" in room.logged("python")[-1]


def test_an_environment_that_was_never_finished_is_made_anew(room: Room) -> None:
    done = room.setup(PIP_FAILS="1")
    assert done.returncode == 7
    assert "pip could not install" in done.stderr
    assert room.setup().returncode == 0
    assert len(room.logged("python -m venv")) == 2


@pytest.mark.parametrize("why", ["no-install", "no-sudo", "sudo-asks", "apt-fails", "no-apt"])
def test_where_it_must_not_install_it_says_what_to_type(room: Room, why: str) -> None:
    extra = {}
    if why == "no-install":
        extra["SWARM_NO_INSTALL"] = "1"
    elif why == "apt-fails":
        extra["APT_FAILS"] = "1"
    elif why == "no-apt":
        (room.programs / "apt-get").unlink()
    else:
        room.put("id", "#!/bin/sh\necho 1000\n")
    if why == "sudo-asks":
        room.put("sudo", "#!/bin/sh\nexit 1\n")
    done = room.setup(**extra)
    assert done.returncode == 7
    assert "sudo apt-get update && sudo apt-get install tmux python3-venv" in done.stderr
    assert "brew install tmux python" in done.stderr
    assert not (room.project / ".venv").exists()
    if why != "apt-fails":
        assert room.logged("apt-get") == []


def test_sudo_without_a_password_is_used(room: Room) -> None:
    room.put("id", "#!/bin/sh\necho 1000\n")
    room.put("sudo", '#!/bin/sh\necho "sudo $*" >>"$LOG"\n[ "$1" = -n ] && shift\n"$@"\n')
    assert room.setup().returncode == 0
    assert any("apt-get" in line for line in room.logged("sudo"))


def test_no_python_that_is_new_enough_is_said(room: Room) -> None:
    done = room.setup(PYTHON_OLD="1")
    assert done.returncode == 7
    assert "Python 3.11" in done.stderr


def test_an_old_tmux_counts_as_none(room: Room) -> None:
    room.put("tmux", "#!/bin/sh\necho tmux 3.1c\n")
    assert room.setup().returncode == 0
    assert " tmux " in room.logged("apt-get")[-1] + " "


def test_an_unknown_option_is_status_2(room: Room) -> None:
    assert room.setup("--all").returncode == 2


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_an_environment_that_others_made_is_left_alone(room: Room, kind: str) -> None:
    theirs = room.project / ".venv"
    if kind == "link":
        other = room.project / "other"
        other.mkdir()
        theirs.symlink_to(other)
    else:
        theirs.mkdir()
    (theirs / "precious").write_text("x")
    done = room.setup()
    assert done.returncode == 7
    assert "was not made by this script" in done.stderr
    assert (theirs / "precious").exists()
