"""The MCP server ``session-coordinator``: the session layer and the wire as an agent's tools.

Only ``swarmcomm mcp`` imports what is in here, and the SDK with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmcomm.errors import MissingProgramError
from swarmcomm.frontends.mcp import streams

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from swarmcomm.swarm import Swarm


def run(swarm: Callable[[], Swarm], socket: str | None) -> NoReturn:
    """Serve one client on standard input and output, and end the process when it is gone.

    *swarm* finds the swarm that the wire is of; sessions are started on the tmux server *socket*.

    Raises:
        MissingProgramError: the extra mcp is not installed.
    """
    taken = streams.take()  # before anything is imported that could print
    try:
        from swarmcomm.frontends.mcp import server
    except ModuleNotFoundError as error:
        raise MissingProgramError(
            f"the MCP server needs the extra mcp ({error.name} is not there);"
            " install it: pip install 'swarmcomm[mcp]'"
        ) from error
    from swarmcomm.sessions import Coordinator

    server.serve(taken, Coordinator.attach, swarm, socket)
