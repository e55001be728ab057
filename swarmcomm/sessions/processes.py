"""Whether a process is still the one that it was: its number may be another's by now."""

from __future__ import annotations

import os
from pathlib import Path


def life(pid: int) -> str | None:
    """Return what tells a process from a later one of its number, as far as the system says it;
    None where it has ended, also where nobody has asked yet how.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in ("Z", "X") else fields[18]


def is_alive(holder: str) -> bool:
    """Return whether the process of a ``PID:LIFE...`` is still there."""
    pid, life_then = holder.split(":")[:2]
    return life(int(pid)) == life_then
