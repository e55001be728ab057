"""``swarmcomm watch``, as a person on a terminal and a program behind a pipe meet it."""

from __future__ import annotations

import io
import json
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from swarmcomm import clock
from swarmcomm.frontends.watch_table import WatchTable
from swarmcomm.protocol import Marker
from swarmcomm.store import Event
from tests.conftest import Tmux, wait_for

COMMAND = [sys.executable, "-m", "swarmcomm", "watch"]
FIELDS = [
    "number", "time", "window", "task_id", "wire_id", "marker", "text", "state", "flags",
    "witnesses",
]  # fmt: skip

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmux: Tmux, environ: dict[str, str]) -> Iterator[Start]:
    """Start a watch of session ``s`` whose output is a pipe; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*args: str, **extra: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *args],
            env={**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s", **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate(timeout=20)


class Terminal:
    """A watch in a window of its own, as a person has it."""

    def __init__(self, tmux: Tmux, *assigned: str) -> None:
        place = [f"SWARM_SOCKET={tmux.socket}", "SWARM_SESSION=s"]
        command = shlex.join(["env", *place, *assigned, *COMMAND])
        text = f"{command}; echo status $?; exec cat"
        tmux.session("person", {"w": shlex.join(["bash", "-c", text])}, width=80, height=24)
        self._tmux = tmux
        self._pane = tmux.pane("person", "w")

    def rows(self, *options: str) -> list[str]:
        said = self._tmux.run("capture-pane", "-p", *options, "-t", self._pane)
        return said.rstrip("\n").split("\n")

    def shows(self, *words: str) -> list[str]:
        """Wait until each of the *words* is on the screen, and return its rows."""
        wait_for(lambda: all(word in "\n".join(self.rows()) for word in words), f"{words}")
        return self.rows()

    def resize(self, columns: int, rows: int) -> None:
        size = ("-x", str(columns), "-y", str(rows))
        self._tmux.run("resize-window", "-t", "=person:w", *size)

    def interrupt(self) -> list[str]:
        self._tmux.run("send-keys", "-t", self._pane, "C-c")
        return self.shows("status ")


def said_by_cat(tmux: Tmux, *lines: str) -> None:
    """Type lines into the cat of worker-0, each when the one before stands there twice."""
    for line in lines:
        tmux.type("s", "worker-0", line)
        wait_for(lambda: tmux.screen("s", "worker-0").count(line) == 2, line)  # noqa: B023


def test_on_a_terminal_a_table_shows_state_and_last_answer_of_each_window(tmux: Tmux) -> None:
    tmux.session("s", {"worker-0": "cat", "worker-1": "cat", "worker-2": "cat"})
    terminal = Terminal(tmux)
    terminal.shows("worker-2")
    said_by_cat(tmux, "[ACK] t1", "[DONE] t1" + " 任务 and words" * 8)
    tmux.type("s", "worker-1", "[ERROR] t2 no")
    tmux.run("kill-window", "-t", "=s:worker-2")
    rows = terminal.shows("[DONE] t1", "[ERROR] t2 no", "gone")
    head = next(row for row in rows if row.startswith("window"))
    assert head.split() == ["window", "state", "done", "error", "at", "last", "answer"]
    table = {row.split()[0]: row for row in rows if row.startswith("worker-")}
    assert table["worker-0"].split()[1:3] == ["1", "0"]
    assert table["worker-0"].index("[DONE] t1 任务 and words") == head.index("last answer")
    assert table["worker-1"].split()[1:3] == ["0", "1"]
    assert table["worker-2"].split()[1:] == ["gone", "0", "0"]


def test_what_an_agent_says_is_data_on_a_terminal() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80, height=24, _environ={})
    evil = "[bold]x[/bold] \x1b[2J\x1b]0;title\x07\x9b2J\nsecond :smile:"
    with WatchTable(["w\x1b[2J"], console) as table:
        table.tell(Event("w\x1b[2J", Marker.DONE, "t", "t", evil, (), None, clock.now()))
        table.tell(Event("w\x1b[2J", None, None, None, evil, (), "waiting", clock.now()))
        table.draw()
    said = shown.getvalue()
    assert "[bold]x[/bold]" in said
    assert "second :smile:" in said
    for control in ("\x1b[2J", "\x1b]0", "\x07", "\x9b"):
        assert control not in said


def test_of_more_windows_than_fit_those_are_shown_in_which_something_happened() -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=80, height=10)
    with WatchTable([f"w{number}" for number in range(100)], console) as table:
        for number in (3, 70, 99, 70):
            table.tell(Event(f"w{number}", Marker.DONE, "t", "t", "", (), None, clock.now()))
    rows = shown.getvalue().splitlines()
    assert len(rows) == 10
    assert {"w3", "w70", "w99"} < {row.split()[0] for row in rows[1:6]}
    assert "95 more" in rows[6]
    assert [row.split()[1] for row in rows[7:]] == ["w70:", "w99:", "w70:"]


def test_a_terminal_that_is_resized_shows_one_whole_picture(tmux: Tmux) -> None:
    tmux.session("s", {"worker-0": "cat", "worker-1": "cat"})
    terminal = Terminal(tmux)
    for number, (columns, rows) in enumerate([(60, 24), (40, 9), (120, 30), (80, 24)]):
        for again in range(3):
            said_by_cat(tmux, f"[DONE] t{number}-{again}" + " word" * 30)
        terminal.shows(f"[DONE] t{number}-2")
        terminal.resize(columns, rows)
        # Without anything that happens, and with the newest of what did.
        wait_for(lambda: _is_whole(terminal.rows(), f"t{number}-2"), f"{columns}x{rows}")  # noqa: B023
        tmux.type("s", "worker-1", f"[DONE] after-{number}")
        rows_now = terminal.shows(f"worker-1: [DONE] after-{number}")
        assert _is_whole(rows_now, f"after-{number}"), rows_now


def _is_whole(rows: list[str], newest: str) -> bool:
    heads = [row for row in rows if row.startswith("window")]
    workers = [row.split()[0] for row in rows if row.startswith("worker-")]
    return (
        len(heads) == 1
        and workers == ["worker-0", "worker-1"]
        and newest in next(row for row in reversed(rows) if row)
    )


def test_ctrl_c_on_a_terminal_leaves_status_0_and_the_last_picture(tmux: Tmux) -> None:
    tmux.session("s", {"worker-0": "cat"})
    terminal = Terminal(tmux)
    tmux.type("s", "worker-0", "[DONE] t1 fine")
    terminal.shows("worker-0: [DONE] t1 fine")
    rows = terminal.interrupt()
    assert rows[-1] == "status 0"
    assert "worker-0: [DONE] t1 fine" in rows[-2]
    assert sum(row.startswith("window") for row in rows) == 1
    assert "Traceback" not in "\n".join(rows)


def test_no_color_leaves_the_colours_out(tmux: Tmux) -> None:
    tmux.session("s", {"worker-0": "cat"})
    tmux.type("s", "worker-0", "[DONE] t1 fine")
    for assigned, is_coloured in ((["NO_COLOR=1"], False), ([], True)):
        terminal = Terminal(tmux, *assigned)
        terminal.shows("worker-0: [DONE] t1 fine")
        assert any("\x1b[32m" in row for row in terminal.rows("-e")) is is_coloured
        terminal.interrupt()
        tmux.run("kill-session", "-t", "=person")


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(tmux: Tmux) -> None:
    tmux.session("s", {"worker-0": "cat"})
    terminal = Terminal(tmux, "TERM=dumb")
    tmux.type("s", "worker-0", "[DONE] t1 fine")
    rows = terminal.shows("worker-0: [DONE] t1 fine")
    assert not any(row.startswith("window") for row in rows)
    assert terminal.interrupt()[-1] == "^Cstatus 0"


def test_behind_a_pipe_an_answer_is_a_line_and_a_near_miss_goes_to_standard_error(
    tmux: Tmux, start: Start
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    said_by_cat(tmux, "[DONE] t1 fine", "[DONE] t1 other")
    watch = start()
    assert watch.stdout
    assert watch.stderr
    assert watch.stdout.readline()[10:] == " worker-0: [DONE] t1 fine\n"
    assert watch.stderr.readline() == "watching worker-0 in s; Ctrl-C ends\n"
    assert watch.stderr.readline()[10:] == " worker-0: near miss (late): [DONE] t1 other\n"
    watch.send_signal(signal.SIGINT)
    assert watch.communicate(timeout=20)[0] == ""
    assert watch.returncode == 0


def test_json_has_exactly_these_fields_for_an_answer_a_near_miss_and_a_state(
    tmux: Tmux, start: Start
) -> None:
    tmux.session("s", {"worker-0": "cat", "worker-1": "cat"})
    said_by_cat(tmux, "[DONE] t1+k3f9m2xd fine", "[DONE] t1+k3f9m2xd other")
    watch = start("--json")
    assert watch.stdout
    told = [json.loads(watch.stdout.readline()) for _ in range(2)]
    tmux.run("kill-window", "-t", "=s:worker-1")
    told.append(json.loads(watch.stdout.readline()))
    assert [list(event) for event in told] == [FIELDS] * 3
    lists = {"flags", "witnesses"}
    for event in told:
        assert all(isinstance(v, list) is (key in lists) for key, v in event.items())
        assert not any(isinstance(value, dict) for value in event.values())
    answer, near, gone = told
    assert (answer["task_id"], answer["wire_id"], answer["marker"], answer["text"]) == (
        "t1", "t1+k3f9m2xd", "DONE", "fine",
    )  # fmt: skip
    assert answer["witnesses"] == ["screen"]
    assert (near["marker"], near["state"], near["flags"]) == (None, None, ["late"])
    assert (gone["window"], gone["marker"], gone["state"]) == ("worker-1", None, "gone")
    assert [event["number"] for event in told] == [1, 2, 3]


@pytest.mark.parametrize("args", [[], ["--json"], ["--interval", "0.2"]])
def test_a_closed_pipe_ends_it_though_nothing_happens_any_more(
    tmux: Tmux, start: Start, args: list[str], tmp_path: Path
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    tmux.type("s", "worker-0", "[DONE] t1")
    extra = {}
    if "--interval" in args:
        extra["SWARM_TMUX"] = shim(tmp_path, '[ "$word" != -C ] || exit 1')
    watch = start(*args, **extra)
    assert watch.stdout
    assert "t1" in watch.stdout.readline()
    watch.stdout.close()
    assert watch.wait(timeout=20) == 0
    assert watch.stderr
    assert [line for line in watch.stderr if "no-stream" not in line] == [
        "watching worker-0 in s; Ctrl-C ends\n"
    ]


def test_head_ends_a_pipeline(tmux: Tmux, environ: dict[str, str]) -> None:
    tmux.session("s", {"worker-0": "cat"})
    tmux.type("s", "worker-0", "[DONE] t1")
    done = subprocess.run(
        ["bash", "-c", f'{shlex.join(COMMAND)} | head -1; echo "${{PIPESTATUS[0]}}"'],
        env={**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout[10:] == " worker-0: [DONE] t1\n0\n"
    assert done.stderr == "watching worker-0 in s; Ctrl-C ends\n"


@pytest.mark.parametrize("word", ["list-panes", "-C"])
def test_ctrl_c_before_and_in_the_first_look_is_status_0(
    tmux: Tmux, start: Start, tmp_path: Path, word: str
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    there = tmp_path / "there"
    stop = f'[ "$word" != {word} ] || {{ : > {there}; exec sleep 30; }}'
    watch = start(SWARM_TMUX=shim(tmp_path, stop))
    wait_for(there.exists, "that it asks tmux")
    watch.send_signal(signal.SIGINT)
    out, err = watch.communicate(timeout=20)
    assert (watch.returncode, out) == (0, "")
    assert all(line.startswith("watching ") for line in err.splitlines())


def shim(folder: Path, for_each_word: str) -> str:
    """Return a tmux program that does something for each word of its arguments first."""
    path = folder / "tmux"
    path.write_text(f'#!/bin/sh\nfor word; do {for_each_word}; done\nexec tmux "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("since", ["1000", "9" * 30])
def test_since_a_number_that_is_not_there_yet_begins_with_what_comes(
    tmux: Tmux, start: Start, since: str
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    tmux.type("s", "worker-0", "[DONE] t1")
    first = start("--json")
    assert first.stdout
    assert json.loads(first.stdout.readline())["number"] == 1
    second = start("--json", "--since", since)
    assert second.stderr
    assert second.stderr.readline().startswith("watching ")
    assert second.stdout
    typed = iter(range(2, 1000))

    def comes() -> bool:
        # It begins where the store stands when it opens it, and that nobody can see.
        tmux.type("s", "worker-0", f"[DONE] t{next(typed)}")
        return bool(select.select([second.stdout], [], [], 0.2)[0])

    wait_for(comes, "what comes")
    event = json.loads(second.stdout.readline())
    assert event["number"] > 1
    assert event["task_id"] != "t1"


def test_a_window_that_waits_for_a_person_is_shown_to_every_watch_that_begins(
    tmux: Tmux, start: Start
) -> None:
    tmux.session("s", {"worker-0": "sh -c 'printf \"Proceed? \"; exec cat'"})
    pane = tmux.pane("s", "worker-0")
    for name, value in (("ready", "^swarm> *$"), ("column", "7"), ("dialog", "^Proceed")):
        tmux.run("set", "-p", "-t", pane, f"@swarm_{name}", value)
    for _ in range(2):
        watch = start("--json")
        assert watch.stdout
        event = json.loads(watch.stdout.readline())
        assert (event["number"], event["state"]) == (1, "waiting")
        watch.send_signal(signal.SIGINT)
        watch.wait(20)
    terminal = Terminal(tmux)
    rows = terminal.shows("waiting")
    assert next(row for row in rows if row.startswith("worker-0")).split()[1] == "waiting"


def test_a_window_is_watched_once_however_often_it_is_named_and_has_a_name(
    tmux: Tmux, start: Start
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    watch = start("worker-0", "worker-0")
    assert watch.stderr
    assert watch.stderr.readline() == "watching worker-0 in s; Ctrl-C ends\n"
    watch.send_signal(signal.SIGINT)
    assert watch.wait(20) == 0
    nameless = start("worker-0", "")
    assert nameless.communicate(timeout=20) == ("", "swarmcomm: a window has no name\n")
    assert nameless.returncode == 2
