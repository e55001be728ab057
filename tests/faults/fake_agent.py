"""A fake agent: takes messages as its options say and writes each one to a log file.

One line of the log is one message, as hexadecimal bytes. It says ``ready`` on the screen first.
"""

from __future__ import annotations

import argparse
import os
import sys
import termios
import time
import tty
from pathlib import Path


def main() -> None:
    options = parse()
    if options.hold:
        silence()
        write("starting\n")
        while options.hold.exists():
            time.sleep(0.05)
    if options.cooked:
        write("ready\n")
        read_lines(options)
    else:
        # TCSAFLUSH drops what was typed before: this is the slow agent's fault.
        tty.setraw(0, termios.TCSAFLUSH)
        write("ready\r\n")
        read_messages(options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=Path)
    parser.add_argument("--cooked", action="store_true", help="read line by line")
    parser.add_argument("--mute", action="store_true", help="show nothing that is typed")
    parser.add_argument("--eat-enters", type=int, default=0, help="ignore the first Enters")
    parser.add_argument("--hold", type=Path, help="read nothing while there is this file")
    parser.add_argument("--answer", action="append", default=[], help="say this after a message")
    return parser.parse_args()


def silence() -> None:
    mode = termios.tcgetattr(0)
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, mode)


def read_lines(options: argparse.Namespace) -> None:
    for line in sys.stdin.buffer:
        record(options, line.removesuffix(b"\n"))


def read_messages(options: argparse.Namespace) -> None:
    message = b""
    eaten = 0
    while data := os.read(0, 65536):
        for byte in data:
            if byte == 0x0D and eaten < options.eat_enters:
                eaten += 1
            elif byte == 0x0D:
                write("\r\n")
                record(options, message)
                message = b""
            elif byte == 0x15:
                write("\r\x1b[K")
                message = b""
            else:
                message += bytes([byte])
                if not options.mute:
                    os.write(1, b"\r\n" if byte == 0x0A else bytes([byte]))


def record(options: argparse.Namespace, message: bytes) -> None:
    with options.log.open("a", encoding="ascii") as log:
        log.write(message.hex() + "\n")
    for answer in options.answer:
        write(answer + "\r\n")


def write(text: str) -> None:
    os.write(1, text.encode())


main()
