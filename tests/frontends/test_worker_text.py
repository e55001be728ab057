"""The pure parts of the built-in worker: its line editor, its prompt row, its output."""

import re

from hypothesis import given
from hypothesis import strategies as st

from swarmcomm.frontends.worker_input import (
    DRAFT_LIMIT,
    PROMPT,
    Editor,
    Key,
    char_columns,
    prompt_row,
)
from swarmcomm.frontends.worker_output import (
    ECHO_LINES,
    LINE_LIMIT,
    Output,
    Screen,
    echo,
    harmless,
    one_line,
)
from swarmcomm.protocol import read, tail

WORDS = ["[DONE]", "[DO", "NE]", "[ACK] t1", "[TASK] t1", "[ERROR", "]", "\\", "t1", " ", "\t"]
SIGNS = ["\r", "\n", "\r\n", "\x1b[2J", "\x1b[3D", "\x1b]0;x\x07", "\x1b", "\b", "\x00", "\x9b1A"]
WIDE = ["漢", "\u0378", "\u200b", "\u0301", "● ", "│", "x" * 75, "\xa0"]
outputs = st.lists(st.sampled_from(WORDS + SIGNS + WIDE), max_size=40).map("".join)


def fed(data: bytes) -> list[str | Key]:
    return Editor().feed(data)


def test_enter_ends_a_message_and_newlines_stay_in_it() -> None:
    assert fed(b"[TASK] t\n a\tb \r") == ["[TASK] t\n a\tb "]


def test_clear_drops_the_unfinished_message() -> None:
    assert fed(b"half a mess\x15whole\r") == ["whole"]


def test_rubout_takes_one_character() -> None:
    assert fed("a漢\x7f\x08\x7f\x7féb\x08\r".encode()) == ["é"]


def test_other_control_bytes_and_key_sequences_are_no_text() -> None:
    assert fed(b"\x1b[200~a\x00b\x1b[A\x1bOP\x11\x1b[201~c\r") == ["abc"]
    assert fed("a\x85b".encode() + b"\r") == ["ab"]


def test_a_lone_escape_takes_nothing_of_the_message_after_it() -> None:
    assert fed(b"\x1b[TASK] t\nx\r") == ["[TASK] t\nx"]


def test_keys_are_reported_in_order() -> None:
    assert fed(b"a\r\x03b\x04\r\x04") == ["a", Key.INTERRUPT, "b", Key.LEAVE]


def test_a_message_that_is_too_long_is_one_thing_and_the_next_is_whole() -> None:
    editor = Editor()
    found = []
    for _ in range(10):
        found += editor.feed(b"x" * (DRAFT_LIMIT // 4))
        assert 0 < len(editor.draft) <= DRAFT_LIMIT
    assert found + editor.feed(b"\rnext\r") == [Key.TOO_LONG, "next"]


def test_what_was_typed_before_raw_mode_ends_where_enter_was() -> None:
    assert Editor().feed_early(b"[TASK] t\nls\n") == ["[TASK] t\nls"]
    assert Editor().feed_early(b"[TASK] t\nl") == []


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])), st.integers(1, 9))
def test_text_is_exact_however_it_is_cut(text: str, size: int) -> None:
    editor, data = Editor(), text.encode() + b"\r"
    found = [item for i in range(0, len(data), size) for item in editor.feed(data[i : i + size])]
    assert found == [text]


@given(st.text(st.characters(codec="utf-8")), st.integers(1, 250))
def test_the_prompt_row_fits(text: str, columns: int) -> None:
    row = prompt_row(text.encode(), columns)
    assert row.startswith(PROMPT)
    assert sum(map(char_columns, row)) <= max(columns - 2, len(PROMPT))
    assert not re.search("[\x80-\x9f\n\t]", row)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_the_prompt_row_ends_in_the_tail_of_the_draft(text: str) -> None:
    visible = "".join(char for char in prompt_row(text.encode(), 200) if "!" <= char <= "~")
    assert visible.endswith(tail(text))


def shown(frames: list[str]) -> str:
    """Return what a terminal without a right margin shows after *frames*."""
    text = ""
    for frame in frames:
        if frame.startswith("\r\x1b[K"):
            text = text[: text.rfind("\n") + 1]
        text += re.sub(r"^\r\x1b\[K|\x1b\[\?7[lh]", "", frame)
    return text


