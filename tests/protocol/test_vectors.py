"""Every vector, read by the Python reader, and protocol.md held to its vectors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swarmcomm import agents
from swarmcomm.errors import SwarmError
from swarmcomm.protocol import (
    Style,
    WireId,
    check_description,
    compose,
    parse_message,
    read,
    render,
)

ROOT = Path(__file__).parents[2]
VECTORS = sorted((ROOT / "tests" / "vectors").iterdir())
MESSAGES = sorted((ROOT / "tests" / "protocol" / "messages").iterdir())


def ask_of(folder: Path) -> dict[str, str]:
    lines = (folder / "ask.txt").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def style_of(agent: str) -> Style | None:
    """How the screen of *agent* is read; one that does not ship is the second of the soak."""
    second = ROOT / "tests" / "agents" / "second" / f"{agent}.toml"
    return (agents.read(second) if second.exists() else agents.load(agent)).screen


def text_of(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "surrogateescape")


def looks() -> list[tuple[Path, str, str]]:
    """Each vector's looks: folder, screen, expected."""
    found = [(folder, "screen.txt", "expected.txt") for folder in VECTORS]
    return found + [
        (folder, "screen-2.txt", "expected-2.txt")
        for folder in VECTORS
        if (folder / "screen-2.txt").exists()
    ]


@pytest.mark.parametrize(
    ("folder", "screen", "expected"), looks(), ids=lambda part: getattr(part, "name", part)
)
def test_a_screen_says_what_its_vector_expects(folder: Path, screen: str, expected: str) -> None:
    ask = ask_of(folder)
    style = style_of(ask["agent"]) if ask["level"] == "full" else None
    reading = read(text_of(folder / screen), ask["id"] or None, int(ask["width"]), style)
    assert render(reading) == text_of(folder / expected)


@pytest.mark.parametrize("folder", MESSAGES, ids=lambda folder: folder.name)
def test_a_message_is_typed_or_refused_as_its_vector_says(folder: Path) -> None:
    ask = ask_of(folder)
    description = text_of(folder / "description.txt")
    if (folder / "refused.txt").exists():
        status, words = (folder / "refused.txt").read_text().rstrip("\n").split(" ", 1)
        with pytest.raises(SwarmError, match=rf"\b{words}\b") as caught:
            check_description(description)
        assert caught.value.exit_status == int(status)
        return
    check_description(description)
    wire_id = WireId.parse(ask["id"])
    typed = compose(wire_id, description, [name for name in ask["open"].split(",") if name])
    assert typed == text_of(folder / "typed.txt")
    assert parse_message(typed) == (wire_id, description)


def test_each_rule_has_a_vector_and_each_vector_a_rule() -> None:
    rules = re.findall(r"^\*\*(\d+\.\d+)\*\*", (ROOT / "protocol.md").read_text(), re.M)
    named = {
        rule for folder in [*VECTORS, *MESSAGES] for rule in ask_of(folder)["rules"].split(",")
    }
    assert len(rules) == len(set(rules))
    assert named == set(rules)


def test_every_vector_names_its_level() -> None:
    assert len(VECTORS) >= 60
    assert {ask_of(folder)["level"] for folder in VECTORS} == {"core", "full"}
