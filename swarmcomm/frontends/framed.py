"""Another agent's words as a model is shown them: quoted, cut, and never an answer."""

from __future__ import annotations

from swarmcomm.protocol import neutralise
from swarmcomm.protocol.grammar import byte_length, cut

#: Bytes of a message that a model is shown; some 4,000 words. The store has all of it.
MESSAGE_MAX_BYTES = 16 * 1024

#: Bytes of any other text: a status' details, an answer, a dialog.
TEXT_MAX_BYTES = 4 * 1024


def framed(who: str, text: str, limit: int = TEXT_MAX_BYTES) -> str:
    """Return *text* as the words of *who*: quoted, cut to *limit* bytes, no marker in it.

    No line of *text* can end the quotation, since each stands behind ``> ``.
    """
    lines = neutralise(cut(text, limit)).splitlines() or [""]
    shown = [f"{who} wrote:", *(f"> {line}" for line in lines)]
    size = byte_length(text)
    if size > limit:
        shown.append(f"(cut: these are the first {limit} of {size} bytes)")
    return "\n".join(shown)
