"""The session layer: changes a second, one call of an MCP tool, and what its server costs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from swarmcomm.sessions import Coordinator, Outgoing, Report
from tests.benchmarks.rig import Plan, Row, median
from tests.conftest import ROOT

PART = "sessions"
MASTER, CHILD = "master_project_bench", "child_bench_task_1"
IDS = {"task_id": "1", "project_id": "bench"}

#: Changes of one batch.
_BATCH = 100


def measure(plan: Plan) -> list[Row]:
    """Return what changes of the store cost, and what the server adds."""
    with tempfile.TemporaryDirectory(prefix="swarmcomm-bench-") as name:
        environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("SWARM_")},
            "HOME": name,
            "SWARM_STATE_DIR": str(Path(name, "state")),
            "PYTHONPATH": str(ROOT),
        }
        plan.tell("sessions: reports and messages")
        rows = [*_store(plan, environ)]
        plan.tell("sessions: calls over stdio")
        rows += anyio.run(_calls, plan, environ)
        plan.tell("sessions: starts")
        rows += _starts(plan, environ)
    return rows


def _store(plan: Plan, environ: dict[str, str]) -> Iterator[Row]:
    span_s = plan.span(2.0, 0.1)
    with Coordinator.attach(environ) as coordinator:
        coordinator.register_session_relationship(MASTER, CHILD, **IDS)

        def report(number: int) -> int:
            coordinator.report_session_status(CHILD, "WORKING", number % 101, f"step {number}")
            return 1

        def report_many(number: int) -> int:
            each = (number * _BATCH + place for place in range(_BATCH))
            coordinator.report_many(
                Report(CHILD, "WORKING", step % 101, f"step {step}") for step in each
            )
            return _BATCH

        def send(number: int) -> int:
            coordinator.send_message_to_session(MASTER, CHILD, f"message {number}")
            return 1

        def send_many(number: int) -> int:
            coordinator.send_many(
                Outgoing(MASTER, CHILD, f"message {number}-{place}") for place in range(_BATCH)
            )
            return _BATCH

        def read(_number: int) -> int:
            found = coordinator.get_session_messages(CHILD, limit=_BATCH)
            coordinator.acknowledge_messages(CHILD, [message.id for message in found])
            return len(found)

        yield _rate("report_session_status", report, span_s)
        yield _rate(f"report_many of {_BATCH}", report_many, span_s)
        yield _rate("send_message_to_session", send, span_s)
        yield _rate(f"send_many of {_BATCH}", send_many, span_s)
        yield _rate(f"read and acknowledge {_BATCH}", read, span_s)


def _rate(name: str, action: Callable[[int], int], span_s: float) -> Row:
    count = number = 0
    begin = time.perf_counter()
    while (took_s := time.perf_counter() - begin) < span_s:
        done = action(number)
        if not done:  # nothing is left to read
            break
        count += done
        number += 1
    return Row(PART, name, {"a second": round(count / took_s)})


async def _calls(plan: Plan, environ: dict[str, str]) -> list[Row]:
    rows = []
    calls: dict[str, dict[str, Any]] = {
        "query_session_status": {"session_name": CHILD},
        "report_session_status": {"session_name": CHILD, "status": "WORKING"},
        "get_session_messages": {"session_name": MASTER},
    }
    server = [sys.executable, "-m", "swarmcomm", "mcp"]
    for era in ("legacy", "auto"):
        parameters = StdioServerParameters(command=server[0], args=server[1:], env=environ)
        async with Client(parameters, mode=era) as client:  # type: ignore[arg-type]
            for tool, arguments in calls.items():
                took: list[float] = []
                for number in range(5 if plan.quick else 200):
                    if tool == "report_session_status":
                        arguments = {**arguments, "progress": number % 101}
                    begin = time.perf_counter()
                    result = await client.call_tool(tool, arguments)
                    took.append((time.perf_counter() - begin) * 1000)
                    assert not result.is_error, result
                took.sort()
                figures = {"p50 ms": median(took), "p99 ms": took[len(took) * 99 // 100]}
                rows.append(Row(PART, f"MCP {tool} ({era})", figures))
    return rows


def _starts(plan: Plan, environ: dict[str, str]) -> list[Row]:
    hello = (
        b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion":'
        b' "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}}\n'
    )
    python = [sys.executable]
    ways = {
        "python -c pass": [*python, "-c", "pass"],
        "python -c 'import swarmcomm'": [*python, "-c", "import swarmcomm"],
        "python -c 'import mcp.server.mcpserver'": [*python, "-c", "import mcp.server.mcpserver"],
        "swarmcomm mcp, to its first answer": [*python, "-m", "swarmcomm", "mcp"],
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 if plan.quick else max(plan.runs // 2, 3)):
        for name, words in ways.items():
            begin = time.perf_counter()
            done = subprocess.run(words, input=hello, env=environ, capture_output=True, check=True)
            took[name].append((time.perf_counter() - begin) * 1000)
            assert bool(done.stdout) == (words[-1] == "mcp")
    return [Row(PART, name, {"p50 ms": median(each)}) for name, each in took.items()]
