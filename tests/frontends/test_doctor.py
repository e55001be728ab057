"""What the doctor says of a swarm, and of a profile that it tries in a window."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conftest import ROOT, Tmux

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_good_profile_is_all_ok(swarmcomm: Run) -> None:
    done = swarmcomm("doctor", "--agent", "shell")
    assert done.returncode == 0, done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ok"] * 6
    assert "an empty box is seen: 'swarm>'" in done.stdout
    assert "C-u takes it back" in done.stdout


def test_a_profile_that_does_not_fit_is_told_with_what_was_seen(
    swarmcomm: Run, tmp_path: Path
) -> None:
    """Three at once, since two of them wait their whole time for a window that is never ready."""
    ours = (ROOT / "swarmcomm" / "agents" / "shell.toml").read_text()
    wrong = {
        "at its cursor stands 'swarm>'": ("^swarm> *$", "^other> *$"),
        "not ready": ("column = 7", "column = 3"),
        "no pattern": ('ready = "^swarm> *$"', ""),
    }

    def doctor(said: str) -> subprocess.CompletedProcess[str]:
        old, new = wrong[said]
        assert old in ours
        mine = tmp_path / said / "mine.toml"
        mine.parent.mkdir()
        mine.write_text(ours.replace(old, new))
        return swarmcomm("doctor", "--agent-file", str(mine), timeout=90)

    with ThreadPoolExecutor() as pool:
        told = dict(zip(wrong, pool.map(doctor, wrong), strict=True))
    for said, done in told.items():
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
    alone = swarmcomm("doctor")
    assert alone.returncode == 3
    assert alone.stdout.splitlines()[-1].startswith("WRONG  no session s")
    tmux.session("s", {"worker-0": "cat", "worker-1": "cat"})
    tmux.run("set", "-w", "-t", "=s:worker-1", "remain-on-exit", "on")
    done = swarmcomm("doctor")
    assert done.returncode == 0
    assert "session s: worker-0 worker-1" in done.stdout


def lines(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the findings, each with what stands before it."""
    return {line[7:]: line[:7].strip() for line in done.stdout.splitlines()}


def begins(found: dict[str, str], start: str) -> tuple[str, str]:
    """Return the one finding that begins so, what stands before it first."""
    ((text, head),) = [each for each in found.items() if each[0].startswith(start)]
    return head, text


def test_the_chain_is_told_link_by_link(tmux: Tmux, swarmcomm: Run, tmp_path: Path) -> None:
    tmux.session("s", {"worker-0": "cat"})
    place = {"SWARM_STATE_DIR": str(tmp_path / "state"), "SWARM_WORKDIR": str(tmp_path)}
    found = lines(swarmcomm("doctor", **place))
    assert begins(found, "tmux ")[0] == "ok"
    assert begins(found, "store ") == (
        "ok",
        f"store {tmp_path}/state/events.db: made when something is stored",
    )
    assert not (tmp_path / "state").exists()
    head, text = begins(found, "MCP server session-coordinator answers with 10 tools in ")
    assert (head, text.endswith(" s")) == ("ok", True)
    head, text = begins(found, "claude is not told of session-coordinator")
    assert (head, "claude mcp add session-coordinator" in text) == ("note", True)
    assert begins(found, "session s: worker-0")[0] == "ok"

    names = ("master_project_web", "child_web_task_3")
    assert swarmcomm("register", *names, **place).returncode == 0
    (tmp_path / ".mcp.json").write_text(
        json.dumps({"mcpServers": {"session-coordinator": {"command": sys.executable}}})
    )
    done = swarmcomm("doctor", SWARM_SESSION_NAME=names[1], **place)
    assert done.returncode == 0
    assert begins(lines(done), "store ")[1].endswith("2 events so far")
    assert begins(lines(done), "this is session child_web_task_3: UNKNOWN, 0 unread")[0] == "ok"
    assert begins(lines(done), f"{tmp_path}/.mcp.json names session-coordinator")[0] == "ok"


def test_a_broken_link_is_told_and_the_others_as_well(
    tmux: Tmux, swarmcomm: Run, tmp_path: Path
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    (tmp_path / "mcp").mkdir()
    (tmp_path / "mcp" / "__init__.py").write_text("raise ModuleNotFoundError(name='mcp')")
    (tmp_path / "state").write_text("")
    (tmp_path / ".mcp.json").write_text(
        json.dumps({"mcpServers": {"session-coordinator": {"command": "/no/such/swarmcomm"}}})
    )
    done = swarmcomm(
        "doctor",
        SWARM_STATE_DIR=str(tmp_path / "state"),
        SWARM_WORKDIR=str(tmp_path),
        SWARM_SESSION_NAME="child_web_task_3",
        PYTHONPATH=f"{tmp_path}:{ROOT}",
    )
    assert done.returncode == 5
    found = lines(done)
    assert begins(found, f"{tmp_path}/state")[0] == "WRONG"
    head, text = begins(found, "the MCP server needs the extra mcp")
    assert (head, "pip install 'swarmcomm[mcp]'" in text) == ("note", True)
    head, text = begins(found, f"{tmp_path}/.mcp.json starts")
    assert (head, "/no/such/swarmcomm" in text) == ("WRONG", True)
    assert begins(found, "session s: worker-0")[0] == "ok"


def test_the_plugin_is_told_and_what_it_starts(
    tmux: Tmux, swarmcomm: Run, tmp_path: Path, environ: dict[str, str]
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    settings = tmp_path / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"enabledPlugins": {"swarmcomm@a-place": True}}))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("swarmcomm", "swarmcomm-hook"):
        (programs / name).touch(mode=0o755)
    usual = environ["PATH"].split(":")
    rest = ":".join(each for each in usual if not Path(each, "swarmcomm").exists())
    place = {"SWARM_WORKDIR": str(tmp_path), "PATH": f"{programs}:{rest}"}
    found = lines(swarmcomm("doctor", **place))
    assert begins(found, f"{settings} enables the plugin")[0] == "ok"
    assert not [text for text in found if "not told" in text or "not on the PATH" in text]

    (programs / "swarmcomm-hook").unlink()
    done = swarmcomm("doctor", **place)
    assert done.returncode == 5
    assert begins(lines(done), "the plugin starts swarmcomm-hook")[0] == "WRONG"

    settings.write_text(json.dumps({"enabledPlugins": {"swarmcomm@a-place": False}}))
    assert begins(lines(swarmcomm("doctor", **place)), "claude is not told")[0] == "note"


def test_permissions_that_allow_nothing_are_told(
    tmux: Tmux, swarmcomm: Run, tmp_path: Path
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    file = tmp_path / "swarmcomm" / "permissions.json"
    place = {"XDG_CONFIG_HOME": str(tmp_path), "SWARM_STATE_DIR": str(tmp_path / "state")}
    assert "sessions are started by" not in swarmcomm("doctor", **place).stdout
    file.parent.mkdir(mode=0o700)
    file.write_text('{"session_permissions": {"lead": {"can_create_sessions": true}}}')
    file.chmod(0o600)
    text = f"permissions {file}: sessions are started by master_coordinator, lead"
    assert lines(swarmcomm("doctor", **place))[text] == "ok"
    file.chmod(0o666)
    done = swarmcomm("doctor", **place)
    assert done.returncode == 5
    head, text = begins(lines(done), f"{file} can be written by others")
    assert (head, f"chmod go-w '{file}'" in text) == ("WRONG", True)
