"""The real ``claude`` for the tests: a pinned version, a home and an environment.

Nothing here is needed by swarmcomm itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from fnmatch import fnmatch
from pathlib import Path

PACKAGE = "@anthropic-ai/claude-code"
VERSION = "2.1.328"
API_KEY = "sk-ant-of-the-tests-0123456789abcdefghij"
FETCH_DEADLINE_S = 600  # about 170 MB
CPU = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def platform_package() -> str:
    """Return the npm package that holds the program for this machine, with its version."""
    system = {"linux": "linux", "darwin": "darwin"}[sys.platform]
    musl = "-musl" if system == "linux" and not platform.libc_ver()[0] else ""
    return f"{PACKAGE}-{system}-{CPU[platform.machine().lower()]}{musl}@{VERSION}"


def cache() -> Path:
    """Return the folder where fetched programs stay between runs."""
    given = os.environ.get("SWARM_TEST_CACHE")
    if given:
        return Path(given)
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "swarmcomm-tests"


def fetch() -> Path:
    """Return the folder that holds ``claude``, fetched on the first call; for a PATH."""
    return fetch_program(platform_package(), "claude", "claude", VERSION)


def fetch_program(package: str, name: str, place: str, version: str) -> Path:
    """Return the folder that holds the program *name* of an npm package, fetched once.

    Raises:
        subprocess.CalledProcessError: npm could not get it.
        ValueError: what came is not what the registry says it is.
    """
    folder = cache() / f"{name}-{version}"
    if not (folder / name).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as work:
            unpacked = Path(work) / "program"
            unpacked.mkdir()
            _unpack(Path(work), package, place, unpacked / name)
            _runs(unpacked / name, version)
            try:
                unpacked.rename(folder)
            except OSError:  # another run was faster
                if not (folder / name).exists():
                    raise
    return folder


def _unpack(work: Path, package: str, place: str, program: Path) -> None:
    expected = _npm(work, "view", package, "dist.integrity").strip()
    _npm(work, "pack", "--silent", package)
    archive = next(work.glob("*.tgz"))
    _verify(archive, expected)
    with tarfile.open(archive) as tar:
        members = [item for item in tar if fnmatch(item.name, f"package/{place}")]
        tar.extractall(work, members, filter="data")
    (found,) = (work / "package").glob(place)
    found.rename(program)
    program.chmod(0o755)


def _npm(work: Path, *words: str) -> str:
    done = subprocess.run(
        ["npm", *words],
        cwd=work,
        stdout=subprocess.PIPE,
        text=True,
        timeout=FETCH_DEADLINE_S,
        check=True,
    )
    return done.stdout


def _verify(archive: Path, integrity: str) -> None:
    kind, _, expected = integrity.partition("-")
    with archive.open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, kind).digest()).decode()
    if found != expected:
        raise ValueError(f"{archive.name} has {kind} {found}, the registry says {expected}")


def _runs(program: Path, version: str) -> None:
    home = program.parent.parent / "home"
    home.mkdir()
    done = subprocess.run(
        [program, "--version"],
        env=alone(home, program.parent),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    if version not in done.stdout:
        raise ValueError(f"{program.name} --version says {done.stdout!r}, expected {version}")


def fullscreen(programs: Path, folder: Path) -> Path:
    """Return a folder whose ``claude`` paints the whole screen, whatever its profile says."""
    program = folder / "fullscreen" / "claude"
    program.parent.mkdir()
    claude = shlex.quote(str(programs / "claude"))
    program.write_text(
        f'#!/bin/sh\nunset CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN\nexec {claude} "$@"\n'
    )
    program.chmod(0o755)
    return program.parent


def coordinating(programs: Path, folder: Path, names: dict[str, str]) -> Path:
    """Return a folder whose ``claude`` has the MCP server, as the session of its window's name."""
    program = folder / "coordinating" / "claude"
    program.parent.mkdir()
    config = program.with_name("mcp.json")
    server = {
        "command": sys.executable,
        "args": ["-m", "swarmcomm", "mcp"],
        "env": {"PYTHONPATH": str(Path(__file__).parents[2])},
    }
    config.write_text(json.dumps({"mcpServers": {"session-coordinator": server}}))
    cases = "".join(f"  {window}) SWARM_SESSION_NAME={name} ;;\n" for window, name in names.items())
    flags = f"--mcp-config {shlex.quote(str(config))} --strict-mcp-config"
    program.write_text(
        "#!/bin/sh\n"
        'case "$(tmux display-message -p -t "$TMUX_PANE" "#W")" in\n'
        f"{cases}esac\nexport SWARM_SESSION_NAME\n"
        f"exec {shlex.quote(str(programs / 'claude'))} {flags}"
        ' --allowedTools mcp__session-coordinator "$@"\n'
    )
    program.chmod(0o755)
    return program.parent


def make_home(home: Path, trusted: Path) -> None:
    """Make a home folder where the program asks nothing at its start in *trusted*."""
    home.mkdir(parents=True, exist_ok=True)
    state = {
        "hasCompletedOnboarding": True,
        "customApiKeyResponses": {"approved": [API_KEY[-20:]], "rejected": []},
        "projects": {str(trusted): {"hasTrustDialogAccepted": True}},
    }
    (home / ".claude.json").write_text(json.dumps(state))


def alone(home: Path, programs: Path) -> dict[str, str]:
    """Return an environment with nothing in it of the person who runs the tests.

    Other hosts cannot be reached: their proxy is a port where nobody listens.
    """
    kept = ("TMUX_TMPDIR", "SWARM_TEST_CACHE")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "SHELL": shutil.which("bash") or "/bin/sh",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def environment(home: Path, port: int, programs: Path) -> dict[str, str]:
    """Return the whole environment of ``claude``."""
    return {
        **alone(home, programs),
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
        "ANTHROPIC_API_KEY": API_KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
    }
