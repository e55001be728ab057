"""Several terminal AI agents as one swarm in tmux.

>>> from swarmcomm import Swarm                                       # doctest: +SKIP
>>> with Swarm.attach() as swarm:                                     # doctest: +SKIP
...     task = swarm["worker-0"].send("make test", task_id="task-001")
...     task.wait(timeout_s=600)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from swarmcomm.errors import (
        InvalidInputError as InvalidInputError,
    )
    from swarmcomm.errors import (
        NotFoundError,
        RefusedError,
        SwarmError,
        TaskFailedError,
        WaitTimeoutError,
    )
    from swarmcomm.protocol import Answer, Marker
    from swarmcomm.sessions import Coordinator
    from swarmcomm.store import Event
    from swarmcomm.swarm import Swarm, Task, Window

#: All that can be taken from here; ``__all__`` is the dozen that a reader needs to know.
_HOME = {
    "Answer": "swarmcomm.protocol",
    "Coordinator": "swarmcomm.sessions",
    "Event": "swarmcomm.store",
    "InvalidInputError": "swarmcomm.errors",
    "Marker": "swarmcomm.protocol",
    "NotFoundError": "swarmcomm.errors",
    "RefusedError": "swarmcomm.errors",
    "Swarm": "swarmcomm.swarm",
    "SwarmError": "swarmcomm.errors",
    "Task": "swarmcomm.swarm",
    "TaskFailedError": "swarmcomm.errors",
    "WaitTimeoutError": "swarmcomm.errors",
    "Window": "swarmcomm.swarm",
}

__all__ = [
    "Answer",
    "Coordinator",
    "Event",
    "Marker",
    "NotFoundError",
    "RefusedError",
    "Swarm",
    "SwarmError",
    "Task",
    "TaskFailedError",
    "WaitTimeoutError",
    "Window",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: libtmux alone costs more than all the rest."""
    if name not in _HOME:
        raise AttributeError(f"module 'swarmcomm' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
