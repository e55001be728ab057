"""A stream of bytes tells what the screen of an endless terminal would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmcomm.protocol import Anchor, Hearer, LineBuffer, Marker, WireId, read
from swarmcomm.protocol import stream as module

PARTS = st.sampled_from(
    [
        *("[DONE] t1", "[ACK] t1", "[TASK] t1", "t1", "progress 50%", "漢字", "é", "x" * 40),
        *("\r\n", "\n", "\r", "\b", "\t", "\x1b[K", "\x1b[2K", "\x1b[31m", "\x1b[3D", "\x1b[9G"),
        *(
            "\x1b[2J",
            "\x1b[H",
            "\x1b]0;title\x07",
            "\x1b[?1049h",
            "\x1b[2P",
            "\x1b(B",
            "\x1b[",
            "\x1b",
        ),
    ]
)


def lines_of(data: bytes, cuts: list[int]) -> tuple[list[str], str, bool]:
    buffer, lines, last = LineBuffer(), [], 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        lines += buffer.feed(data[last:cut])
        last = cut
    return lines, buffer.unfinished, buffer.painted


@given(st.lists(PARTS, max_size=30), st.lists(st.integers(0, 10_000), max_size=12))
def test_every_way_of_cutting_the_bytes_gives_the_same_lines(
    parts: list[str], cuts: list[int]
) -> None:
    data = "".join(parts).encode()
    assert lines_of(data, cuts) == lines_of(data, [])


@given(st.lists(PARTS, max_size=30), st.lists(st.integers(0, 10_000), max_size=12))
def test_a_long_line_is_cut_in_the_same_place_however_it_comes(
    parts: list[str], cuts: list[int]
) -> None:
    limit, module.LINE_MAX = module.LINE_MAX, 24
    try:
        data = "".join(parts).encode()
        lines, unfinished, _ = whole = lines_of(data, [])
        assert lines_of(data, cuts) == whole
        assert all(len(line) <= 24 for line in [*lines, unfinished])
    finally:
        module.LINE_MAX = limit


def test_a_stream_that_is_cut_at_every_byte_gives_the_same_lines() -> None:
    data = "\x1b[1m[ACK] t1\x1b[0m ok\r\n漢 50%\r[DONE] é\x1b[K\r\n\x1b]0;a\nb".encode()
    assert all(lines_of(data, [cut]) == lines_of(data, []) for cut in range(len(data)))
    assert lines_of(data, list(range(len(data)))) == lines_of(data, [])


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        ("progress 50%\r[DONE] t1\x1b[K\n", "[DONE] t1"),
        ("progress 50%\r[DONE] t1\n", "[DONE] t150%"),
        ("[DONE] t2\b1\n", "[DONE] t1"),
        ("\x1b[32m[DONE]\x1b[0m t1  \r\n", "[DONE] t1"),
        ("[ACK]\x1b[9Gtask\n", "[ACK]   task"),
        ("a\tb\n", "a       b"),
        ("\x1b]0;[DONE] t9\x07[DONE] t1\n", "[DONE] t1"),
    ],
)
def test_a_line_is_what_its_row_showed(printed: str, line: str) -> None:
    assert LineBuffer().feed(printed.encode()) == [line]


def test_what_was_printed_before_the_screen_was_cleared_is_a_line_and_the_rest_is_not() -> None:
    buffer = LineBuffer()
    assert buffer.feed(b"[ACK] t1\r\nx\x1b[2J\x1b[Hy\r\n[DONE] t1\r\n") == ["[ACK] t1"]
    assert buffer.feed(b"z\r\n") == []
    buffer.painted = False
    assert buffer.feed(b"z\r\n") == ["z"]


@pytest.mark.parametrize(
    ("row", "column", "printed", "line"),
    [
        ("$", 2, "ls\r\n", "$ ls"),
        ("progress 50%", 0, "progress 60%\n", "progress 60%"),
        ("progress 50%", 9, "60%\n", "progress 60%"),
        ("", 0, "[DONE] t1\n", "[DONE] t1"),
    ],
)
def test_it_goes_on_in_an_unfinished_row(row: str, column: int, printed: str, line: str) -> None:
    assert LineBuffer(row, column).feed(printed.encode()) == [line]


def test_who_moves_the_cursor_to_other_rows_paints() -> None:
    for printed in (b"\x1b[2;1Hx\n", b"\x1b[Ax\n", b"\x1b[?1049hx\n", b"\x1bMx\n"):
        buffer = LineBuffer()
        buffer.feed(printed)
        assert buffer.painted
    buffer = LineBuffer()
    buffer.feed(b"\x1b[31mx\x1b[K\x1b[2D\r\n\x1b[J$ \x1b[?2004h\n")
    assert not buffer.painted


def test_a_line_without_an_end_takes_no_more_memory_than_one_that_ends() -> None:
    buffer = LineBuffer()
    for _ in range(200):
        buffer.feed(b"x" * 65_536)
        buffer.feed(b"\rprogress\xff\x00")
    assert len(buffer._raw) < 300_000
    assert buffer.feed(b"\r[DONE] t1\x1b[K\n") == ["[DONE] t1"]


def told(lines: list[str]) -> list[tuple[str, str]]:
    return [
        (heard.answer.marker, str(heard.wire_id))
        for heard in Hearer(80).take(lines)
        if heard.answer
    ]


ROWS = st.sampled_from(
    [f"{mark} {task}" for mark in ("[TASK]", "[ACK]", "[DONE]", "[ERROR]", "[WAIT]") for task in
     ("a", "b", "a+abcd1234")] + ["text", "said [DONE] a", "\\[DONE] a", "[DONE] a b c", "[HELP] c"]
)  # fmt: skip


@given(st.lists(ROWS, max_size=12))
def test_where_each_task_is_sent_once_a_stream_tells_what_a_screen_does(rows: list[str]) -> None:
    once: list[str] = []
    for row in rows:
        if not row.startswith("[TASK]") or row not in once:
            once.append(row)
    # A [TASK] below its answers would hide them on a screen.
    once.sort(key=lambda row: not row.startswith("[TASK]"))
    screen = read("\n".join(once), None, 80)
    assert told(once) == [(a.marker, str(a.wire_id)) for a in screen.answers]


@given(st.lists(ROWS, max_size=12), st.integers(0, 12))
def test_it_makes_no_difference_how_many_lines_come_at_once(rows: list[str], cut: int) -> None:
    hearer = Hearer(80)
    heard = [*hearer.take(rows[:cut]), *hearer.take(rows[cut:])]
    assert [h[:3] for h in heard] == [h[:3] for h in Hearer(80).take(rows)]


def test_an_id_that_is_sent_again_begins_a_new_exchange_and_keeps_the_old_end() -> None:
    run = ["[TASK] a", "[ACK] a", "[DONE] a one"]
    heard = list(Hearer(80).take([*run, *run]))
    assert [h.answer.marker for h in heard if h.answer] == ["ACK", "DONE"] * 2
    assert [h.begins for h in heard] == [True, False, False] * 2


def test_a_task_that_is_queued_while_it_runs_has_two_ends() -> None:
    lines = ["[TASK] a", "[ACK] a", "[TASK] a", "[DONE] a", "[ACK] a", "[DONE] a"]
    heard = list(Hearer(80).take(lines))
    assert [h.answer.marker for h in heard if h.answer] == ["ACK", "DONE"] * 2
    assert [h.begins for h in heard] == [True, False, False, False, True, False]


def test_a_second_end_of_one_exchange_is_a_near_miss() -> None:
    heard = list(Hearer(80).take(["[TASK] a", "[DONE] a", "[ERROR] a", "[DONE] a"]))
    assert [h.near_miss.reason for h in heard if h.near_miss] == ["late"]


def test_ids_without_end_are_forgotten_from_the_oldest() -> None:
    hearer = Hearer(80)
    for number in range(module.IDS_KEPT + 500):
        list(hearer.take([f"[TASK] t{number}"]))
    assert len(hearer._asked) == len(hearer._newest) == len(hearer._echoing) == module.IDS_KEPT
    assert hearer.newest("t0") is None
    assert hearer.newest(f"t{number}") == WireId(f"t{number}")


def test_an_answer_without_a_newline_can_be_taken_as_it_stands() -> None:
    hearer = Hearer(80)
    heard = hearer.tentative("[DONE] a")
    assert heard
    assert heard.answer
    assert heard.answer.marker is Marker.DONE
    assert list(hearer.take(["[DONE] a"])) == []


@given(st.lists(st.sampled_from("ab\u3000 "), max_size=20), st.integers(0, 20), st.integers(0, 20))
def test_a_place_is_found_again_when_lines_were_added_below_and_lost_above(
    lines: list[str], cut: int, lost: int
) -> None:
    old = [f"{line}{number}" for number, line in enumerate(lines)]
    hearer = Hearer(80)
    list(hearer.take(old))
    anchor = hearer.anchor
    now = [*old, *(f"new{number}" for number in range(cut))]
    gone = min(lost, max(0, len(old) - len(anchor.words)))
    assert anchor.find(now[gone:], may_be_cut=gone > 0) == len(old) - gone


def test_a_place_that_scrolled_away_is_not_found() -> None:
    words = ("a", "b", "c", "d", "e", "f")
    assert Anchor(9, words).find(["x", "y", *words[:5], "g", "f"]) is None
    assert Anchor(9, words).find([*words, "x", *words]) == 6
    assert Anchor(9, words).find([*words[3:], "x"]) == 3
    assert Anchor(9, words).find([*words[4:], "x"]) is None
    assert Anchor(9, words).find(["x", *words[3:]]) == 4
    assert Anchor(9, words).find(["x", "x", *words[3:]]) is None
    # The first line of all cannot be told from another one when lines may be missing above.
    assert Anchor(1, ("a",)).find(["a", "b"], may_be_cut=False) == 1
    assert Anchor(1, ("a",)).find(["a", "b"]) is None
    assert Anchor(0, ()).find(["a", "b"]) is None


def test_the_second_half_of_a_character_is_no_begin() -> None:
    first, second = "字".encode()[:1], "字".encode()[1:]
    assert not LineBuffer().takes(second)
    buffer = LineBuffer()
    assert buffer.takes(first)
    assert buffer.feed(first) == []
    assert buffer.takes(second)
    assert buffer.feed(second + b"\n") == ["字"]
