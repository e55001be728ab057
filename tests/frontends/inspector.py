"""The MCP Inspector's command line for the tests, fetched by npm into their cache."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from tests.agents.cli import FETCH_DEADLINE_S, alone, cache

#: The newest needs a newer Node; its ``--strict`` refuses schemas that are only tolerated.
NEWEST = ("@modelcontextprotocol/inspector", "2.12.0", "mcp-inspector", ["--cli"], ["--strict"])
OLDER = ("@modelcontextprotocol/inspector-cli", "0.15.0", "mcp-inspector-cli", ["--cli"], [])
NEWEST_NEEDS_NODE = (22, 19)


def node_version() -> tuple[int, ...]:
    """Return the version of the Node that is there."""
    said = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    return tuple(int(part) for part in said.strip().lstrip("v").split("."))


def fetch() -> tuple[list[str], list[str]]:
    """Return the words that start the Inspector, and what may stand behind the server's.

    Raises:
        subprocess.CalledProcessError: npm could not get it.
    """
    chosen = NEWEST if node_version() >= NEWEST_NEEDS_NODE else OLDER
    package, version, program, first, last = chosen
    folder = cache() / f"{program}-{version}"
    if not folder.exists():
        cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache(), prefix="fetch-") as work:
            made = Path(work) / "inspector"
            made.mkdir()
            options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            subprocess.run(
                ["npm", "install", *options, "--prefix", str(made), f"{package}@{version}"],
                cwd=work,
                stdout=subprocess.DEVNULL,
                timeout=FETCH_DEADLINE_S,
                check=True,
            )
            try:
                made.rename(folder)
            except OSError:  # another run was faster
                if not folder.exists():
                    raise
    return [str(folder / "node_modules" / ".bin" / program), *first], last


def inspect(
    home: Path, server: list[str], environ: dict[str, str], *words: str
) -> tuple[int, str, str]:
    """Return status and output of the Inspector over *server*, and what else it said."""
    command, strict = fetch()
    config = home / "servers.json"
    entry = {"command": server[0], "args": server[1:], "env": environ}
    config.write_text(json.dumps({"mcpServers": {"session-coordinator": entry}}))
    chosen = ["--config", str(config), "--server", "session-coordinator"]
    done = subprocess.run(
        [*command, *chosen, *words, *(strict if "tools/list" in words else [])],
        env=alone(home, Path("/usr/bin")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
