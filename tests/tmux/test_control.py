"""The parser of control mode gives the same however its bytes are cut; a quoted text stays one."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from swarmcomm.errors import InvalidInputError
from swarmcomm.tmux.control import (
    Broken,
    Message,
    Notice,
    Output,
    Parser,
    Reply,
    quote,
    sequence,
    unescape,
)
from tests.conftest import Tmux

CORPUS = sorted(Path(__file__).with_name("corpus").glob("*.bin"))


def read(*pieces: bytes, line_bytes: int = 1000, reply_bytes: int = 1000) -> list[Message]:
    parser = Parser(line_bytes, reply_bytes)
    return [each for piece in pieces for each in parser.feed(piece)]


def name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", CORPUS, ids=name)
def test_what_tmux_sent_is_read_the_same_cut_at_every_byte(path: Path) -> None:
    data = path.read_bytes()
    whole = read(data)
    assert whole
    for cut in range(len(data)):
        assert read(data[:cut], data[cut:]) == whole


@pytest.mark.parametrize("path", CORPUS, ids=name)
def test_what_tmux_sent_is_read_the_same_byte_by_byte(path: Path) -> None:
    data = path.read_bytes()
    assert read(*(data[index : index + 1] for index in range(len(data)))) == read(data)


@pytest.mark.parametrize("path", CORPUS, ids=name)
def test_each_command_of_the_recording_has_its_reply(path: Path) -> None:
    replies = [each for each in read(path.read_bytes()) if isinstance(each, Reply)]
    said = [each.body.decode() for each in replies]
    assert [each for each in said if each.startswith("mark-")] == [f"mark-{n}\n" for n in range(19)]
    assert replies[0].flags == 0
    assert {each.flags for each in replies[1:]} == {1}
    at = [said.index(f"mark-{n}\n") for n in range(19)]
    between = [said[start + 1 : end] for start, end in itertools.pairwise(at)]
    assert between[1] == ["parse error: unknown command: no-such-command\n"]
    assert between[3] == ["a\n", "b\n"]
    assert between[4] == ["can't find pane: %99\n"]
    assert between[5] == ["", "inner\n"]
    assert [each.ok for each in replies if "99" in each.body.decode()] == [False, False]


@pytest.mark.parametrize("stem", ["output", "extended"])
def test_what_a_pane_printed_comes_back_byte_for_byte(stem: str) -> None:
    path = Path(__file__).with_name("corpus") / f"{stem}.bin"
    found = [each for each in read(path.read_bytes()) if isinstance(each, Output)]
    assert {each.pane_id for each in found} == {"%0"}
    assert b"".join(each.data for each in found) == (
        b"\x01\x02\a\b\t\v\f\r\x1b[1;31mred\x1b[0m \\ \\\\ \\033 \x7f \x80\xff %end 1 2 1\r\n"
        b"%end 1 2 1\r\n%begin 1 2 1\r\n%exit\r\n%output %0 x\r\n"
        + "é 世界 😀 a\u0301 :  : x\r\n".encode()
        + b"\x1b]0;title\a\x1b[?1049h\x1b[?1049lDONE"
    )


def test_a_screen_that_shows_the_end_of_a_reply_does_not_end_one() -> None:
    path = Path(__file__).with_name("corpus") / "commands.bin"
    looks = [
        each.body
        for each in read(path.read_bytes())
        if isinstance(each, Reply) and b"%output %0 x" in each.body
    ]
    assert len(looks) == 2
    assert all(b"\n%end 1 2 1\n%begin 1 2 1\n%exit\n%output %0 x\n" in look for look in looks)


def test_what_changes_is_told() -> None:
    path = Path(__file__).with_name("corpus") / "extended.bin"
    notices = [each for each in read(path.read_bytes()) if isinstance(each, Notice)]
    assert Notice("session-changed", "$0 s") in notices
    assert Notice("window-renamed", "@0 new-name") in notices
    assert notices[-1] == Notice("exit", "")


LINES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"%begin 1 2 1",
            b"%begin 1 3 1",
            b"%end 1 2 1",
            b"%error 1 2 1",
            b"%end 1 2 0",
            b"%begin x",
            b"%begin 1 2 " + b"9" * 100,
            b"%output",
            b"%output ",
            b"%output %1 \\033[1m\\134",
            b"%extended-output ",
            b"%extended-output %1 0 : a : b\\",
            b"%exit",
            b"x" * 50,
        ]
    ),
)


@given(
    st.lists(LINES).map(lambda lines: b"\n".join([*lines, b""])),
    st.lists(st.integers(0, 600), max_size=6),
)
def test_any_bytes_are_read_the_same_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    small = {"line_bytes": 40, "reply_bytes": 60}
    assert read(*pieces, **small) == read(data, **small)


@given(st.binary())
def test_every_byte_that_is_escaped_comes_back(data: bytes) -> None:
    escaped = b"".join(
        b"\\%03o" % byte if byte < 32 or byte == 92 else bytes([byte]) for byte in data
    )
    assert unescape(escaped) == data


def test_a_reply_that_is_too_long_says_so_and_the_next_one_is_whole() -> None:
    first, second = read(
        b"%begin 1 1 1\n" + b"abcdefg\n" * 100 + b"%end 1 1 1\n%begin 1 2 1\nx\n%end 1 2 1\n",
        reply_bytes=80,
    )
    assert first == Reply(1, 1, 1, True, b"abcdefg\n" * 10, True)
    assert second == Reply(1, 2, 1, True, b"x\n", False)


def test_a_line_without_end_is_the_end() -> None:
    parser = Parser(line_bytes=10)
    assert parser.feed(b"%exit\n01234567890") == [
        Notice("exit", ""),
        Broken("a line of more than 10 bytes"),
    ]
    assert parser.feed(b"\n%exit\n") == []


HOSTILE = [
    *map(chr, range(1, 128)),
    *(
        "~root",
        "$HOME",
        "${HOME}",
        "#{pane_id}",
        "#(kill $PPID)",
        "%if 1",
        "%1",
        "A=b",
        "{}",
        "\\n",
    ),
    *(
        "a\nkill-server\n",
        "a\r\nkill-server\n",
        "\n\n",
        "a; kill-server",
        "a ;",
        "a\\;",
        ";",
        "\\;",
    ),
    *("'\nkill-server\n'", '"\nkill-server\n"', "é世😀", "\x85", "\u2028", "", "-p", "--", "#[x]"),
]


def test_a_quoted_text_reaches_tmux_as_it_is(tmux: Tmux) -> None:
    tmux.session("s", {"w": "cat"})
    client = subprocess.Popen(
        ["tmux", "-u", "-L", tmux.socket, "-C", "attach", "-t", "=s:", "-f", "no-output"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=tmux.environ,
        bufsize=0,
    )
    assert client.stdin
    assert client.stdout
    parser = Parser()
    replies: list[Reply] = []

    def reply() -> Reply:
        assert client.stdout
        while not replies:
            data = client.stdout.read(65536)
            assert data
            replies.extend(each for each in parser.feed(data) if isinstance(each, Reply))
        return replies.pop(0)

    @given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    def check(text: str) -> None:
        assert client.stdin
        lines = sequence(
            ("set-option", "-g", "--", "@x", text), ("display-message", "-p", "#{@x}|end")
        )
        client.stdin.write(f"{lines}\n".encode())
        assert reply()[3:] == (True, b"", False)
        said = reply().body.decode()
        assert said == f"{text}|end\n"

    for text in HOSTILE:
        check = example(text)(check)
    assert reply().flags == 0
    check()
    client.stdin.close()
    client.stdout.close()
    assert client.wait(10) is not None


@pytest.mark.parametrize("args", [(), ("",), ("a b",), ("-x",), ("a\n",), ("show", "a\0b")])
def test_what_is_no_command_is_refused(args: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError):
        quote(args)
