"""The ``swarmcomm`` command as a person or a program meets it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import pytest

from swarmcomm.frontends.cli import cli
from tests.conftest import ROOT, Tmux, wait_for, worker_command

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def worker(tmux: Tmux) -> Iterator[Tmux]:
    tmux.session("s", {"master": "cat", "worker-0": worker_command()})
    pane = tmux.pane("s", "worker-0")
    tmux.run("set", "-p", "-t", pane, "@swarm_ready", "^swarm> *$")
    tmux.run("set", "-p", "-t", pane, "@swarm_agent", "shell")
    return tmux


BAD_INPUT = [
    (["send", "worker-9", "t1", "x"], 3, "worker-9"),
    (["--session", "other", "send", "worker-0", "t1", "x"], 3, "other"),
    (["--session", "a.b", "send", "worker-0", "t1", "x"], 2, "a.b"),
    (["--socket", "no-such-socket", "poll", "worker-0", "0"], 3, "no session"),
    (["poll", "worker-0", "1", "--until", "DOEN"], 2, "DOEN"),
    (["poll", "worker-0", "--frobnicate"], 2, "frobnicate"),
    (["frobnicate"], 2, "frobnicate"),
    (["poll", "worker-0", "soon", "t1"], 2, "soon"),
    (["poll", "worker-0", "--timeout", "soon"], 2, "soon"),
    (["poll", "worker-0", "-1"], 2, "-1"),
    (["poll", "worker-0", "nan", "t1"], 2, "nan"),
    (["poll", "worker-0", "1_0", "t1"], 2, "1_0"),
    (["poll", "worker-0", "0", ""], 2, "''"),
    (["--session", "", "status"], 2, "''"),
    (["up", "--agent", "shell", "--agent-file", "x.toml"], 2, "not both"),
    (["poll", "worker-0", "1", "a b"], 2, "a b"),
    (["send", "worker-0", "a b", "x"], 2, "a b"),
    (["send", "worker-0", "x" * 65, "x"], 2, "64"),
    (["send", "worker-0", "t1.", "x"], 2, "t1."),
    (["send", "worker-0", "t1", ""], 2, "empty"),
    (["send", "worker-0", "t1", " \n\t"], 2, "empty"),
    (["send", "worker-0", "t1", "a\x1bb"], 5, "byte 1"),
    (["send", "--wait", "soon", "worker-0", "t1", "x"], 2, "soon"),
    (["send", "worker-0", "t1"], 2, "DESCRIPTION"),
    (["send", "worker-0", "t1", "two", "words"], 2, "words"),
    (["interrupt", "worker-9"], 3, "worker-9"),
    (["status", "worker-9"], 3, "worker-9"),
    (["watch", "--interval", "0"], 2, "0"),
    (["up", "--agent", "nobody"], 2, "nobody"),
    (["up", "--workdir", "/no/such/folder"], 2, "/no/such/folder"),
]


@pytest.mark.parametrize(("words", "status", "said"), BAD_INPUT)
def test_bad_input_is_one_line_with_the_promised_status(
    worker: Tmux, swarmcomm: Run, words: list[str], status: int, said: str
) -> None:
    wait_for(lambda: "swarm>" in worker.screen("s", "worker-0"), "the worker")
    before = worker.screen("s", "worker-0")
    done = swarmcomm(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("swarmcomm: ")
    assert said in done.stderr
    assert worker.screen("s", "worker-0") == before


def test_closed_standard_input_is_said(worker: Tmux, environ: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec '{sys.executable}' -m swarmcomm send worker-0 t1 - <&-"],
        env={**environ, "SWARM_SOCKET": worker.socket, "SWARM_SESSION": "s"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert "standard input" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_machine_without_tmux_is_told_what_to_install(swarmcomm: Run) -> None:
    done = swarmcomm("status", SWARM_TMUX="no-such-tmux")
    assert done.returncode == 7
    assert "install tmux" in done.stderr


def test_no_server_is_said_as_no_server(swarmcomm: Run) -> None:
    for words in (["send", "worker-0", "t1", "x"], ["poll", "worker-0"], ["status"], ["down"]):
        done = swarmcomm(*words)
        assert done.returncode == 3
        assert done.stderr.count("\n") == 1


def test_poll_prints_what_the_contract_says(worker: Tmux, swarmcomm: Run) -> None:
    assert worker.socket
    done = swarmcomm("send", "worker-0", "t1", "sleep 0.5; exit 3")
    assert (done.returncode, done.stdout) == (0, "submitted worker-0 t1\n")
    done = swarmcomm("poll", "worker-0", "20", "t1", "--until", "DONE,ERROR")
    assert (done.returncode, done.stdout) == (6, "[ACK] t1\n[ERROR] t1 exit status 3\n")
    done = swarmcomm("poll", "worker-0", "20", "t1")
    assert (done.returncode, done.stdout) == (0, "[ACK] t1\n[ERROR] t1 exit status 3\n")
    done = swarmcomm("poll", "worker-0", "0.2", "t2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Timeout after 0.2s\n"


def test_where_only_an_ack_is_there_poll_prints_it_and_waits_its_time(
    worker: Tmux, swarmcomm: Run
) -> None:
    assert worker.socket
    swarmcomm("send", "worker-0", "t1", "sleep 30")
    done = swarmcomm("poll", "worker-0", "0.5", "t1")
    assert (done.returncode, done.stdout) == (0, "[ACK] t1\n")
    done = swarmcomm("poll", "worker-0", "0.5", "t1", "--until", "DONE")
    assert (done.returncode, done.stdout) == (1, "[ACK] t1\n")
    assert swarmcomm("interrupt", "worker-0").stdout == "interrupted worker-0\n"
    done = swarmcomm("poll", "worker-0", "10", "--task-id", "t1", "--until", "DONE")
    assert (done.returncode, done.stdout) == (6, "[ACK] t1\n[ERROR] t1 interrupted\n")


def test_json_is_one_flat_object_a_line(worker: Tmux, swarmcomm: Run) -> None:
    assert worker.socket
    sent = json.loads(swarmcomm("send", "--tag", "worker-0", "t1", "true", "--json").stdout)
    assert (sent["outcome"], sent["window"]) == ("submitted", "worker-0")
    assert sent["witnesses"] == ["screen"]
    assert re.fullmatch(r"t1\+[a-z0-9]{8}", sent["wire_id"])
    done = swarmcomm("poll", "worker-0", "10", "t1", "--until", "DONE", "--json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["marker"] for answer in answers] == ["ACK", "DONE"]
    assert {answer["wire_id"] for answer in answers} == {sent["wire_id"]}
    rows = [json.loads(line) for line in swarmcomm("status", "--json").stdout.splitlines()]
    assert [row["window"] for row in rows][:2] == ["master", "worker-0"]


def test_status_goes_on_past_a_missing_window(worker: Tmux, swarmcomm: Run) -> None:
    assert worker.socket
    done = swarmcomm("status")
    assert done.returncode == 3
    assert done.stdout.startswith("=== Claude Swarm Status ===\n")
    assert "--- worker-2 ---" in done.stdout
    assert "no window worker-2" in done.stdout


def test_watch_ends_with_0_at_ctrl_c_and_without_a_word_at_a_closed_pipe(
    worker: Tmux, swarmcomm: Run, environ: dict[str, str]
) -> None:
    swarmcomm("send", "worker-0", "t1", "true")
    env = {**environ, "SWARM_SOCKET": worker.socket, "SWARM_SESSION": "s"}
    command = [sys.executable, "-m", "swarmcomm", "watch", "--json"]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout is not None
        lines = [json.loads(watcher.stdout.readline()) for _ in range(2)]
        assert [(line["marker"], line["task_id"]) for line in lines] == [
            ("ACK", "t1"),
            ("DONE", "t1"),
        ]
        os.kill(watcher.pid, signal.SIGINT)
        out, err = watcher.communicate(timeout=20)
        assert (watcher.returncode, out, err.count("\n")) == (0, "", 1)
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        watcher.stdout.close()
        swarmcomm("send", "worker-0", "t2", "true")
        assert watcher.stderr is not None
        assert watcher.stderr.read().count("\n") == 1
        assert watcher.wait(timeout=20) == 0


def test_poll_ends_with_130_at_ctrl_c(worker: Tmux, environ: dict[str, str]) -> None:
    worker.type("s", "master", "[ACK] t1")
    with subprocess.Popen(
        [sys.executable, "-m", "swarmcomm", "poll", "master", "60", "t1"],
        env={**environ, "SWARM_SOCKET": worker.socket, "SWARM_SESSION": "s"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as poller:
        assert poller.stdout is not None
        assert poller.stdout.readline() == "[ACK] t1\n"
        os.kill(poller.pid, signal.SIGINT)
        _, err = poller.communicate(timeout=20)
        assert poller.returncode == 130
        assert err.startswith("note: ")
        assert err.count("\n") == 1


def run_in_shell(
    worker: Tmux, environ: dict[str, str], line: str
) -> subprocess.CompletedProcess[str]:
    """Run a shell line in which $SWARMCOMM is the command."""
    return subprocess.run(
        ["sh", "-c", line],
        env={
            **environ,
            "SWARM_SOCKET": worker.socket,
            "SWARM_SESSION": "s",
            "SWARMCOMM": f"{sys.executable} -m swarmcomm",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_deleted_folder_and_closed_outputs_harm_nothing(
    worker: Tmux, environ: dict[str, str]
) -> None:
    line = "mkdir gone && cd gone && rmdir ../gone && exec $SWARMCOMM poll worker-0 0 --until DONE"
    done = run_in_shell(worker, environ, f"cd $(mktemp -d) && {line}")
    assert (done.returncode, done.stderr) == (1, "Timeout after 0s\n")
    done = run_in_shell(worker, environ, "exec $SWARMCOMM status worker-0 >&-")
    assert (done.returncode, done.stderr) == (0, "")
    done = run_in_shell(worker, environ, "exec $SWARMCOMM status worker-0 >/dev/full")
    assert done.returncode == 70
    assert done.stderr.count("\n") == 1


def test_an_endless_input_is_refused_at_the_limit(worker: Tmux, environ: dict[str, str]) -> None:
    done = run_in_shell(worker, environ, "yes | exec $SWARMCOMM send worker-0 t1 -")
    assert done.returncode == 5
    assert "65536" in done.stderr


def test_an_option_behind_the_id_is_one_and_a_text_is_a_text(worker: Tmux, swarmcomm: Run) -> None:
    assert worker.socket
    done = swarmcomm("send", "worker-0", "t1", "--tag", "true")
    assert re.fullmatch(r"submitted worker-0 t1\+[a-z0-9]{8}\n", done.stdout)
    done = swarmcomm("send", "worker-0", "t2", "--tag=echo sneaky")
    assert done.stdout == "submitted worker-0 t2\n"
    assert "--tag=echo sneaky" in worker.screen("s", "worker-0")


def test_until_ends_with_6_only_where_it_waited_for_the_end(worker: Tmux, swarmcomm: Run) -> None:
    assert worker.socket
    swarmcomm("send", "worker-0", "t1", "exit 3")
    for until, status in (("DONE", 6), ("DONE,ERROR", 6), ("ERROR", 6), ("WAIT", 6), ("ACK", 0)):
        done = swarmcomm("poll", "worker-0", "10", "t1", "--until", until)
        assert done.returncode == status, until


def test_every_command_has_help_with_an_example(swarmcomm: Run) -> None:
    for name, command in cli.commands.items():
        assert isinstance(command, click.Command)
        shown = swarmcomm(name, "--help")
        assert shown.returncode == 0
        assert f"Example: swarmcomm {name}" in shown.stdout
        assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "..." not in swarmcomm("--help", COLUMNS="80").stdout.partition("Commands:")[2]


def test_what_is_not_needed_is_not_imported(environ: dict[str, str]) -> None:
    program = (
        "import sys, swarmcomm; print(sorted({m.partition('.')[0] for m in sys.modules}"
        " & {'libtmux', 'rich', 'click', 'hypothesis'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environ, check=True
    )
    assert done.stdout == "[]\n"
    program = (
        "import sys; sys.argv = ['swarmcomm', '--help']\n"
        "from swarmcomm.frontends.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'libtmux', 'rich'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environ, check=True
    )
    assert done.stdout.endswith("\n[]\n")


def test_up_and_down_make_and_end_a_session(tmux: Tmux, swarmcomm: Run) -> None:
    done = swarmcomm("up", "--agent", "shell", "--workdir", str(ROOT), SWARM_WINDOWS="master w")
    assert done.returncode == 0, done.stderr
    assert "started s: master w" in done.stdout
    attach = f"tmux -L {tmux.socket} attach -t '=s'"
    assert attach in done.stdout
    again = swarmcomm("up", "--agent", "shell")
    assert again.returncode == 5
    assert attach in again.stderr
    assert "kill-session" in again.stderr
    assert swarmcomm("send", "w", "t1", "true").returncode == 0
    assert swarmcomm("poll", "w", "10", "t1", "--until", "DONE").returncode == 0
    assert swarmcomm("down").stdout == "ended s\n"
    assert swarmcomm("down").returncode == 3
