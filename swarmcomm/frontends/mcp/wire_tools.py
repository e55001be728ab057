"""The wire for a master agent: tasks into windows, and what their workers answered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, TypeVar

import anyio
from anyio import to_thread
from mcp.server.mcpserver import Context  # noqa: TC002  # the SDK reads the annotations
from pydantic import Field

from swarmcomm import clock, protocol
from swarmcomm.errors import InvalidInputError, SwarmError
from swarmcomm.frontends.framed import framed
from swarmcomm.frontends.mcp.shown import Answer, Answers, Outcome, Worker, Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmcomm.swarm import Swarm

#: Seconds that one call may wait.
WAIT_MAX_S = 600

#: Seconds between two signs of life of a call that waits; clients give up on a silent one after 60.
SIGN_S = 15.0

T = TypeVar("T")

Window = Annotated[str, Field(description="name of a window, as in worker-0; see list_workers")]
Wait = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": WAIT_MAX_S})]


class WireTools:
    """Tools over one swarm, which is looked up anew at each call."""

    def __init__(self, attach: Callable[[], Swarm]) -> None:
        """Take what finds the swarm."""
        self._attach = attach

    async def send_task(
        self,
        ctx: Context,
        window: Window,
        description: Annotated[str, Field(description="what the worker shall do; up to 64 KiB")],
        task_id: Annotated[
            str | None, Field(description="letters, digits, '.', '_', '-'; one is made without it")
        ] = None,
        wait_s: Annotated[Wait, Field(description="seconds to wait for a busy window")] = 30,
    ) -> Outcome:
        """Type a task into a worker's window and see that it was submitted.

        The worker answers with ACK, then DONE or ERROR; read that with poll_task. A window that is
        busy or shows a dialog is waited for, then refused; nothing was typed then.
        """
        _check_wait(wait_s, "wait_s")
        if task_id is not None:
            protocol.check_task_id(task_id)

        def send() -> Outcome:
            task = self._attach()[window].send(description, task_id=task_id, wait_s=wait_s)
            delivery = task.delivery
            wire_id = str(task.wire_id)
            return Outcome(
                window=window,
                task_id=wire_id,
                outcome=str(delivery.outcome),
                reason=delivery.reason or None,
            )

        return await with_signs(ctx, wait_s, send)

    async def poll_task(
        self,
        ctx: Context,
        window: Window,
        task_id: Annotated[str, Field(description="as send_task returned it")],
        timeout_s: Annotated[Wait, Field(description="seconds to wait; 0 is one look")] = 30,
        until_end: Annotated[
            bool, Field(description="wait for DONE or ERROR; else for the next answer")
        ] = False,
    ) -> Answers:
        """Return what a worker answered to a task, as soon as there is something new or at the end.

        No answers: none came in time, and the task may still be running.
        """
        _check_wait(timeout_s, "timeout_s")
        protocol.WireId.parse(task_id)
        until = protocol.ENDS if until_end else None

        is_over = threading.Event()

        def poll() -> list[protocol.Answer]:
            worker = self._attach()[window]
            return list(worker.poll(task_id, until, timeout_s, wanted=lambda: not is_over.is_set()))

        # A poll only reads: one that nobody waits for any more is left alone, and ends soon.
        try:
            found = await with_signs(ctx, timeout_s, poll, abandon=True)
        finally:
            is_over.set()
        return Answers(
            window=window,
            task_id=task_id,
            ended=any(answer.marker in protocol.ENDS for answer in found),
            answers=[
                Answer(
                    marker=str(answer.marker),
                    text=framed(f"the worker in {window}", answer.text) if answer.text else None,
                    flags=list(answer.flags),
                )
                for answer in found
            ],
        )

    async def list_workers(self) -> Workers:
        """List the windows of the swarm and what their agents are doing.

        A window that is "waiting" shows a dialog for a person; "gone" has no agent any more.
        """

        def look() -> Workers:
            swarm = self._attach()
            workers = []
            for name in swarm.windows():
                state, text = swarm[name].state()
                says = framed(f"the screen of {name}", text) if text else None
                workers.append(Worker(window=name, state=str(state), says=says))
            return Workers(tmux_session=swarm.settings.session, workers=workers)

        return await to_thread.run_sync(look, abandon_on_cancel=True)


def _check_wait(seconds: float, name: str) -> None:
    if not 0 <= seconds <= WAIT_MAX_S:
        raise InvalidInputError(
            f"{name} {seconds:g} is out of range; give seconds from 0 to {WAIT_MAX_S}, and call"
            " again for more"
        )


async def with_signs(
    ctx: Context, seconds: float, work: Callable[[], T], abandon: bool = False
) -> T:
    """Return what *work* returns; the client is told every SIGN_S that it still goes on."""
    begin = clock.monotonic()
    error: SwarmError | None = None

    async def show() -> None:
        while True:
            await anyio.sleep(SIGN_S)
            await ctx.report_progress(clock.monotonic() - begin, seconds)

    async with anyio.create_task_group() as group:
        group.start_soon(show)
        try:
            found = await to_thread.run_sync(work, abandon_on_cancel=abandon)
        except SwarmError as raised:  # outside the group, which would wrap it
            error = raised
        group.cancel_scope.cancel()
    if error is not None:
        raise error
    return found
