"""The only reader of time."""

from __future__ import annotations

import time
from datetime import datetime


def monotonic() -> float:
    """Return seconds since an arbitrary point; never goes back."""
    return time.monotonic()


def now() -> datetime:
    """Return the wall clock in local time, for people to read."""
    return datetime.now().astimezone()


def sleep(seconds: float) -> None:
    """Block for *seconds*."""
    time.sleep(seconds)
