"""Programs that run in the windows: ``python printer.py NAME ...``.

markers NAME SECONDS PER_SECOND: prints ``[DONE] NAME-3 <CLOCK_MONOTONIC in ns>`` at random times.
flood GO DONE LINES MARKERS: waits for the file GO, prints so many lines as fast as it can, every
so-manieth a marker, and writes the seconds that it took and CLOCK_MONOTONIC in ns into DONE.
noise: prints lines for ever.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path


def markers(name: str, per_second: float) -> None:
    """Print markers that carry the time at which they were written, for ever."""
    number = 0
    while True:
        time.sleep(random.expovariate(per_second))
        number += 1
        os.write(1, b"[DONE] %s-%d %d\n" % (name.encode(), number, time.monotonic_ns()))


def flood(go: str, done: str, lines: int, answers: int) -> None:
    """Print *lines*, of which *answers* are markers, each line with a write of its own."""
    every = lines // answers
    while not Path(go).exists():
        time.sleep(0.02)
    begin = time.monotonic()
    for number in range(1, lines + 1):
        if number % every == 0:
            os.write(1, b"[DONE] f-%d\n" % (number // every))
        else:
            os.write(1, b"line %d of the output of a build that says much\n" % number)
    os.write(1, b"[DONE] f-end\n")
    took = time.monotonic() - begin
    Path(f"{done}.new").write_text(f"{took} {time.monotonic_ns()}")
    Path(f"{done}.new").rename(done)
    time.sleep(3600)


def noise() -> None:
    """Print lines as fast as the terminal takes them, for ever."""
    number = 0
    while True:
        number += 1
        os.write(1, b"line %d of the output of a build that says much\n" % number)


def main() -> None:
    job, *words = sys.argv[1:]
    if job == "markers":
        markers(words[0], float(words[1]))
    elif job == "flood":
        flood(words[0], words[1], int(words[2]), int(words[3]))
    else:
        noise()


if __name__ == "__main__":
    main()
