"""Starting a child session, for a master agent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mcp.server.mcpserver import Context  # noqa: TC002  # the SDK reads the annotations
from pydantic import Field

from swarmcomm import settings
from swarmcomm.errors import InvalidInputError
from swarmcomm.frontends.mcp.shown import Started
from swarmcomm.frontends.mcp.wire_tools import with_signs
from swarmcomm.sessions import hook_settings, starting
from swarmcomm.sessions.identity import CHILD, Identity
from swarmcomm.sessions.names import SessionName, parse


class StartTools:
    """The tool that starts sessions, on the tmux server with the given *socket* name."""

    def __init__(self, socket: str | None) -> None:
        """Take the name; None: what the environment says."""
        self._socket = socket

    async def create_session(
        self,
        ctx: Context,
        session_name: Annotated[str, Field(description="child_{PROJECT_ID}_task_{TASK_ID}")],
        workdir: Annotated[
            str | None, Field(description="folder that it works in; left out: yours")
        ] = None,
        task: Annotated[
            str | None, Field(description="what it shall do first; up to 64 KiB")
        ] = None,
    ) -> Started:
        """Start a child session: an agent in tmux that knows its name and reports by itself.

        It is registered under its master. Only a session that may start others can do this, up to
        a number of them at a time; to a child and a worker it is refused.
        """
        name = parse(session_name)
        if name.is_master:
            raise InvalidInputError(
                f"{session_name} is a master, which a person starts; give a"
                " child_{PROJECT_ID}_task_{TASK_ID}"
            )

        def start() -> Started:
            found = starting.create_session(
                _tmux_name(name),
                Identity(name, CHILD),
                workdir=Path(workdir or Path.cwd()),
                task=task,
                socket=self._socket,
                settings=hook_settings.own_settings(),
            )
            return Started(
                session_name=found.session_name,
                tmux_session=found.session,
                window=found.window,
                outcome=found.outcome,
                reason=found.reason or None,
            )

        return await with_signs(ctx, settings.SEND_WAIT_S, start)


def _tmux_name(name: SessionName) -> str:
    """Return the name itself; where it holds a dot, which tmux takes for a pane, its ids."""
    if "." not in str(name):
        return str(name)
    return f"{name.project_id}-{name.task_id}".replace(".", "-")
