"""``swarmcomm events``: what is stored, as a person and a program meet it."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from swarmcomm import clock
from swarmcomm.protocol import Marker
from swarmcomm.store import FILE, Found, Store
from tests.store.conftest import answer, other

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NOW = clock.now()


@pytest.fixture
def run(environ: dict[str, str], folder: Path) -> Run:
    """The command with the state folder of the test; no tmux is needed to read a store."""

    def command(*args: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "swarmcomm", *args],
            env={**environ, "SWARM_STATE_DIR": str(folder), "SWARM_SESSION": "s", **extra},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def fill(folder: Path, *found: Found) -> None:
    store = Store.open(folder)
    store.record(found)
    store.close()


def numbers(done: subprocess.CompletedProcess[str]) -> list[int]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["number"] for line in done.stdout.splitlines()]


def test_without_a_store_nothing_is_listed_and_none_is_made(run: Run, folder: Path) -> None:
    for args in (["events"], ["events", "--json"]):
        done = run(*args)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run("events", "--prune", "1d").stdout == "removed 0 events older than 1d\n"
    assert not folder.exists()
    assert run("events", SWARM_STATE_DIR="", HOME="").returncode == 0


def test_each_event_is_one_line_with_its_number_when_piped(run: Run, folder: Path) -> None:
    fill(
        folder,
        answer("t1+k3f9m2xd", Marker.HELP, "which\x1b[31m one?" + " really" * 30, time=NOW),
        other("Proceed?\n> 1. Yes", state="waiting", time=NOW),
        other("3 lines", flags=("gap",), time=NOW),
        other("[DONE] t2", flags=("tag",), time=NOW),
    )
    when = f"{NOW:%Y-%m-%d %H:%M:%S}  worker-0  "
    assert run("events").stdout.splitlines() == [
        f"1  {when}[HELP] t1+k3f9m2xd which[31m one?" + " really" * 30,
        f"2  {when}(waiting) Proceed? > 1. Yes",
        f"3  {when}(gap) 3 lines",
        f"4  {when}near miss (tag): [DONE] t2",
    ]


def test_json_is_one_flat_object_an_event(run: Run, folder: Path) -> None:
    found = answer("t1+k3f9m2xd", text="a\x07\x9bb", flags=("no-ack",), time=NOW)
    fill(folder, found, other("a\nb", state="waiting", time=NOW))
    first, second = map(json.loads, run("events", "--json").stdout.splitlines())
    assert first == {
        "number": 1,
        "time": NOW.isoformat(timespec="milliseconds"),
        "window": "worker-0",
        "task_id": "t1",
        "wire_id": "t1+k3f9m2xd",
        "marker": "DONE",
        "text": "ab",
        "state": None,
        "flags": ["no-ack"],
        "witnesses": ["screen"],
    }
    assert (second["state"], second["text"]) == ("waiting", "a\nb")


def test_since_limit_session_and_windows_choose(run: Run, folder: Path) -> None:
    found = [answer(f"t{i}", window=f"worker-{i % 2}", pane=f"%{i % 2}") for i in range(6)]
    fill(folder, *found, answer(session="other", pane="%7"))
    for args, expected in {
        (): [1, 2, 3, 4, 5, 6],
        ("--since", "4"): [5, 6],
        ("--since", "0", "--limit", "2"): [1, 2],
        ("--limit", "2"): [5, 6],
        ("--session", "other"): [7],
        ("worker-1",): [2, 4, 6],
        ("worker-1", "worker-0", "--since", "5"): [6],
        ("--since", "9" * 30): [],
    }.items():
        assert numbers(run("events", "--json", *args)) == expected, args
    assert numbers(run("--session", "other", "events", "--json")) == [7]


def test_more_than_one_page_is_listed_whole(run: Run, folder: Path) -> None:
    fill(folder, *(answer(f"t{i}") for i in range(2500)))
    assert numbers(run("events", "--json")) == list(range(1, 2501))


def test_prune_removes_what_is_older_and_says_how_many(run: Run, folder: Path) -> None:
    old, older = NOW - timedelta(hours=30), NOW - timedelta(days=40)
    fill(folder, answer("t1", time=older), answer("t2", time=old), answer("t3", time=NOW))
    assert run("events", "--prune", "30d").stdout == "removed 1 event older than 30d\n"
    assert numbers(run("events", "--json")) == [2, 3]
    done = run("events", "--prune", "29h", "--json", "--session", "other")
    assert json.loads(done.stdout) == {"removed": 0, "older_than": "29h"}
    assert run("events", "--prune", "29h").stdout == "removed 1 event older than 29h\n"
    assert numbers(run("events", "--json")) == [3]


@pytest.mark.parametrize(
    "args",
    [
        ["--prune", "soon"],
        ["--prune", "30"],
        ["--prune", "-1d"],
        ["--prune", ""],
        ["--prune", "9999999999d"],
        ["--prune", "1d", "worker-0"],
        ["--prune", "1d", "--since", "3"],
        ["--since", "-1"],
        ["--since", "x"],
        ["--limit", "0"],
        ["--session", "a.b"],
    ],
)
def test_what_cannot_be_meant_is_status_2_and_removes_nothing(
    run: Run, folder: Path, args: list[str]
) -> None:
    fill(folder, answer(time=NOW - timedelta(days=400)))
    done = run("events", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert numbers(run("events", "--json")) == [1]


def test_a_store_that_cannot_be_used_is_status_5_and_one_line(run: Run, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / FILE).write_text("a text")
    for args in (["events"], ["events", "--prune", "1d"]):
        done = run(*args)
        assert (done.returncode, done.stdout) == (5, "")
        assert len(done.stderr.splitlines()) == 1
        assert str(folder / FILE) in done.stderr
    assert (folder / FILE).read_text() == "a text"


def test_on_a_terminal_a_long_text_goes_on_below_itself(
    environ: dict[str, str], folder: Path
) -> None:
    fill(folder, answer(text="wörter 二重 " * 12, time=NOW))
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "swarmcomm", "events"],
        env={
            **environ,
            "SWARM_STATE_DIR": str(folder),
            "SWARM_SESSION": "s",
            "COLUMNS": "80",
            "TERM": "xterm",
        },
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    said = b""
    while select.select([master], [], [], 30)[0]:
        try:
            said += os.read(master, 65536)
        except OSError:
            break
    os.close(master)
    assert process.wait(timeout=30) == 0
    first, *rest = said.decode().splitlines()
    assert first.startswith("1  20")
    assert rest
    assert all(row.startswith(" " * 34 + row[34]) and row[34] != " " for row in rest)
    assert all(len(row) + row.count("二") * 2 <= 80 for row in (first, *rest))
    assert " ".join((first[34:], *(row[34:] for row in rest))).split().count("二重") == 12
