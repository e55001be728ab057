"""What programs do to a terminal between and around their answers: events are the answers still."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Tmux, wait_for
from tests.swarm.test_watching import Watcher, watching

__all__ = ["watching"]

#: Before each: prints when a line is typed into it, then is asked nothing more.
BEGIN = """
import os, sys, time
def say(text, rest=0.0):
    data = text.encode()
    while data:
        written = os.write(1, data)
        data = data[written:]
    time.sleep(rest)
def task(id, text="", end="DONE"):
    say(f"[TASK] {id}\\ndo it\\n[ACK] {id}\\n[{end}] {id} {text}".rstrip() + "\\n")
say("[DONE] ready\\n")
input()
"""
END = """
say("[DONE] end\\n")
time.sleep(1000)
"""


def run(*ids: str) -> list[tuple[str, str]]:
    return [(marker, wire_id) for wire_id in ids for marker in ("ACK", "DONE")]


CASES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "split over writes with pauses": (
        "for char in '[TASK] a\\n[ACK] a\\n[DONE] a all good\\n': say(char, 0.05)",
        run("a"),
    ),
    "split inside characters": (
        "for byte in '[WAIT] a 漢字 e\\u0301 👩\\u200d👩\\u200d👧 x\\n[DONE] a\\n'.encode():\n"
        "    os.write(1, bytes([byte])); time.sleep(0.03)",
        [("WAIT", "a"), ("DONE", "a")],
    ),
    "a progress that a carriage return overwrites": (
        "for n in range(50): say(f'\\rprogress [{n}%] of it', 0.01)\nsay('\\r\\x1b[K'); task('a')",
        run("a"),
    ),
    "clear between two tasks": (
        "task('a'); time.sleep(0.3); say('\\x1b[H\\x1b[2J'); task('a'); time.sleep(0.3)\n"
        "say('\\x1b[H\\x1b[2J\\x1b[3J'); task('b'); time.sleep(3); task('b')",
        run("a", "a", "b", "b"),
    ),
    "another screen in between": (
        "for n in range(3):\n"
        "    task('a', 'x' * 150); say('line\\n' * 60); task(f'n{n}')\n"
        "    say('\\x1b[?1049h\\x1b[H\\x1b[2Jan editor', 0.5)\n"
        "    say('\\x1b[3;1H[TASK] a\\r\\n[ACK] a\\r\\n', 0.5); say('\\x1b[?1049l', 0.3)",
        [*run("a", "n0"), *run("a", "n1"), *run("a", "n2")],
    ),
    "another screen that stays for long": (
        "task('a'); say('\\x1b[?1049h\\x1b[H\\x1b[2Jan editor', 5.0)\n"
        "say('\\x1b[?1049l'); task('b')",
        run("a", "b"),
    ),
    "a row that is painted in pieces": (
        "say('a bar\\n'); task('a')\n"
        "for piece in ('[TASK] b\\n[ACK] ', 'b\\n[WA', 'IT] b one', ' two', ' three\\n'):\n"
        "    say('\\x1b7\\x1b[1A\\x1b8'); say(piece, 0.3)\n"
        "say('[DONE] b\\n')",
        [*run("a"), ("ACK", "b"), ("WAIT", "b"), ("DONE", "b")],
    ),
    "a wrapped row of which the first half is painted once more": (
        "w = os.get_terminal_size().columns; row = ('[WAIT] a ' + 'words ' * w)[:w * 3 // 2]\n"
        "task('b'); say('[TASK] a\\n' + row + '\\n', 2.5)\n"
        "say('\\x1b[2A\\x1b[2K' + row[:w] + '\\r\\x1b[2B', 2.5)\n"
        "say('[WAIT] a wo\\n[HELP] a wo\\n', 2.5); say('[DONE] a\\n')",
        [*run("b"), ("WAIT", "a"), ("WAIT", "a"), ("HELP", "a"), ("DONE", "a")],
    ),
    "a task that was sent again, whose newest line is painted over once more": (
        "task('a', 'one'); task('a', 'two'); time.sleep(2.5)\n"
        "say('\\x1b[4A\\x1b[2K\\x1b[4B', 3); say('\\x1b[4A\\x1b[2K\\x1b[4B', 2.5); task('b')",
        run("a", "a", "b"),
    ),
    "an id that begins like another": (
        "task('t1'); task('t10'); task('t1.0'); task('t1-0'); task('t1')",
        run("t1", "t10", "t1.0", "t1-0", "t1"),
    ),
    "200 tasks in a burst": (
        "for n in range(200): task(f'b-{n}')",
        run(*(f"b-{n}" for n in range(200))),
    ),
    "the same task 200 times in a burst": (
        "for n in range(200): task('b', f'{n % 2}')",
        run("b") * 200,
    ),
}


@pytest.mark.parametrize("width", [200, 20])
@pytest.mark.parametrize("case", CASES)
def test_the_events_are_the_answers(
    tmux: Tmux, watching: Callable[..., Watcher], tmp_path: Path, case: str, width: int
) -> None:
    """One watches all the time, others come in the middle of it and go on where they were."""
    doings, expected = CASES[case]
    program = tmp_path / "program.py"
    program.write_text(BEGIN + doings + END, encoding="utf-8")
    tmux.session("s", {"w": shlex.join([sys.executable, str(program)])}, width=width, height=10)
    first = watching("--since", "0")
    first.sees(("DONE", "ready"))
    tmux.type("s", "w", "")
    others: list[Watcher] = []

    def ended() -> bool:
        if len(others) < 8 and (not others or others[-1].events):
            others.append(watching("--since", "0"))
        return ("DONE", "end") in first.answers()

    wait_for(ended, "the end", 40.0)
    others.append(watching("--since", "0"))
    told = [("DONE", "ready"), *expected, ("DONE", "end")]
    for watcher in (first, *others):
        watcher.sees(("DONE", "end"))
        # Who comes in the middle cannot know that a painted task was sent again, and is first.
        assert Counter(watcher.answers()) == Counter(told)
        assert watcher.answers() == told or "screen" in case
    texts = [
        sorted((str(e["number"]), str(e["text"])) for e in each.events if e["marker"])
        for each in (first, others[-1])
    ]
    assert texts[0] == texts[1]
    # What was cleared away or painted over before one who joined has read it is a gap.
    may_be_gone = "clear" in case or "once more" in case
    known = {"task-not-seen", "no-ack", *(["gap"] if may_be_gone else [])}
    # Without the line of its task an end stands behind another one.
    known |= {"late"} if "newest" in case else set()
    assert not set(first.flags()) - known
