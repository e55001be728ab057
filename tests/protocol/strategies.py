"""Text that comes as near to the protocol as text can."""

from __future__ import annotations

from hypothesis import strategies as st

MARKS = ("TASK", "ACK", "DONE", "ERROR", "WAIT", "HELP")
TASK_IDS = ("task-001", "t2", "5.2", "a")
TAGGED = ("task-001+k3f9m2xd", "t2+00000000")

task_ids = st.sampled_from(TASK_IDS)
wire_ids = st.sampled_from(TASK_IDS + TAGGED)
marks = st.sampled_from([f"[{mark}]" for mark in MARKS])

_SIGNS = [
    ":",
    "：",
    "**",
    "`",
    ".",
    ",",
    "，",
    ")",
    "]",
    "[",
    "|",
    "│",
    "● ",
    "1. ",
    "> ",
    "\u200b",
]
_WORDS = [" ", "  ", "\n", "\t", "x", "word ", "y" * 37, "漢字", "é", "🤖", "[DO", "NE]"]
_bits = st.sampled_from([*_SIGNS, *_WORDS, "\\", "\\\\", "\\\n"])
markerish = st.builds(
    lambda before, mark, gap, name, after: before + mark + gap + name + after,
    st.sampled_from(["", "", "\n", "\\", "\\\\", "  ", "- ", "x"]),
    marks,
    st.sampled_from([" ", " ", "", ": ", "：", "\t", "** "]),
    wire_ids,
    st.sampled_from(["", "\n", "\n", " ok\n", ".", "，好", "\\", "/"]),
)
#: Text made of pieces of markers, ids, backslashes, decoration and line ends.
pieces = st.lists(st.one_of(markerish, marks, wire_ids, _bits), max_size=30).map("".join)

#: What may be sent: pieces, or anything printable.
descriptions = st.one_of(
    pieces, st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n\t"))
).filter(lambda text: text.strip(" \t\n") != "")

_answers = st.builds(
    "{}[{}] {}{}".format,
    st.sampled_from(["", "  ", "● ", "1. ", "\\"]),
    st.sampled_from(MARKS),
    wire_ids,
    st.sampled_from(["", " ok", ": no", "x"]),
)
#: Screens with answers, tasks and noise, one a line.
screens = st.lists(st.one_of(_answers, _answers, pieces), max_size=20).map("\n".join)
