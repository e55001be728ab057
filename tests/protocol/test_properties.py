"""What holds for every text, not only for the vectors."""

from __future__ import annotations

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from swarmcomm.protocol import (
    Answer,
    Reading,
    WireId,
    compose,
    ends_with_tail,
    neutralise,
    open_ids,
    parse_message,
    read,
    render,
    tail,
)
from swarmcomm.protocol.grammar import MARKER, byte_length
from tests.protocol.strategies import MARKS, descriptions, pieces, screens, wire_ids

widths = st.sampled_from([20, 40, 80, 250])


def rows(text: str, width: int) -> str:
    """Return *text* as a program shows it that breaks its rows itself."""
    return "\n".join(
        line[start : start + width]
        for line in text.split("\n")
        for start in range(0, max(1, len(line)), width)
    )


def cat(text: str) -> str:
    """Return what a terminal with ``cat`` in it shows: the echo of each line, then the line."""
    return "".join(f"{line}\n{line}\n" for line in text.split("\n"))


def said(reading: Reading) -> Counter[Answer]:
    return Counter(reading.answers)


@given(wire_ids, descriptions, st.lists(wire_ids), widths)
def test_an_echo_alone_is_never_an_answer(
    name: str, description: str, others: list[str], width: int
) -> None:
    own = WireId.parse(name)
    message = compose(own, description, others)
    for screen in (message, cat(message)):
        for ask in (name, own.task_id, *others, None):
            assert read(screen, ask, width).answers == ()


@given(wire_ids, st.lists(wire_ids), pieces.filter(str.strip), st.integers(30, 60))
def test_an_echo_in_broken_rows_is_never_an_answer(
    name: str, others: list[str], description: str, width: int
) -> None:
    # A row may end inside a longer id and leave ours: no line reader can tell (protocol.md 4.2).
    assume(not any(long in description for long in ("+k3f9m2xd", "+00000000")))
    own = WireId.parse(name)
    message = compose(own, description, others)
    for ask in (name, None):
        assert read(rows(message, width), ask, width).answers == ()


@given(screens, st.data())
def test_an_echo_adds_nothing_to_what_other_tasks_have_said(
    before: str, data: st.DataObject
) -> None:
    description = data.draw(descriptions)
    echo = compose(WireId("new-task"), description, open_ids(before, 80))
    screen = f"{before}\n\n{echo}\n"
    assert said(read(screen, None, 80)) == said(read(before, None, 80))
    for name in {str(a.wire_id) for a in read(before, None, 80).answers}:
        if read(before, name, 80).task_seen:
            assert said(read(screen, name, 80)) == said(read(before, name, 80))


@given(wire_ids, descriptions, st.lists(wire_ids))
def test_a_message_gives_its_description_back_exactly(
    name: str, description: str, others: list[str]
) -> None:
    own = WireId.parse(name)
    assert parse_message(compose(own, description, others)) == (own, description)


@given(st.one_of(pieces, st.binary().map(lambda data: data.decode("utf-8", "replace"))), st.data())
def test_neutral_text_never_reads_as_an_answer(text: str, data: st.DataObject) -> None:
    neutral = neutralise(text)
    assert "\r" not in neutral
    assert "\x1b" not in neutral
    width = data.draw(st.integers(1, 80))
    start = data.draw(st.integers(0, len(neutral)))
    broken = rows(neutral, width).split("\n")
    kept = [row for row in broken if data.draw(st.booleans())] if len(broken) < 40 else broken
    for screen in (neutral, neutral[start:], "\n".join(broken), "\n".join(kept)):
        assert not MARKER.search(screen)
        assert read(screen, None, width).answers == ()


@given(st.sampled_from(MARKS), st.data())
def test_nothing_hidden_in_a_marker_brings_it_through(mark: str, data: st.DataObject) -> None:
    # Characters that a terminal or a reader drops, between the letters of a marker.
    hidden = st.lists(
        st.sampled_from(["\x00", "\x1b[1m", "\x7f", "\x85", "\u200b", "\u00ad", "\U000e0001"])
    )
    text = "".join(char + "".join(data.draw(hidden)) for char in f"[{mark}] task-001")
    shown = "".join(char for char in neutralise(text) if " " <= char <= "~")
    assert not MARKER.search(shown)


@given(st.one_of(screens, st.text(st.characters())), st.one_of(st.none(), wire_ids), st.integers())
def test_any_text_can_be_read(screen: str, ask: str | None, width: int) -> None:
    reading = read(screen, ask, width)
    open_ids(screen, width)
    assert render(reading).count("\n") == len(reading.answers) + len(reading.near_misses)
    assert all(byte_length(miss.line) <= 200 for miss in reading.near_misses)
    assert all(byte_length(answer.text) <= 4096 for answer in reading.answers)


@given(screens, st.one_of(st.none(), wire_ids))
def test_a_screen_painted_twice_says_the_same(screen: str, ask: str | None) -> None:
    twice = f"{screen}\n\n{screen}"
    assert said(read(twice, ask, 80)) == said(read(screen, ask, 80))
    assert open_ids(twice, 80) == open_ids(screen, 80)


@given(screens, wire_ids)
def test_each_exchange_ends_at_most_once(screen: str, ask: str) -> None:
    ends = [a for a in read(screen, ask, 80).answers if a.marker in ("DONE", "ERROR")]
    assert len(ends) <= 1


@given(descriptions, st.integers(30, 80))
def test_the_tail_stands_at_the_end_of_what_is_shown(text: str, width: int) -> None:
    assert ends_with_tail(rows(text, width), tail(text))
