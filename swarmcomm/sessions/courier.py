"""Messages typed into the window of a session whose agent cannot ask for them itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmcomm import clock, settings
from swarmcomm.swarm.delivery import Delivery, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarmcomm.sessions import Coordinator
    from swarmcomm.sessions.model import Message
    from swarmcomm.swarm import Window


@dataclass(frozen=True)
class Delivered:
    """A message that was typed, and how that ended; it is acknowledged unless it was only TYPED."""

    message: Message
    task_id: str
    delivery: Delivery


class Courier:
    """Types the messages to one session into one window, each once, in their order.

    Each is a task with the id ``message-<id>``: the agent answers it as any task. Any number of
    couriers may serve a session, and each may be killed at any time. One that the window does not
    take is this courier's until it does, or LEASE_S pass, or the coordinator is closed.
    """

    def __init__(self, coordinator: Coordinator, session_name: str, window: Window) -> None:
        """Take the *coordinator*, which may be bound to that session only, and the *window*."""
        self._coordinator = coordinator
        self._name = session_name
        self._window = window
        self._held: Message | None = None

    def deliver(self, wait_s: float = settings.SEND_WAIT_S) -> Iterator[Delivered]:
        """Type what waits and yield each message; ends when none waits, or one was only TYPED.

        Blocks up to *wait_s* and some seconds for each. What was not delivered comes first when
        it is called again.

        Raises:
            RefusedError: the window did not take a message, or it is too long; nothing was typed.
            NotFoundError: there is no such window, or its pane is dead.
            TmuxError: tmux could not be asked.
            SessionError, StoreError, InvalidInputError: as the methods of the coordinator.
        """
        while message := self._next():
            task_id = f"message-{message.id}"
            text = description(message)
            task = self._window.send(text, task_id=task_id, tag=False, wait_s=wait_s, once=True)
            if task.outcome is not Outcome.TYPED:
                self._coordinator.acknowledge_messages(self._name, [message.id])
                self._held = None
            yield Delivered(message, task_id, task.delivery)
            if task.outcome is Outcome.TYPED:
                return

    def _next(self) -> Message | None:
        """Return one message alone: a courier that is killed leaves no more than one open."""
        if self._held and self._held.expires_at <= clock.now():
            self._held = None
        if self._held is None:
            self._held = next(iter(self._coordinator.get_session_messages(self._name, 1)), None)
        return self._held


def description(message: Message) -> str:
    """Return what is typed of *message*: who says it, how it is answered, and its words.

    The words come last, so that none of them can end them. What stands before them is a comment
    to a shell: the built-in worker runs the words of a message as those of a task.
    """
    answers = f", the answer to message {message.reply_to}" if message.reply_to else ""
    return (
        f"# {message.message_type} from {message.from_session}{answers}. It is answered like a"
        " task, with the id above.\n"
        f"# All below are the words of {message.from_session}:\n"
        f"{message.text}"
    )
