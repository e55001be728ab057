r"""A Messages API of our own for the real agent programs: the task says what is answered.

Run it as a program: it listens on 127.0.0.1, prints its port, and writes each request to a log.
The newest user text decides. Each ``[TASK] id`` at a line's head in it is answered with
``[ACK] id``, then what its switches say, in their order, then ``[DONE] id``:

==========================  =====================================================================
``{fake:delay=S}``          nothing for S seconds, or before there is the file S
``{fake:silent=S}``         a line breaks off, nothing so long, then it goes on
``{fake:lines=N}``          N lines of output
``{fake:say=TEXT}``         this text; ``\n`` is a newline, ``\id`` the id
``{fake:bash=COMMAND}``     the agent's Bash tool runs it
``{fake:tool=NAME JSON}``   any tool of the agent
``{fake:hangup}``           the connection is cut
``{fake:later=S}``          nothing for S seconds before anything at all
``{fake:after=FILE}``       nothing at all before there is that file
``{fake:error=CODE*N}``     HTTP status CODE for the first N requests (``*N`` may be left out: one)
``{fake:end=MARKER TEXT}``  the end in place of DONE, as ``ERROR no such file``; ``none``: no end
``{fake:noack}``            no ``[ACK]``
``{fake:none}``             not one marker
``{fake:as=STYLE}``         markers as bold, code, heading, list, quote, fence or backslash
==========================  =====================================================================

Several tasks in one text (an agent merges what was queued) are answered one after the other.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import re
import socket
import struct
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TASK = re.compile(r"^[ \t]*\[TASK\][ \t]*([A-Za-z0-9][A-Za-z0-9._+-]*)", re.MULTILINE)
INTERRUPTED = "[Request interrupted by user"
STYLES = {
    "bold": "**[{0}]** {1}",
    "code": "`[{0}] {1}`",
    "heading": "## [{0}] {1}",
    "list": "- [{0}] {1}",
    "quote": "> [{0}] {1}",
    "fence": "```\n[{0}] {1}\n```",
    "backslash": "\\[{0}] {1}",
    "plain": "[{0}] {1}",
}
REPLY_WITHOUT_TASK = "Hello from the stand-in."


@dataclass(frozen=True)
class Step:
    """One thing to do in an answer: text, delay, silent, tool, or hangup."""

    kind: str
    value: Any
    said: str = ""  # the marker in it and its id


@dataclass(frozen=True)
class Task:
    """A task found in a user text."""

    wire_id: str
    switches: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """Return the last value of a switch, "" where it has none, None where it is not there."""
        return next((value for key, value in reversed(self.switches) if key == name), None)

    def steps(self) -> Iterator[Step]:
        if self.get("none") is not None:
            yield Step("text", "I am looking at something else.")
            return
        if self.get("noack") is None:
            yield Step("text", self.marker("ACK", ""), f"ACK {self.wire_id}")
        for key, value in self.switches:
            yield from self.step(key, value)
        end = self.get("end") or "DONE"
        if end != "none":
            marker, _, text = end.partition(" ")
            yield Step("text", self.marker(marker, text), f"{marker} {self.wire_id}")

    def marker(self, marker: str, text: str) -> str:
        style = STYLES[self.get("as") or "plain"]
        return style.format(marker, f"{self.wire_id} {text}".rstrip())

    def step(self, key: str, value: str) -> Iterator[Step]:
        if key in ("delay", "silent"):
            yield Step(key, value)
        elif key == "hangup":
            yield Step(key, None)
        elif key == "lines":
            numbers = range(1, int(value) + 1)
            yield Step("text", "\n".join(f"line {n} of {value} for this task" for n in numbers))
        elif key == "say":
            yield Step("text", value.replace("\\n", "\n").replace("\\id", self.wire_id))
        elif key == "bash":
            yield Step("tool", ("Bash", {"command": value, "description": "Run a command"}))
        elif key == "tool":
            name, _, arguments = value.partition(" ")
            yield Step("tool", (name, json.loads(arguments or "{}")))


def switches(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of each ``{fake:...}`` in *text*; braces inside are counted."""
    at = text.find("{fake:")
    while at >= 0:
        depth, end = 0, at
        while end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                break
            end += 1
        # An agent may have broken the text at its own width; a switch is one line.
        name, _, value = text[at + len("{fake:") : end].partition("=")
        yield name.strip(), value
        at = text.find("{fake:", end)


