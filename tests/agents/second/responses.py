"""A Responses API of our own, for codex: the same tasks and switches as the stand-in of claude."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.agents import stand_in


class Handler(stand_in.Handler):
    """One request of codex."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        if self.path.partition("?")[0] != "/v1/responses":
            self.server.note({"path": self.path})
            self.send_json(404, {})
            return
        texts, results = newest(body["input"])
        wanted = bool(body.get("tools"))  # codex also asks for a title, without tools
        found = [task for text in texts for task in stand_in.tasks(text)] if wanted else []
        names = [task.wire_id for task in found]
        self.server.note({"path": self.path, "tasks": names, "status": 200, "texts": texts})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            self.answer(self.server.model.steps(found, results))
        except OSError:
            return  # codex hung up

    def answer(self, steps: list[stand_in.Step]) -> None:
        """Send *steps*, of which texts, delays and commands are known here."""
        response = {"id": f"resp_{uuid.uuid4().hex}"}
        item = {"type": "message", "role": "assistant", "id": f"msg_{uuid.uuid4().hex}"}
        self.event({"type": "response.created", "response": response})
        self.event({"type": "response.output_item.added", "item": {**item, "content": []}})
        said, call = "", None
        for place, step in enumerate(steps):
            if step.said:
                self.server.note({"said": step.said})
            if step.kind == "delay":
                stand_in.wait(step.value)
                continue
            if step.kind == "tool":
                call = command(step.value[1]["command"])
                self.server.model.keep(call["call_id"], steps[place + 1 :])
                break
            text = f"{step.value}\n\n"
            self.event({"type": "response.output_text.delta", "delta": text})
            said += text
        content = [{"type": "output_text", "text": said}]
        self.event({"type": "response.output_item.done", "item": {**item, "content": content}})
        if call:
            self.event({"type": "response.output_item.done", "item": call})
        usage = {"input_tokens": 10, "output_tokens": 10, "total_tokens": 20}
        self.event({"type": "response.completed", "response": {**response, "usage": usage}})


def command(line: str) -> dict[str, Any]:
    """Return the call of codex's tool that runs *line* in a shell; a person is asked first."""
    return {
        "type": "function_call",
        "name": "exec_command",
        "arguments": json.dumps(
            {
                "cmd": line,
                "sandbox_permissions": "require_escalated",
                "justification": "May it be run?",
            }
        ),
        "call_id": f"call_{uuid.uuid4().hex}",
    }


def newest(items: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the user's texts behind the last answer, and the calls whose output is there."""
    texts: list[str] = []
    results: list[str] = []
    for item in reversed(items):
        if item.get("role") == "assistant" or item["type"] == "function_call":
            break
        if item["type"] == "function_call_output":
            results.insert(0, item["call_id"])
        if item.get("role") == "user":
            texts[:0] = [part["text"] for part in item["content"] if part["type"] == "input_text"]
    return texts, results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--own-network", action="store_true", help="loopback has to be switched on")
    options = parser.parse_args()
    if options.own_network:
        stand_in.loopback_up()
    server = stand_in.Server(0, options.log, Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
