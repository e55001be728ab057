"""Faults of sending, by their id: what is typed arrives whole and once, or nothing is typed.

Each runs against the Python command and the bash script: both take the same steps.
"""

from __future__ import annotations

import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tmux, fake_agent, wait_for, worker_command

Send = Callable[..., "subprocess.CompletedProcess[str]"]

LIMIT = 65_536
BOX = ROOT / "tests" / "shell" / "box.py"


@pytest.fixture(params=["python", "bash"])
def face(request: pytest.FixtureRequest) -> Send:
    """The two ways of running a command: ``swarmcomm`` and ``claude_comm.sh``."""
    if request.param == "python":
        run: Send = request.getfixturevalue("swarmcomm")
        return run
    script: Send = request.getfixturevalue("script")
    return lambda *args, **rest: script("claude_comm.sh", *args, **rest)


def ready(tmux: Tmux, window: str = "worker-0") -> None:
    wait_for(lambda: "ready" in tmux.screen("s", window), f"{window} is ready")


def messages(log: Path) -> list[bytes]:
    """What the fake agent took, message by message."""
    return [bytes.fromhex(line) for line in log.read_text().split()] if log.exists() else []


def start(tmux: Tmux, log: Path, *options: str) -> None:
    tmux.session("s", {"worker-0": fake_agent(log, *options)})
    ready(tmux)


def descriptions(log: Path) -> list[bytes]:
    return [message.partition(b"\n")[2] for message in messages(log)]


