"""What the wire costs, beside what one would do without it; ``python -m tests.benchmarks``.

Prints one table for each part, all measured in one run on this machine: ratios and p50 tell more
than single times. A budget stands beside the row that has one. ``--only`` names parts: wire,
latency, idle, look, flood, memory, sessions, claude.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.rig import Plan, Row

#: In this order; claude is only measured when it is named, since it is fetched from npm.
PARTS = ("wire", "latency", "idle", "look", "flood", "memory", "sessions", "claude")


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    said = subprocess.run(["tmux", "-V"], capture_output=True, text=True, check=True).stdout
    bash = subprocess.run(["bash", "-c", "echo $BASH_VERSION"], capture_output=True, text=True)
    load = " ".join(f"{figure:.1f}" for figure in os.getloadavg())
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "tmux": said.strip().removeprefix("tmux "),
        "bash": bash.stdout.strip(),
        "Python": platform.python_version(),
        "libtmux": version("libtmux"),
        "swarmcomm": version("swarmcomm"),
        "load at the start": load,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.machine()


def cells(rows: list[Row]) -> list[list[str]]:
    """Return the rows of one part as text, the first of them the names of the columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row.figures))
    made = [["way", *columns, "budget"]]
    for row in rows:
        met = {True: ": met", False: ": NOT met", None: ""}[row.met]
        figures = [_figure(row.figures.get(column)) for column in columns]
        made.append([row.name, *figures, row.budget + met])
    return made if any(row.budget for row in rows) else [line[:-1] for line in made]


def table(rows: list[Row]) -> Table:
    """Return the rows of one part."""
    names, *lines = cells(rows)
    made = Table(box=None, title=rows[0].part, title_justify="left", title_style="bold")
    for name in names:
        made.add_column(name, justify="left" if name in ("way", "budget") else "right")
    for line in lines:
        made.add_row(*line)
    return made


def markdown(rows: list[Row]) -> str:
    """Return the rows of one part as a table of Markdown."""
    names, *lines = cells(rows)
    rule = ["---" if name in ("way", "budget") else "---:" for name in names]
    text = [
        " | ".join(line).replace(" | tail | ", " \\| tail \\| ") for line in [names, rule, *lines]
    ]
    return "\n".join([f"## {rows[0].part}", "", *(f"| {line} |" for line in text)])


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return (
        f"{value:.0f}"
        if abs(value) >= 100
        else f"{value:.3g}"
        if abs(value) >= 1
        else f"{value:.2g}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="of each way of the wire (default 15)")
    parser.add_argument("--seconds", type=float, help="of each measurement that watches")
    parser.add_argument(
        "--only", action="append", choices=PARTS, metavar="NAME", help="a part; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="only see that all of it runs")
    parser.add_argument("--markdown", action="store_true", help="print tables of Markdown")
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    given = parser.parse_args()
    begin = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - begin:6.1f} s] {text}", file=sys.stderr, flush=True)

    plan = Plan(given.quick, given.runs, given.seconds, tell)
    console = Console() if sys.stdout.isatty() else Console(width=150)
    head = machine()
    if given.json:
        print(json.dumps(head), flush=True)
    else:
        mark = "- " if given.markdown else ""
        print("\n".join(f"{mark}{name}: {value}" for name, value in head.items()))
    for name in given.only or PARTS[:-1]:
        rows: list[Row] = importlib.import_module(f"tests.benchmarks.{name}").measure(plan)
        for _part, of_part in groupby(rows, key=lambda row: row.part):
            listed = list(of_part)
            if given.json:
                for row in listed:
                    print(json.dumps(asdict(row)), flush=True)
            elif given.markdown:
                print(f"\n{markdown(listed)}", flush=True)
            else:
                console.print()
                console.print(table(listed))


if __name__ == "__main__":
    main()
