"""Many watchers and senders at once, and watchers that die while they write or stand still."""

from __future__ import annotations

import json
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from swarmcomm.frontends import cli
from swarmcomm.store import FILE, Event, Found, Place, Store
from tests.conftest import Tmux, wait_for, worker_command
from tests.store.processes import countdown, start, watch_steps
from tests.swarm.test_watching import Watcher, is_connected, resident, say, watching

__all__ = ["watching"]

#: Shows what is typed into it once.
QUIET_CAT = "stty -echo; echo quiet; exec cat"


def is_quiet(tmux: Tmux) -> None:
    """Wait until the terminal echoes nothing: half an echo would stand before the first line."""
    wait_for(lambda: "quiet" in tmux.screen("s", "w"), "that it echoes nothing")


#: Sends tasks NAME-0, NAME-1, ... and NAME-again twice, each to the next window.
SENDER = """
import sys
from swarmcomm import Swarm
socket, name, *windows = sys.argv[1:]
with Swarm.attach("s", socket) as swarm:
    for number in range(4):
        swarm[windows[number % len(windows)]].send("true", task_id=f"{name}-{number}", tag=True)
    for _ in range(2):
        swarm[windows[0]].send("true", task_id=f"{name}-again").wait(60)
"""


def test_16_watchers_and_senders_at_once_make_one_event_of_each_answer_and_each_tells_it_once(
    tmux: Tmux, watching: Callable[..., Watcher], environ: dict[str, str]
) -> None:
    windows = [f"w{number}" for number in range(4)]
    tmux.session("s", dict.fromkeys(windows, worker_command()))
    watchers = [watching("--since", "0", *windows) for _ in range(10)]
    senders = [
        subprocess.Popen(
            [sys.executable, "-c", SENDER, tmux.socket, f"p{number}", *windows], env=environ
        )
        for number in range(6)
    ]
    assert [sender.wait(100) for sender in senders] == [0] * len(senders)
    for watcher in watchers:
        watcher.sees_so_many(6 * (4 + 2) * 2)
    told = [[event for event in watcher.events if event["marker"]] for watcher in watchers]
    numbers = [event["number"] for event in told[0]]
    assert numbers == sorted(set(numbers))  # type: ignore[type-var]
    assert told == [told[0]] * len(watchers)
    every = Counter((event["marker"], event["task_id"]) for event in told[0])
    for number in range(6):
        for marker in ("ACK", "DONE"):
            assert [every[marker, f"p{number}-{task}"] for task in range(4)] == [1] * 4
            assert every[marker, f"p{number}-again"] == 2
    assert watchers[0].flags() == Counter()


def test_a_watcher_that_is_killed_at_any_step_of_writing_loses_nothing_and_repeats_nothing(
    tmux: Tmux, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is killed one step later than the one before, and the next one goes on behind it.

    The task is the same each time: what is read again after a kill must not be a new exchange.
    """
    printed = tmp_path / "printed"
    printed.write_text("")
    tmux.session("s", {"w": shlex.join(["tail", "-f", str(printed)])})
    for name, value in {**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s"}.items():
        monkeypatch.setenv(name, value)
    state = tmp_path / "state"
    monkeypatch.setenv("SWARM_STATE_DIR", str(state))
    told: list[dict[str, object]] = []
    runs = 0
    for step in range(1, 500):
        if stored(state) == 3 * runs:
            runs += 1
            with printed.open("a") as file:
                file.write(f"[TASK] k\n[ACK] k\n[WAIT] k {runs}\n[DONE] k\n")
            wait_for(lambda: f"[WAIT] k {runs}\n" in tmux.screen("s", "w"), "what is printed")  # noqa: B023
        told_now, killed = watch_until(step, 3 * runs, told, tmp_path / f"told-{step}")
        told += told_now
        if not killed:
            break
    assert (step > 10, runs > 2) == (True, True)
    assert [event["number"] for event in told] == list(range(1, len(told) + 1))
    assert [(event["marker"], event["text"]) for event in told] == [
        answer
        for number in range(1, runs + 1)
        for answer in (("ACK", ""), ("WAIT", str(number)), ("DONE", ""))
    ]


def test_who_goes_on_from_a_place_that_others_have_passed_tells_nothing_twice(
    tmux: Tmux, watching: Callable[..., Watcher], tmp_path: Path
) -> None:
    """So it is where one of two watchers is behind, and is the last to say where it stands."""
    tmux.session("s", {"w": QUIET_CAT})
    is_quiet(tmux)
    state = tmp_path / "state"

    def watch(last: str) -> Watcher:
        watcher = watching("--since", "0", SWARM_STATE_DIR=str(state))
        watcher.sees(("DONE", last))
        return watcher

    run = ["[TASK] a", "[ACK] a", "[DONE] a"]
    say(tmux, "w", *(f"line {number}" for number in range(10)), *run)
    watch("a").end()
    with closing(sqlite3.connect(state / FILE)) as store:
        behind = store.execute("SELECT anchor, number FROM anchor").fetchone()
    say(tmux, "w", *run, "[DONE] b")
    watch("b").end()
    with closing(sqlite3.connect(state / FILE)) as store:
        assert store.execute("SELECT number FROM anchor").fetchone() > behind[1:]
        store.execute("UPDATE anchor SET anchor = ?, number = ?", behind)
        store.commit()
    say(tmux, "w", "[DONE] c")
    told = [("ACK", "a"), ("DONE", "a")]
    assert watch("c").answers() == [*told, *told, *(("DONE", one) for one in "bc")]


def stored(state: Path) -> int:
    """Return how many events are in the store."""
    store = Store.existing(state)
    if store is None:
        return 0
    last = store.last()
    store.close()
    return last


def watch_until(
    step: int, last: int, told: list[dict[str, object]], output: Path
) -> tuple[list[dict[str, object]], bool]:
    """Watch behind what was *told* until *step*, or until the event *last* was told.

    Returns what was told, and whether it came to that step.

    Steps are those of the store from its first event on.
    """

    def child() -> None:
        sys.stdout = output.open("w", buffering=1)
        tick, really = countdown(step), Store.record

        def record(
            self: Store,
            found: Sequence[Found],
            anchors: Mapping[Place, tuple[str, int]] | None = None,
        ) -> list[Event]:
            if found:
                watch_steps(self._database._connection, tick, 20)
            return really(self, found, anchors)

        Store.record = record  # type: ignore[method-assign]
        since = str(told[-1]["number"]) if told else "0"
        sys.argv = ["swarmcomm", "watch", "--json", "--since", since, "w"]
        cli.main()

    def events() -> list[dict[str, object]]:
        lines = output.read_text().splitlines(keepends=True) if output.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    process = start(child)

    def is_over() -> bool:
        return not process.is_alive() or any(event["number"] == last for event in events())

    wait_for(is_over, f"the end of step {step}")
    killed = not process.is_alive() and process.exitcode == -signal.SIGKILL
    if process.is_alive():
        # It came to the end: idle, it goes through steps no more.
        process.join(0.2)
        killed = not process.is_alive()
        process.kill()
    process.join(20)
    return events(), killed


#: 300 MB in lines of 200 characters, far more than a second of it, with 500 answers.
BYTES = 300_000_000
FLOOD = """echo '[DONE] ready'; read -r _; awk 'BEGIN { x = sprintf("%180s", ""); gsub(/ /, "x", x)
 for (i = 1; i <= 1500000; i++)
   if (i % 3000 == 0) printf "[DONE] n-%d\\n", i / 3000; else print i, x
}'; echo '[DONE] over'; cat"""


