"""Hooks of the real agent: a second witness of deliveries and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarmcomm import Swarm
from tests.agents.rig import Rig, start_rig
from tests.conftest import wait_for

SWARM = "worker-0"


def spool(rig: Rig, window: str) -> list[dict[str, Any]]:
    """Return what the hooks of a window wrote down."""
    form = "#{@swarm_witness}/#{pid}-#{s/%//:pane_id}.jsonl"
    path = Path(rig.tmux.run("display-message", "-p", "-t", rig.pane(window), form).strip())
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def told(rig: Rig, window: str, event: str, text: str) -> list[dict[str, Any]]:
    return [line for line in spool(rig, window) if line["event"] == event and text in str(line)]


def answers(rig: Rig, window: str, task: str) -> list[tuple[str, list[str]]]:
    words = ("poll", window, "20", task, "--until", "DONE", "--json")
    lines = map(json.loads, rig.face("python", *words).stdout.splitlines())
    return [(line["marker"], line["witnesses"]) for line in lines]


def test_deliveries_and_answers_have_two_witnesses(rig: Rig, worker: str) -> None:
    rig.submit("python", worker, "task-two", "say hello")
    assert wait_for(lambda: told(rig, worker, "UserPromptSubmit", "task-two"), "the prompt")
    wait_for(lambda: told(rig, worker, "Stop", "[DONE] task-two"), "the end")
    rig.wait_screen(worker, r"\[DONE\] task-two")

    both = ["screen", "hook"]
    assert answers(rig, worker, "task-two") == [("ACK", both), ("DONE", both)]


def test_watch_tells_an_answer_once_though_two_saw_it(rig: Rig, worker: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMUX_TMPDIR", rig.environ["TMUX_TMPDIR"])
        swarm = Swarm.attach(rig.environ["SWARM_SESSION"], rig.tmux.socket, rig.environ)
        events = swarm.watch((worker,), interval_s=0.02)
        told = []
        for task in ("task-w1", "task-w2", "task-w1", "task-w1", "task-end"):
            rig.submit("bash", worker, task, "{fake:later=0.3}")
            while not told or told[-1] != ("DONE", task):
                event = next(events)
                if event.marker and event.task_id in ("task-w1", "task-w2", "task-end"):
                    told.append((event.marker, event.task_id))
            rig.wait_ready(worker)
            told.append(("ready", task))
    answers = [one for one in told if one[0] != "ready"]
    tasks = ("task-w1", "task-w2", "task-w1", "task-w1", "task-end")
    assert answers == [(marker, task) for task in tasks for marker in ("ACK", "DONE")]


def test_an_answer_that_left_the_screen_is_told_by_the_hook(rig: Rig, worker: str) -> None:
    rig.submit("bash", worker, "task-gone", "say hello")
    wait_for(lambda: told(rig, worker, "Stop", "task-gone"), "the end")
    rig.wait_ready(worker)
    rig.submit("bash", worker, "task-next", "{fake:lines=80}")
    wait_for(lambda: told(rig, worker, "Stop", "task-next"), "the end")
    rig.wait_ready(worker)
    rig.tmux.run("clear-history", "-t", rig.pane(worker))

    assert "task-gone" not in rig.all_text(worker)
    assert answers(rig, worker, "task-gone") == [("ACK", ["hook"]), ("DONE", ["hook"])]
    assert rig.poll("bash", worker, "task-gone", 0)[0] == 1


def test_queued_tasks_are_heard_when_they_are_submitted(rig: Rig, worker: str) -> None:
    rig.submit("bash", worker, "task-q1", "{fake:delay=2}")
    rig.wait_screen(worker, r"\[ACK\] task-q1")
    for task in ("task-q2", "task-q3"):
        rig.press(worker, "-l", f"[TASK] {task} more")
        rig.wait_screen(worker, rf"{task} more")
        rig.press(worker, "Enter")
        wait_for(lambda task=task: told(rig, worker, "UserPromptSubmit", task), "the prompt")  # type: ignore[misc]
    for task in ("task-q1", "task-q2", "task-q3"):
        assert [marker for marker, _ in answers(rig, worker, task)] == ["ACK", "DONE"]


def test_a_task_that_was_interrupted_and_is_sent_again(rig: Rig, worker: str) -> None:
    rig.submit("bash", worker, "task-esc", "{fake:delay=30}")
    rig.wait_screen(worker, r"\[ACK\] task-esc")
    rig.press(worker, "Escape")
    rig.wait_screen(worker, "Interrupted")
    rig.wait_ready(worker)
    rig.submit("python", worker, "task-esc", "{fake:later=0.5}")
    wait_for(lambda: told(rig, worker, "Stop", "[DONE] task-esc"), "the end")
    rig.wait_screen(worker, r"\[DONE\] task-esc")
    assert answers(rig, worker, "task-esc")[-1] == ("DONE", ["screen", "hook"])


def test_a_permission_that_is_asked_for_is_written_down(rig: Rig, worker: str) -> None:
    rig.make_manual(worker)
    rig.open_dialog(worker, "task-permit")
    line = wait_for(lambda: told(rig, worker, "PermissionRequest", "Bash"), "the request")[-1]
    assert line.keys() == {"event", "turn", "tool"}
    rig.close_dialog(worker)
    assert not told(rig, worker, "Stop", "task-permit")


def test_an_error_that_gave_up_is_written_down_and_is_no_end(rig: Rig, worker: str) -> None:
    rig.submit("bash", worker, "task-error", "{fake:error=400*9}")
    wait_for(lambda: told(rig, worker, "StopFailure", "API Error"), "the error")
    assert rig.poll("python", worker, "task-error", 0) == (1, "")


def test_full_screen_with_hooks_of_the_user_s_own(
    tmp_path_factory: pytest.TempPathFactory, sockets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", sockets)
    monkeypatch.delenv("TMUX", raising=False)
    with start_rig(tmp_path_factory.mktemp("rig"), fullscreen=True) as rig:
        home = Path(rig.environ["HOME"])
        own = home / ".claude" / "settings.json"
        entry = {"type": "command", "command": f"cat > {home}/heard"}
        text = json.dumps({"hooks": {"Stop": [{"hooks": [entry]}]}})
        own.parent.mkdir(exist_ok=True)
        own.write_text(text)
        rig.launch("--agent", "claude", windows=SWARM)
        # What leaves this screen is nowhere: not in the history of tmux either.
        rig.submit(
            "bash", SWARM, "task-full", "{fake:end=none}{fake:say=[DONE] \\id}{fake:lines=80}"
        )
        wait_for(lambda: told(rig, SWARM, "Stop", "[DONE] task-full"), "the end")
        rig.wait_ready(SWARM)
        assert "[DONE] task-full" not in rig.all_text(SWARM)
        assert answers(rig, SWARM, "task-full") == [("ACK", ["hook"]), ("DONE", ["hook"])]

        # An id that is sent again does not end with the end of the time before.
        for count in range(1, 6):
            rig.wait_ready(SWARM)
            go = home / f"go-{count}"
            rig.submit("python", SWARM, "task-again", f"{{fake:after={go}}}{{fake:lines=60}}")
            early = rig.poll("python", SWARM, "task-again", 0)
            assert (early[1], len(told(rig, SWARM, "Stop", "[DONE] task-again"))) == ("", count - 1)
            go.touch()
            assert rig.poll("python", SWARM, "task-again")[0] == 0
            wait_for(
                lambda count=count: len(told(rig, SWARM, "Stop", "task-again")) == count,  # type: ignore[misc]
                "its end",
            )

        wait_for((home / "heard").exists, "the user's hook")
        assert own.read_text() == text


def test_without_hooks_the_screen_is_enough(rig: Rig) -> None:
    rig.tmux.run("kill-session", "-t", "=s")
    rig.launch("--agent", "claude", "--no-hooks", windows=SWARM)
    rig.submit("bash", SWARM, "task-plain", "say hello")
    one = ["screen"]
    assert answers(rig, SWARM, "task-plain") == [("ACK", one), ("DONE", one)]
    assert spool(rig, SWARM) == []
