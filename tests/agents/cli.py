"""The real ``claude`` program for the tests: a pinned version, a home and an environment.

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
from pathlib import Path

PACKAGE = "@anthropic-ai/claude-code"
VERSION = "2.1.328"
API_KEY = "sk-ant-of-the-tests-0123456789abcdefghij"
FETCH_DEADLINE_S = 600  # about 170 MB
_CPU = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def platform_package() -> str:
    """Return the npm package that holds the program for this machine."""
    system = {"linux": "linux", "darwin": "darwin"}[sys.platform]
    musl = "-musl" if system == "linux" and not platform.libc_ver()[0] else ""
    return f"{PACKAGE}-{system}-{_CPU[platform.machine().lower()]}{musl}"


def cache() -> Path:
    """Return the folder where fetched programs stay between runs."""
    given = os.environ.get("SWARM_TEST_CACHE")
    if given:
        return Path(given)
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "swarmcomm-tests"


def fetch() -> Path:
    """Return the folder that holds ``claude``, fetched on the first call; for a PATH.

    Raises:
        subprocess.CalledProcessError: npm could not get it.
        ValueError: what came is not what the registry says it is.
    """
    folder = cache() / f"claude-{VERSION}"
    if not (folder / "claude").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as work:
            unpacked = _fetch_into(Path(work))
            try:
                unpacked.rename(folder)
            except OSError:  # another run was faster
                if not (folder / "claude").exists():
                    raise
    return folder


def _fetch_into(work: Path) -> Path:
    name = f"{platform_package()}@{VERSION}"
    expected = _npm(work, "view", name, "dist.integrity").strip()
    _npm(work, "pack", "--silent", name)
    archive = next(work.glob("*.tgz"))
    _verify(archive, expected)
    with tarfile.open(archive) as tar:
        tar.extractall(work, filter="data")
    (work / "package" / "claude").chmod(0o755)
    _runs(work / "package" / "claude")
    return work / "package"


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


def _runs(program: Path) -> None:
    home = program.parent.parent / "home"
    home.mkdir()
    done = subprocess.run(
        [program, "--version"],
        env=environment(home, 9, program.parent),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    if VERSION not in done.stdout:
        raise ValueError(f"claude --version says {done.stdout!r}, expected {VERSION}")


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


def make_home(home: Path, trusted: Path) -> None:
    """Make a home folder where the program asks nothing at its start in *trusted*."""
    home.mkdir(parents=True, exist_ok=True)
    state = {
        "hasCompletedOnboarding": True,
        "customApiKeyResponses": {"approved": [API_KEY[-20:]], "rejected": []},
        "projects": {str(trusted): {"hasTrustDialogAccepted": True}},
    }
    (home / ".claude.json").write_text(json.dumps(state))


def environment(home: Path, port: int, program_folder: Path) -> dict[str, str]:
    """Return the whole environment of the program: nothing of the person who runs the tests.

    Other hosts cannot be reached: their proxy is a port where nobody listens.
    """
    kept = ("TMUX_TMPDIR", "SWARM_TEST_CACHE")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PATH": f"{program_folder}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "SHELL": shutil.which("bash") or "/bin/sh",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
        "ANTHROPIC_API_KEY": API_KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }
