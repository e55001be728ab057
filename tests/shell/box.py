"""A stand-in for an agent with an input box: ``box.py FOLDER [MODE]``.

The box has a rule above and below, then a footer; the draft may have many rows, and the cursor
stands at its end. LF is a newline in it, CR submits it, C-u clears its last line, and the brackets
of a paste are taken off. FOLDER/got is what was submitted, each with a line "." after it, and
FOLDER/keys every byte that was read. Modes, the first three till FOLDER/calm is there: dialog (one
is open), dialog-hidden (the cursor stands above its choice), busy (the footer says so); swallows
and swallows-one (Enter is a newline, always or once); deaf (C-u does nothing); slow (what it reads
is painted after SLOW_S). A dialog also opens when FOLDER/dialog is there, and no key is read while
FOLDER/frozen is. FOLDER/reads has the number of bytes of each read. What was submitted last is
echoed above the box, behind the same sign.
"""

import os
import select
import sys
import termios
import time
import tty
from pathlib import Path

WIDTH, ROWS = 116, 10
SLOW_S = 0.8


def main(folder: Path, mode: str) -> None:
    """Read keys for ever."""
    saved = termios.tcgetattr(0)
    tty.setraw(0)
    draft = last = b""
    shown = None
    try:
        while True:
            now = mode_now(folder, mode)
            if shown != (shown := (draft, now)):
                os.write(1, screen(draft, now, last).encode())
            if not select.select([0], [], [], 0.05)[0]:
                continue
            while (folder / "frozen").exists():
                time.sleep(0.05)
            keys, now = os.read(0, 65536), mode_now(folder, mode)
            note(folder / "keys", keys)
            note(folder / "reads", b"%d\n" % len(keys))
            if now == "slow":
                time.sleep(SLOW_S)
            for at in range(len(keys)):
                key = keys[at : at + 1]
                if now.startswith("dialog"):
                    continue
                if key == b"\x15" and now == "deaf":
                    continue
                if key == b"\x15":
                    draft = draft[: draft.rfind(b"\n") + 1] if draft[-1:] != b"\n" else draft[:-1]
                elif key != b"\r":
                    draft = (draft + key).replace(b"\x1b[200~", b"").replace(b"\x1b[201~", b"")
                elif now.startswith("swallows"):
                    draft += b"\n"
                    mode = "" if now == "swallows-one" else mode
                else:
                    note(folder / "got", draft + b"\n.\n")
                    last, draft = draft, b""
    finally:
        termios.tcsetattr(0, termios.TCSANOW, saved)


def mode_now(folder: Path, mode: str) -> str:
    """Return *mode*, or what a file in *folder* says instead."""
    now = "" if (folder / "calm").exists() else mode
    return "dialog" if (folder / "dialog").exists() else now


def note(file: Path, data: bytes) -> None:
    """Add *data* to *file*."""
    with file.open("ab") as out:
        out.write(data)


def screen(draft: bytes, mode: str, last: bytes) -> str:
    """Return what paints the screen, the cursor's place at its end."""
    if mode.startswith("dialog"):
        at = 1 if mode == "dialog-hidden" else 2
        return f"\x1b[2J\x1b[HDo you agree?\r\n > 1. Yes\r\n   2. No\x1b[{at};2H"
    rows = rows_of(draft)
    rule = "-" * WIDTH
    box = framed(rows)
    footer = "esc to interrupt" if mode == "busy" else "? for help"
    column = f"\r\x1b[{2 + len(rows[-1])}C"
    echo = f"{framed(rows_of(last))}\r\n" if last else ""
    return f"\x1b[2J\x1b[H{echo}{rule}\r\n{box}\r\n{rule}\r\n  {footer}\x1b[2A{column}"


def rows_of(text: bytes) -> list[str]:
    """Return the last rows of *text*, and the end of each."""
    lines = text.decode("utf-8", "ignore").replace("\t", "    ").split("\n")
    return [line[-WIDTH:] for line in lines][-ROWS:]


def framed(rows: list[str]) -> str:
    """Return *rows* behind the sign, or two blanks."""
    return "\r\n".join(("  " if at else "> ") + row for at, row in enumerate(rows))


main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
