"""Messages typed into the window of a session whose agent cannot ask for them itself, and back."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from swarmcomm import clock, protocol, settings
from swarmcomm.sessions.model import MessageState, MessageType, Outgoing
from swarmcomm.sessions.names import parse
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
    wire_id: str
    delivery: Delivery


class Courier:
    """Types the messages to one session into one window, each once, and hands back the answers.

    Each is a task with the id ``message-<id>`` and a tag of its own: the agent answers it as any
    task. Any number of couriers may serve a session, and each may be killed at any time. One that
    the window does not take is this courier's until it does, or LEASE_S pass, or the coordinator is
    closed.
    """

    def __init__(self, coordinator: Coordinator, session_name: str, window: Window) -> None:
        """Take the *coordinator*, which may be bound to that session only, and the *window*."""
        self._coordinator = coordinator
        self._name = session_name
        self._window = window
        self._held: Message | None = None
        self._held_until = 0.0
        # What was typed and has no answer yet: ids of messages by wire id.
        self._open: dict[str, int] | None = None

    def deliver(self, wait_s: float = settings.SEND_WAIT_S) -> Iterator[Delivered]:
        """Type what waits and yield each message; ends when none waits, or one was only TYPED.

        Blocks up to *wait_s* and some seconds for each. What was not delivered comes first when
        it is called again.

        Raises:
            RefusedError: the window did not take a message; nothing was typed.
            NotFoundError: there is no such window, or its pane is dead.
            TmuxError: tmux could not be asked.
            SessionError, StoreError, InvalidInputError: as the methods of the coordinator.
        """
        while message := self._next():
            wire_id = wire_id_of(message)
            task = self._window.send(
                description(message),
                task_id=wire_id.task_id,
                tag=wire_id.tag,
                wait_s=wait_s,
                once=True,
            )
            if task.outcome is not Outcome.TYPED:
                self._coordinator.acknowledge_messages(self._name, [message.id])
                self._held = None
                if self._open is not None and _is_asked(message):
                    self._open[str(wire_id)] = message.id
            yield Delivered(message, str(wire_id), task.delivery)
            if task.outcome is Outcome.TYPED:
                return

    def answers(self) -> Iterator[Message]:
        """Send what the agent says to messages that were typed, and yield each RESPONSE.

        That is its DONE or ERROR and what stands behind it, such as "DONE all is green". A message
        that the session has answered already is not answered again. Does not wait. Of what was
        typed before this courier was there, the newest MESSAGES_AT_ONCE are looked for.

        Raises:
            NotFoundError: there is no such window, or its pane is dead.
            TmuxError: tmux could not be asked.
            SessionError, StoreError: as the methods of the coordinator.
        """
        if self._open is None:
            self._open = self._unanswered()
        if not self._open:
            return
        for answer in self._window.answers():
            wire_id = str(answer.wire_id)
            if answer.marker not in protocol.ENDS or wire_id not in self._open:
                continue
            said = f"{answer.marker} {answer.text}".rstrip()
            master, asked = str(parse(self._name).master), self._open[wire_id]
            out = Outgoing(self._name, master, said, reply_to=asked, once=True)
            (sent,) = self._coordinator.send_many([out])
            del self._open[wire_id]
            yield sent

    def _unanswered(self) -> dict[str, int]:
        known = self._coordinator.message_history(self._name)
        answered = {message.reply_to for message in known if message.from_session == self._name}
        return {
            str(wire_id_of(message)): message.id
            for message in known
            if message.to_session == self._name
            and _is_asked(message)
            and message.state is MessageState.ACKNOWLEDGED
            and message.id not in answered
        }

    def _next(self) -> Message | None:
        """Return one message alone: a courier that is killed leaves no more than one open."""
        if self._held and self._held_until <= clock.monotonic():
            self._held = None
        if self._held is None:
            self._held = next(iter(self._coordinator.get_session_messages(self._name, 1)), None)
            if self._held:
                left = self._held.expires_at - clock.now()
                self._held_until = clock.monotonic() + left.total_seconds()
        return self._held


def wire_id_of(message: Message) -> protocol.WireId:
    """Return the id that *message* is typed with, always the same.

    Its tag tells it from the message of this number in another store, whose answers may still
    stand in the window.
    """
    words = (message.id, message.sent_at, message.from_session, message.to_session, message.text)
    found = sha256("\0".join(map(str, words)).encode()).digest()
    tag = protocol.make_tag(int.from_bytes(found[:8], "big"))
    return protocol.WireId(f"message-{message.id}", tag)


def _is_asked(message: Message) -> bool:
    return message.message_type is not MessageType.RESPONSE


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
