"""Clients of ``swarmcomm mcp`` for the tests: the SDK's own, and one that writes bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import IO, Any, TypeVar

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import CallToolResult, TextContent

T = TypeVar("T")

SERVER = [sys.executable, "-m", "swarmcomm", "mcp"]
MASTER, CHILD, OTHER = "master_project_web", "child_web_task_3", "child_web_task_4"
#: How long a conversation may take; the server alone needs a second to start.
DEADLINE_S = 60.0


def converse(
    environ: dict[str, str],
    era: str,
    conversation: Callable[[Client], Awaitable[T]],
) -> T:
    """Return what a *conversation* with a server of its own returns.

    *era* is "legacy" for a client that shakes hands, or "auto" for one that needs not.
    """

    async def run() -> T | Exception:
        parameters = StdioServerParameters(command=SERVER[0], args=SERVER[1:], env=environ)
        with anyio.fail_after(DEADLINE_S):
            async with Client(parameters, mode=era) as client:  # type: ignore[arg-type]
                try:
                    return await conversation(client)
                except Exception as error:  # as it is, and not in a group of groups
                    return error

    found = anyio.run(run)
    if isinstance(found, Exception):
        raise found
    return found


def call(environ: dict[str, str], tool: str, /, *, era: str = "auto", **arguments: Any) -> Any:
    """Return the structured result of one call, which has to be a good one."""
    return converse(environ, era, partial(good, tool=tool, **arguments))


async def good(client: Client, /, tool: str, **arguments: Any) -> Any:
    """Return the structured result of a call, which has to be a good one."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    assert json.loads(text_of(result)) == result.structured_content
    return result.structured_content


async def bad(client: Client, /, tool: str, **arguments: Any) -> str:
    """Return what a call says that has to be refused."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    assert result.structured_content is None
    return text_of(result).removeprefix(f"Error executing tool {tool}: ")


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def register(client: Client, child: str = CHILD) -> Any:
    """Register a child of the project ``web``."""
    return await good(
        client,
        "register_session_relationship",
        parent_session=MASTER,
        child_session=child,
        task_id=child[-1],
        project_id="web",
    )


def line(**message: Any) -> bytes:
    """Return one message as a line."""
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


def tool_line(number: int, name: str, **arguments: Any) -> bytes:
    """Return the call of a tool as a line."""
    return line(id=number, method="tools/call", params={"name": name, "arguments": arguments})


HELLO = line(
    id=0,
    method="initialize",
    params={
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "tests", "version": "1"},
    },
) + line(method="notifications/initialized")


def start(environ: dict[str, str], **rest: Any) -> subprocess.Popen[bytes]:
    """Start a server whose client writes bytes; what it logs can be read as well."""
    pipe = subprocess.PIPE
    return subprocess.Popen(SERVER, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, **rest)


def say(environ: dict[str, str], *lines: bytes) -> tuple[list[dict[str, Any]], str]:
    """Return the answers to *lines* behind a handshake, and what was logged."""
    with start(environ) as server:
        try:
            out, log = server.communicate(HELLO + b"".join(lines), timeout=DEADLINE_S)
        finally:
            server.kill()
    assert server.returncode == 0, log.decode()
    answers = [json.loads(answer) for answer in out.splitlines()]
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    assert answers[0]["result"]["serverInfo"]["name"] == "session-coordinator"
    return answers[1:], log.decode()


def read_line(stream: IO[bytes] | None) -> dict[str, Any]:
    assert stream is not None
    found: dict[str, Any] = json.loads(stream.readline())
    return found


def write(server: subprocess.Popen[bytes], *lines: bytes) -> None:
    assert server.stdin is not None
    server.stdin.write(b"".join(lines))
    server.stdin.flush()