def test_a_watcher_that_stands_still_for_10_s_in_a_flood_stalls_nobody_and_nothing_grows(
    tmux: Tmux, watching: Callable[..., Watcher], tmp_path: Path
) -> None:
    """R22: another watcher misses nothing; tmux keeps none of it for the one that stands still."""
    tmux.session("s", {"w": f"sh -c {shlex.quote(FLOOD)}", "cat": "cat"})
    stores = [{"SWARM_STATE_DIR": str(tmp_path / name)} for name in ("one", "other")]
    frozen, other = (watching(**extra) for extra in stores)
    is_connected(tmux, 2)
    for watcher in (frozen, other):
        watcher.sees(("DONE", "ready"))
    server = int(tmux.run("display-message", "-p", "#{pid}"))
    before = resident(server)
    most = 0
    frozen.process.send_signal(signal.SIGSTOP)
    until = time.monotonic() + 10
    tmux.type("s", "w", "go")

    def is_over() -> bool:
        nonlocal most
        most = max(most, resident(server) - before)
        return ("DONE", "over") in other.answers() and time.monotonic() >= until

    wait_for(is_over, "the flood's end, and ten seconds", 90.0)
    assert most < BYTES / 1024 / 3
    frozen.process.send_signal(signal.SIGCONT)
    say(tmux, "cat", "[DONE] after")
    every = [("DONE", name) for name in ("ready", *(f"n-{n}" for n in range(1, 501)), "over")]
    other.sees(("DONE", "after"))
    assert other.answers("w") == every or other.flags()["gap"]
    frozen.sees(("DONE", "after"), ("DONE", "over"), deadline_s=60.0)
    told = frozen.answers("w")
    assert len(told) == len(set(told))
    assert told == every or frozen.flags()["gap"] >= 1


@pytest.mark.parametrize("change", ["respawn", "rename", "split", "short"])
def test_what_is_done_to_a_window_while_it_is_watched_makes_and_loses_no_answer(
    tmux: Tmux, watching: Callable[..., Watcher], change: str
) -> None:
    cat = QUIET_CAT
    if change == "short":
        tmux.session("other", {"w": cat})
        tmux.run("set", "-g", "history-limit", "100")
    tmux.session("s", {"w": cat, "other": cat})
    is_quiet(tmux)
    watcher = watching("w")
    say(tmux, "w", "[DONE] a")
    watcher.sees(("DONE", "a"))
    pane = tmux.pane("s", "w")
    expected = [("DONE", "a")]
    if change == "respawn":
        tmux.run("respawn-pane", "-k", "-t", pane, "cat")
    elif change == "rename":
        tmux.run("rename-window", "-t", pane, "x")
        wait_for(lambda: [e for e in watcher.events if e["state"] == "gone"], "that it is gone")
        tmux.run("rename-window", "-t", pane, "w")
    elif change == "split":
        tmux.run("split-window", "-d", "-t", pane, "sh -c 'echo [DONE] not-ours; cat'")
    else:
        for number in range(20):
            lines = [f"line {line}" for line in range(20)]
            say(tmux, "w", *lines, f"[DONE] n-{number}")
        expected += [("DONE", f"n-{number}") for number in range(20)]
    tmux.run("send-keys", "-t", pane, "[DONE] b", "Enter")
    watcher.sees(("DONE", "b"))
    assert watcher.answers() == [*expected, ("DONE", "b")]
    assert watcher.flags()["gap"] == 0
