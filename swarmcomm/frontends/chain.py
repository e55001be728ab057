"""The chain from an agent's tools to the wire, link by link, for ``swarmcomm doctor``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmcomm import agents, clock
from swarmcomm.errors import MissingProgramError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmcomm.settings import Settings

#: Seconds for the server to answer; it needs one, a slow machine some.
ANSWER_S = 30.0

_SERVER = "session-coordinator"

_QUESTIONS = (
    {
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "swarmcomm doctor", "version": "1"},
        },
    },
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/list"},
)


def store(settings: Settings) -> Iterator[tuple[bool | None, str]]:
    """Yield what is found of the store and of the session that the environment names."""
    from swarmcomm.sessions import Coordinator
    from swarmcomm.store import FILE, Store

    if settings.state is None:
        raise StoreError("there is no folder for the store: set SWARM_STATE_DIR, or HOME")
    there = Store.existing(settings.state)
    if there is None:
        yield True, f"store {settings.state / FILE}: made when something is stored"
    else:
        yield True, f"store {settings.state / FILE}: {there.last()} events so far"
        if there.note:
            yield None, f"store: {there.note}"
        there.close()
    name = os.environ.get("SWARM_SESSION_NAME")
    if name:
        with Coordinator.attach() as coordinator:
            (said,) = coordinator.query_session_status(name)
        yield True, f"this is session {name}: {said.status}, {said.unread} unread"


def server() -> Iterator[tuple[bool | None, str]]:
    """Yield how the MCP server answers that an agent would start."""
    asked = "".join(json.dumps({"jsonrpc": "2.0", **each}) + "\n" for each in _QUESTIONS)
    began = clock.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "swarmcomm", "mcp"],
            input=asked,
            capture_output=True,
            text=True,
            timeout=ANSWER_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield False, f"MCP server: no answer within {ANSWER_S:g} s; try: swarmcomm mcp </dev/null"
        return
    took_s = clock.monotonic() - began
    said = done.stderr.strip().rpartition("\n")[2].removeprefix("swarmcomm: ")
    if done.returncode == MissingProgramError.exit_status:
        yield None, said
        return
    try:
        first, second = (json.loads(line)["result"] for line in done.stdout.splitlines())
        name, count = first["serverInfo"]["name"], len(second["tools"])
    except (ValueError, LookupError, TypeError):
        yield False, f"MCP server: it does not answer: {said or f'status {done.returncode}'}"
        return
    yield True, f"MCP server {name} answers with {count} tools in {took_s:.1f} s"


def agent(settings: Settings) -> Iterator[tuple[bool | None, str]]:
    """Yield whether the agent of the environment is installed, and whether it starts the server."""
    profile = agents.load(settings.agent)
    program = sys.executable if profile.program == agents.PYTHON else profile.program
    found = shutil.which(program)
    yield (True, f"agent {found}") if found else (None, f"agent: {profile.missing[0]}")
    if profile.program != "claude":
        return
    folder = settings.workdir or Path.cwd()
    plugin = _plugin(folder)
    if plugin:
        yield True, f"{plugin} enables the plugin: hooks, and {_SERVER}, in sessions of ours"
        for name in ("swarmcomm", "swarmcomm-hook"):
            if shutil.which(name) is None:
                yield False, f"the plugin starts {name}, which is not on the PATH; put it there"
    for file, entry in _entries(folder):
        command = str(entry.get("command", ""))
        if command and shutil.which(command) is None:
            yield (
                False,
                f"{file} starts {_SERVER} with {command}, which is not there; mend its path",
            )
        else:
            yield True, f"{file} names {_SERVER}"
        return
    if not plugin:
        yield None, f"claude is not told of {_SERVER}; claude mcp add {_SERVER} -- swarmcomm mcp"


def _plugin(folder: Path) -> Path | None:
    """Return which of claude's settings for *folder* enables the plugin; None: none of them."""
    for place in (folder, Path.home()):
        for name in ("settings.local.json", "settings.json"):
            file = place / ".claude" / name
            enabled = _inside(_object(file), "enabledPlugins")
            if any(each.startswith("swarmcomm@") and enabled[each] is True for each in enabled):
                return file
    return None


def _entries(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield what claude's files say of the server in *folder*, what counts most first."""
    own, shared = Path.home() / ".claude.json", folder / ".mcp.json"
    mine = _object(own)
    projects = _inside(mine, "projects")
    places = (
        (own, _inside(projects, str(folder.absolute()))),
        (shared, _object(shared)),
        (own, mine),
    )
    for file, settings in places:
        entry = _inside(_inside(settings, "mcpServers"), _SERVER)
        if entry:
            yield file, entry


def _inside(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _object(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
