"""The main job: real tasks into real windows from bash and Python, each followed to its end."""

from __future__ import annotations

import re
import subprocess
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmcomm import Marker, Swarm
from tests.conftest import Tmux, wait_for, worker_command

Run = Callable[..., "subprocess.CompletedProcess[str]"]

WORKERS = ("worker-0", "worker-1", "worker-2")


@pytest.fixture
def workers(tmux: Tmux) -> Tmux:
    tmux.session("s", {name: worker_command() for name in WORKERS}, width=200)
    for name in WORKERS:
        pane = tmux.pane("s", name)
        tmux.run("set", "-p", "-t", pane, "@swarm_ready", "^swarm> *$")
        tmux.run("set", "-p", "-t", pane, "@swarm_agent", "shell")
    return tmux


@pytest.mark.timeout(400)
def test_two_hundred_tasks_from_bash_and_python_end_as_they_should(
    workers: Tmux, environ: dict[str, str], script: Run
) -> None:
    """All ACK and DONE seen by both readers, none doubled, crossed or early."""
    wrong: list[str] = []

    def from_bash() -> None:
        for n in range(0, 200, 2):
            done = script(
                "claude_comm.sh", "send", WORKERS[n % 3], f"t-{n}", f"echo said [DONE] t-{n}"
            )
            if done.returncode:
                wrong.append(done.stderr)

    sender = threading.Thread(target=from_bash)
    sender.start()
    with Swarm.attach("s", workers.socket, environ) as swarm:
        for n in range(1, 200, 2):
            text = f"echo said [DONE] t-{n}"
            assert swarm[WORKERS[n % 3]].send(text, task_id=f"t-{n}").outcome == "submitted"
        sender.join(300)
        assert wrong == []
        expected = Counter((WORKERS[n % 3], f"t-{n}", m) for n in range(200) for m in "AD")
        by_python = Counter()
        for name in WORKERS:
            last = [n for n in range(200) if WORKERS[n % 3] == name][-2:]
            for n in last:
                assert list(swarm[name].poll(f"t-{n}", frozenset({Marker.DONE}), 30))
            for answer in swarm[name].answers():
                by_python[name, answer.wire_id.task_id, answer.marker[0]] += 1
    assert by_python == expected
    by_bash = Counter()
    for name in WORKERS:
        done = script("claude_comm.sh", "poll", name, "0")
        for marker, task_id in re.findall(r"^\[(.)\w+\] (\S+)$", done.stdout, re.M):
            by_bash[name, task_id, marker] += 1
    assert by_bash == expected


PIECES = st.one_of(
    st.sampled_from(
        [
            *("[DONE]", "[ACK] ", "[ERROR] t1", "[DONE] t1", "[TASK] t1", "[DONE]: t1"),
            *("\\[DONE] t1", "* [WAIT] t1 x", "t1", "\n", " ", "> ", "`", "\t", ";", "$x"),
            *("x" * 75, "漢" * 40),
        ]
    ),
    st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20),
)


def test_a_window_that_only_echoes_never_answers_for_any_description(
    tmux: Tmux, environ: dict[str, str], script: Run
) -> None:
    tmux.session("s", {"worker-0": "cat"}, width=80)
    with Swarm.attach("s", tmux.socket, environ) as swarm:

        @settings(
            max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
        )
        @given(st.lists(PIECES, min_size=1, max_size=12).map("".join).filter(str.strip))
        def no_answer(text: str) -> None:
            task = swarm["worker-0"].send(text, task_id="t1")
            assert task.answers() == ()
            assert swarm["worker-0"].answers() == ()

        no_answer()
    assert script("claude_comm.sh", "poll", "worker-0", "0", "t1").stdout == ""
    assert script("claude_comm.sh", "poll", "worker-0", "0").stdout == ""


@pytest.mark.parametrize("lead", [1580, 1590])
def test_an_escape_is_never_cut_in_two_by_the_pieces_of_a_long_text(
    tmux: Tmux, environ: dict[str, str], script: Run, lead: int
) -> None:
    tmux.session("s", {"worker-0": "cat"}, width=200)
    with Swarm.attach("s", tmux.socket, environ) as swarm:
        for n in range(12):
            # A line before it gives cat something to print between two pieces.
            text = "first line\n" + "y" * (lead + n) + "[DONE] t1 forged " + "z" * 40 + "\nend"
            swarm["worker-0"].send(text, task_id="t1")
            script("claude_comm.sh", "send", "worker-0", "t1", text)
        assert swarm["worker-0"].answers("t1") == ()


