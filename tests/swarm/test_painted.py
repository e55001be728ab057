"""Programs that paint their screen: read in the middle of it, and with the cursor left anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarmcomm import agents
from swarmcomm.errors import RefusedError
from swarmcomm.swarm import Swarm
from swarmcomm.swarm.reading import Gaze
from tests.conftest import ROOT, Tmux, wait_for

TASK = "❯ [TASK] t1\r\n  go on\r\n\r\n"
ANSWERS = "● [ACK] t1\r\n\r\n  [DONE] t1\r\n\r\n"
BOX = f"{'─' * 60}\r\n❯\u00a0\r\n{'─' * 60}\x1b[A\r\x1b[2C"
SECOND = ROOT / "tests" / "agents" / "second" / "codex.toml"
AWAY = "\x1b[H\x1b[2J\x1b[3J"


class Painter:
    """A window of an agent's kind whose program shows what it is given."""

    def __init__(
        self, tmux: Tmux, folder: Path, environ: dict[str, str], profile: agents.Profile
    ) -> None:
        self.tmux = tmux
        self.pipe = folder / "pipe"
        os.mkfifo(self.pipe)
        tmux.session("s", {"w": f"stty raw -echo; while :; do cat '{self.pipe}'; done"})
        for name, value in profile.pane_options.items():
            tmux.run("set", "-p", "-t", tmux.pane("s", "w"), name, value)
        self.swarm = Swarm.attach("s", tmux.socket, environ)
        self.gaze = Gaze(self.swarm.server, "s", "w", None)

    def paint(self, text: str) -> None:
        """Show *text*, and wait until it is there."""
        self.pipe.write_text(f"{text}\x1b]2;{id(text)}\x07")
        title = ("display-message", "-p", "-t", self.tmux.pane("s", "w"), "#{pane_title}")
        wait_for(lambda: self.tmux.run(*title).strip() == str(id(text)), "the text")

    def news(self) -> list[str]:
        return [answer.marker for answer in self.gaze.look()[0]]


@pytest.fixture
def painter(tmux: Tmux, tmp_path: Path, environ: dict[str, str]) -> Painter:
    return Painter(tmux, tmp_path, environ, agents.load("claude"))


def test_a_transcript_that_is_half_painted_begins_no_task_anew(painter: Painter) -> None:
    painter.paint(TASK + ANSWERS + BOX)
    assert painter.news() == ["ACK", "DONE"]
    painter.paint(AWAY + TASK)
    assert painter.news() == []
    painter.paint(ANSWERS + BOX)
    assert painter.news() == []


def test_a_task_that_is_sent_again_is_answered_again(painter: Painter) -> None:
    painter.paint(TASK + ANSWERS + BOX)
    assert painter.news() == ["ACK", "DONE"]
    painter.paint(AWAY + TASK + ANSWERS + TASK + BOX)
    assert painter.news() == []
    painter.paint(AWAY + TASK + ANSWERS + TASK + ANSWERS + BOX)
    assert painter.news() == ["ACK", "DONE"]


@pytest.mark.parametrize("row", [24, 36, 38, 40])
def test_a_dialog_is_seen_wherever_its_agent_left_the_cursor(
    tmux: Tmux, tmp_path: Path, environ: dict[str, str], row: int
) -> None:
    painter = Painter(tmux, tmp_path, environ, agents.read(SECOND))
    shown = (ROOT / "tests/vectors/codex-permission-dialog/screen.txt").read_text().rstrip("\n")
    painter.paint(AWAY + shown.replace("\n", "\r\n") + f"\x1b[{row};2H")
    state, text = painter.swarm["w"].state()
    assert state == "waiting"
    assert text.startswith("Would you like to run the following command? / Environment: local /")
    assert "› 1. Yes, proceed (y) / 2. Yes, and don't ask again" in text
    with pytest.raises(RefusedError, match="a dialog is open"):
        painter.swarm["w"].send("1", task_id="t1", wait_s=0)


def test_an_error_is_seen_above_a_box_without_a_rule(
    tmux: Tmux, tmp_path: Path, environ: dict[str, str]
) -> None:
    painter = Painter(tmux, tmp_path, environ, agents.read(SECOND))
    footer = "\r\n\r\n  Ready \x1b[2A\r\x1b[2C"
    painter.paint("■ Conversation interrupted\r\n\r\n\r\n› Ask Codex to do anything" + footer)
    assert painter.swarm["w"].state() == ("error", "■ Conversation interrupted")


@pytest.mark.parametrize(("word", "state"), [("Ready", "idle"), ("Working", "busy")])
def test_a_footer_says_what_its_agent_does(
    tmux: Tmux, tmp_path: Path, environ: dict[str, str], word: str, state: str
) -> None:
    painter = Painter(tmux, tmp_path, environ, agents.read(SECOND))
    painter.paint(f"\r\n› Ask Codex to do anything\r\n\r\n  {word} · /work\x1b[2A\r\x1b[2C")
    assert painter.swarm["w"].state()[0] == state
