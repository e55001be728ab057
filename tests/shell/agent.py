"""A stand-in for an agent in a window: ``agent.py FILE [MODE]``.

A box ``fake> `` with the draft's end in one row. LF stays in a text, CR submits it, C-u empties the
box. What is submitted is added to FILE, with a line "." after it. Modes: eats-enter (the first),
keeps-enter (every one), mute (shows nothing), mixed (a plain terminal that prints between the keys
it echoes), dialog (Enter opens one, and a second would agree).
"""

import os
import sys
import termios
import tty
from pathlib import Path


def main(file: Path, mode: str) -> None:
    """Read keys for ever."""
    saved = termios.tcgetattr(0)
    tty.setraw(0)
    os.write(1, b"fake> ")
    draft, eaten = b"", False
    try:
        while True:
            shown = b"" if mode == "mute" else draft.translate(bytes.maketrans(b"\n\t", b"  "))
            if mode != "mixed":
                os.write(1, b"\r\x1b[Kfake> " + shown[-112:].decode("utf-8", "ignore").encode())
            for byte in os.read(0, 65536):
                if byte == 0x0D and mode == "dialog":
                    os.write(1, b"\r\n\x1b[2J\x1b[HDo you agree?\r\n> 1. Yes")
                    while os.read(0, 1) != b"\r":
                        pass
                    with file.open("ab") as out:
                        out.write(b"agreed\n.\n")
                elif byte == 0x0D and (
                    mode == "keeps-enter" or (mode == "eats-enter" and not eaten)
                ):
                    eaten = True
                elif byte == 0x0D:
                    with file.open("ab") as out:
                        out.write(draft + b"\n.\n")
                    draft = b""
                    os.write(1, b"\r\n")
                elif byte == 0x15:
                    draft = b""
                else:
                    draft += bytes([byte])
                    if mode == "mixed":
                        os.write(1, bytes([byte]) + b"~")
    finally:
        termios.tcsetattr(0, termios.TCSANOW, saved)


main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
