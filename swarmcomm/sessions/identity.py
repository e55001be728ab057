"""Who a session is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmcomm.sessions.names import SessionName


@dataclass(frozen=True)
class Identity:
    """A session's name, and its role: ``master``, ``child`` or one of the permissions."""

    name: SessionName
    role: str
