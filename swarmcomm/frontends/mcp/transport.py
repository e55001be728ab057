"""Lines of JSON-RPC between a client and the server, over the streams of ``streams.take``."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import anyio
from anyio import to_thread
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    Streams = tuple[
        MemoryObjectReceiveStream[SessionMessage | Exception],
        MemoryObjectSendStream[SessionMessage],
    ]

_Message: TypeAlias = JSONRPCRequest | JSONRPCNotification | JSONRPCResponse | JSONRPCError

_CANCELLED = "notifications/cancelled"

#: Bytes of one message. The longest text that is taken has 64 KiB.
LINE_MAX_BYTES = 16 * 1024 * 1024

#: Seconds for what is under way when the client has said its last.
DRAIN_S = 5.0


@asynccontextmanager
async def serve(source: BinaryIO, sink: BinaryIO) -> AsyncIterator[Streams]:
    """Yield the client's messages and where answers go, as the SDK takes them.

    A line that is no message is answered with an error; the SDK would drop it without a word. At
    the end of *source* what is under way gets DRAIN_S seconds; a client that reads no more ends
    all at once.
    """
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as group:
        client = _Client(source, sink, group.cancel_scope)
        group.start_soon(client.read, to_server)
        group.start_soon(client.hear, from_server)
        yield incoming, outgoing


class _Client:
    """What is read from a client and written to it."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, scope: anyio.CancelScope) -> None:
        self._source = source
        self._sink = sink
        self._scope = scope
        self._threads = anyio.CapacityLimiter(2)  # one reads, one writes
        self._writing = anyio.Lock()
        self._open: set[object] = set()  # ids of requests that have no answer yet
        self._answered = anyio.Event()

    async def read(self, server: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        """Give each message to the *server*, until the client has said its last."""
        async with server:
            while line := await self._in_thread(self._read_line):
                message = _parse(line) if line.strip() else None
                if isinstance(message, dict):
                    await self._write(json.dumps(message))
                elif message is not None:
                    self._note(message)
                    await server.send(SessionMessage(message))
            with anyio.move_on_after(DRAIN_S):
                while self._open:
                    await self._answered.wait()

    async def hear(self, server: MemoryObjectReceiveStream[SessionMessage]) -> None:
        """Write what the *server* says."""
        async with server:
            async for said in server:
                await self._write(said.message.model_dump_json(by_alias=True, exclude_unset=True))
                if isinstance(said.message, JSONRPCResponse | JSONRPCError):
                    self._open.discard(said.message.id)
                    self._answered.set()
                    self._answered = anyio.Event()

    def _note(self, message: _Message) -> None:
        if isinstance(message, JSONRPCRequest):
            self._open.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == _CANCELLED:
            cancelled = (message.params or {}).get("requestId")  # is not answered any more
            if isinstance(cancelled, int | str):
                self._open.discard(cancelled)

    async def _write(self, text: str) -> None:
        async with self._writing:
            try:
                await self._in_thread(lambda: self._write_line(text.encode()))
            except OSError:
                self._scope.cancel()

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        # It is left alone when all ends: nothing tells it to stop waiting for the client.
        return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)

    def _read_line(self) -> bytes:
        line = part = self._source.readline(LINE_MAX_BYTES + 1)
        while len(line) > LINE_MAX_BYTES and part and not part.endswith(b"\n"):
            part = self._source.readline(LINE_MAX_BYTES)
        return line

    def _write_line(self, data: bytes) -> None:
        self._sink.write(data + b"\n")
        self._sink.flush()


def _parse(line: bytes) -> _Message | dict[str, object]:
    """Return the message that *line* is, or the answer to a line that is none."""
    if len(line) > LINE_MAX_BYTES:
        return _refusal(INVALID_REQUEST, f"a message has at most {LINE_MAX_BYTES} bytes")
    try:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        if error.errors(include_input=False)[0]["type"] == "json_invalid":
            return _refusal(PARSE_ERROR, "this line is no JSON; send one message a line, in UTF-8")
        return _refusal(INVALID_REQUEST, "this is no JSON-RPC 2.0 message; send one a line")
    if isinstance(message, JSONRPCNotification) and "id" in json.loads(line):
        return _refusal(INVALID_REQUEST, "the id of a request is a text or an integer")
    return message


def _refusal(code: int, message: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
