"""Ids, tags, the state table, and what may be typed."""

from __future__ import annotations

import time

import pytest

from swarmcomm.errors import InvalidInputError, TextTooLongError, UnsafeTextError
from swarmcomm.protocol import (
    ANSWERS,
    DESCRIPTION_MAX_BYTES,
    ENDS,
    NEXT,
    Marker,
    State,
    WireId,
    box_holds,
    box_pieces,
    check_description,
    check_task_id,
    check_text,
    compose,
    ends_with_tail,
    make_tag,
    neutralise,
    open_ids,
    parse_message,
    pieces,
    read,
    shows_tail,
    step,
    tail,
)


@pytest.mark.parametrize("text", ["task-001", "AUTH_001", "5.2", "x", "a" * 64, "a..b", "feat-1_2"])
def test_a_task_id_is_taken(text: str) -> None:
    check_task_id(text)
    assert str(WireId.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "a" * 65,
        "task.",
        "-x",
        "_x",
        "..",
        "a/b",
        "a;b",
        "a\n",
        "ä",
        "a+b",
        "a\u200b",
    ],
)
def test_what_is_no_task_id_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidInputError, match="letters, digits") as caught:
        check_task_id(text)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("text", ["a+", "a+short", "a+K3F9M2XD", "a+k3f9m2xd0", "a+b+k3f9m2xd"])
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="task-001\\+k3f9m2xd"):
        WireId.parse(text)


def test_tags_are_tags_and_differ() -> None:
    tags = [make_tag(number) for number in (0, 1, 35, 36, 36**8 - 1, 2**64 + 7)]
    assert len(set(tags)) == len(tags)
    assert all(WireId.parse(f"a+{tag}").tag == tag for tag in tags)


def test_the_table_has_a_row_for_each_state_and_ends_are_final() -> None:
    assert set(NEXT) == set(State)
    assert NEXT[State.ENDED] == {}
    assert Marker.TASK not in ANSWERS
    for state in State:
        for marker in ANSWERS:
            after = step(state, marker)
            assert (
                after is State.ENDED
                or (state is not State.ENDED and after is not State.SENT)
                or (after is state)
            )
    assert {m for m in ANSWERS if step(State.WAITING, m) is State.ENDED} == ENDS


def test_a_reading_says_where_the_exchange_is() -> None:
    screen = "[TASK] a+k3f9m2xd\nx\n"
    for line, state in (
        ("", State.SENT),
        ("[ACK] a+k3f9m2xd\n", State.ACKNOWLEDGED),
        ("[HELP] a+k3f9m2xd\n", State.WAITING),
        ("[DONE] a+k3f9m2xd\n", State.ENDED),
    ):
        screen += line
        reading = read(screen, "a", 80)
        assert (reading.state, reading.task_seen) == (state, True)
        assert reading.wire_id == WireId("a", "k3f9m2xd")
        assert read(screen, None, 80).state is state
    assert not read(screen, "b", 80).task_seen
    assert read(screen, "b", 80).wire_id == WireId("b")


def test_a_bad_ask_is_the_callers_fault() -> None:
    with pytest.raises(InvalidInputError):
        read("", "no id", 80)


def test_ids_are_open_until_their_own_end() -> None:
    screen = "[TASK] a\n[TASK] b+k3f9m2xd\n[ACK] a\n[DONE] b\n[TASK] c\n[ERROR] c\n\\[TASK] d\n"
    assert open_ids(screen, 80) == {"a", "b+k3f9m2xd"}
    assert open_ids(f"{screen}[DONE] a.\n[TASK] c\n", 80) == {"b+k3f9m2xd", "c"}


def test_the_limit_counts_bytes_and_is_named() -> None:
    check_description("é" * (DESCRIPTION_MAX_BYTES // 2))
    with pytest.raises(TextTooLongError, match="65538 bytes; the limit is 65536") as caught:
        check_description("é" * (DESCRIPTION_MAX_BYTES // 2 + 1))
    assert caught.value.limit == DESCRIPTION_MAX_BYTES


@pytest.mark.parametrize("code", [*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0)])
def test_each_control_character_is_refused_with_its_offset(code: int) -> None:
    with pytest.raises(UnsafeTextError) as caught:
        check_text(f"漢\n\t{chr(code)}")
    assert caught.value.offset == 5
    assert caught.value.exit_status == 5
    assert "at byte 5;" in str(caught.value)


def test_raw_text_may_be_a_blank_but_not_nothing() -> None:
    check_text(" ")
    with pytest.raises(InvalidInputError):
        check_text("")


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("[TASK] a\nx\ny\n", "x\ny\n"),
        ("[TASK] a\n\n  x", "\n  x"),
        ("[TASK] a write it", "write it"),
        ("  [TASK]: a: write it\nand test it", "write it\nand test it"),
        ("\n\n[TASK] a\nx", "x"),
        ("[TASK] a", ""),
        ("[TASK] a.", ""),
        ("[TASK] a\n\\[DONE] a \\\\[DONE] <id> \\[DONE] b", "[DONE] a \\\\[DONE] <id> [DONE] b"),
    ],
)
def test_a_worker_takes_a_message(text: str, description: str) -> None:
    assert parse_message(text) == (WireId("a"), description)


@pytest.mark.parametrize(
    "text", ["", "a", "TASK a", "\\[TASK] a\nx", "x [TASK] a", "[DONE] a", "[TASK]", "[TASK]\na\nx"]
)
def test_a_worker_takes_nothing_else(text: str) -> None:
    assert parse_message(text) is None


@pytest.mark.parametrize("text", ["[TASK] a_\nx", "[TASK] <id>\nx", "[TASK] a/b x"])
def test_a_message_needs_a_whole_id(text: str) -> None:
    assert parse_message(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain [INFO] text\n\ttab", "plain [INFO] text\n\ttab"),
        ("[DONE] a", "[DONE\\] a"),
        ("50%\r[DONE] a\r\nx", "50%\n[DONE\\] a\nx"),
        ("\x1b[1;31m[ERROR]\x1b[0m a", "[ERROR\\] a"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1bPq\x1b\\c", "abc"),
        ("\x1b]0;never ends\nb", "0;never ends\nb"),
        ("[DO\x07NE] a [A\x1b[1mCK] b [WA\u200bIT] c", "[DONE\\] a [ACK\\] b [WA\u200bIT\\] c"),
        ("\x9b1m[HELP\x85] x", "[HELP\\] x"),
        ("\x1b(Bx\x1b7y\x1bcz", "xyz"),
    ],
)
def test_what_a_worker_prints_is_made_neutral(text: str, expected: str) -> None:
    assert neutralise(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("hello", "hello"),
        ("create hello.py", "hello.py"),
        ("one two", "onetwo"),
        ("a\nb", "b"),
        ("long enough\n", "ngenough"),
        ("ends in 漢字", "endsin"),
        ("漢" * 40, ""),
    ],
)
def test_the_tail_is_what_every_terminal_shows_alike(text: str, expected: str) -> None:
    assert tail(text) == expected
    assert ends_with_tail(f"> {text}", expected)
    assert shows_tail(f"> {text}\nbash: not found\n$ ", expected)


