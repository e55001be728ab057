"""Coordinators on a state folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmcomm import Coordinator, Event
from swarmcomm.store import FILE, Store

MASTER = "master_project_web"
CHILD = "child_web_task_3"

Attach = Callable[..., Coordinator]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder that is not there yet."""
    return tmp_path / "state"


def attach_to(folder: Path, bound: str | None = None) -> Coordinator:
    return Coordinator.attach({"SWARM_STATE_DIR": str(folder), "SWARM_SESSION": "s"}, bound)


@pytest.fixture
def attach(folder: Path) -> Iterator[Attach]:
    """Give what attaches as a session, or as nobody; all are closed at the end."""
    opened: list[Coordinator] = []

    def attach(bound: str | None = None) -> Coordinator:
        opened.append(attach_to(folder, bound))
        return opened[-1]

    yield attach
    for coordinator in opened:
        coordinator.close()


@pytest.fixture
def coordinator(attach: Attach) -> Coordinator:
    """A coordinator that is bound to nobody, with one master and one child."""
    opened = attach()
    opened.register_session_relationship(MASTER, CHILD, "3", "web")
    return opened


def events(folder: Path, after: int = 0) -> list[Event]:
    assert (folder / FILE).exists()
    store = Store.open(folder)
    found = store.after(after, "s")
    store.close()
    return found
