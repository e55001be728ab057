"""Stores in folders of their own, and what is recorded in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from swarmcomm.protocol import Marker
from swarmcomm.store import Event, Found, Place, Store

SERVER = "/tmp/tmux-1/s:100:1700000000"
TIME = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def place(pane: str = "%0", window: str = "worker-0", session: str = "s") -> Place:
    return Place(SERVER, session, window, pane)


def answer(
    wire_id: str = "t1",
    marker: Marker = Marker.DONE,
    text: str = "",
    *,
    exchange: int = 0,
    pane: str = "%0",
    window: str = "worker-0",
    session: str = "s",
    flags: tuple[str, ...] = (),
    witnesses: tuple[str, ...] = ("screen",),
    time: datetime = TIME,
) -> Found:
    task_id = wire_id.partition("+")[0]
    event = Event(window, marker, task_id, wire_id, text, flags, None, time, witnesses)
    return Found(place(pane, window, session), event, exchange)


def other(
    text: str = "",
    *,
    flags: tuple[str, ...] = (),
    state: str | None = None,
    pane: str = "%0",
    time: datetime = TIME,
) -> Found:
    """A near miss, a notice or a state."""
    return Found(place(pane), Event("worker-0", None, None, None, text, flags, state, time))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder that is not there yet."""
    return tmp_path / "state" / "swarmcomm"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    opened = Store.open(folder)
    yield opened
    opened.close()
