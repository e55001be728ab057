"""The protocol: text in, answers out. Pure; protocol.md is the law it follows."""

from swarmcomm.protocol.blocks import Style
from swarmcomm.protocol.exchange import NEXT, Exchange, State, Verdict, step
from swarmcomm.protocol.grammar import (
    ANSWERS,
    ENDS,
    TASK_ID_MAX,
    TEXT_MAX_BYTES,
    Marker,
    WireId,
    check_task_id,
    make_tag,
)
from swarmcomm.protocol.outgoing import (
    DESCRIPTION_MAX_BYTES,
    check_description,
    check_text,
    compose,
    ends_with_tail,
    in_paste_brackets,
    neutralise,
    parse_message,
    pieces,
    scatters_tail,
    shows_tail,
    tail,
)
from swarmcomm.protocol.screen import Answer, NearMiss, Reading, open_ids, read, render

__all__ = [
    "ANSWERS",
    "DESCRIPTION_MAX_BYTES",
    "ENDS",
    "NEXT",
    "TASK_ID_MAX",
    "TEXT_MAX_BYTES",
    "Answer",
    "Exchange",
    "Marker",
    "NearMiss",
    "Reading",
    "State",
    "Style",
    "Verdict",
    "WireId",
    "check_description",
    "check_task_id",
    "check_text",
    "compose",
    "ends_with_tail",
    "in_paste_brackets",
    "make_tag",
    "neutralise",
    "open_ids",
    "parse_message",
    "pieces",
    "read",
    "render",
    "scatters_tail",
    "shows_tail",
    "step",
    "tail",
]
