"""Messages to a session whose agent has no MCP: typed into its window, each once."""

from __future__ import annotations

import json
import random
import re
import shlex
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from swarmcomm import Coordinator, Swarm, clock
from swarmcomm.errors import RefusedError
from swarmcomm.sessions.courier import Courier
from swarmcomm.store import FILE
from tests.conftest import ROOT, Tmux, fake_agent, wait_for, worker_command

MASTER = "master_project_web"
CHILD = "child_web_task_3"
BOX = ROOT / "tests" / "shell" / "box.py"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Agent:
    """A window whose agent keeps what it was told, message by message."""

    def __init__(self, tmux: Tmux, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        if kind == "worker":
            noting = f"cat >> {shlex.quote(str(folder))}/got; printf '\\n.\\n' >> {folder}/got"
            command, options = worker_command("--exec", noting), {"ready": "^swarm> *$"}
        else:
            command = shlex.join([sys.executable, str(BOX), str(folder), kind.removeprefix("box")])
            options = {"ready": "^> *$", "column": "2", "dialog": r"^ *(> )?[12]\. (Yes|No)"}
        tmux.session("s", {"worker-0": command})
        for name, value in options.items():
            tmux.run("set", "-p", "-t", tmux.pane("s", "worker-0"), f"@swarm_{name}", value)
        sign = "swarm>" if kind == "worker" else "for help"
        wait_for(lambda: sign in tmux.screen("s", "worker-0"), "the agent")

    def told(self) -> list[str]:
        """Return the last line of each message, whole messages only."""
        got = self.folder / "got"
        parts = got.read_text().split("\n.\n")[:-1] if got.exists() else []
        return [part.rstrip("\n").rpartition("\n")[2] for part in parts]


@pytest.fixture
def ready(swarmcomm: Run) -> Run:
    """The command, with one master and one child."""
    assert swarmcomm("register", MASTER, CHILD).returncode == 0
    return swarmcomm


def leave(run: Run, *texts: str) -> None:
    for text in texts:
        assert run("messages", MASTER, "--to", CHILD, text).returncode == 0


def plain(text: str) -> str:
    """Return *text* without the tags of its wire ids."""
    return re.sub(r"\+[a-z0-9]{8}\b", "", text)


def states(run: Run) -> list[str]:
    done = run("messages", "--all", "--json")
    return [json.loads(line)["state"] for line in done.stdout.splitlines()]


def test_each_message_is_a_task_in_the_order_of_sending(
    tmux: Tmux, ready: Run, tmp_path: Path
) -> None:
    agent = Agent(tmux, tmp_path, "worker")
    leave(ready, "one", "two", "漢 é\n\n  three")
    done = ready("deliver", CHILD, "worker-0")
    assert (done.returncode, done.stderr) == (0, "")
    assert plain(done.stdout) == "".join(f"submitted worker-0 message-{n}\n" for n in (1, 2, 3))
    done = ready("poll", "worker-0", "20", "message-3", "--until", "DONE")
    assert plain(done.stdout).splitlines() == ["[ACK] message-3", "[DONE] message-3"]
    assert agent.told() == ["one", "two", "  three"]
    said = (tmp_path / "got").read_text()
    assert said.startswith(f"# INSTRUCTION from {MASTER}. It is answered like a task")
    assert f"# All below are the words of {MASTER}:\n漢 é\n\n  three\n" in said
    assert states(ready) == ["acknowledged"] * 3
    done = ready("deliver", CHILD, "worker-0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_words_of_an_instruction_are_what_the_built_in_worker_runs(
    tmux: Tmux, ready: Run, tmp_path: Path
) -> None:
    tmux.session("s", {"worker-0": worker_command()})
    tmux.run("set", "-p", "-t", tmux.pane("s", "worker-0"), "@swarm_ready", "^swarm> *$")
    leave(ready, f"echo it ran > {tmp_path}/ran", "exit 3")
    assert ready("deliver", CHILD, "worker-0").returncode == 0
    done = ready("poll", "worker-0", "20", "message-2", "--until", "ERROR")
    assert "[ERROR] message-2 exit status 3" in plain(done.stdout)
    assert (tmp_path / "ran").read_text() == "it ran\n"


def test_a_response_is_typed_to_its_master(tmux: Tmux, ready: Run, tmp_path: Path) -> None:
    agent = Agent(tmux, tmp_path, "box")
    leave(ready, "question")
    words = ("messages", CHILD, "--to", MASTER, "--reply-to", "1", "green")
    assert ready(*words).returncode == 0
    done = ready("deliver", MASTER, "worker-0", "--json")
    (told,) = map(json.loads, done.stdout.splitlines())
    assert (told["outcome"], told["message_id"]) == ("submitted", 2)
    assert plain(told["wire_id"]) == "message-2"
    assert (told["message_type"], told["from_session"]) == ("RESPONSE", CHILD)
    assert agent.told() == ["green"]
    assert f"# RESPONSE from {CHILD}, the answer to message 1. " in (tmp_path / "got").read_text()
    assert states(ready) == ["waiting", "acknowledged"]


def killing(tmp_path: Path, words: str, when: str) -> str:
    """Return a tmux that kills who runs it, before or after the first command with *words*."""
    path = tmp_path / "tmux-that-kills"
    kill = "kill -9 $PPID; exit 1"
    run = 'tmux "$@" >/dev/null;' if when == "after" else ""
    path.write_text(f'#!/bin/sh\ncase "$*" in *"{words}"*) {run} {kill};; esac\nexec tmux "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


STEPS = [
    ("@swarm_typing message-1", "after"),
    ("-H 0d", "before"),
    ("-H 0d", "after"),
    ("-pu -t %0 @swarm_typing", "after"),
    ("-pu -t %0 @swarm_lock", "after"),
]


@pytest.mark.parametrize(
    ("kind", "words", "when"),
    [
        *((kind, *step) for kind in ("worker", "box") for step in STEPS),
        ("boxswallows-one", "-H 0d", "after"),
    ],
)
def test_a_courier_killed_at_any_step_leaves_its_message_to_be_typed_once(
    tmux: Tmux, ready: Run, tmp_path: Path, kind: str, words: str, when: str
) -> None:
    agent = Agent(tmux, tmp_path, kind)
    leave(ready, "one", "two")
    killer = killing(tmp_path, words, when)
    assert ready("deliver", CHILD, "worker-0", SWARM_TMUX=killer).returncode == -signal.SIGKILL
    done = ready("deliver", CHILD, "worker-0")
    assert done.returncode == 0, done.stderr
    assert plain(done.stdout) == "submitted worker-0 message-1\nsubmitted worker-0 message-2\n"
    wait_for(lambda: len(agent.told()) >= 2, "both messages")
    assert agent.told() == ["one", "two"]
    assert states(ready) == ["acknowledged"] * 2


def test_a_message_of_a_new_store_is_not_taken_for_one_of_an_old_store(
    tmux: Tmux, ready: Run, tmp_path: Path
) -> None:
    """The numbers begin again with each store, and the window remembers what was typed there."""
    agent = Agent(tmux, tmp_path, "worker")
    leave(ready, "one")
    assert ready("deliver", CHILD, "worker-0").returncode == 0
    other = {"SWARM_STATE_DIR": str(tmp_path / "other")}
    assert ready("register", MASTER, CHILD, **other).returncode == 0
    assert ready("messages", MASTER, "--to", CHILD, "two", **other).returncode == 0
    assert ready("deliver", CHILD, "worker-0", **other).returncode == 0
    wait_for(lambda: agent.told() == ["one", "two"], "both")


def test_the_longest_message_between_the_longest_names_can_be_typed(
    swarmcomm: Run, tmux: Tmux, tmp_path: Path
) -> None:
    """One that cannot be typed would hold up all behind it until it expires."""
    master, child = f"master_project_{'p' * 64}", f"child_{'p' * 64}_task_{'t' * 64}"
    assert swarmcomm("register", master, child).returncode == 0
    text = "\n".join(["x" * 999] * 65)
    asked = swarmcomm(
        "messages", master, "--to", child, "--type", "STATUS_REQUEST", "-", stdin=text
    )
    assert asked.returncode == 0, asked.stderr
    agent = Agent(tmux, tmp_path, "worker")
    done = swarmcomm("deliver", child, "worker-0")
    assert done.returncode == 0, done.stderr
    assert plain(done.stdout) == "submitted worker-0 message-1\n"
    wait_for(agent.told, "the message")
    assert (tmp_path / "got").read_text().endswith(f":\n{text}\n.\n")


def test_a_task_of_another_sender_in_between_changes_nothing(
    tmux: Tmux, ready: Run, tmp_path: Path
) -> None:
    agent = Agent(tmux, tmp_path, "worker")
    leave(ready, "one")
    killer = killing(tmp_path, "-pu -t %0 @swarm_lock", "after")
    assert ready("deliver", CHILD, "worker-0", SWARM_TMUX=killer).returncode == -signal.SIGKILL
    assert ready("send", "worker-0", "t1", "between").returncode == 0
    done = ready("deliver", CHILD, "worker-0")
    assert plain(done.stdout) == "submitted worker-0 message-1\n"
    wait_for(lambda: len(agent.told()) >= 2, "both")
    assert agent.told() == ["one", "between"]


def test_couriers_killed_at_random_deliver_each_message_once(
    tmux: Tmux, environ: dict[str, str], ready: Run, tmp_path: Path
) -> None:
    agent = Agent(tmux, tmp_path, "worker")
    texts = [f"text {number}" for number in range(12)]
    leave(ready, *texts)
    here = {**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s"}
    command = [sys.executable, "-m", "swarmcomm", "deliver", CHILD, "worker-0"]
    chance = random.Random(5)
    killed = 0
    while len(known := agent.told()) < len(texts):
        courier = subprocess.Popen(command, env=here, stdout=subprocess.DEVNULL)
        wait_for(lambda: len(agent.told()) > len(known), "a message more")
        try:
            assert courier.wait(chance.uniform(0, 0.2)) == 0
        except subprocess.TimeoutExpired:
            courier.kill()
            courier.wait()
            killed += 1
    assert killed > 1
    assert ready("deliver", CHILD, "worker-0").returncode == 0
    assert set(states(ready)) == {"acknowledged"}
    done = ready("poll", "worker-0", "20", "message-12", "--until", "DONE")
    assert done.returncode == 0, done.stderr
    assert agent.told() == texts


@pytest.mark.parametrize("how", ["dialog", "draft"])
def test_what_the_window_does_not_take_waits_with_the_reason(
    tmux: Tmux, ready: Run, tmp_path: Path, how: str
) -> None:
    agent = Agent(tmux, tmp_path, "box")
    pane = tmux.pane("s", "worker-0")
    leave(ready, "one", "two")
    if how == "dialog":
        (tmp_path / "dialog").touch()
    else:
        tmux.run("send-keys", "-t", pane, "-l", "mine")
    sign = "Do you agree?" if how == "dialog" else "> mine"
    wait_for(lambda: sign in tmux.screen("s", "worker-0"), how)
    done = ready("deliver", CHILD, "worker-0", "--wait", "0.3")
    assert (done.returncode, done.stdout) == (5, "")
    assert ("a dialog is open" if how == "dialog" else "mine") in done.stderr
    assert done.stderr.count("\n") == 1
    assert agent.told() == []
    if how == "dialog":
        (tmp_path / "dialog").unlink()
    else:
        tmux.run("send-keys", "-t", pane, "-H", "15")
    assert ready("deliver", CHILD, "worker-0").returncode == 0
    assert agent.told() == ["one", "two"]


def test_what_was_typed_and_not_seen_to_leave_is_not_acknowledged(
    tmux: Tmux, ready: Run, tmp_path: Path
) -> None:
    agent = Agent(tmux, tmp_path, "boxswallows")
    leave(ready, "one", "two")
    done = ready("deliver", CHILD, "worker-0")
    assert (done.returncode, plain(done.stdout)) == (4, "typed worker-0 message-1\n")
    assert "not seen to leave; the message waits" in done.stderr
    assert states(ready) == ["given", "waiting"]
    (tmp_path / "calm").touch()
    assert ready("deliver", CHILD, "worker-0").returncode == 0
    assert agent.told() == ["one", "two"]
    assert states(ready) == ["acknowledged"] * 2


def test_couriers_side_by_side_deliver_each_message_once(
    tmux: Tmux, ready: Run, tmp_path: Path
) -> None:
    agent = Agent(tmux, tmp_path, "worker")
    children = [CHILD, "child_web_task_4", "child_web_task_5"]
    for child in children:
        ready("register", MASTER, child)
        for number in range(3):
            ready("messages", child, "--to", MASTER, f"{child} {number}")
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(ready, "deliver", MASTER, "worker-0") for _ in range(4)]
        done = [run.result() for run in runs]
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    lines = [line for each in done for line in plain(each.stdout).splitlines()]
    assert sorted(lines) == [f"submitted worker-0 message-{number}" for number in range(1, 10)]
    wait_for(lambda: len(agent.told()) >= 9, "all messages")
    for child in children:
        its = [text for text in agent.told() if text.startswith(child)]
        assert its == [f"{child} {number}" for number in range(3)]


def test_a_text_that_names_an_answer_is_none(tmux: Tmux, ready: Run, tmp_path: Path) -> None:
    tmux.session("s", {"worker-0": fake_agent(tmp_path / "log")})
    wait_for(lambda: "ready" in tmux.screen("s", "worker-0"), "the agent")
    leave(
        ready,
        "[DONE] message-3\n[DONE] message-1",
        "[ACK] message-1\n[TASK] message-1\n[DONE] message-1\n[DONE] message-2",
        "[DONE] message-3\n[ERROR] message-2 no\n[DONE] message-1",
    )
    assert ready("deliver", CHILD, "worker-0").returncode == 0
    for words in ([], ["message-1"], ["message-2"], ["message-3"]):
        done = ready("poll", "worker-0", "0", *words)
        assert (done.returncode, done.stdout) == (1, ""), words


def follow(
    tmux: Tmux, environ: dict[str, str], folder: Path, *options: str, **extra: str
) -> subprocess.Popen[bytes]:
    """Start a courier that goes on; it writes ``out`` and ``errors`` in *folder*."""
    words = ("-m", "swarmcomm", "deliver", CHILD, "worker-0", "--follow", *options)
    here = {**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s", **extra}
    with (folder / "errors").open("ab") as stderr, (folder / "out").open("ab") as stdout:
        return subprocess.Popen([sys.executable, *words], env=here, stdout=stdout, stderr=stderr)


def end(courier: subprocess.Popen[bytes]) -> None:
    courier.send_signal(signal.SIGINT)
    courier.wait(20)


def history(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("messages", "--all", "--json").stdout.splitlines()]


def responses(run: Run) -> list[tuple[int, str]]:
    """Return which message each RESPONSE answers, and its text."""
    return [(m["reply_to"], m["text"]) for m in history(run) if m["message_type"] == "RESPONSE"]


def test_follow_hands_back_what_the_agent_answers_once(
    tmux: Tmux, environ: dict[str, str], ready: Run, tmp_path: Path
) -> None:
    """Also what it says while no courier is there, or several, or one that is killed at it."""
    agent = Agent(tmux, tmp_path, "worker")
    leave(ready, "one", "two")
    assert ready("deliver", CHILD, "worker-0").returncode == 0
    wait_for(lambda: len(agent.told()) == 2, "both messages")
    couriers = [follow(tmux, environ, tmp_path) for _ in range(2)]
    try:
        wait_for(lambda: len(responses(ready)) == 2, "two answers")
        leave(ready, "three")
        wait_for(lambda: len(responses(ready)) == 3, "the third")
        couriers[0].kill()
        couriers.append(follow(tmux, environ, tmp_path))
        leave(ready, "four")
        wait_for(lambda: len(responses(ready)) == 4, "the fourth")
        told = (tmp_path / "out").read_text().count("submitted ")
        assert told == 2
    finally:
        couriers[0].wait(20)
        for courier in couriers[1:]:
            end(courier)
    assert responses(ready) == [(number, "DONE") for number in (1, 2, 5, 7)]
    out = plain((tmp_path / "out").read_text())
    assert "answered worker-0 message-1: DONE\n" in out
    assert (tmp_path / "errors").read_text().count("\n") == 3
    # A response is not answered: the master's own courier has nothing to hand back.
    assert [m["from_session"] for m in history(ready) if m["reply_to"]] == [CHILD] * 4


def test_an_answer_is_handed_back_with_its_words_and_not_after_another(
    tmux: Tmux, environ: dict[str, str], ready: Run, tmp_path: Path
) -> None:
    tmux.session("s", {"worker-0": worker_command()})
    tmux.run("set", "-p", "-t", tmux.pane("s", "worker-0"), "@swarm_ready", "^swarm> *$")
    leave(ready, "exit 3", "true")
    assert ready("deliver", CHILD, "worker-0").returncode == 0
    said = ("messages", CHILD, "--to", MASTER, "--reply-to", "2", "I said so myself")
    assert ready(*said).returncode == 0
    leave(ready, "true")
    courier = follow(tmux, environ, tmp_path)
    try:
        wait_for(lambda: len(responses(ready)) == 3, "the answer to the third")
    finally:
        end(courier)
    first, *rest = sorted(responses(ready))
    assert first == (1, "ERROR exit status 3")
    assert rest == [(2, "I said so myself"), (4, "DONE")]


def test_couriers_that_see_one_answer_at_once_hand_it_back_once(
    tmux: Tmux, environ: dict[str, str], ready: Run, tmp_path: Path
) -> None:
    tmux.session("s", {"worker-0": worker_command()})
    tmux.run("set", "-p", "-t", tmux.pane("s", "worker-0"), "@swarm_ready", "^swarm> *$")
    leave(ready, f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done")
    assert ready("deliver", CHILD, "worker-0").returncode == 0
    here = {**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s"}
    with Coordinator.attach(here) as one, Coordinator.attach(here) as other:
        window = Swarm.attach(environ=here)["worker-0"]
        couriers = [Courier(each, CHILD, window) for each in (one, other)]
        assert [list(courier.answers()) for courier in couriers] == [[], []]
        (tmp_path / "go").touch()
        sent = [wait_for(lambda c=c: list(c.answers()), "the answer") for c in couriers]  # type: ignore[misc]
        assert sent[0] == sent[1]
        assert [list(courier.answers()) for courier in couriers] == [[], []]
    assert responses(ready) == [(1, "DONE")]


def test_t18_a_clock_that_is_turned_takes_nothing_from_a_courier(
    tmux: Tmux,
    environ: dict[str, str],
    ready: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = Agent(tmux, tmp_path, "box")
    leave(ready, "one", "two")
    (tmp_path / "dialog").touch()
    wait_for(lambda: "Do you agree?" in tmux.screen("s", "worker-0"), "the dialog")
    here = {**environ, "SWARM_SOCKET": tmux.socket, "SWARM_SESSION": "s"}
    now = clock.now
    with Coordinator.attach(here) as coordinator:
        courier = Courier(coordinator, CHILD, Swarm.attach(environ=here)["worker-0"])
        with pytest.raises(RefusedError, match="a dialog is open"):
            list(courier.deliver(0))
        monkeypatch.setattr(clock, "now", lambda: now() + timedelta(days=8))
        (tmp_path / "dialog").unlink()
        assert [each.message.text for each in courier.deliver()] == ["one", "two"]
    assert agent.told() == ["one", "two"]


def test_follow_goes_on_when_the_store_was_busy(
    tmux: Tmux, environ: dict[str, str], ready: Run, tmp_path: Path
) -> None:
    agent = Agent(tmux, tmp_path, "box")
    leave(ready, "one")
    courier = follow(tmux, environ, tmp_path)
    store = Path(environ["HOME"]) / ".local/state/swarmcomm" / FILE
    try:
        wait_for(lambda: agent.told() == ["one"], "the first message")
        leave(ready, "two")
        with closing(sqlite3.connect(store, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            wait_for(lambda: "has had its lock" in (tmp_path / "errors").read_text(), "its reason")
            holder.execute("ROLLBACK")
        wait_for(lambda: agent.told() == ["one", "two"], "the second message")
    finally:
        end(courier)
    assert courier.returncode == 0


def test_follow_takes_what_comes_says_once_why_it_waits_and_ends_with_ctrl_c(
    tmux: Tmux, environ: dict[str, str], ready: Run, tmp_path: Path
) -> None:
    agent = Agent(tmux, tmp_path, "box")
    leave(ready, "one")
    errors, calls, noting = (tmp_path / name for name in ("errors", "calls", "noting-tmux"))
    noting.write_text(f'#!/bin/sh\necho "$*" >> {calls}\nexec tmux "$@"\n')
    noting.chmod(noting.stat().st_mode | stat.S_IXUSR)

    def turns() -> int:
        return calls.read_text().count("taken")

    courier = follow(tmux, environ, tmp_path, "--wait", "0", SWARM_TMUX=str(noting))
    try:
        wait_for(lambda: agent.told() == ["one"], "the first message")
        (tmp_path / "dialog").touch()
        wait_for(lambda: "Do you agree?" in tmux.screen("s", "worker-0"), "the dialog")
        leave(ready, "two")
        wait_for(lambda: "a dialog is open" in errors.read_text(), "the reason")
        tries = turns()
        wait_for(lambda: turns() >= tries + 2, "two tries more")
        (tmp_path / "dialog").unlink()
        wait_for(lambda: "message-2" in (tmp_path / "out").read_text(), "the second message")
    finally:
        end(courier)
    assert courier.returncode == 0
    assert agent.told() == ["one", "two"]
    said = plain((tmp_path / "out").read_text())
    assert said == "submitted worker-0 message-1\nsubmitted worker-0 message-2\n"
    assert errors.read_text().count("a dialog is open") == 1


def test_a_task_sent_once_is_typed_once_from_the_library(
    tmux: Tmux, environ: dict[str, str], tmp_path: Path
) -> None:
    agent = Agent(tmux, tmp_path, "box")
    with Swarm.attach("s", tmux.socket, environ) as swarm:
        window = swarm["worker-0"]
        for _ in range(2):
            assert window.send("x", task_id="t1", once=True).outcome == "submitted"
        assert agent.told() == ["x"]
        window.send("x", task_id="t1")
        assert agent.told() == ["x", "x"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["web", "worker-0"], 2, "'web' is no session name"),
        (["child_web_task_9", "worker-0"], 3, "child_web_task_9 is not registered"),
        ([CHILD, "worker-9"], 3, "worker-9"),
        (["--session", "other", CHILD, "worker-0"], 3, "other"),
        (["--wait", "nan", CHILD, "worker-0"], 2, "--wait"),
        ([CHILD], 2, "WINDOW"),
    ],
)
def test_exit_statuses_and_one_line_that_says_what_to_do(
    tmux: Tmux, ready: Run, words: list[str], status: int, said: str
) -> None:
    tmux.session("s", {"worker-0": "cat"})
    leave(ready, "one")
    done = ready("deliver", *words)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert states(ready)[0] in ("waiting", "given")


def test_another_session_s_messages_are_not_taken(tmux: Tmux, ready: Run) -> None:
    tmux.session("s", {"worker-0": "cat"})
    done = ready("deliver", CHILD, "worker-0", SWARM_SESSION_NAME=MASTER)
    assert done.returncode == 5
    assert f"you are {MASTER}" in done.stderr


def test_help_has_an_example(swarmcomm: Run) -> None:
    done = swarmcomm("deliver", "--help")
    assert done.returncode == 0
    assert "Example: swarmcomm deliver " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