@pytest.mark.parametrize("text", ["a;", "a\\;", ";", "a ;;", "\\"])
def test_s01_a_trailing_semicolon_arrives(
    tmux: Tmux, face: Send, tmp_path: Path, text: str
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    done = face("send", "worker-0", "t1", text)
    assert (done.returncode, done.stdout) == (0, "submitted worker-0 t1\n"), done.stderr
    assert messages(log) == [b"[TASK] t1\n" + text.encode()]


@pytest.mark.parametrize("text", ["-R", "Enter", "C-c", "Up", "--json", "--", "-", "#{pid}", "$x"])
def test_s02_a_text_that_looks_like_a_key_or_an_option_is_text(
    tmux: Tmux, face: Send, tmp_path: Path, text: str
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    done = face("send", "worker-0", "t1", *(["-"] if text == "-" else [text]), stdin=text)
    assert done.returncode == 0, done.stderr
    assert messages(log) == [b"[TASK] t1\n" + text.encode()]


@pytest.mark.skipif(sys.platform == "darwin", reason="the limit of a cooked line differs")
@pytest.mark.parametrize("size", [4095, 4096, 5000])
def test_s03_a_cooked_line_arrives_whole_or_is_refused_before_a_key(
    tmux: Tmux, face: Send, tmp_path: Path, size: int
) -> None:
    log = tmp_path / "log"
    start(tmux, log, "--cooked")
    before = tmux.screen("s", "worker-0")
    text = "x" * (size - 1) + "y"
    done = face("send", "worker-0", "t1", text)
    if size <= 4095:
        assert done.returncode == 0, done.stderr
        wait_for(lambda: len(messages(log)) == 2, "both lines")
        assert messages(log) == [b"[TASK] t1", text.encode()]
    else:
        assert done.returncode == 5
        assert "4095" in done.stderr
        assert tmux.screen("s", "worker-0") == before
        assert messages(log) == []


@pytest.mark.parametrize("size", [1, 1599, 1600, 1601, 16_300, 16_384, LIMIT])
def test_s04_every_size_up_to_the_limit_arrives_byte_for_byte(
    tmux: Tmux, face: Send, tmp_path: Path, size: int
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    pattern = "0123456789 é漢🎉 ;$\\'\"`#{x}\n"
    data = (pattern * (size // len(pattern.encode()) + 1)).encode()[:size]
    text = data.decode("utf-8", "ignore")
    text += "z" * (size - len(text.encode()))
    done = face("send", "worker-0", "t1", "-", stdin=text + "\n")
    assert done.returncode == 0, done.stderr
    assert messages(log) == [b"[TASK] t1\n" + text.encode()]


@pytest.mark.parametrize("size", [LIMIT + 1, 131_072, 2**20 + 1])
def test_s05_a_longer_text_is_refused_with_the_limit(
    tmux: Tmux, face: Send, tmp_path: Path, size: int
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    before = tmux.screen("s", "worker-0")
    done = face("send", "worker-0", "t1", "-", stdin="x" * size)
    assert done.returncode == 5
    assert str(LIMIT) in done.stderr
    assert done.stderr.count("\n") == 1
    assert tmux.screen("s", "worker-0") == before


@pytest.mark.parametrize(
    "bad", [b"\x03", b"\x04", b"\x1a", b"\x00", b"\x1b", b"\x7f", b"\x85", b"\xc2\x85", b"\r"]
)
def test_s06_control_bytes_are_refused(tmux: Tmux, face: Send, tmp_path: Path, bad: bytes) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    before = tmux.screen("s", "worker-0")
    done = face("send", "worker-0", "t1", "-", stdin=b"ab" + bad + b"cd")
    assert done.returncode in (2, 5)
    assert "2" in done.stderr
    assert done.stderr.count("\n") == 1
    assert tmux.screen("s", "worker-0") == before
    assert messages(log) == []


def test_s09_copy_mode_is_left_and_the_text_delivered_once(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    tmux.run("copy-mode", "-t", tmux.pane("s", "worker-0"))
    done = face("send", "worker-0", "t1", "hello")
    assert done.returncode == 0, done.stderr
    assert messages(log) == [b"[TASK] t1\nhello"]


def test_s11_a_dead_pane_is_said_and_its_server_lives(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    tmux.session("s", {"worker-1": fake_agent(log), "worker-0": "cat"})
    tmux.run("set", "-w", "-t", "=s:worker-0", "remain-on-exit", "on")
    tmux.type("s", "worker-0", "")
    tmux.run("send-keys", "-t", tmux.pane("s", "worker-0"), "C-d")
    pane = tmux.pane("s", "worker-0")
    wait_for(
        lambda: tmux.run("display", "-p", "-t", pane, "#{pane_dead}").strip() == "1", "dead pane"
    )
    done = face("send", "worker-0", "t1", "hello")
    assert done.returncode == 3
    assert "dead" in done.stderr
    ready(tmux, "worker-1")
    assert face("send", "worker-1", "t1", "hello").returncode == 0


def test_s13_a_text_that_the_agent_drops_is_typed_and_never_submitted(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    log, hold = tmp_path / "log", tmp_path / "hold"
    hold.touch()
    tmux.session("s", {"worker-0": fake_agent(log, f"--hold={hold}")})
    wait_for(lambda: "starting" in tmux.screen("s", "worker-0"), "the agent started")
    done = face("send", "worker-0", "t1", "hello")
    assert (done.returncode, done.stdout) == (4, "typed worker-0 t1\n")
    hold.unlink()
    ready(tmux)
    assert "hello" not in tmux.screen("s", "worker-0")
    assert messages(log) == []


def test_s14_an_eaten_enter_is_pressed_again_and_the_text_is_not(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    start(tmux, log, "--eat-enters=1")
    done = face("send", "worker-0", "t1", "hello")
    assert (done.returncode, done.stdout) == (0, "submitted worker-0 t1\n"), done.stderr
    assert messages(log) == [b"[TASK] t1\nhello"]


def test_s14_after_two_eaten_enters_nothing_more_is_pressed(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    start(tmux, log, "--eat-enters=9")
    done = face("send", "worker-0", "t1", "hello")
    assert (done.returncode, done.stdout) == (4, "typed worker-0 t1\n")
    assert tmux.screen("s", "worker-0").count("hello") == 1
    assert messages(log) == []


SENDER = """
import sys
from swarmcomm import Swarm
window = Swarm.attach()["worker-0"]
for n in range(int(sys.argv[2])):
    name = f"p{sys.argv[1]}-{n}"
    assert window.send(f"text {name} " + "x" * 200 + f" end {name}", task_id=name, wait_s=120
        ).outcome == "submitted"
"""

BASH_SENDER = """
for ((n = 0; n < $2; n++)); do
  name="b$1-$n"
  "$3" send --wait 120 worker-0 "$name" \
    "text $name $(printf 'x%.0s' {1..200}) end $name" >/dev/null || exit 1
done
"""


def senders(tmux: Tmux, environ: dict[str, str], python: int, bash: int, texts: int) -> None:
    base = {**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s"}
    script = str(ROOT / "scripts" / "claude_comm.sh")
    commands = [[sys.executable, "-c", SENDER, str(n), str(texts)] for n in range(python)]
    commands += [["bash", "-c", BASH_SENDER, "x", str(n), str(texts), script] for n in range(bash)]
    running = [
        subprocess.Popen(command, env={**base, "SWARM_STATE_DIR": f"{environ['HOME']}/{number}"})
        for number, command in enumerate(commands)
    ]
    assert [process.wait(timeout=300) for process in running] == [0] * len(running)


def assert_whole(log: Path, count: int) -> None:
    taken = messages(log)
    assert len(taken) == count
    names = set()
    for message in taken:
        head, _, body = message.decode().partition("\n")
        name = head.removeprefix("[TASK] ")
        assert body == f"text {name} {'x' * 200} end {name}"
        names.add(name)
    assert len(names) == count


# 400 sends, each seen to leave: some 35 s where nothing else runs.
@pytest.mark.timeout(400)
def test_s17_eight_senders_into_one_pane_mix_nothing(
    tmux: Tmux, environ: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    senders(tmux, environ, python=8, bash=0, texts=50)
    assert_whole(log, 400)


def test_s18_python_and_bash_honour_one_lock(
    tmux: Tmux, environ: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    senders(tmux, environ, python=2, bash=2, texts=15)
    assert_whole(log, 60)


@pytest.mark.parametrize("killed", ["python", "bash"])
def test_s19_a_left_over_of_a_killed_sender_is_cleared(
    tmux: Tmux, environ: dict[str, str], face: Send, tmp_path: Path, killed: str
) -> None:
    log = tmp_path / "log"
    start(tmux, log, "--eat-enters=1")  # the first sender waits for its Enter when it is killed
    command = (
        [sys.executable, "-m", "swarmcomm"]
        if killed == "python"
        else [str(ROOT / "scripts" / "claude_comm.sh")]
    )
    first = subprocess.Popen(
        [*command, "send", "worker-0", "t1", "the first"],
        env={**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s"},
        start_new_session=True,
    )
    wait_for(lambda: "the first" in tmux.screen("s", "worker-0"), "the first text")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert messages(log) in ([], [b"[TASK] t1\nthe first"])
    done = face("send", "worker-0", "t2", "the second")
    assert (done.returncode, done.stdout) == (0, "submitted worker-0 t2\n"), done.stderr
    assert messages(log)[-1] == b"[TASK] t2\nthe second"


def still_box(tmux: Tmux, folder: Path, mode: str) -> str:
    """Start an agent with a box that reads no key until ``frozen`` is gone; return its pane."""
    tmux.session("s", {"worker-0": shlex.join([sys.executable, str(BOX), str(folder), mode])})
    pane = tmux.pane("s", "worker-0")
    for option, value in {"ready": "^> *$", "column": "2", "piece": "700", "paste": "on"}.items():
        tmux.run("set", "-p", "-t", pane, f"@swarm_{option}", value)
    wait_for(lambda: "for help" in tmux.screen("s", "worker-0"), "the box")
    (folder / "frozen").touch()
    return pane


def test_a_slow_agent_never_has_two_pieces_to_read_though_their_lines_are_the_same(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    """In a full box only the cursor tells them apart, and what is not seen comes all at once."""
    pane = still_box(tmux, tmp_path, "slow")
    (tmp_path / "frozen").unlink()
    lines = "123456789\n" * 280 + "123456789"
    done = face("send", "worker-0", "t1", "-", stdin=lines + "\n")
    assert (done.returncode, done.stdout) == (0, "submitted worker-0 t1\n"), done.stderr
    assert (tmp_path / "got").read_text() == f"[TASK] t1\n{lines}\n.\n"
    brackets = (700 // 10 + 1) * len("\x1b[200~\x1b[201~")
    assert max(map(int, (tmp_path / "reads").read_text().split())) <= 700 + brackets
    # Nor a second Enter, which could answer a dialog, while it paints what the first one did.
    tmux.run("send-keys", "-t", pane, "-l", "z")
    wait_for(lambda: (tmp_path / "keys").read_bytes().endswith(b"z"), "the keys before it")
    assert (tmp_path / "keys").read_bytes().count(b"\r") == 1


def wait_typed(tmux: Tmux, pane: str, task: str) -> None:
    words = ("show", "-pqv", "-t", pane, "@swarm_typing")
    wait_for(lambda: tmux.run(*words) == f"{task}\n", "the first piece")


@pytest.mark.parametrize(
    ("mode", "killed", "before", "behind", "arrives"),
    [
        ("", True, "left over", "", True),
        ("deaf", True, "left over", "", False),
        ("deaf", True, "漢", "", False),
        ("", False, "half a thought ", "", False),
        ("", False, "", " more", False),
    ],
    ids=["cleared", "not cleared", "wide", "a person before", "a person behind"],
)
def test_what_an_agent_paints_late_is_never_sent_along(
    tmux: Tmux, face: Send, tmp_path: Path, *, mode: str, killed: bool, before: str, behind: str,
    arrives: bool,
) -> None:  # fmt: skip
    """The box looks empty at every look before the text; the keys in front of it come later."""
    pane = still_box(tmux, tmp_path, mode)
    if killed:
        tmux.run("set", "-p", "-t", pane, "@swarm_typing", "t0")
    if before:
        tmux.run("send-keys", "-t", pane, "-l", before)
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(face, "send", "worker-0", "t1", "hello")
        wait_typed(tmux, pane, "t1")
        if behind:
            tmux.run("send-keys", "-t", pane, "-l", behind)
        (tmp_path / "frozen").unlink()
        done = sending.result()

    got = tmp_path / "got"
    if arrives:
        assert (done.returncode, done.stdout) == (0, "submitted worker-0 t1\n"), done.stderr
        assert got.read_text() == "[TASK] t1\nhello\n.\n"
    else:
        assert (done.returncode, done.stdout) == (4, "typed worker-0 t1\n")
        assert "something else stands in its box" in done.stderr
        assert not got.exists()


@pytest.mark.parametrize("holder", ["999999.deadbeef", "frozen"])
def test_s21_a_lock_of_a_dead_sender_is_taken_within_seconds(
    tmux: Tmux, face: Send, tmp_path: Path, holder: str
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    if holder == "frozen":
        gone = subprocess.Popen(["true"])
        gone.wait()
        holder = f"{gone.pid}.deadbeef"
    tmux.run("set", "-p", "-t", tmux.pane("s", "worker-0"), "@swarm_lock", holder)
    done = face("send", "--wait", "5", "worker-0", "t1", "hello")
    assert done.returncode == 0, done.stderr
    assert messages(log) == [b"[TASK] t1\nhello"]


def test_s21_a_lock_of_a_living_sender_is_waited_for_and_then_said(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    pane = tmux.pane("s", "worker-0")
    tmux.run("set", "-p", "-t", pane, "@swarm_lock", f"{os.getpid()}.deadbeef")
    done = face("send", "--wait", "1", "worker-0", "t1", "hello")
    assert done.returncode == 5
    assert "another sender" in done.stderr
    assert messages(log) == []
    tmux.run("set", "-pu", "-t", pane, "@swarm_lock")
    assert face("send", "worker-0", "t1", "hello").returncode == 0


def test_s22_a_name_that_is_only_the_beginning_of_another_is_not_found(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    tmux.session("foobar", {"worker-10": fake_agent(log), "two": "cat"})
    tmux.run("new-window", "-d", "-t", "=foobar:", "-n", "two", "cat")
    wait_for(lambda: "ready" in tmux.screen("foobar", "worker-10"), "the agent")
    assert face("send", "worker-10", "t1", "hello", SWARM_SESSION="foo").returncode == 3
    done = face("send", "worker-1", "t1", "hello", SWARM_SESSION="foobar")
    assert done.returncode == 3
    assert "worker-1" in done.stderr
    done = face("send", "two", "t1", "hello", SWARM_SESSION="foobar")
    assert done.returncode == 3
    assert "two windows" in done.stderr
    assert messages(log) == []


def test_s23_a_split_window_is_typed_to_in_its_first_pane(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    tmux.run("split-window", "-t", "=s:worker-0", "cat")
    done = face("send", "worker-0", "t1", "hello")
    assert done.returncode == 0, done.stderr
    assert messages(log) == [b"[TASK] t1\nhello"]


def test_s25_a_plain_locale_changes_nothing(tmux: Tmux, face: Send, tmp_path: Path) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    done = face("send", "worker-0", "t1", "é漢👩‍👩‍👧", LC_ALL="C", LANG="", LC_CTYPE="")
    assert done.returncode == 0, done.stderr
    assert messages(log) == ["[TASK] t1\né漢👩‍👩‍👧".encode()]


def shim(tmp_path: Path, body: str) -> str:
    """Return a program that stands in front of tmux."""
    path = tmp_path / "tmux-shim"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_s26_a_failing_tmux_is_a_named_error(tmux: Tmux, face: Send, tmp_path: Path) -> None:
    start(tmux, tmp_path / "log")
    failing = shim(tmp_path, 'case "$*" in *-V*) exec tmux -V;; esac; echo broken >&2; exit 1')
    done = face("send", "worker-0", "t1", "hello", SWARM_TMUX=failing)
    assert done.returncode == 3
    assert "broken" in done.stderr
    assert done.stderr.count("\n") == 1


def test_s26_a_warning_of_tmux_is_ignored(tmux: Tmux, face: Send, tmp_path: Path) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    warning = shim(tmp_path, 'echo "warning: terminal is odd" >&2; exec tmux "$@"')
    done = face("send", "worker-0", "t1", "hello", SWARM_TMUX=warning)
    assert (done.returncode, done.stderr) == (0, "")
    assert messages(log) == [b"[TASK] t1\nhello"]


def test_s26_a_frozen_server_is_said_and_not_waited_for(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    start(tmux, tmp_path / "log")
    pid = int(tmux.run("display", "-p", "#{pid}"))
    os.kill(pid, signal.SIGSTOP)
    try:
        done = face("send", "worker-0", "t1", "hello", timeout=40)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert done.returncode == 3
    assert "did not answer" in done.stderr


def test_s28_a_format_in_a_text_or_a_name_is_not_run(
    tmux: Tmux, face: Send, tmp_path: Path
) -> None:
    log, made = tmp_path / "log", tmp_path / "made"
    start(tmux, log)
    text = f"#(touch {made}) $(touch {made}) `touch {made}` '; touch {made}"
    assert face("send", "worker-0", "t1", text).returncode == 0
    assert face("send", f"#(touch {made})", "t1", text).returncode == 3
    assert face("send", "worker-0", f"#(touch {made})", text).returncode == 2
    assert face("status", f"x#(touch {made})").returncode == 3
    assert messages(log) == [b"[TASK] t1\n" + text.encode()]
    tmux.run("run-shell", "true")
    assert not made.exists()


@pytest.mark.parametrize(
    ("version", "usable"),
    [("tmux 3.1c", False), ("tmux 2.9", False), ("tmux 3.7b", True), ("tmux next-3.9", True)],
)
def test_s29_an_old_tmux_is_named_and_a_newer_one_works(
    tmux: Tmux, face: Send, tmp_path: Path, version: str, usable: bool
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    body = f'case "$*" in *-V*) echo "{version}"; exit;; esac; exec tmux "$@"'
    done = face("send", "worker-0", "t1", "hello", SWARM_TMUX=shim(tmp_path, body))
    if usable:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 7
        assert "3.2" in done.stderr
        assert messages(log) == []


@pytest.mark.parametrize("size", [1, 1000, 65_536])
def test_the_command_of_the_built_in_worker_gets_every_byte(
    tmux: Tmux, face: Send, tmp_path: Path, size: int
) -> None:
    copy = tmp_path / "copy"
    tmux.session("s", {"worker-0": worker_command("--exec", f"cat > {copy}")})
    tmux.run("set", "-p", "-t", tmux.pane("s", "worker-0"), "@swarm_ready", "^swarm> *$")
    tail = "\\[DONE] t1 [DONE] t1 \\\\[ACK] x\té漢\n"
    text = (tail * (size // len(tail.encode()) + 1)).encode()[:size].decode("utf-8", "ignore")
    text += "z" * (size - len(text.encode()))
    done = face("send", "worker-0", "t1", "-", stdin=text + "\n")
    assert done.returncode == 0, done.stderr
    done = face("poll", "worker-0", "30", "t1", "--until", "DONE")
    assert done.returncode == 0, done.stderr
    assert copy.read_bytes() == text.encode()


def test_a_sender_that_lost_its_turn_types_nothing_more(
    tmux: Tmux, environ: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    start(tmux, log)
    program = """
from swarmcomm.swarm.delivery import Address
from swarmcomm.tmux.lock import KeysLostError, take
from swarmcomm.tmux.server import Server
import os
address = Address(Server(os.environ["SWARM_SOCKET"]), "s", "worker-0")
turn = take(address.server, address.look(), 1)
turn.type(b"one ")
address.server.cmd("set", "-p", "-t", turn.pane.pane_id, "@swarm_lock", "1.aaaaaaaa")
try:
    turn.type(b"two")
except KeysLostError:
    print("lost")
turn.release()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environ, "SWARM_SOCKET": tmux.socket},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "lost\n"
    wait_for(lambda: "one" in tmux.screen("s", "worker-0"), "the first text")
    assert "two" not in tmux.screen("s", "worker-0")
    held = tmux.run("show", "-pqv", "-t", tmux.pane("s", "worker-0"), "@swarm_lock")
    assert held == "1.aaaaaaaa\n"


def test_a_person_s_draft_is_waited_for_and_then_refused(tmux: Tmux, face: Send) -> None:
    tmux.session("s", {"worker-0": worker_command()})
    pane = tmux.pane("s", "worker-0")
    tmux.run("set", "-p", "-t", pane, "@swarm_ready", "^swarm> *$")
    wait_for(lambda: "swarm>" in tmux.screen("s", "worker-0"), "the worker")
    tmux.run("send-keys", "-t", pane, "-l", "my half sent")
    wait_for(lambda: "half" in tmux.screen("s", "worker-0"), "the draft")
    started = time.monotonic()
    done = face("send", "--wait", "1", "worker-0", "t1", "echo hello")
    assert done.returncode == 5, done.stdout
    assert "nothing was typed" in done.stderr
    assert time.monotonic() - started >= 1
    assert "swarm> my half sent" in tmux.screen("s", "worker-0")
