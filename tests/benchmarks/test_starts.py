"""The benchmarks are not part of the tests; that they run at all is."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.benchmarks import ways
from tests.conftest import ROOT


def test_every_part_measures_every_way(environ: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--quick", "--json"],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    head, *rows = map(json.loads, done.stdout.splitlines())
    assert {"machine", "tmux", "Python", "libtmux"} <= set(head)
    names = {row["name"] for row in rows}
    assert {"import swarmcomm", "claude_comm.sh send", "swarmcomm poll"} <= names
    assert {"report_session_status", "MCP query_session_status (auto)"} <= names
    for part in ("latency", "idle", "flood", "memory"):
        found = {row["name"] for row in rows if row["part"].startswith(part)}
        assert {way.name for way in ways.WAYS} <= found
    kept = {row["name"]: row["figures"]["kept (worst)"] for row in rows if "flood" in row["part"]}
    assert kept[ways.SWARMCOMM.name]
