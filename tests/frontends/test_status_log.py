"""The status broadcast: one whole line for each answer, whoever else writes."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from swarmcomm.errors import RefusedError, StatusLogError
from swarmcomm.frontends import status_log
from swarmcomm.frontends.status_log import StatusLog, line_of, noting_refusal, skip_line
from swarmcomm.protocol import ANSWERS, Marker
from swarmcomm.store import Event
from tests.conftest import Tmux, wait_for

Run = Callable[..., "subprocess.CompletedProcess[str]"]

NOON = datetime(2026, 3, 4, 20, 0, 0, 123456, timezone(timedelta(hours=8)))
DONE = Event(
    "worker-0", Marker.DONE, "t1", "t1+abcdefgh", "made it", ("no-ack",), None, NOON, ("screen",), 7
)


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_bytes()
    assert not text or text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]


def test_an_answer_is_a_line_of_the_older_format() -> None:
    assert line_of(DONE) == (
        '{"state": "DONE", "worker_id": "worker-0", "task_id": "t1",'
        ' "timestamp": "2026-03-04T12:00:00.123Z", "message": "made it", "meta": {"number": 7,'
        ' "wire_id": "t1+abcdefgh", "flags": ["no-ack"], "witnesses": ["screen"]}}\n'
    )


@pytest.mark.parametrize("marker", sorted(ANSWERS))
def test_every_answer_has_its_state_and_ack_is_start(marker: Marker) -> None:
    line = line_of(replace(DONE, marker=marker))
    assert line is not None
    assert json.loads(line)["state"] == ("START" if marker is Marker.ACK else marker.value)


def test_a_refusal_is_skip_with_its_reason() -> None:
    said = json.loads(skip_line("worker-1", "t2", "a dialog is open", NOON))
    assert said["state"] == "SKIP"
    assert (said["worker_id"], said["task_id"]) == ("worker-1", "t2")
    assert said["message"] == "a dialog is open"
    assert said["timestamp"].endswith("Z")
    assert said["meta"] == {"number": None, "wire_id": None, "flags": [], "witnesses": []}


def test_what_is_of_no_task_has_no_line() -> None:
    other = replace(DONE, marker=None, task_id=None, wire_id=None)
    for event in (replace(other, state="busy"), replace(other, flags=("sentence",))):
        assert line_of(event) is None
    assert line_of(replace(DONE, marker=Marker.TASK)) is None


def test_no_text_ends_a_line_for_any_reader() -> None:
    text = 'a\nb\r\x85\u2028\u2029\x1b[1m"\\ 任务 \ud800'
    line = line_of(replace(DONE, text=text))
    assert line is not None
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == text
    assert "任务" in line


def test_the_file_is_private_and_what_is_in_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "status"
    before = os.umask(0)
    try:
        log = StatusLog(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    log.tell(DONE)
    log.tell(replace(DONE, marker=None))
    log.skip("worker-1", "t2", "no")
    StatusLog(path).tell(DONE)
    assert [line["state"] for line in lines(path)] == ["DONE", "SKIP", "DONE"]
    assert datetime.fromisoformat(lines(path)[1]["timestamp"]) <= datetime.now(UTC)


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "status"
    log = StatusLog(path)
    log.tell(DONE)
    path.rename(tmp_path / "status.1")
    log.tell(DONE)
    assert len(lines(path)) == len(lines(tmp_path / "status.1")) == 1


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "link").symlink_to(target)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name, word in (
        ("link", "symbolic link"),
        ("fifo", "no plain file"),
        ("folder", "folder"),
        ("missing/status", "No such file"),
    ):
        with pytest.raises(StatusLogError, match=word) as caught:
            StatusLog(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_status == 5
    assert not target.exists()
    with pytest.raises(StatusLogError):
        StatusLog(tmp_path / "fifo" / "x")


def test_a_line_that_a_killed_writer_left_half_damages_no_other(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.write_bytes(b'{"state": "DO')
    StatusLog(path).tell(DONE)
    assert path.read_bytes() == b'{"state": "DO\n' + (line_of(DONE) or "").encode()


def test_a_line_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "status"
    log = StatusLog(path)
    log.tell(DONE)
    before = path.read_bytes()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, old[1]))
    try:
        with pytest.raises(StatusLogError, match=os.strerror(errno.ENOSPC)):
            log.tell(DONE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    log.tell(DONE)
    assert len(lines(path)) == 2


def test_a_writer_that_stands_still_holds_up_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_log, "_LOCK_S", 0.05)
    path = tmp_path / "status"
    log = StatusLog(path)
    holder = path.open("ab")
    status_log.fcntl.flock(holder, status_log.fcntl.LOCK_EX)
    log.tell(DONE)
    assert len(lines(path)) == 1
    holder.close()


WRITER = """
import sys
from dataclasses import replace
from tests.frontends.test_status_log import DONE
from swarmcomm.frontends.status_log import StatusLog
log, name, count = StatusLog(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    # Of every length up to three pages.
    log.tell(replace(DONE, window=name, number=number, text="x" * (number * 97 % 12_000)))
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    return process


def start(writers: list[subprocess.Popen[str]]) -> None:
    for process in writers:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in writers:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()


def finish(writers: list[subprocess.Popen[str]]) -> None:
    for process in writers:
        process.communicate(timeout=60)


def test_16_writers_at_once_tear_no_line_and_lose_none(tmp_path: Path) -> None:
    path = tmp_path / "status"
    writers = [writer(path, f"w{number}", 150) for number in range(16)]
    start(writers)
    finish(writers)
    written = lines(path)
    assert len(written) == 16 * 150
    for name in range(16):
        mine = [line["meta"]["number"] for line in written if line["worker_id"] == f"w{name}"]
        assert mine == list(range(150))


def test_writers_that_are_killed_damage_nothing_of_others(tmp_path: Path) -> None:
    path = tmp_path / "status"
    victims = [writer(path, f"v{number}", 1_000_000) for number in range(3)]
    others = [writer(path, f"w{number}", 150) for number in range(2)]
    start(victims + others)
    for number, victim in enumerate(victims):
        size = path.stat().st_size
        wait_for(lambda size=size: path.stat().st_size > size + 200_000, f"more of {number}")  # type: ignore[misc]
        victim.kill()
    finish(victims + others)
    StatusLog(path).tell(DONE)
    whole, torn = [], 0
    for line in path.read_bytes().splitlines():
        try:
            whole.append(json.loads(line))
        except ValueError:
            torn += 1
    assert torn <= len(victims)
    for name in ("w0", "w1"):
        assert [said["meta"]["number"] for said in whole if said["worker_id"] == name] == list(
            range(150)
        )


def test_a_refusal_is_noted_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "status"
    with pytest.raises(RefusedError), noting_refusal(str(path), "worker-0", "t1"):
        raise RefusedError("a dialog is open")
    with noting_refusal(None, "worker-0", "t1"):
        pass
    with pytest.raises(ValueError, match="x"), noting_refusal(str(path), "worker-0", "t1"):
        raise ValueError("x")
    assert [line["message"] for line in lines(path)] == ["a dialog is open"]


def test_a_send_that_is_refused_writes_skip_and_ends_with_5(
    tmux: Tmux, swarmcomm: Run, tmp_path: Path
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    tmux.run("select-pane", "-d", "-t", tmux.pane("s", "worker-0"))
    path = tmp_path / "status"
    send = ("send", "--wait", "0", "--status-log", str(path), "worker-0", "t1")
    done = swarmcomm(*send, "hello")
    assert done.returncode == 5
    assert "switched off" in done.stderr
    assert swarmcomm(*send, "a\x1bb").returncode == 5
    said = lines(path)
    assert [(line["state"], line["worker_id"], line["task_id"]) for line in said] == [
        ("SKIP", "worker-0", "t1")
    ] * 2
    assert "switched off" in said[0]["message"]
    assert "byte 1" in said[1]["message"]


def test_a_log_that_cannot_be_written_is_said_before_anything_is_typed(
    tmux: Tmux, swarmcomm: Run, tmp_path: Path
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    os.mkfifo(tmp_path / "fifo")
    for command in (["send", "worker-0", "t1", "hello"], ["watch"]):
        done = swarmcomm(command[0], "--status-log", str(tmp_path / "fifo"), *command[1:])
        assert done.returncode == 5
        assert "no plain file" in done.stderr
    assert "t1" not in tmux.screen("s", "worker-0")


def test_a_watch_writes_a_line_for_each_answer(
    tmux: Tmux, environ: dict[str, str], tmp_path: Path
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    path = tmp_path / "status"
    watch = subprocess.Popen(
        [sys.executable, "-m", "swarmcomm", "watch", "--status-log", str(path)],
        env={**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for marker in ("ACK", "WAIT", "HELP", "DONE"):
            tmux.type("s", "worker-0", f"[{marker}] t1 text of {marker}")
            wait_for(lambda: path.exists() and f"of {marker}" in path.read_text(), marker)  # noqa: B023
        tmux.type("s", "worker-0", "[ERROR] t2+abcdefgh no")
        wait_for(lambda: "t2" in path.read_text(), "ERROR")
    finally:
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=20)
    said = lines(path)
    assert [(line["state"], line["task_id"]) for line in said] == [
        ("START", "t1"),
        ("WAIT", "t1"),
        ("HELP", "t1"),
        ("DONE", "t1"),
        ("ERROR", "t2"),
    ]
    assert said[4]["meta"]["wire_id"] == "t2+abcdefgh"
    assert {line["worker_id"] for line in said} == {"worker-0"}
