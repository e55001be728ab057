"""Standard input and output for the protocol alone; imports nothing that could print."""

from __future__ import annotations

import fcntl
import os
import sys
from typing import BinaryIO

#: Descriptors below are those that a program expects to be its standard ones.
_FIRST_PRIVATE = 3


def take() -> tuple[BinaryIO, BinaryIO]:
    """Return standard input and output for the protocol; nobody else has them from now on.

    What anybody prints, a child of ours as well, goes to standard error, and who reads standard
    input finds it at its end.
    """
    sys.stdout.flush()
    wire = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE) for number in (0, 1)]
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    # Both stay open to the end: a thread that reads one may still be there.
    return os.fdopen(wire[0], "rb", closefd=False), os.fdopen(wire[1], "wb", closefd=False)