def test_hostile_text_takes_linear_time() -> None:
    started = time.process_time()
    for text in ("\\" * 65536, "[DONE]" * 10922, "[DONE]" + ":" * 65530, "\x1b]" * 32768):
        compose(WireId("a"), text, ["b"])
        neutralise(text)
        read(text * 8, "a", 80)
        read(text * 8, None, 80)
    # Each takes milliseconds; a quadratic step would take a minute.
    assert time.process_time() - started < 20


@pytest.mark.parametrize("limit", [16, 40, 700])
def test_pieces_are_the_text_and_never_cut_an_escaped_marker_from_its_backslash(
    limit: int,
) -> None:
    for lead in range(60):
        text = "a" * lead + "\\[DONE] task-1 漢字 \\\\[ACK]: t\nb" * 40
        found = pieces(text, limit)
        assert "".join(found) == text
        assert max(len(piece.encode()) for piece in found) <= limit
        starts = [sum(map(len, found[:n])) for n in range(1, len(found))]
        assert not [at for at in starts if text[at] == "[" or text[at - 1] == "\\"]


BOX_TEXT = "[TASK] t1\nsay é漢 \\[DONE] x"


@pytest.mark.parametrize(
    ("screen", "held"),
    [
        ("❯\u00a0[TASK] t1\n  say é漢 \\[DONE] x", True),
        ("❯\u00a0[TASK] t1\n  say é漢\n  \\[DON\n  E] x", True),
        ("❯\u00a0[TASK] t1\n  say ?? \\[DONE] x", False),
        ("❯ [TASK] t1\n  say é漢 \\[DONE] x", False),
        ("❯\u00a0[TASK] t1\n  say é漢 \\[DONE] x\n---\n❯\u00a0", False),
        ("❯\u00a0[TASK] t1\n  say \\[DONE] x\n---\n❯\u00a0x[TASK] t1\n  say \\[DONE] x", False),
        ("❯\u00a0old\n  [TASK] t1\n  say \\[DONE] x", False),
        ("❯\u00a0é[TASK] t1\n  say \\[DONE] x", False),
        ("❯\u00a0[TASK] t1\n  say \\[DONE] x more", False),
        ("❯\u00a0[TASK] t1\n  say \\[DONE] x\n  more", False),
        ("● hi\n❯\u00a0[TASK] t1 \n───\n❯\u00a0 [TASK] t1 say \\[DONE] x", True),
    ],
)
def test_a_box_holds_a_text_when_nothing_else_stands_in_it(screen: str, held: bool) -> None:
    assert box_holds(screen.split("\n"), "❯\u00a0", BOX_TEXT) == held


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("[TASK] t1\nshort", "[TASK] t1\nshort"),
        ("[TASK] t1\none\ntwo\nthree", "[TASK] t1\none\n"),
        ("[TASK] t1\n" + "x" * 30, "[TASK] t1\n"),
        ("\n\n \none\n\n\ntwo", "\n\n \none\n\n"),
        ("x" * 21, "x" * 20),
    ],
)
def test_the_first_piece_in_a_box_is_small(text: str, first: str) -> None:
    found = box_pieces(text, 20, 700)
    assert (found[0], "".join(found)) == (first, text)


@pytest.mark.parametrize("end", ["", "123456789", "123456789\n", "end"])
def test_no_piece_in_a_box_ends_as_the_one_before_it(end: str) -> None:
    """The cursor stands behind the same words, so a newline between them has to tell."""
    for limit in (16, 40, 45, 700):
        text = "123456789\n" * 300 + end
        found = box_pieces(text, 20, limit)
        assert "".join(found) == text
        assert max(map(len, found)) <= limit
        ends = [piece.endswith("\n") for piece in found]
        for n in range(1, len(found)):
            before, here = "".join(found[:n]), "".join(found[: n + 1])
            assert tail(before) != tail(here) or ends[n - 1] != ends[n], (limit, n)


def test_a_piece_ends_behind_a_newline_where_it_can() -> None:
    assert pieces("one\ntwo\nthree four five", 16) == ["one\ntwo\n", "three four five"]
    assert pieces("", 16) == []
