"""``test.sh`` itself: each check that fails is named, the others go on, and the end is not 0."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

TOOLS = {
    "format": "ruff",
    "lint": "ruff",
    "types": "mypy",
    "layers": "lint-imports",
    "shellcheck": "shellcheck",
    "wheel": "python",
    "pytest": "pytest",
    "faults": "pytest",
    "claude": "pytest",
    "sessions": "pytest",
    "mcp": "pytest",
    "swarm": "pytest",
    "tmux": "pytest",
    "frontends": "pytest",
    "bats": "bats",
    "soak": "soak.sh",
}

# Every tool is this one: it fails where it is told to, and answers for the wheel.
TOOL = """#!/bin/sh
[ "$1" != -c ] || exit 0
around="$TMUX$SWARM_SESSION$PROJECT_ID$SESSION_ROLE$SPLITMIND_SESSION_LEVEL"
echo "$TMUX_TMPDIR|$around|$HOME" >>"$SEEN"
name="${0##*/}"
case "$name $1" in
  "ruff format") name=format ;;
  "ruff check") name=lint ;;
  "python -m") name=wheel ;;
  "pytest tests/faults") name=faults ;;
  "pytest tests/agents") name=claude ;;
  "pytest tests/agents/"*) name=sessions ;;
  "pytest tests/frontends/"*) name=mcp ;;
  "pytest tests/swarm") name=swarm ;;
  "pytest tests/tmux") name=tmux ;;
  "pytest tests/frontends") name=frontends ;;
  soak.sh*) name=soak ;;
  mypy*) name=types ;;
  lint-imports*) name=layers ;;
esac
cat >/dev/null
echo "this is $name"
case "$FAILING" in *"$name"*) exit 3 ;; esac
"""


#: What a window of ours would tell the checks.
AROUND = {
    "TMUX": "/nowhere,1,0",
    "SWARM_SESSION": "mine",
    "PROJECT_ID": "web",
    "SESSION_ROLE": "master",
    "SPLITMIND_SESSION_LEVEL": "1",
}


def run_checks(folder: Path, environ: dict[str, str], failing: str) -> tuple[int, str, list[str]]:
    (folder / "scripts").mkdir()
    (folder / ".venv" / "bin").mkdir(parents=True)
    text = (ROOT / "scripts" / "test.sh").read_text()
    # The wheel's steps are of no matter here, only that its failure is told.
    head, rest = text.split("wheel_check() (\n", 1)
    body = "wheel_check() (\n  python -m build\n)\n" + rest.split("\n)\n", 1)[1]
    (folder / "scripts" / "test.sh").write_text(head + body)
    (folder / "scripts" / "setup.sh").write_text("exit 0\n")
    for tool in set(TOOLS.values()):
        path = folder / ("scripts" if tool == "soak.sh" else ".venv/bin") / tool
        path.write_text(TOOL)
        path.chmod(0o755)
    seen = folder / "seen"
    named = {"FAILING": failing, "SEEN": str(seen)}
    done = subprocess.run(
        ["bash", str(folder / "scripts" / "test.sh")],
        env={**environ, **named, **AROUND},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, seen.read_text().splitlines()


@pytest.mark.parametrize("failing", ["", *TOOLS, "types pytest"])
def test_a_failing_check_is_named_and_the_others_go_on(
    tmp_path: Path, environ: dict[str, str], failing: str
) -> None:
    status, said, seen = run_checks(tmp_path, environ, failing)
    assert status == (1 if failing else 0), said
    lines = said.splitlines()
    for check in TOOLS:
        state = "FAILED" if check in failing.split() else "ok"
        assert any(line.split()[:3] == ["test:", check, state] for line in lines), said
    if failing:
        assert sorted(lines[-1].split(":")[-1].split()) == sorted(failing.split())
        # What it printed is shown.
        assert f"this is {failing.split()[0]}" in lines
    else:
        assert "all checks passed" in lines[-1]
    assert len(seen) == len(TOOLS)


def test_checks_see_neither_the_user_s_tmux_nor_a_swarm_around_them(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    _, _, seen = run_checks(tmp_path, {**environ, "TMUX_TMPDIR": "/the/user's"}, "")
    for line in seen:
        sockets, around, home = line.split("|")
        assert around == ""
        assert sockets != "/the/user's"
        # What was made for the checks is gone.
        assert not Path(sockets).exists()
        assert home
