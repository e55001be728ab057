"""The benchmarks are not part of the tests; that they run at all is."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT


def test_the_benchmarks_print_a_row_for_each_way(environ: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--runs", "1"],
        cwd=ROOT,
        env={**environ, "COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for way in (
        "import swarmcomm",
        "claude_comm.sh send",
        "swarmcomm poll",
        "Window.poll",
        "a prompt of",
    ):
        assert way in done.stdout
