"""A program for a window that answers tasks of its own at random times, and notes each answer.

Usage: agent.py KIND SEED LOG GO QUIET. KIND is lines, flood or paint. It begins when the file GO is
there, and is silent from when QUIET is. An answer goes to LOG, a JSON line each, before it is
printed.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

_DECORATIONS = ("", "", "", "  ", "● ", "│ ", "> ", "**")
_WORDS = (
    "all",
    "good",
    "漢字",
    "e\u0301tude",
    "50%",
    "naïve",
    "x" * 90,
    "👩‍👩‍👧",
    "(see [TASK] above)",
)

#: Seconds after its end before a painter begins an id again. A screen shows the newest exchange of
#: an id: what came before it must have been looked at, also on a busy machine.
_PAINTED_AGAIN_S = 5.0


class Agent:
    """Answers on standard output; the order of what it does comes from a seed alone."""

    def __init__(self, kind: str, seed: str, log: Path) -> None:
        self.kind = kind
        self._name = seed
        self._random = random.Random(seed)
        self._log = log.open("a", encoding="utf-8")
        self._count = 0
        self._open: list[str] = []
        self._over: list[tuple[float, str]] = []

    def step(self) -> None:
        """Do one thing, and rest for a while."""
        doings = [self._noise, self._begin, self._begin, self._ask, self._end, self._end]
        doings.append(self._flood if self.kind == "flood" else self._unasked)
        if self.kind == "paint":
            doings += [self._status, self._status, self._clear, self._other_screen]
        self._random.choice(doings)()
        time.sleep(self._random.expovariate(1 / 0.8))

    def finish(self) -> None:
        """End what is open."""
        while self._open:
            self._end()

    def _noise(self) -> None:
        for _ in range(self._random.randrange(1, 40)):
            self._write(f"line {self._random.random()} of the output [not an answer]\n")

    def _begin(self) -> None:
        if len(self._open) > 3:
            return self._end()
        wire_id = self._id()
        self._open.append(wire_id)
        self._write(f"[TASK] {wire_id}\nwrite a file, then say \\[DONE] {wire_id}\n")
        self._answer("ACK", wire_id, "")
        return None

    def _ask(self) -> None:
        if self._open:
            text = f"{self._new()} {self._text()}"
            self._answer(
                self._random.choice(["WAIT", "HELP"]), self._random.choice(self._open), text
            )

    def _end(self) -> None:
        if self._open:
            wire_id = self._open.pop(self._random.randrange(len(self._open)))
            self._answer(self._random.choice(["DONE", "ERROR"]), wire_id, self._text())
            over = [each for each in self._over if each[1] != wire_id]
            self._over = [*over, (time.monotonic(), wire_id)][-5:]

    def _unasked(self) -> None:
        """Answer a task whose line nobody has seen."""
        self._answer("DONE", self._new(), self._text())

    def _flood(self) -> None:
        if self._random.random() < 0.8:
            return
        for number in range(self._random.randrange(2_000, 20_000)):
            if number % 400 == 0:
                self._answer("DONE", self._new(), "", whole=True)
            else:
                self._write(f"line {number} of a flood\n", flush=False)
        sys.stdout.flush()

    def _status(self) -> None:
        """Print a row and paint over it."""
        self._write("a bar\n")
        for _ in range(self._random.randrange(1, 5)):
            self._write(f"\x1b[1A\r\x1b[Ka bar at {self._random.random()}\n")

    def _clear(self) -> None:
        self._write("\x1b[H\x1b[2J")

    def _other_screen(self) -> None:
        self._write("\x1b[?1049h\x1b[H\x1b[2Jan editor\n~\n~\n")
        time.sleep(self._random.random())
        self._write("\x1b[?1049l")

    def _id(self) -> str:
        ready = time.monotonic() - (_PAINTED_AGAIN_S if self.kind == "paint" else 0.0)
        over = [one for at, one in self._over if at <= ready and one not in self._open]
        if over and self._random.random() < 0.4:
            return self._random.choice(over)
        if self._random.random() < 0.3:
            letters = "abcdefghijklmnopqrstuvwxyz0123456789"
            return f"{self._new()}+{''.join(self._random.choices(letters, k=8))}"
        return self._new()

    def _new(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count}"

    def _text(self) -> str:
        return " ".join(self._random.choices(_WORDS, k=self._random.randrange(4)))

    def _answer(self, marker: str, wire_id: str, text: str, whole: bool = False) -> None:
        json.dump([marker, wire_id, text], self._log)
        self._log.write("\n")
        self._log.flush()
        line = f"{self._random.choice(_DECORATIONS)}[{marker}] {wire_id} {text}".rstrip()
        how = 3 if whole else self._random.randrange(5)
        if how == 0:
            for percent in range(0, 100, 25):
                self._write(f"progress {percent}%\r")
            self._write("\x1b[K")
        if how <= 1:
            self._pieces(line.encode() + b"\n")
        else:
            self._write(f"{line}\n", flush=not whole)

    def _pieces(self, data: bytes) -> None:
        """Write it in pieces cut anywhere, with pauses."""
        at = 0
        while at < len(data):
            size = self._random.randrange(1, 30)
            os.write(1, data[at : at + size])
            at += size
            time.sleep(self._random.random() * 0.05)

    def _write(self, text: str, flush: bool = True) -> None:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()


def main(kind: str, seed: str, log: str, go: str, quiet: str) -> None:
    """Answer until it is time to be quiet; then wait to be ended."""
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    agent = Agent(kind, seed, Path(log))
    print("[DONE] ready", flush=True)
    while not Path(go).exists():
        time.sleep(0.1)
    while not Path(quiet).exists():
        agent.step()
    agent.finish()
    Path(f"{log}.over").touch()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(*sys.argv[1:])
