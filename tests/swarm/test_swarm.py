"""What ``import swarmcomm`` offers, on real tmux with the built-in worker."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmcomm import (
    Event,
    InvalidInputError,
    Marker,
    NotFoundError,
    RefusedError,
    Swarm,
    TaskFailedError,
    WaitTimeoutError,
)
from tests.conftest import Tmux, wait_for, worker_command


@pytest.fixture
def swarm(tmux: Tmux, environ: dict[str, str]) -> Iterator[Swarm]:
    """Two built-in workers and a cat, begun by hand."""
    tmux.session("s", {"master": "cat", "worker-0": worker_command(), "worker-1": worker_command()})
    for name in ("worker-0", "worker-1"):
        pane = tmux.pane("s", name)
        tmux.run("set", "-p", "-t", pane, "@swarm_ready", "^swarm> *$")
        tmux.run("set", "-p", "-t", pane, "@swarm_agent", "shell")
    with Swarm.attach("s", tmux.socket, environ) as attached:
        yield attached


def test_a_task_is_followed_from_send_to_done(swarm: Swarm) -> None:
    task = swarm["worker-0"].send("echo hello", task_id="task-001")
    assert task.outcome == "submitted"
    assert task.wait_ack(timeout_s=10).marker is Marker.ACK
    assert task.outcome == "acknowledged"
    result = task.wait(timeout_s=10)
    assert (result.marker, result.text) == (Marker.DONE, "")
    assert [answer.marker for answer in task.answers()] == [Marker.ACK, Marker.DONE]


def test_an_error_is_raised_with_its_text(swarm: Swarm) -> None:
    task = swarm["worker-0"].send("exit 3", task_id="t1")
    with pytest.raises(TaskFailedError) as caught:
        task.wait(timeout_s=10)
    assert caught.value.text == "exit status 3"


def test_a_wait_that_runs_out_says_how_long_it_was(swarm: Swarm) -> None:
    task = swarm["worker-0"].send("sleep 30", task_id="t1")
    with pytest.raises(WaitTimeoutError) as caught:
        task.wait(timeout_s=0.3)
    assert caught.value.waited_s == 0.3
    swarm["worker-0"].interrupt()
    with pytest.raises(TaskFailedError, match="interrupted"):
        task.wait(timeout_s=10)


def test_a_task_without_an_id_gets_one_of_its_own(swarm: Swarm) -> None:
    first = swarm["worker-0"].send("true")
    second = swarm["worker-0"].send("true", tag=True)
    assert first.task_id != second.task_id
    assert second.wire_id.tag is not None
    assert first.wait(10).marker is second.wait(10).marker is Marker.DONE


def test_an_id_that_is_sent_again_is_not_ended_by_its_earlier_end(swarm: Swarm) -> None:
    swarm["worker-0"].send("true", task_id="t1").wait(10)
    again = swarm["worker-0"].send("sleep 0.5; exit 4", task_id="t1")
    with pytest.raises(TaskFailedError, match="exit status 4"):
        again.wait(10)


def test_a_description_that_names_its_own_answers_ends_when_the_worker_says_so(
    swarm: Swarm, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    wait = f"until [ -e {go} ]; do sleep 0.05; done"
    text = f"{wait}\necho '[DONE] t1' #\n# [DONE] t1\n[ \"[ERROR] t1\" ]"
    task = swarm["worker-0"].send(text, task_id="t1")
    assert task.wait_ack(20).marker is Marker.ACK
    assert task.answers()[-1].marker is Marker.ACK
    go.touch()
    assert task.wait(20).marker is Marker.DONE


def test_watch_yields_each_answer_of_each_window_once(swarm: Swarm) -> None:
    seen: list[Event] = []

    def follow() -> None:
        for event in swarm.watch(interval_s=0.05):
            seen.append(event)
            if sum(event.marker in (Marker.DONE, Marker.ERROR) for event in seen) == 6:
                return

    watcher = threading.Thread(target=follow, daemon=True)
    watcher.start()
    for n, name in itertools.product(range(3), ("worker-0", "worker-1")):
        swarm[name].send("true" if n else "false", task_id=f"t{n}")
    watcher.join(20)
    got = sorted((event.window, event.task_id, event.marker) for event in seen)
    assert got == sorted(
        (window, f"t{n}", marker)
        for window in ("worker-0", "worker-1")
        for n in range(3)
        for marker in (Marker.ACK, Marker.DONE if n else Marker.ERROR)
    )


def test_watch_yields_the_answers_of_an_id_that_is_sent_again(swarm: Swarm) -> None:
    events = swarm.watch(("worker-0",), interval_s=0.05)
    for _ in range(2):
        swarm["worker-0"].send("sleep 0.3", task_id="t1")
        assert [next(events).marker, next(events).marker] == [Marker.ACK, Marker.DONE]


def test_watch_says_when_a_window_goes_away(swarm: Swarm, tmux: Tmux) -> None:
    events = swarm.watch(("worker-0", "worker-1"), interval_s=0.05)
    swarm["worker-0"].send("true", task_id="t1").wait(10)
    assert [next(events).marker, next(events).marker] == [Marker.ACK, Marker.DONE]
    tmux.run("kill-window", "-t", "=s:worker-1")
    gone = next(events)
    assert (gone.window, gone.marker, gone.state) == ("worker-1", None, "gone")


def test_errors_say_whose_fault_it_is(swarm: Swarm, tmux: Tmux, environ: dict[str, str]) -> None:
    window = swarm["worker-0"]
    for bad in ("a b", "x" * 65, "t1.", "", "-t", "a+b", "é"):
        with pytest.raises(InvalidInputError):
            window.send("true", task_id=bad)
    for empty in ("", " ", "\n\t"):
        with pytest.raises(InvalidInputError):
            window.send(empty, task_id="t1")
    with pytest.raises(RefusedError):
        window.send("a\x1bb", task_id="t1")
    with pytest.raises(NotFoundError, match="worker-9"):
        swarm["worker-9"].send("true", task_id="t1")
    with pytest.raises(NotFoundError, match="other"):
        Swarm.attach("other", tmux.socket, environ)
    with pytest.raises(NotFoundError):
        Swarm.attach("s", "no-such-server", environ)
    with pytest.raises(InvalidInputError):
        Swarm.attach("a.b", tmux.socket, environ)
    assert "[TASK]" not in tmux.screen("s", "worker-0")


def test_a_task_of_a_worker_that_died_is_not_reported_as_time_run_out(
    swarm: Swarm, tmux: Tmux
) -> None:
    tmux.run("set", "-w", "-t", "=s:worker-0", "remain-on-exit", "on")
    task = swarm["worker-0"].send("sleep 30", task_id="t1")
    task.wait_ack(10)
    pid = tmux.run("display", "-p", "-t", tmux.pane("s", "worker-0"), "#{pane_pid}").strip()
    os.kill(int(pid), signal.SIGKILL)
    with pytest.raises(NotFoundError, match="ended"):
        task.wait(10)


def test_a_tagged_task_is_answered_with_its_tag_only(swarm: Swarm) -> None:
    swarm["worker-0"].send("true", task_id="t1").wait(10)
    task = swarm["worker-0"].send("sleep 0.3", task_id="t1", tag=True)
    assert str(task.wire_id).startswith("t1+")
    task.wait(10)
    assert {answer.wire_id for answer in task.answers()} == {task.wire_id}
    assert swarm["worker-0"].answers("t1") == task.answers()


def test_an_answer_that_was_the_last_word_of_a_program_is_read(tmux: Tmux) -> None:
    tmux.session("s", {"keep": "cat", "worker-0": "sleep 0.3; echo '[DONE] t1'; sleep 0.3"})
    tmux.run("set", "-w", "-t", "=s:worker-0", "remain-on-exit", "on")
    swarm = Swarm.attach("s", tmux.socket, tmux.environ)
    wait_for(lambda: swarm["worker-0"].state()[0] == "gone", "the end of the program")
    assert [a.marker for a in swarm["worker-0"].poll("t1", timeout_s=5)] == [Marker.DONE]
    with pytest.raises(NotFoundError, match="ended"):
        list(swarm["worker-0"].poll("t2", timeout_s=5))


def test_lines_are_the_last_that_are_visible(swarm: Swarm, tmux: Tmux) -> None:
    swarm["worker-0"].send("seq 100", task_id="t1").wait(10)
    wait_for(lambda: "[DONE] t1" in tmux.screen("s", "worker-0"), "the end")
    assert swarm["worker-0"].lines(4)[:2] == ["99", "100"]


def test_a_task_is_not_answered_by_a_tagged_one_of_the_same_id(swarm: Swarm) -> None:
    plain = swarm["worker-0"].send("sleep 0.5; exit 3", task_id="t1")
    tagged = swarm["worker-0"].send("true", task_id="t1", tag=True)
    with pytest.raises(TaskFailedError, match="exit status 3"):
        plain.wait(10)
    assert tagged.wait(10).wire_id == tagged.wire_id


def test_watch_sees_a_task_that_came_again_and_ended_between_two_looks(swarm: Swarm) -> None:
    events = swarm.watch(("worker-0",), interval_s=0.05)
    for _ in range(3):
        swarm["worker-0"].send("true", task_id="t1")
        wait_for(lambda: "[DONE] t1" in "".join(swarm["worker-0"].lines(3)), "the end")
        assert [next(events).marker, next(events).marker] == [Marker.ACK, Marker.DONE]


def test_the_last_lines_of_a_window_come_from_its_history_and_outlive_its_program(
    tmux: Tmux,
) -> None:
    tmux.session("s", {"keep": "cat", "w": "seq 30; sleep 0.5"}, height=8)
    tmux.run("set", "-w", "-t", "=s:w", "remain-on-exit", "on")
    swarm = Swarm.attach("s", tmux.socket, tmux.environ)
    wait_for(lambda: swarm["w"].state()[0] == "gone", "the end of the program")
    assert swarm["w"].lines(20) == [str(n) for n in range(11, 31)]


def test_a_task_that_changes_the_worker_s_terminal_changes_it_for_itself_alone(
    swarm: Swarm, tmux: Tmux
) -> None:
    tty = tmux.run("display", "-p", "-t", tmux.pane("s", "worker-0"), "#{pane_tty}").strip()
    swarm["worker-0"].send(f"stty sane <{tty}", task_id="t1").wait(10)
    assert swarm["worker-0"].send("true\ntrue", task_id="t2").wait(10).marker is Marker.DONE