def tasks(text: str) -> list[Task]:
    """Return the tasks of a user text in their order."""
    heads = list(TASK.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return [
        Task(head[1].rstrip("."), tuple(switches(text[head.end() : end])))
        for head, end in zip(heads, ends, strict=False)  # no head: no task
    ]


def newest_texts(messages: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the user texts behind the last answer, and the ids of the tool results among them."""
    texts: list[str] = []
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] == "assistant":
            break
        content = message["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        found: list[str] = []
        for block in content:
            if block["type"] == "text":
                found.append(block["text"])
            elif block["type"] == "tool_result":
                results.append(block["tool_use_id"])
                found += nested_texts(block.get("content"))
        texts[:0] = found
    for place in range(len(texts) - 1, -1, -1):
        if texts[place].startswith(INTERRUPTED):
            return texts[place + 1 :], results
    return texts, results


def nested_texts(content: Any) -> list[str]:
    """Return what an agent puts beside a tool's output: a message sent while the tool ran."""
    if not isinstance(content, list):
        return []
    texts = [block["text"] for block in content if block.get("type") == "text"]
    return [text for text in texts if "new message while you were working" in text]


def result_texts(messages: list[dict[str, Any]]) -> list[str]:
    """Return what the newest tools gave back."""
    content = messages[-1]["content"] if messages else []
    found: list[str] = []
    for block in content if isinstance(content, list) else []:
        if block["type"] == "tool_result":
            given = block.get("content") or []
            parts = [{"type": "text", "text": given}] if isinstance(given, str) else given
            found.append("".join(part.get("text", "") for part in parts))
    return found


class Model:
    """Decides what is answered, and keeps what is still to be said behind a tool's result."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: Counter[str] = Counter()
        self._rest: dict[str, list[Step]] = {}

    def error_for(self, found: list[Task]) -> int | None:
        """Return the HTTP status to fail with, None where the request is answered."""
        for task in found:
            code, _, times = (task.get("error") or "").partition("*")
            with self._lock:
                if code and self._errors[task.wire_id] < int(times or 1):
                    self._errors[task.wire_id] += 1
                    return int(code)
        return None

    def steps(self, found: list[Task], results: list[str]) -> list[Step]:
        with self._lock:
            steps = [step for result in results for step in self._rest.pop(result, [])]
        steps += [step for task in found for step in task.steps()]
        return steps or [Step("text", REPLY_WITHOUT_TASK)]

    def keep(self, tool_id: str, steps: list[Step]) -> None:
        with self._lock:
            self._rest[tool_id] = steps


class Handler(BaseHTTPRequestHandler):
    """One request of the agent."""

    server: Server

    def do_HEAD(self) -> None:
        self.send_json(200, {})

    def do_GET(self) -> None:
        self.server.note({"path": self.path})
        self.send_json(200 if self.path == "/" else 404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        path = self.path.partition("?")[0]
        if path == "/v1/messages/count_tokens":
            self.send_json(200, {"input_tokens": 1000})
        elif path == "/v1/messages":
            self.messages(body)
        else:
            self.server.note({"path": self.path})
            self.send_json(404, {})

    def messages(self, body: dict[str, Any]) -> None:
        texts, results = newest_texts(body["messages"])
        wanted = bool(body.get("tools"))  # the agent also asks for titles and such, without tools
        found = [task for text in texts for task in tasks(text)] if wanted else []
        status = self.server.model.error_for(found)
        self.server.note(
            {
                "path": self.path,
                "tools": len(body.get("tools") or []),
                "tasks": [task.wire_id for task in found],
                "status": status or 200,
                "texts": texts,
                "results": result_texts(body["messages"]),
                "names": [tool["name"] for tool in body.get("tools") or []],
            }
        )
        if status:
            kind = "overloaded_error" if status == 529 else "api_error"
            error = {"type": kind, "message": f"made up error {status}"}
            self.send_json(status, {"type": "error", "error": error})
            return
        time.sleep(max((float(task.get("later") or 0) for task in found), default=0))
        for awaited in filter(None, (task.get("after") for task in found)):
            wait(awaited)
        steps = self.server.model.steps(found, results)
        if body.get("stream"):
            self.stream(body, steps)
        else:
            text = "\n\n".join(step.value for step in steps if step.kind == "text")
            content = [{"type": "text", "text": text}]
            self.send_json(200, message(body, content, "end_turn"))

    def stream(self, body: dict[str, Any], steps: list[Step]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            stream = Stream(self.server.model, self.event, self.server.note)
            stream.run(message(body, [], None), steps)
        except OSError:
            return  # the agent hung up, or was told to: interrupted

    def event(self, data: dict[str, Any]) -> None:
        self.wfile.write(f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def send_json(self, status: int, data: dict[str, Any]) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("request-id", f"req_{uuid.uuid4().hex}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing: the log has it."""


class Stream:
    """Writes steps as the events of one answer."""

    def __init__(
        self,
        model: Model,
        event: Callable[[dict[str, Any]], None],
        note: Callable[[dict[str, Any]], None],
    ) -> None:
        self._model = model
        self._event = event
        self._note = note
        self._blocks = 0
        self._in_text = False

    def run(self, start: dict[str, Any], steps: list[Step]) -> None:
        self._event({"type": "message_start", "message": start})
        reason = "end_turn"
        for place, step in enumerate(steps):
            if step.said:
                self._note({"said": step.said})
            if step.kind == "text":
                self._text(step.value)
            elif step.kind == "delay":
                wait(step.value)
            elif step.kind == "silent":
                self._text("This line breaks off", " and goes on.", step.value)
            elif step.kind == "hangup":
                raise OSError("told to hang up")
            else:
                name, arguments = step.value
                self._tool(name, arguments, steps[place + 1 :])
                reason = "tool_use"
                break
        self._close()
        usage = {"input_tokens": 10, "output_tokens": 10}
        delta = {"stop_reason": reason, "stop_sequence": None}
        self._event({"type": "message_delta", "delta": delta, "usage": usage})
        self._event({"type": "message_stop"})

    def _text(self, text: str, rest: str = "", silence: str = "") -> None:
        if not self._in_text:
            block = {"type": "text", "text": ""}
            start = {"type": "content_block_start", "index": self._blocks, "content_block": block}
            self._event(start)
            self._in_text = True
        if rest:
            self._text_delta(text)
            wait(silence)
            text = rest
        self._text_delta(f"{text}\n\n")  # the agent shows a line when it is complete

    def _text_delta(self, text: str) -> None:
        for at in range(0, len(text), 400):
            self._delta({"type": "text_delta", "text": text[at : at + 400]})

    def _tool(self, name: str, arguments: dict[str, Any], rest: list[Step]) -> None:
        self._close()
        tool_id = f"toolu_{uuid.uuid4().hex[:24]}"
        self._model.keep(tool_id, rest)
        block = {"type": "tool_use", "id": tool_id, "name": name, "input": {}}
        start = {"type": "content_block_start", "index": self._blocks, "content_block": block}
        self._event(start)
        self._in_text = True
        self._delta({"type": "input_json_delta", "partial_json": json.dumps(arguments)})
        self._close()

    def _delta(self, delta: dict[str, Any]) -> None:
        self._event({"type": "content_block_delta", "index": self._blocks, "delta": delta})

    def _close(self) -> None:
        if self._in_text:
            self._event({"type": "content_block_stop", "index": self._blocks})
            self._blocks += 1
            self._in_text = False


def wait(what: str) -> None:
    """Wait for some seconds, or for a file."""
    if what.startswith("/"):
        while not Path(what).exists():
            time.sleep(0.02)
    else:
        time.sleep(float(what))


def message(
    body: dict[str, Any], content: list[dict[str, Any]], stop_reason: str | None
) -> dict[str, Any]:
    return {
        "id": f"msg_{uuid.uuid4().hex[:24]}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", "stand-in"),
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }


class Server(ThreadingHTTPServer):
    """The stand-in; one model for all windows."""

    daemon_threads = True

    def __init__(self, port: int, log: Path, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.model = Model()
        self._log = log
        self._lock = threading.Lock()

    def note(self, record: dict[str, Any]) -> None:
        with self._lock, self._log.open("a") as file:
            file.write(json.dumps({"at": time.time(), **record}) + "\n")

    def handle_error(self, *args: Any) -> None:
        """An agent that hangs up is no error; anything else is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*args)


def loopback_up() -> None:
    """Switch on 127.0.0.1 in a network of our own, where it is off at first (Linux)."""
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, get_flags, request))[1]
        fcntl.ioctl(sock, set_flags, struct.pack("16sH14x", b"lo", flags | up))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--own-network", action="store_true", help="loopback has to be switched on")
    options = parser.parse_args()
    if options.own_network:
        loopback_up()
    server = Server(options.port, options.log, Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
