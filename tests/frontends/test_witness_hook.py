"""The hook program as an agent runs it: a process, an input, a line in a private file."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

HOOK = ROOT / "swarmcomm" / "frontends" / "hooks" / "witness.py"
INPUTS = Path(__file__).with_name("hook_inputs.jsonl")
STOP = {"hook_event_name": "Stop", "last_assistant_message": "[DONE] t1"}


def start(
    folder: Path | str, text: bytes, umask: int = 0o022, **environ: str
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(HOOK), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"TMUX": "/tmp/a,b/default,4711,0", "TMUX_PANE": "%7", **environ},
        umask=umask,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(text)
        process.stdin.close()
    except BrokenPipeError:  # it did not want to hear it
        pass
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Status 0 and not a word, whatever happened."""
    with process:
        assert process.stdout is not None
        assert (process.stdout.read(), process.wait(timeout=10)) == (b"", 0)


def run(folder: Path | str, told: object, umask: int = 0o022, **environ: str) -> None:
    text = told if isinstance(told, bytes) else json.dumps(told).encode()
    end(start(folder, text, umask, **environ))


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "witness"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def file(spool: Path) -> Path:
    return spool / "4711-7.jsonl"


def test_what_the_agent_tells_is_kept_as_far_as_it_is_needed(spool: Path, file: Path) -> None:
    for told in INPUTS.read_bytes().splitlines():
        run(spool, told)
    by_event = {line.pop("event"): line for line in lines(file)}
    turn = "143ef178-1c7e-4ba4-a2cd-194280b21974"
    assert by_event["UserPromptSubmit"] == {
        "turn": turn,
        "prompt": "[TASK] task-perm run it {fake:bash=mkdir -p made_dir && touch made_dir/x}",
    }
    assert by_event["Stop"]["message"] == "[DONE] task-perm2"
    assert by_event["StopFailure"]["error"] == "unknown"
    assert by_event["PermissionRequest"] == {"turn": turn, "tool": "Bash"}
    assert by_event["SessionEnd"]["reason"]
    assert by_event["Notification"]["notification"] == "permission_prompt"
    assert "/home" not in file.read_text()


def test_of_a_prompt_only_the_line_that_names_the_task_is_kept(spool: Path, file: Path) -> None:
    run(spool, {"hook_event_name": "UserPromptSubmit", "prompt": "\n [TASK] t1 \nthe secret\n"})
    assert lines(file) == [{"event": "UserPromptSubmit", "prompt": "[TASK] t1 "}]


def test_a_long_message_is_cut_and_its_end_stays(spool: Path, file: Path) -> None:
    run(spool, {**STOP, "last_assistant_message": "漢" * 200_000 + "\n[DONE] t1"})
    [line] = lines(file)
    assert len(line["message"].encode()) <= 256 * 1024
    assert line["message"].endswith("漢\n[DONE] t1")


@pytest.mark.parametrize("umask", [0, 0o777])
def test_the_file_is_private_from_the_beginning(spool: Path, file: Path, umask: int) -> None:
    run(spool, STOP, umask)
    run(spool, STOP, umask)
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(lines(file)) == 2


def test_twenty_at_once_tear_no_line(spool: Path, file: Path) -> None:
    texts = [f"{number} " + "x" * 100_000 for number in range(20)]
    started = [
        start(spool, json.dumps({**STOP, "last_assistant_message": text}).encode())
        for text in texts
    ]
    for process in started:
        end(process)
    assert sorted(line["message"] for line in lines(file)) == sorted(texts)


def test_who_holds_the_lock_and_sleeps_does_not_hold_up_the_agent(spool: Path, file: Path) -> None:
    with file.open("w") as held:
        file.chmod(0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        run(spool, STOP)
    assert len(lines(file)) == 1


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[" * 100_000,
        b"null",
        b"[]",
        b'"Stop"',
        b"{}",
        b'{"prompt": "x"}',
        b'{"hook_event_name": "Stop"} more',
        b"9" * 10_000,
    ],
)
def test_an_input_that_is_none_is_nothing(spool: Path, told: bytes) -> None:
    run(spool, told)
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    "told",
    [
        {**STOP, "last_assistant_message": "a\nb\u2028c\x00\x1b[31m\ud800\x85d"},
        {**STOP, "last_assistant_message": ["[DONE] t1"], "prompt": 5, "error": None},
        {"hook_event_name": ["Stop\n"], "prompt": ""},
    ],
)
def test_an_odd_input_is_one_line_of_json(spool: Path, file: Path, told: object) -> None:
    run(spool, told)
    text = file.read_bytes()
    assert text.count(b"\n") == 1
    assert json.loads(text)["event"]
    text.decode()


@pytest.mark.parametrize(
    "environ",
    [
        {"TMUX_PANE": ""},
        {"TMUX_PANE": "7"},
        {"TMUX_PANE": "%7/../x"},
        {"TMUX_PANE": "%" + "7" * 300},
        {"TMUX": ""},
        {"TMUX": "/tmp/x"},
        {"TMUX": "/tmp/x,../y,0"},
    ],
)
def test_without_a_window_nothing_is_written(spool: Path, environ: dict[str, str]) -> None:
    run(spool, STOP, **environ)
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo", "folder", "readable by others"])
def test_a_file_that_is_not_ours_alone_is_left(
    spool: Path, file: Path, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "target"
    target.write_text("mine\n")
    target.chmod(0o600)
    if kind == "symlink":
        file.symlink_to(target)
    elif kind == "hard link":
        file.hardlink_to(target)
    elif kind == "fifo":
        os.mkfifo(file, 0o600)
    elif kind == "folder":
        file.mkdir(mode=0o700)
    else:
        file.write_text("mine\n")
        file.chmod(0o644)
    run(spool, STOP)
    assert target.read_text() == "mine\n"
    assert kind != "readable by others" or file.read_text() == "mine\n"


@pytest.mark.parametrize("kind", ["missing", "symlink", "file", "writable by others"])
def test_a_folder_that_is_not_ours_alone_is_left(spool: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "other"
    if kind == "symlink":
        folder.symlink_to(spool)
    elif kind == "file":
        folder.touch()
    elif kind == "writable by others":
        folder = spool
        spool.chmod(0o777)
    run(folder, STOP)
    assert list(spool.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_or_file_of_somebody_else_is_left(spool: Path, file: Path) -> None:
    file.touch(mode=0o600)
    os.chown(file, 12345, 12345)
    run(spool, STOP)
    assert file.read_text() == ""
    file.unlink()
    os.chown(spool, 12345, 12345)
    run(spool, STOP)
    assert list(spool.iterdir()) == []


def test_a_full_disk_is_no_matter_of_the_agent(spool: Path) -> None:
    (spool / "4711-7.jsonl").symlink_to("/dev/full")
    run(spool, STOP)
    run("/dev/full", STOP)
    run("/proc/self", STOP)


@pytest.mark.parametrize("words", [[], ["", "x"], ["\x01" * 300]])
def test_odd_arguments_are_no_matter_of_the_agent(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(HOOK), *words],
        input=json.dumps(STOP).encode(),
        capture_output=True,
        timeout=10,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_closed_streams_are_no_matter_of_the_agent(spool: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -I -S "{HOOK}" "{spool}" <&- >&- 2>&-'],
        timeout=10,
        check=False,
    )
    assert done.returncode == 0


def test_it_knows_nothing_of_ours_and_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", str(HOOK), "/nowhere"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "json" in imported
    assert not imported & {"swarmcomm", "subprocess", "pathlib", "typing", "datetime", "logging"}
