"""Faults of reading, by their id: what stands on a real screen, read by bash and by Python.

Every row is read by both; a difference between them is a failure of each test here (R27).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Tmux, wait_for

Run = Callable[..., "subprocess.CompletedProcess[str]"]

END = "=end="


class Faces:
    """Both readers over one window that shows a text."""

    def __init__(self, tmux: Tmux, swarmcomm: Run, script: Run, tmp_path: Path) -> None:
        self.tmux, self.swarmcomm, self.script, self.tmp_path = tmux, swarmcomm, script, tmp_path

    def show(self, text: str | bytes, width: int = 80) -> None:
        """Make a window whose program prints *text* and then stays."""
        shown = self.tmp_path / "shown"
        shown.write_bytes(text.encode() if isinstance(text, str) else text)
        command = f"stty -echo; cat '{shown}'; printf '\\n{END}\\n'; exec cat"
        self.tmux.session("s", {"worker-0": command}, width=width)
        wait_for(lambda: END in self.tmux.screen("s", "worker-0"), "the text")

    def poll(self, *args: str) -> tuple[list[str], list[str], int]:
        """Return answers, near misses and status; both faces must give the same."""
        python = self.swarmcomm("poll", "worker-0", *args)
        bash = self.script("claude_comm.sh", "poll", "worker-0", *args)
        assert bash.stdout == python.stdout
        assert bash.returncode == python.returncode
        near = [line for line in python.stderr.splitlines() if line.startswith("near miss")]
        assert near == [line for line in bash.stderr.splitlines() if line.startswith("near miss")]
        return python.stdout.splitlines(), near, python.returncode


@pytest.fixture
def faces(tmux: Tmux, swarmcomm: Run, script: Run, tmp_path: Path) -> Faces:
    return Faces(tmux, swarmcomm, script, tmp_path)


def test_r01_an_echo_is_no_answer(faces: Faces, tmux: Tmux, script: Run) -> None:
    tmux.session("s", {"worker-0": "cat"})
    text = "say [ACK] t1, then\n[DONE] t1\n> [ERROR] t1 no\n`[WAIT] t1`"
    assert script("claude_comm.sh", "send", "worker-0", "t1", text).returncode == 0
    assert faces.poll("0.3", "t1") == ([], [], 1)
    assert faces.poll("0") == ([], [], 1)


def test_an_answer_whose_task_cannot_be_seen_is_noted_once(
    faces: Faces, swarmcomm: Run, script: Run
) -> None:
    faces.show("[ACK] t1\n[DONE] t1\n[TASK] t2\n[DONE] t2\n")

    def said(*words: str) -> list[str]:
        both = [swarmcomm("poll", "worker-0", *words)]
        both.append(script("claude_comm.sh", "poll", "worker-0", *words))
        assert [done.returncode for done in both] == [0, 0]
        assert both[0].stdout == both[1].stdout
        return [done.stderr for done in both]

    why = "the [TASK] line of t1 cannot be seen; this may be an answer to somebody else"
    assert said("5", "t1") == [f"note: {why}\n"] * 2
    assert said("5", "t2") == [""] * 2


def test_r02_an_echo_that_is_cut_before_the_marker_is_no_answer(
    faces: Faces, tmux: Tmux, swarmcomm: Run
) -> None:
    tmux.session("s", {"worker-0": "cat"}, width=40)
    for lead in range(20, 40):
        text = "x" * lead + "[DONE] t1 and " + "y" * lead + "[ERROR] t1"
        assert swarmcomm("send", "worker-0", "t1", text).returncode == 0
    assert faces.poll("0", "t1")[0] == []
    tmux.run("resize-window", "-t", "=s:worker-0", "-x", "23")
    assert faces.poll("0", "t1")[0] == []


def test_r02_a_program_that_cuts_rows_itself_makes_no_answer_of_an_echo(faces: Faces) -> None:
    width = 30
    text = "[TASK] t1\n"
    for lead in range(width):
        row = "x" * lead + "\\[DONE] t1 " + "y" * 40
        text += "\n".join(row[at : at + width] for at in range(0, len(row), width)) + "\n"
    faces.show(text, width)
    assert faces.poll("0", "t1")[0] == []


def test_r03_a_quoted_file_with_another_s_answers_is_reported_and_not_taken(faces: Faces) -> None:
    faces.show("[TASK] T1+abcd1234\n[DONE] T1\n[DONE] T1+zzzz1234\n[DONE] <id>\n")
    answers, near, status = faces.poll("0", "T1+abcd1234")
    assert (answers, status) == ([], 1)
    assert near == ["near miss (tag): [DONE] T1", "near miss (tag): [DONE] T1+zzzz1234"]


def test_r04_another_task_s_answer_changes_nothing(faces: Faces) -> None:
    faces.show("[TASK] t1\nx\n[ACK] t1\n[TASK] t2\nx\n[ACK] t2\n[DONE] t2\n")
    assert faces.poll("0", "t1", "--until", "DONE")[0] == ["[ACK] t1"]
    assert faces.poll("0", "t2")[0] == ["[ACK] t2", "[DONE] t2"]


def test_r06_an_end_without_an_ack_is_taken(faces: Faces, swarmcomm: Run) -> None:
    faces.show("[TASK] t1\nx\n[DONE] t1 early\n")
    assert faces.poll("0", "t1")[0] == ["[DONE] t1 early"]
    assert '"no-ack"' in swarmcomm("poll", "--json", "worker-0", "0", "t1").stdout


@pytest.mark.parametrize(
    ("ends", "first", "late"),
    [
        (["[DONE] t1", "[ERROR] t1 no"], "[DONE] t1", ["near miss (late): [ERROR] t1 no"]),
        (["[ERROR] t1 no", "[DONE] t1"], "[ERROR] t1 no", ["near miss (late): [DONE] t1"]),
        (["[DONE] t1", "[DONE] t1"], "[DONE] t1", []),
    ],
)
def test_r07_the_first_end_wins(faces: Faces, ends: list[str], first: str, late: list[str]) -> None:
    faces.show("\n".join(["[TASK] t1", "x", "[ACK] t1", *ends]))
    assert faces.poll("0", "t1")[:2] == (["[ACK] t1", first], late)
    assert faces.poll("0", "t1")[:2] == (["[ACK] t1", first], late)


@pytest.mark.parametrize(
    "line",
    [
        "⏺ [DONE] t1",
        "│ [DONE] t1 │",
        "> [DONE] t1",
        "`[DONE] t1`",
        "\x1b[1m[DONE]\x1b[0m t1",
        "**[DONE] t1**",
        "    [DONE] t1",
        "- [DONE] t1",
        "[DONE]: t1",
        "[DONE]t1",
        "🎉 [DONE] t1",
    ],
)
def test_r08_decoration_is_forgiven(faces: Faces, line: str) -> None:
    faces.show(f"[TASK] t1\nx\n{line}\n")
    assert faces.poll("0", "t1")[0] == ["[DONE] t1"]


@pytest.mark.parametrize(
    "line", ["I will print [DONE] t1 then", "1. [DONE] t1", "step 2 [DONE] t1", "已完成 [DONE] t1"]
)
def test_r09_a_marker_in_a_sentence_or_a_numbered_list_is_no_answer(
    faces: Faces, line: str
) -> None:
    faces.show(f"[TASK] t1\nx\n{line}\n")
    assert faces.poll("0", "t1") == ([], [f"near miss (sentence): {line}"], 1)


@pytest.mark.parametrize("name", ["T10", "t1", "Т1", "T1\u200b0", "T1\u202ex", "T-1", "T1_"])
def test_r11_an_id_that_only_looks_like_it_is_no_answer(faces: Faces, name: str) -> None:
    faces.show(f"[TASK] T1\nx\n[DONE] {name}\n")
    answers, near, status = faces.poll("0", "T1")
    assert (answers, status) == ([], 1)
    assert len(near) == (0 if name == "T-1" else 1)


@pytest.mark.parametrize("width", [20, 40])
def test_r12_an_answer_that_the_terminal_wraps_is_whole(faces: Faces, width: int) -> None:
    name = "a-long-task-name-of-some-forty-letters-01"
    faces.show(f"[TASK] {name}\nx\n[ACK] {name}\n[ERROR] {name} with a text behind it\n", width)
    assert faces.poll("0", name)[0] == [f"[ACK] {name}", f"[ERROR] {name} with a text behind it"]


def test_r25_an_empty_pane_is_no_output_and_not_absent(faces: Faces, tmux: Tmux) -> None:
    tmux.session("s", {"worker-0": "cat"})
    assert faces.poll("0", "t1") == ([], [], 1)
    status = faces.swarmcomm("status", "worker-0")
    assert (status.returncode, status.stdout.strip()) == (0, "")
    status = faces.script("claude_comm.sh", "status", "worker-0")
    assert (status.returncode, status.stdout.strip()) == (0, "")


def test_r26_a_long_or_hostile_text_is_cleaned_and_cut(faces: Faces, swarmcomm: Run) -> None:
    hostile = "<b>[link=x]" + "é" * 100_000
    faces.show(b"[TASK] t1\nx\n[ERROR] t1 \x1b[31m" + hostile.encode() + b"\n")
    answers, _, status = faces.poll("0", "t1")
    assert status == 0
    text = answers[0].removeprefix("[ERROR] t1 ")
    assert text.startswith("<b>[link=x]é")
    assert len(text.encode()) in (4095, 4096)
    assert '"cut"' in swarmcomm("poll", "--json", "worker-0", "0", "t1").stdout


def test_r27_both_readers_say_the_same_of_a_busy_screen(faces: Faces) -> None:
    faces.show(
        "[TASK] a\nx\n[ACK] a\n[WAIT] a for b\n[TASK] b\ny\n[ACK] b\n[HELP] b which?\n"
        "[DONE] b\n[DONE] a.\n[DONE] a，已完成\n[ERROR] c: not sent\n[DONE] zz\n1. [DONE] a\n"
    )
    for ask in ("a", "b", "c", "zz", "nothing"):
        faces.poll("0", ask)
    answers, _, _ = faces.poll("0")
    assert answers[:3] == ["[ACK] a", "[WAIT] a for b", "[ACK] b"]