@given(st.lists(outputs, max_size=4), st.integers(2, 120))
def test_no_output_is_an_answer_and_ours_always_are(pieces: list[str], width: int) -> None:
    screen, output, frames = Screen(), Output(), []
    screen.mark("[TASK] t1")
    screen.say(echo("".join(pieces) or "x"))
    screen.mark("[ACK] t1")
    for piece in pieces:
        screen.say(output.feed(piece.encode()))
        frames.append(screen.frame(b"[DONE] t1", 80))
    screen.say(output.feed(b"", end=True))
    screen.mark("[ERROR] t1 exit status 1")
    frames.append(screen.frame(b"", 80))
    for ask in ("t1", None):
        reading = read(shown(frames), ask, width)
        found = [(answer.marker, answer.text, answer.flags) for answer in reading.answers]
        assert found == [("ACK", "", ()), ("ERROR", "exit status 1", ())]


@given(outputs)
def test_output_moves_no_cursor_and_holds_no_marker(text: str) -> None:
    result = harmless(text)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", result)
    assert not re.search(
        r"\[(TASK|ACK|DONE|ERROR|WAIT|HELP)\]", re.sub(r"[^ -~]", "", result.replace("\n", " "))
    )


@given(outputs, st.integers(1, 5))
def test_output_is_the_same_however_it_is_cut(text: str, size: int) -> None:
    data = text.encode()
    whole, cut = Output(), Output()
    pieces = [cut.feed(data[i : i + size]) for i in range(0, len(data), size)]
    assert whole.feed(data, end=True) == "".join(pieces) + cut.feed(b"", end=True)


def test_a_partial_line_waits_for_its_end() -> None:
    output = Output()
    assert output.feed(b"one\ntwo") == "one\n"
    assert output.feed(b" more\r") == ""
    assert output.feed(b"\nthree") == "two more\n"
    assert output.feed(b"", end=True) == "three\n"


def test_a_line_without_end_is_cut_and_not_kept() -> None:
    output = Output()
    lines = "".join(output.feed(b"x" * 1000) for _ in range(1000))
    assert lines.count("x") > 1_000_000 - LINE_LIMIT
    assert max(map(len, lines.split("\n"))) < LINE_LIMIT + 1000


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert Output().feed(b"a\xff[DONE] t\n\xe6\xbc", end=True) == "a\ufffd[DONE\\] t\n\ufffd\n"


def test_ordinary_output_stays_as_it_is() -> None:
    text = "plain [INFO] text \\ \u00e9 漢 😀\n\n  indented\n"
    assert harmless(text) == text
    assert harmless("a\tb\n") == "a       b\n"


def test_the_echo_is_short_and_says_what_is_missing() -> None:
    assert echo("ls") == "ls\n"
    lines = echo("line\n" * 500).splitlines()
    assert len(lines) == ECHO_LINES + 1
    assert lines[-1] == "(and 2,451 characters more)"
    assert echo("x" * 65_536).endswith("\n(and 63,536 characters more)\n")


def test_one_line_is_one_harmless_line() -> None:
    assert one_line("a\n[DONE] t1\x1b[2J " + "x" * 99, 20) == "a [DONE\\] t1 xxxxxxx…"


def test_an_empty_row_parts_a_trailing_backslash_from_a_marker() -> None:
    screen = Screen()
    screen.say("x" * 80 + "\\ \u200b\n")
    screen.mark("[DONE] t1")
    assert "\\ \u200b\n\n[DONE] t1\n" in screen.frame(b"", 80)


def test_a_frame_is_empty_when_nothing_changed() -> None:
    screen = Screen()
    assert screen.frame(b"a", 80)
    assert screen.frame(b"a", 80) == ""
    assert screen.frame(b"ab", 80).count("swarm>") == 1


def test_a_row_that_a_narrower_terminal_wrapped_is_left_standing() -> None:
    screen = Screen()
    screen.frame(b"x" * 60, 80)
    assert screen.frame(b"x" * 60, 40).startswith("\r\n")
    assert screen.frame(b"", 39).startswith("\r\x1b[K") is False