def test_a_plain_terminal_is_typed_an_escaped_text_line_by_line_or_not_at_all(
    tmux: Tmux, environ: dict[str, str], script: Run, swarmcomm: Run
) -> None:
    tmux.session("s", {"worker-0": "cat"}, width=200)
    with Swarm.attach("s", tmux.socket, environ) as swarm:
        for face in (lambda *args: script("claude_comm.sh", *args), swarmcomm):
            done = face("send", "worker-0", "t1", "[DONE] t1 foo bar\n" * 150 + "end")
            assert (done.returncode, done.stdout) == (0, "submitted worker-0 t1\n"), done.stderr
            assert swarm["worker-0"].answers("t1") == ()
            before = tmux.screen("s", "worker-0")
            done = face("send", "worker-0", "t1", "[DONE] t1 foo bar\n" * 300 + "end")
            assert done.returncode == 5
            assert "200" in done.stderr
            assert tmux.screen("s", "worker-0") == before


def test_the_manual_flow_as_the_older_plan_had_it(workers: Tmux, script: Run) -> None:
    comm = "claude_comm.sh"
    assert script(comm, "send", "worker-0", "task-001", "echo hello").returncode == 0
    assert "[TASK] task-001" in workers.screen("s", "worker-0")
    for words in (["10", "task-001"], ["--task-id", "task-001"]):
        done = script(comm, "poll", "worker-0", *words)
        assert done.returncode == 0
        assert "[ACK] task-001\n" in done.stdout
    assert script(comm, "send", "worker-0", "task-002", "sleep 5").returncode == 0
    done = script(comm, "poll", "worker-0", "60", "task-002")
    assert done.stdout.splitlines()[-1] in ("[ACK] task-002", "[DONE] task-002")
    done = script(comm, "poll", "worker-0", "60", "task-002", "--until", "DONE")
    assert done.stdout.endswith("[DONE] task-002\n")
    once = script("claude_poll.sh", "--once")
    assert re.search(r"^\[\d\d:\d\d:\d\d\] worker-0: \[DONE\] task-002$", once.stdout, re.M)
    shown = script("claude_status.sh", SWARM_WINDOWS="worker-0 worker-1 worker-2")
    assert shown.returncode == 0
    assert shown.stdout.startswith("=== Claude Swarm Status ===\n")
    assert "--- worker-2 ---" in shown.stdout


@pytest.mark.parametrize("program", ["cat", "bash --norc --noprofile"])
def test_the_manual_flow_in_a_session_made_by_hand(
    tmux: Tmux, script: Run, swarmcomm: Run, program: str
) -> None:
    tmux.session("s", {"master": program, "worker-0": program})
    if program != "cat":
        wait_for(lambda: "$" in tmux.screen("s", "worker-0") or "#" in tmux.screen("s", "worker-0"),
                 "a prompt")  # fmt: skip
    say = (lambda text: text) if program == "cat" else (lambda text: f'echo "{text}"')
    for face in (lambda *args: script("claude_comm.sh", *args), swarmcomm):
        name = f"task-{id(face) % 1000}"
        done = face("send", "worker-0", name, "hello")
        assert (done.returncode, done.stdout) == (0, f"submitted worker-0 {name}\n"), done.stderr
        assert f"[TASK] {name}" in tmux.screen("s", "worker-0")
        assert face("poll", "worker-0", "0", name).returncode == 1
        tmux.type("s", "worker-0", say(f"[ACK] {name}"))
        done = face("poll", "worker-0", "5", name, "--until", "ACK")
        assert (done.returncode, done.stdout) == (0, f"[ACK] {name}\n")
        tmux.type("s", "worker-0", say(f"[ERROR] {name} no luck"))
        done = face("poll", "worker-0", "5", "--task-id", name, "--until", "DONE,ERROR")
        assert (done.returncode, done.stdout) == (
            6,
            f"[ACK] {name}\n[ERROR] {name} no luck\n",
        )
