"""Waits for a message to a session whose agent is idle, and wakes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from swarmcomm import clock
from swarmcomm.frontends.hooks import unread
from swarmcomm.frontends.hooks.turn import Turn, Turnstile
from swarmcomm.sessions.processes import life

if TYPE_CHECKING:
    from pathlib import Path

    from swarmcomm.sessions import Coordinator
    from swarmcomm.sessions.model import Message
    from swarmcomm.sessions.names import SessionName

#: Seconds between two looks; a look costs 0.1 ms.
BEAT_S = 0.5

#: Seconds that a message waits for the next tool of a turn that runs: then the turn has no tools,
#: or was interrupted.
TURN_S = 5.0

#: Characters of the messages that wake an agent.
ROOM = 40_000


class Waiter:
    """One who waits for the messages to *name*; the last that came is the only one."""

    def __init__(
        self, coordinator: Coordinator, name: SessionName, state: Path, agent: int | None
    ) -> None:
        """Take the session, the state folder, and the process of its agent."""
        self._coordinator = coordinator
        self._name = name
        self._turn = Turn(state, str(name))
        self._turnstile = Turnstile(state, str(name))
        self._agent = agent
        self._life = life(agent) if agent is not None else None
        self._parent = os.getppid()

    def wait(self) -> tuple[str, list[Message]]:
        """Return the next messages as text, and themselves; "" and none where nobody waits on.

        Blocks until then. They are the coordinator's until they are acknowledged.

        Raises:
            SessionError, StoreError: as the methods of the coordinator.
        """
        self._turnstile.enter()
        since: float | None = None
        while self._turnstile.is_mine() and self._has_agent():
            if not self._has_unread():
                since = None
            elif since is None:
                since = clock.monotonic()
            if since is not None and self._is_due(since):
                text, given = unread.take(self._coordinator, self._name, ROOM)
                if given:
                    return text, given
            clock.sleep(BEAT_S)
        return "", []

    def _is_due(self, since: float) -> bool:
        return not self._turn.runs() or clock.monotonic() - since >= TURN_S

    def _has_unread(self) -> bool:
        (found,) = self._coordinator.query_session_status(str(self._name))
        return found.unread > 0

    def _has_agent(self) -> bool:
        if os.getppid() != self._parent:
            return False
        if self._agent is None:
            return True
        return self._life is not None and life(self._agent) == self._life
