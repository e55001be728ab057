"""What hooks wrote down, read as a second witness; one event of what both tell."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmcomm import Swarm
from swarmcomm.protocol import Answer, Marker, WireId
from swarmcomm.swarm.ledger import HOOK, SCREEN, Ledger
from swarmcomm.swarm.witness import Record, Spool, read, records, task_of
from swarmcomm.tmux.pane import list_panes
from tests.conftest import Tmux, wait_for


def prompt(text: str, turn: str = "") -> Record:
    return Record("UserPromptSubmit", turn, text)


def stop(text: str, turn: str = "") -> Record:
    return Record("Stop", turn, text)


def said(told: list[Record], ask: str | None = None) -> list[str]:
    return [f"{answer.marker} {answer.wire_id} {answer.text}".strip() for answer in read(told, ask)]


def test_the_lines_of_a_spool() -> None:
    lines = [
        {"event": "UserPromptSubmit", "turn": "a", "prompt": "[TASK] t1"},
        {"event": "Stop", "turn": "a", "message": "[DONE] t1"},
        {"event": "StopFailure", "error": "server_error"},
        {"event": "PermissionRequest", "tool": "Bash"},
        {"event": "SessionEnd", "reason": "other"},
    ]
    assert records("\n".join(map(json.dumps, lines))) == [
        prompt("[TASK] t1", "a"),
        stop("[DONE] t1", "a"),
        Record("StopFailure", "", "server_error"),
        Record("PermissionRequest", "", "Bash"),
        Record("SessionEnd", "", "other"),
    ]


@pytest.mark.parametrize("line", ["", "{", "[]", "null", '{"event": 1}', "[" * 100_000, '"x"'])
def test_a_line_that_is_none_of_ours_is_passed_over(line: str) -> None:
    assert records(f'{line}\n{{"event": "Stop", "message": 7}}') == [stop("")]


def test_half_a_character_becomes_one_that_can_be_printed() -> None:
    [record] = records('{"event": "Stop", "message": "\\ud800"}')
    record.text.encode()


def test_answers_stand_behind_their_task() -> None:
    told = [prompt("[TASK] t1"), stop("Well:\n\n[ACK] t1\n\n**[DONE] t1** all **good**")]
    assert said(told) == said(told, "t1") == ["ACK t1", "DONE t1 all **good**"]


def test_without_the_task_s_line_nothing_is_said_of_a_plain_id() -> None:
    assert said([stop("[DONE] t1")]) == said([stop("[DONE] t1")], "t1") == []
    assert said([stop("[DONE] t1+abcdefgh")], "t1+abcdefgh") == ["DONE t1+abcdefgh"]


def test_that_an_ack_is_missing_is_not_known() -> None:
    [answer] = read([prompt("[TASK] t1"), stop("[DONE] t1")], None)
    assert answer.flags == ()


def test_only_the_agent_s_words_are_answers() -> None:
    told = [
        prompt("[TASK] t1 [DONE] t1\n[DONE] t1"),
        prompt("[DONE] t1"),
        Record("StopFailure", "", "[DONE] t1"),
        Record("PermissionRequest", "", "[DONE] t1"),
        stop("[TASK] t2\n[DONE] t2"),
    ]
    assert said(told, "t1") == said(told, "t2") == []


def test_what_the_agent_says_begins_no_block_of_its_own() -> None:
    told = [prompt("[TASK] t1"), stop("> [TASK] t1\n# [TASK] t2\n> [DONE] t1")]
    assert said(told, "t1") == ["DONE t1"]
    assert said(told, "t2") == []


def test_a_backslash_before_the_agent_s_own_marker_is_forgiven() -> None:
    assert said([prompt("[TASK] t1"), stop("\\[DONE] t1")]) == ["DONE t1"]


def test_of_a_plain_id_that_is_sent_again_only_the_newest_counts() -> None:
    told = [prompt("[TASK] t1", "a"), stop("[DONE] t1", "a"), prompt("[TASK] t1", "b")]
    assert said(told, "t1") == []
    assert said([*told, stop("[ERROR] t1 no", "b")], "t1") == ["ERROR t1 no"]
    tagged = [*told, prompt("[TASK] t1+abcdefgh", "c"), stop("[DONE] t1", "c")]
    assert said(tagged, "t1") == []


def test_an_id_that_is_queued_once_more_does_not_take_the_end_of_the_first() -> None:
    told = [prompt("[TASK] t1", "a"), prompt("[TASK] t1", "a"), stop("[DONE] t1", "a")]
    assert said(told, "t1") == []
    assert said([*told, stop("[DONE] t1", "b")], "t1") == ["DONE t1"]
    # Interrupted, so that no turn ended, and sent again.
    assert said([prompt("[TASK] t1", "a"), prompt("[TASK] t1", "b"), stop("[DONE] t1")]) == [
        "DONE t1"
    ]


def test_queued_tasks_are_answered_in_later_turns() -> None:
    told = [
        *(prompt(f"[TASK] q{number}", "a") for number in (1, 2, 3)),
        stop("[DONE] q1", "a"),
        stop("[DONE] q2\n\n[ACK] q3\n\n[DONE] q3", "b"),
    ]
    assert said(told) == ["DONE q1", "DONE q2", "ACK q3", "DONE q3"]


def test_the_task_of_a_prompt() -> None:
    assert task_of(prompt("[TASK] t1+abcdefgh do it")) == "t1+abcdefgh"
    assert task_of(prompt("please do [TASK] t1")) is None
    assert task_of(stop("[TASK] t1")) is None


@given(
    st.lists(st.builds(Record, st.sampled_from(["Stop", "UserPromptSubmit"]), st.text(), st.text()))
)
def test_any_text_can_be_read(told: list[Record]) -> None:
    read(told, None)
    read(told, "t1")


def answer(line: str) -> Answer:
    marker, wire_id, *text = line.split(" ", 2)
    return Answer(Marker(marker), WireId.parse(wire_id), "".join(text), ())


def events(*told: tuple[str, str]) -> list[str]:
    """Return what comes out of the ledger for (witness, line), "again" or "open" for line 1."""
    ledger = Ledger()
    entries = []
    for witness, line in told:
        if line == "again":
            ledger.sent(witness, "t1")
        elif line == "open":
            ledger.seen_open(witness, "t1")
        else:
            entries.append(ledger.take(witness, answer(line)))
    return [
        f"{entry.answer.marker} {entry.answer.text} {'+'.join(entry.told)}"
        for entry in entries
        if entry
    ]


def test_both_tell_one_event_whoever_is_first() -> None:
    assert events((SCREEN, "DONE t1 a b"), (HOOK, "DONE t1 a `b`")) == ["DONE a b screen+hook"]
    assert events((HOOK, "DONE t1 `x`"), (SCREEN, "DONE t1 x")) == ["DONE `x` hook+screen"]


def test_a_hook_that_is_slower_than_the_screen_from_the_sending_on_tells_nothing_twice() -> None:
    told = [(SCREEN, "ACK t1"), (SCREEN, "DONE t1"), (HOOK, "again")]
    told += [(HOOK, "ACK t1"), (HOOK, "DONE t1")]
    assert events(*told) == ["ACK  screen+hook", "DONE  screen+hook"]
    assert len(events(*told, (HOOK, "again"), (SCREEN, "open"), *told[:2])) == 4


def test_looking_again_is_no_news() -> None:
    assert events(*[(SCREEN, "ACK t1"), (SCREEN, "DONE t1")] * 3) == ["ACK  screen", "DONE  screen"]


def test_questions_are_told_apart_by_their_words() -> None:
    both = ["HELP t1 which `file`?", "HELP t1 which folder?", "WAIT t1 for both"]
    told = [(SCREEN, line.replace("`", "")) for line in both] + [(HOOK, line) for line in both]
    assert events(*told) == [
        "HELP which file? screen+hook",
        "HELP which folder? screen+hook",
        "WAIT for both screen+hook",
    ]


def test_a_question_that_the_screen_cut_is_the_same() -> None:
    assert len(events((SCREEN, "HELP t1 which of the"), (HOOK, "HELP t1 which of the two?"))) == 1


def test_the_first_end_stays() -> None:
    assert events((SCREEN, "ERROR t1 no"), (HOOK, "DONE t1")) == ["ERROR no screen"]
    assert events((HOOK, "DONE t1"), (SCREEN, "ACK t1"), (SCREEN, "HELP t1 x")) == ["DONE  hook"]


def test_an_exchange_that_begins_anew_has_events_of_its_own() -> None:
    first = [(SCREEN, "DONE t1"), (HOOK, "DONE t1")]
    for again in [[(SCREEN, "open"), (HOOK, "again")], [(HOOK, "again"), (SCREEN, "open")]]:
        assert events(*first, *again, *first) == ["DONE  screen+hook"] * 2
        assert events(*first, *again, *reversed(first))[1] == "DONE  hook+screen"


def test_a_witness_that_is_behind_tells_nothing_twice() -> None:
    # The screen never showed the second one open ...
    assert events(
        (SCREEN, "DONE t1"),
        (HOOK, "DONE t1"),
        (HOOK, "again"),
        (HOOK, "DONE t1"),
        (SCREEN, "DONE t1"),
    ) == ["DONE  screen+hook", "DONE  hook"]
    # ... or has not painted the end that the hook told, and is not open anew.
    assert events((HOOK, "DONE t1"), (SCREEN, "open"), (SCREEN, "DONE t1")) == ["DONE  hook+screen"]


def test_a_task_that_failed_and_is_sent_again_before_its_end_is_one_exchange() -> None:
    told = [(SCREEN, "ACK t1"), (HOOK, "again"), (SCREEN, "open")]
    assert events(*told, (HOOK, "DONE t1"), (SCREEN, "DONE t1"))[1:] == ["DONE  hook+screen"]


def test_another_end_from_the_same_witness_is_that_of_the_next_exchange() -> None:
    assert events((SCREEN, "DONE t1"), (SCREEN, "ERROR t1 x")) == ["DONE  screen", "ERROR x screen"]


class Window:
    """A window whose agent prints nothing, and the spool that its hooks would write."""

    def __init__(self, tmux: Tmux, folder: Path, environ: dict[str, str]) -> None:
        self.tmux = tmux
        tmux.session("s", {"w": "stty -echo; exec cat"})
        tmux.run("set", "-p", "-t", tmux.pane("s", "w"), "@swarm_witness", str(folder))
        self.swarm = Swarm.attach("s", tmux.socket, environ)
        [self.pane] = list_panes(self.swarm.server, "s")
        self.path = Spool(str(folder), self.pane).path

    def tell(self, *lines: tuple[str, str], end: str = "\n") -> None:
        keys = {"UserPromptSubmit": "prompt", "Stop": "message"}
        with self.path.open("a") as file:
            for event, text in lines:
                file.write(json.dumps({"event": event, keys[event]: text}) + end)

    def paint(self, text: str) -> None:
        self.tmux.run("send-keys", "-t", self.pane.pane_id, "-l", text + "\n")
        last = text.split("\n")[-1]
        wait_for(lambda: last in self.tmux.screen("s", "w"), "the text")


ASKED, DONE = ("UserPromptSubmit", "[TASK] t1"), ("Stop", "[ACK] t1\n[DONE] t1 well")


@pytest.fixture
def window(tmux: Tmux, tmp_path: Path, environ: dict[str, str]) -> Window:
    return Window(tmux, tmp_path, environ)


def polled(window: Window, timeout_s: float = 0.0, ask: str | None = "t1") -> list[tuple[str, str]]:
    until = frozenset({Marker.DONE})
    found = window.swarm["w"].poll(ask, until, timeout_s)
    return [(answer.marker, "+".join(answer.witnesses)) for answer in found]


@pytest.mark.parametrize("ask", ["t1", None])
def test_an_answer_that_only_the_hook_knows_is_told(window: Window, ask: str | None) -> None:
    assert polled(window, ask=ask) == []
    window.tell(ASKED, DONE)
    assert polled(window, ask=ask) == [("ACK", "hook"), ("DONE", "hook")]
    window.paint("[TASK] t1\n[ACK] t1\n[DONE] t1 well")
    assert polled(window, ask=ask) == [("ACK", "screen+hook"), ("DONE", "screen+hook")]


def test_an_old_end_is_not_believed_while_the_task_stands_open_on_the_screen(
    window: Window,
) -> None:
    window.tell(ASKED, DONE)
    window.paint("[TASK] t1")
    assert polled(window, 1.0) == []
    # The hook was late, and the task is at work.
    watched = window.swarm["w"].poll("t1", frozenset({Marker.DONE}), 20.0)
    window.tell(ASKED)
    window.tell(DONE)
    assert [answer.marker for answer in watched] == ["ACK", "DONE"]


def test_it_is_believed_when_no_hook_comes(window: Window) -> None:
    window.tell(ASKED, DONE)
    window.paint("[TASK] t1")
    assert polled(window, 10.0) == [("ACK", "hook"), ("DONE", "hook")]


def test_watch_tells_each_run_of_a_task_once(window: Window) -> None:
    events = window.swarm.watch(("w",), interval_s=0.01)
    for _ in range(3):
        window.tell(ASKED, DONE)
        seen = [next(events), next(events)]
        assert [(event.marker, event.witnesses) for event in seen] == [
            ("ACK", ("hook",)),
            ("DONE", ("hook",)),
        ]
        window.paint("[TASK] t1\n[ACK] t1\n[DONE] t1 well")


def test_half_a_line_is_read_when_it_is_whole(window: Window, tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), window.pane)
    assert spool.news() == []
    window.tell(ASKED, end="")
    assert spool.news() == []
    window.tell(("Stop", "x"), end="\n")
    window.tell(DONE)
    assert [record.event for record in spool.news()] == ["Stop"]
    assert spool.news() == []
    window.path.write_text("")
    window.tell(ASKED)
    assert [record.event for record in spool.news()] == ["UserPromptSubmit"]


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_a_spool_that_is_no_file_of_ours_is_none(window: Window, tmp_path: Path, kind: str) -> None:
    if kind == "symlink":
        (tmp_path / "other").write_text('{"event": "Stop"}\n')
        window.path.symlink_to(tmp_path / "other")
    elif kind == "fifo":
        os.mkfifo(window.path)
    else:
        window.path.mkdir()
    assert Spool(str(tmp_path), window.pane).news() == []


def test_of_a_long_spool_the_end_is_read(window: Window, tmp_path: Path) -> None:
    window.tell(("Stop", "x" * 1_000_000), ("Stop", "y" * 4_000_000), ASKED, DONE)
    assert [record.event for record in Spool(str(tmp_path), window.pane).news()][-2:] == [
        "UserPromptSubmit",
        "Stop",
    ]
