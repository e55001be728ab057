"""Watching: nothing that a program printed is missed, nothing is told twice, whoever dies."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from swarmcomm import Coordinator, Marker, Swarm, settings
from swarmcomm.swarm.journal import Journal
from tests.conftest import Tmux, wait_for, worker_command

#: Prints when a line is typed into it, then is a cat.
FLOOD = """echo '[DONE] ready'; read -r _; awk 'BEGIN { for (i = 1; i <= %d; i++)
 if (i %% %d == 0) printf "[DONE] n-%%06d\\n", i / %d; else print "line " i " of the output"
}'; cat"""


def flood(lines: int, every: int) -> str:
    return f"sh -c {shlex.quote(FLOOD % (lines, every, every))}"


class Watcher:
    """A ``swarmcomm watch --json`` of its own, and the events that it has told."""

    def __init__(self, environ: dict[str, str], tmux: Tmux, *args: str) -> None:
        self.events: list[dict[str, object]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "swarmcomm", "watch", "--json", *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s"},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.events.append(json.loads(line))

    def answers(self, window: str | None = None) -> list[tuple[object, object]]:
        return [
            (event["marker"], event["wire_id"])
            for event in list(self.events)
            if event["marker"] and window in (None, event["window"])
        ]

    def sees(self, *wanted: tuple[str, str], deadline_s: float = 20.0) -> None:
        """Wait until each of the answers was told."""
        wait_for(lambda: set(wanted) <= set(self.answers()), f"{wanted}", deadline_s)

    def sees_so_many(self, number: int, window: str | None = None, deadline_s: float = 40) -> None:
        wait_for(lambda: len(self.answers(window)) >= number, f"{number} answers", deadline_s)

    def flags(self) -> Counter[object]:
        return Counter(flag for event in list(self.events) for flag in event["flags"])  # type: ignore[attr-defined]

    def end(self, sign: int = signal.SIGINT) -> int:
        """End it and return its status; a second time nothing happens."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.send_signal(sign)
        status = self.process.wait(20)
        self._reader.join(20)
        if not self.process.stderr.closed:
            self.stderr = self.process.stderr.read()
        self.process.stderr.close()
        self.process.stdout.close()
        return status


@pytest.fixture
def watching(environ: dict[str, str], tmux: Tmux) -> Iterator[Callable[..., Watcher]]:
    """Start watchers that end with the test, before the server does."""
    started: list[Watcher] = []

    def start(*args: str, **extra: str) -> Watcher:
        started.append(Watcher({**environ, **extra}, tmux, *args))
        return started[-1]

    yield start
    for watcher in started:
        watcher.end(signal.SIGKILL)


@pytest.fixture
def no_control_mode(tmp_path: Path) -> str:
    """A tmux that has no control mode."""
    shim = tmp_path / "tmux"
    shim.write_text('#!/bin/sh\nfor word; do [ "$word" != -C ] || exit 1; done\nexec tmux "$@"\n')
    shim.chmod(0o755)
    return str(shim)


def is_connected(tmux: Tmux, watchers: int = 1) -> None:
    """Wait until so many watchers hear what is printed; each has two clients."""
    listed = ("list-clients", "-F", "#{client_control_mode}")
    wait_for(lambda: tmux.run(*listed, check=False).count("1") >= 2 * watchers, "the connection")


def say(tmux: Tmux, window: str, *lines: str) -> None:
    """Let a ``cat`` in a window print lines; it shows them twice, as echo and as output."""
    tmux.type("s", window, *lines)


def test_ten_thousand_answers_in_a_million_lines_are_ten_thousand_events_for_each_of_two_watchers(
    tmux: Tmux, watching: Callable[..., Watcher], environ: dict[str, str]
) -> None:
    workers = {f"worker-{n}": worker_command() for n in range(3)}
    tmux.session("s", {"flood": flood(1_000_000, 100), **workers})
    both = [watching(), watching()]
    for watcher in both:
        watcher.sees(("DONE", "ready"))
    tmux.type("s", "flood", "go")
    with Swarm.attach("s", tmux.socket, environ) as swarm:
        for number in range(5):
            for name in workers:
                swarm[name].send("true", task_id=f"{name}-{number}")
    numbered = [("DONE", f"n-{number:06d}") for number in range(1, 10_001)]
    expected = [("DONE", "ready"), *numbered]
    others = {
        name: [(mark, f"{name}-{n}") for n in range(5) for mark in ("ACK", "DONE")]
        for name in workers
    }
    for watcher in both:
        watcher.sees_so_many(10_001, "flood", deadline_s=90)
        # On a busy machine one of them may miss lines, and says so: then it tells what the other
        # one has read, later.
        in_order = not watcher.flags()["gap"]
        answers = watcher.answers("flood")
        assert (answers if in_order else sorted(answers)) == (
            expected if in_order else sorted(expected)
        )
        for name in workers:
            watcher.sees_so_many(10, name)
            assert watcher.answers(name) == others[name]
    numbers = [[event["number"] for event in watcher.events] for watcher in both]
    assert all(each == sorted(set(each)) for each in numbers)
    assert [told(watcher) for watcher in both[1:]] == [told(both[0])]


def told(watcher: Watcher) -> dict[object, object]:
    return {event["number"]: event["wire_id"] for event in watcher.events if event["marker"]}


def test_watchers_that_are_killed_anywhere_lose_nothing_and_repeat_nothing(
    tmux: Tmux, watching: Callable[..., Watcher]
) -> None:
    """Each is killed after some events; the next one goes on where it was."""
    one = 'echo "[TASK] k-$n"; echo "[DONE] k-$n"; sleep 0.02'
    text = f"read -r _; for n in $(seq 1 400); do {one}; done; cat"
    tmux.session("s", {"w": f"sh -c {shlex.quote(text)}"})
    tmux.type("s", "w", "go")
    order = random.Random(7)
    told: list[object] = []
    while len(told) < 400:
        watcher = watching("--since", "0")
        watcher.sees_so_many(min(len(told) + order.randrange(1, 60), 400))
        watcher.end(signal.SIGKILL)
        told = list(watcher.answers())
        assert told == [("DONE", f"k-{number}") for number in range(1, len(told) + 1)]
        assert watcher.flags()["gap"] == 0


def test_a_plain_id_that_is_sent_again_has_a_second_exchange_also_while_nobody_watches(
    tmux: Tmux, watching: Callable[..., Watcher], environ: dict[str, str]
) -> None:
    tmux.session("s", {"w": worker_command()})
    run = [("ACK", "t"), ("DONE", "t")]
    with Swarm.attach("s", tmux.socket, environ) as swarm:
        for number in range(1, 4):
            swarm["w"].send("true", task_id="t").wait(20)
            watcher = watching("--since", "0")
            watcher.sees_so_many(2 * number + 2 * (number - 1))
            swarm["w"].send("true", task_id=f"last-{number}")
            watcher.sees(("DONE", f"last-{number}"))
            assert [each for each in watcher.answers() if each[1] == "t"] == run * number
            watcher.end()


def test_what_is_visible_already_comes_first_and_with_its_old_number(
    tmux: Tmux, watching: Callable[..., Watcher], environ: dict[str, str]
) -> None:
    tmux.session("s", {"w": worker_command()})
    worker = Swarm.attach("s", tmux.socket, environ)["w"]
    worker.send("true", task_id="t")
    first = watching()
    first.sees(("DONE", "t"))
    second = watching()
    second.sees(("DONE", "t"))
    assert [e["number"] for e in first.events if e["marker"]] == [
        e["number"] for e in second.events if e["marker"]
    ]
    third = watching("--since", str(first.events[-1]["number"]))
    worker.send("true", task_id="u")
    third.sees(("DONE", "u"))
    assert third.answers() == [("ACK", "u"), ("DONE", "u")]
    assert (third.end(), third.stderr.count("\n")) == (0, 1)


def test_a_marker_that_scrolled_by_between_two_looks_is_told(
    tmux: Tmux, watching: Callable[..., Watcher]
) -> None:
    """R14, in a window that keeps fewer lines than were printed."""
    text = 'echo "[DONE] ready"; read -r _; echo "[DONE] r14"; seq 1 100000; cat'
    tmux.session("s", {"w": f"sh -c {shlex.quote(text)}"})
    watcher = watching()
    watcher.sees(("DONE", "ready"))
    tmux.type("s", "w", "go")
    watcher.sees(("DONE", "r14"))
    assert "[DONE] r14" not in tmux.screen("s", "w")
    assert watcher.flags()["gap"] == 0


@pytest.mark.parametrize(
    "after", [r"\033[2J\033[3J", r"\033[1A\033[2K", r"\033[?1049h\033[?1049l\033[2J\033[3J"]
)
def test_a_marker_that_was_cleared_away_is_told(
    tmux: Tmux, watching: Callable[..., Watcher], after: str
) -> None:
    """R15."""
    text = f"echo '[DONE] ready'; read -r _; printf '[DONE] r15\\n{after}'; cat"
    tmux.session("s", {"w": f"sh -c {shlex.quote(text)}"})
    watcher = watching()
    watcher.sees(("DONE", "ready"))
    tmux.type("s", "w", "go")
    watcher.sees(("DONE", "r15"))
    # It reads on afterwards, as soon as lines are printed again.
    say(tmux, "w", "[DONE] later")
    watcher.sees(("DONE", "later"))


def test_bytes_that_are_no_text_and_a_line_without_end_stop_nothing(
    tmux: Tmux, watching: Callable[..., Watcher]
) -> None:
    """R23."""
    endless = "head -c 10000000 /dev/zero | tr '\\0' x"
    noise = "head -c 100000 /dev/urandom | tr -d '\\033\\220\\233\\235\\236\\237\\230\\016'"
    text = (
        f"echo '[DONE] ready'; read -r _; {endless}; {noise}; printf '\\000\\n[DONE] r23\\n'; cat"
    )
    tmux.session("s", {"w": f"sh -c {shlex.quote(text)}"})
    watcher = watching()
    watcher.sees(("DONE", "ready"))
    before = resident(watcher.process.pid)
    tmux.type("s", "w", "go")
    watcher.sees(("DONE", "r23"), deadline_s=60.0)
    assert resident(watcher.process.pid) < before + 60_000


def resident(pid: int) -> int:
    """Return the resident memory of a process in KiB."""
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)], text=True))


def test_a_watcher_that_was_frozen_in_a_flood_says_what_it_missed(
    tmux: Tmux, watching: Callable[..., Watcher]
) -> None:
    """R22: the agent goes on, tmux keeps no more than a history, and the loss is a gap."""
    tmux.session("s", {"w": flood(1_500_000, 100), "cat": "cat"})
    watcher = watching()
    watcher.sees(("DONE", "ready"))
    watcher.process.send_signal(signal.SIGSTOP)
    tmux.type("s", "w", "go")
    server = int(tmux.run("display-message", "-p", "#{pid}"))
    wait_for(lambda: "n-015000" in tmux.screen("s", "w"), "the flood's end", 60.0)
    assert resident(server) < 400_000
    watcher.process.send_signal(signal.SIGCONT)
    say(tmux, "cat", "[DONE] after")
    watcher.sees(("DONE", "after"))
    watcher.sees(("DONE", "n-015000"), deadline_s=60.0)
    told = watcher.answers("w")
    assert len(told) == len(set(told))
    assert len(told) == 15_001 or watcher.flags()["gap"] >= 1


def test_a_server_that_stands_still_for_a_while_is_waited_for(
    tmux: Tmux, watching: Callable[..., Watcher]
) -> None:
    tmux.session("s", {"w": "cat"})
    watcher = watching()
    say(tmux, "w", "[DONE] before")
    watcher.sees(("DONE", "before"))
    server = int(tmux.run("display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGSTOP)
    try:
        wait_for(lambda: watcher.flags()["silent"], "that nobody answers", 30.0)
    finally:
        os.kill(server, signal.SIGCONT)
    say(tmux, "w", "[DONE] after")
    watcher.sees(("DONE", "after"))
    assert len(watcher.answers()) == 2


def test_a_server_that_is_killed_ends_a_watch_with_3(
    tmux: Tmux, watching: Callable[..., Watcher]
) -> None:
    tmux.session("s", {"w": "cat"})
    watcher = watching()
    is_connected(tmux)
    os.kill(int(tmux.run("display-message", "-p", "#{pid}")), signal.SIGKILL)
    assert watcher.process.wait(30) == 3


def test_a_server_that_comes_back_with_the_session_is_watched_on(
    tmux: Tmux, watching: Callable[..., Watcher]
) -> None:
    tmux.session("s", {"w": "cat"})
    watcher = watching()
    say(tmux, "w", "[DONE] t")
    watcher.sees(("DONE", "t"))
    server = int(tmux.run("display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{server}/exe").exists(), "its end")
    tmux.session("s", {"w": "cat"})
    is_connected(tmux)
    say(tmux, "w", "[DONE] t")
    # The same id on a pane of the same name: another server, so another event.
    wait_for(lambda: watcher.answers() == [("DONE", "t")] * 2, "the second server's answer")


def test_a_person_who_attaches_and_resizes_changes_nothing(
    tmux: Tmux, watching: Callable[..., Watcher], environ: dict[str, str]
) -> None:
    tmux.session("s", {"w": worker_command()}, width=200)
    worker = Swarm.attach("s", tmux.socket, environ)["w"]
    watcher = watching()
    tmux.run("set", "-t", "s", "window-size", "latest")
    tmux.run("new-session", "-d", "-s", "outer", "-x", "80", "-y", "24",
             f"TMUX= tmux -L {tmux.socket} attach -t =s")  # fmt: skip
    for number, columns in enumerate([80, 60, 132, 40, 200]):
        tmux.run("resize-window", "-t", "=outer:", "-x", str(columns), "-y", "24")
        worker.send("echo " + "word " * 30, task_id=f"t-{number}")
        watcher.sees(("DONE", f"t-{number}"))
    told = [(mark, f"t-{number}") for number in range(5) for mark in ("ACK", "DONE")]
    assert watcher.answers() == told
    assert watcher.flags()["gap"] == 0


def test_clear_history_and_a_narrow_window_are_survived_where_control_mode_cannot_be_had(
    tmux: Tmux, watching: Callable[..., Watcher], no_control_mode: str
) -> None:
    """The way of a process for each command does the same, and says that it is used."""
    tmux.session("s", {"w": "cat"})
    watcher = watching("--interval", "0.05", SWARM_TMUX=no_control_mode)
    wait_for(lambda: watcher.flags()["no-stream"], "that it says so")
    say(tmux, "w", "[DONE] a")
    watcher.sees(("DONE", "a"))
    tmux.run("resize-window", "-t", "=s:w", "-x", "30", "-y", "10")
    say(tmux, "w", "x" * 100, "[DONE] b")
    watcher.sees(("DONE", "b"))
    tmux.run("clear-history", "-t", tmux.pane("s", "w"))
    say(tmux, "w", "[DONE] c")
    watcher.sees(("DONE", "c"))
    assert watcher.answers() == [("DONE", "a"), ("DONE", "b"), ("DONE", "c")]
    assert watcher.flags()["gap"] == 0
    text = r"printf '\033[H\033[2J\033[3J'; seq 1 20000; echo '[DONE] d'; cat"
    tmux.run("respawn-pane", "-k", "-t", tmux.pane("s", "w"), f"sh -c {shlex.quote(text)}")
    watcher.sees(("DONE", "d"))
    # On a busy machine the flood lasts for more than one look.
    assert watcher.flags()["gap"] >= 1


def test_a_window_that_ends_and_comes_back_is_told(
    tmux: Tmux, watching: Callable[..., Watcher]
) -> None:
    tmux.session("s", {"w": "cat", "other": "cat"})
    watcher = watching("w")
    say(tmux, "w", "[DONE] t")
    watcher.sees(("DONE", "t"))
    tmux.run("kill-pane", "-t", tmux.pane("s", "w"))
    wait_for(lambda: [e for e in watcher.events if e["state"] == "gone"], "that it is gone")
    tmux.run("new-window", "-d", "-t", "=s:", "-n", "w", "cat")
    say(tmux, "w", "[DONE] t")
    wait_for(lambda: watcher.answers() == [("DONE", "t")] * 2, "the new window's answer")


@pytest.mark.parametrize("rest_s", [0.0, settings.BEAT_S + 0.5])
def test_what_one_program_began_and_another_one_ended_is_no_answer(
    tmux: Tmux, watching: Callable[..., Watcher], rest_s: float
) -> None:
    tmux.session("s", {"quiet": "cat", "w": "echo '[DONE] ready'; sleep 1000"})
    watcher = watching("w")
    watcher.sees(("DONE", "ready"))
    is_connected(tmux)
    pane = tmux.pane("s", "w")
    for number, began in enumerate(["[DO", "prompt> "]):
        invented = "NE] invented\\n" if number == 0 else ""
        begins = f"printf '{began}'; sleep 1000"
        tmux.run("respawn-pane", "-k", "-t", pane, begins)
        wait_for(lambda text=began: text in tmux.screen("s", "w"), "what it began")
        go_on = f"sleep {rest_s}; printf '{invented}[DONE] real-{number}\\n'; cat"
        tmux.run("respawn-pane", "-k", "-t", pane, go_on)
        watcher.sees(("DONE", f"real-{number}"))
    assert watcher.answers() == [("DONE", f"{name}") for name in ("ready", "real-0", "real-1")]


@pytest.mark.parametrize("streams", [True, False])
def test_an_answer_without_a_newline_is_taken_when_nothing_is_added_to_it(
    tmux: Tmux, watching: Callable[..., Watcher], no_control_mode: str, streams: bool
) -> None:
    text = "read -r _; printf '[DONE] half'; read -r _; printf -- '-way\\n'; cat"
    tmux.session("s", {"w": f"sh -c {shlex.quote(text)}"})
    watcher = watching("--interval", "0.05", **({} if streams else {"SWARM_TMUX": no_control_mode}))
    tmux.type("s", "w", "go")
    watcher.sees(("DONE", "half"))


def test_a_window_whose_options_cannot_be_used_is_told_once_and_looked_at_when_they_can(
    tmux: Tmux, watching: Callable[..., Watcher]
) -> None:
    tmux.session("s", {"w": "cat", "other": "cat"})
    tmux.run("set", "-p", "-t", tmux.pane("s", "w"), "@swarm_ready", "(")
    watcher = watching()
    say(tmux, "other", "[DONE] a")
    watcher.sees(("DONE", "a"))
    wait_for(lambda: watcher.flags()["silent"], "what is wrong")
    tmux.run("set", "-pu", "-t", tmux.pane("s", "w"), "@swarm_ready")
    say(tmux, "w", "[DONE] b")
    watcher.sees(("DONE", "b"))
    assert watcher.flags()["silent"] == 1


def test_two_servers_with_a_session_of_one_name_share_a_store_and_no_event(
    tmux: Tmux, watching: Callable[..., Watcher], environ: dict[str, str]
) -> None:
    other = Tmux(environ)
    for server in (tmux, other):
        server.session("s", {"w": "cat"})
    try:
        watcher, second = watching(), Watcher(environ, other)
        say(tmux, "w", "[DONE] mine")
        say(other, "w", "[DONE] yours")
        watcher.sees(("DONE", "mine"))
        second.sees(("DONE", "yours"))
        say(tmux, "w", "[DONE] end")
        watcher.sees(("DONE", "end"))
        assert watcher.answers() == [("DONE", "mine"), ("DONE", "end")]
        second.end()
    finally:
        other.run("kill-server", check=False)


@pytest.mark.parametrize("fault", ["corrupt", "newer", "locked"])
def test_watching_goes_on_without_a_store_that_cannot_be_used_and_says_so(
    tmux: Tmux, watching: Callable[..., Watcher], tmp_path: Path, fault: str
) -> None:
    tmux.session("s", {"w": "cat"})
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    with ExitStack() as held:
        spoil(state / "events.db", fault, held)
        before = (state / "events.db").read_bytes()
        watcher = watching(SWARM_STATE_DIR=str(state))
        say(tmux, "w", "[DONE] t")
        watcher.sees(("DONE", "t"), deadline_s=40.0)
        wait_for(lambda: watcher.flags()["no-store"], "that it says so", 40.0)
        [event] = [event for event in watcher.events if event["marker"]]
        assert event["number"] is None
        assert watcher.flags()["no-store"] == 1
        assert (state / "events.db").read_bytes() == before


def test_a_store_that_stays_unusable_is_told_of_once_however_often_it_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "STORE_AGAIN_S", 0.0)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    spoil(state / "events.db", "corrupt", ExitStack())
    journal = Journal(state, "socket", "s", ["w"], None)
    told = [event for _ in range(5) for event in journal.record([], {})]
    assert [event.flags for event in told] == [("no-store",)]


def spoil(file: Path, fault: str, held: ExitStack) -> None:
    import sqlite3

    if fault == "corrupt":
        file.write_text("this is no database " * 1000)
        file.chmod(0o600)
        return
    connection = sqlite3.connect(file, isolation_level=None)
    held.callback(connection.close)
    file.chmod(0o600)
    if fault == "newer":
        connection.execute("PRAGMA user_version = 1000")
    else:
        connection.execute("BEGIN EXCLUSIVE")


def test_task_wait_finds_an_answer_that_scrolled_away_while_it_waited(
    tmux: Tmux, environ: dict[str, str]
) -> None:
    done = 'echo "[ACK] $(printf %s "$id" | cut -c8-)"'
    text = f'read -r id; read -r _; {done}; sleep 1; echo "[DONE] t yes"; seq 1 100000; cat'
    tmux.session("s", {"w": f"sh -c {shlex.quote(text)}"})
    with Swarm.attach("s", tmux.socket, environ) as swarm:
        task = swarm["w"].send("go", task_id="t")
        assert task.wait_ack(20).marker is Marker.ACK
        assert task.wait(20).text == "yes"


def test_task_wait_finds_an_answer_that_scrolled_away_before_it_waited_where_somebody_watched(
    tmux: Tmux, environ: dict[str, str], watching: Callable[..., Watcher]
) -> None:
    text = 'echo "[DONE] ready"; read -r _; read -r _; echo "[DONE] t yes"; seq 1 100000; cat'
    tmux.session("s", {"w": f"sh -c {shlex.quote(text)}"})
    watcher = watching()
    watcher.sees(("DONE", "ready"))
    with Swarm.attach("s", tmux.socket, environ) as swarm:
        task = swarm["w"].send("go", task_id="t")
        watcher.sees(("DONE", "t"))
        wait_for(lambda: "100000" in tmux.screen("s", "w"), "the end of what it prints")
        assert "[DONE] t" not in tmux.screen("s", "w")
        assert task.wait(20).text == "yes"


def test_what_registered_sessions_say_is_in_the_stream_of_all_windows_and_of_no_chosen_one(
    tmux: Tmux, watching: Callable[..., Watcher], environ: dict[str, str]
) -> None:
    tmux.session("s", {"w": "cat"})
    all_windows, chosen = watching(), watching("w")
    say(tmux, "w", "[DONE] begin")
    for watcher in (all_windows, chosen):
        watcher.sees(("DONE", "begin"))
    master, child = "master_project_web", "child_web_task_3"
    with Coordinator.attach({**environ, "SWARM_SESSION": "s"}) as coordinator:
        coordinator.register_session_relationship(master, child, "3", "web")
        coordinator.report_session_status(child, "WORKING", 40, "half")
        coordinator.send_message_to_session(master, child, "go on")
    with Coordinator.attach({**environ, "SWARM_SESSION": "other"}) as elsewhere:
        elsewhere.report_session_status(child, "BLOCKED")
    say(tmux, "w", "[DONE] end")
    for watcher in (all_windows, chosen):
        watcher.sees(("DONE", "end"))
    told = [
        (event["window"], event["state"], event["text"], event["flags"])
        for event in all_windows.events
        if event["flags"] and event["flags"][0] in ("session", "message")  # type: ignore[index]
    ]
    assert told == [
        (master, None, "registered as a master", ["session", "registered"]),
        (child, None, f"registered under {master}", ["session", "registered"]),
        (child, "working", "40 %: half", ["session"]),
        (child, None, f"1 INSTRUCTION from {master}: go on", ["message", "sent"]),
    ]
    assert {event["window"] for event in chosen.events} == {"w"}
