"""What ``import swarmcomm`` offers: a swarm, its windows and the tasks sent into them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from swarmcomm import agents, clock, protocol, settings
from swarmcomm.errors import InvalidInputError, NotFoundError, TaskFailedError, WaitTimeoutError
from swarmcomm.store import Event
from swarmcomm.swarm import states, watching
from swarmcomm.swarm.delivery import Delivery, Outcome, send_raw, send_task
from swarmcomm.swarm.journal import stored_answers
from swarmcomm.swarm.reading import Gaze
from swarmcomm.swarm.sight import Address
from swarmcomm.swarm.states import State
from swarmcomm.tmux import launch
from swarmcomm.tmux.lock import INTERRUPT, press
from swarmcomm.tmux.pane import capture_all, find_pane, list_panes, locate_pane
from swarmcomm.tmux.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from datetime import datetime
    from types import TracebackType

    from swarmcomm.swarm.ledger import WitnessedAnswer

__all__ = ["Address", "Delivery", "Event", "Outcome", "State", "Swarm", "Task", "Window"]


def _ignore(_near: protocol.NearMiss) -> None:
    """Near misses are for people; a program reads them from :meth:`Swarm.watch`."""


@dataclass
class Task:
    """One task on one window, as it was sent: *wire_id* is what was typed."""

    window: Window
    wire_id: protocol.WireId
    delivery: Delivery
    sent_at: datetime

    @property
    def task_id(self) -> str:
        """Return what the caller calls the task."""
        return self.wire_id.task_id

    @property
    def outcome(self) -> Outcome:
        """Return how the send ended: SUBMITTED, ACKNOWLEDGED, or TYPED where unconfirmed."""
        return self.delivery.outcome

    def answers(self) -> tuple[protocol.Answer, ...]:
        """Return the answers that can be read now, oldest first; one look, does not wait.

        Raises:
            NotFoundError: the window is not there, or its pane is dead.
            TmuxError: tmux could not be asked.
        """
        return tuple(self._poll(protocol.ANSWERS, 0.0))

    def _poll(
        self, until: frozenset[protocol.Marker], timeout_s: float
    ) -> Iterator[WitnessedAnswer]:
        """Only its own wire id: the same id may have been sent again with a tag."""
        place, wire_id = self.window._place, str(self.wire_id)
        folder = self.window.swarm.settings.state
        stored = partial(stored_answers, folder, *place, wire_id, self.sent_at)
        return self.window._poll(Gaze(*place, wire_id, exact=True), until, timeout_s, stored=stored)

    def wait_ack(self, timeout_s: float) -> protocol.Answer:
        """Return the first answer; blocks up to *timeout_s* seconds.

        Raises:
            WaitTimeoutError: there was none.
            NotFoundError: the window went away.
            TmuxError: tmux could not be asked.
        """
        answers = self._poll(protocol.ANSWERS, timeout_s)
        first = next(answers, None)
        if first is None:
            raise WaitTimeoutError(timeout_s)
        self.delivery = Delivery(Outcome.ACKNOWLEDGED)
        return first

    def wait(self, timeout_s: float) -> protocol.Answer:
        """Return the DONE of the task; blocks up to *timeout_s* seconds.

        Raises:
            TaskFailedError: it ended in ERROR.
            WaitTimeoutError: it did not end in time, and may still be running.
            NotFoundError: the window went away.
            TmuxError: tmux could not be asked.
        """
        for answer in self._poll(protocol.ENDS, timeout_s):
            if answer.marker is protocol.Marker.ERROR:
                raise TaskFailedError(str(self.wire_id), answer.text)
            if answer.marker is protocol.Marker.DONE:
                return answer
        raise WaitTimeoutError(timeout_s)


@dataclass(frozen=True)
class Window:
    """One window of a swarm, by name; looked up anew at each call."""

    swarm: Swarm
    name: str

    @property
    def _address(self) -> Address:
        return Address(*self._place)

    def send(
        self,
        description: str,
        *,
        task_id: str | None = None,
        tag: bool | str | None = None,
        wait_s: float = settings.SEND_WAIT_S,
        once: bool = False,
    ) -> Task:
        """Type a task into the window and return it; blocks up to *wait_s* and some seconds.

        An id that is given is typed as given; with *tag* (default: SWARM_TAG) a fresh tag is added,
        or the one that *tag* is. Without an id a unique one is made. The task's outcome says
        whether it was seen to leave.
        With *once* an id that was submitted here with *once* before is not typed again, also where
        that sender was killed at it: one of the last ENTERED_KEPT of the pane.

        Raises:
            InvalidInputError: the id or the description cannot be used.
            RefusedError: the text is unsafe or too long, or the window did not take it in time;
                nothing was typed.
            NotFoundError: there is no such window, or its pane is dead.
            TmuxError: tmux could not be asked.
        """
        wire_id = self._wire_id(task_id, self.swarm.settings.tag if tag is None else tag)
        sent_at = clock.now()
        delivery = send_task(self._address, wire_id, description, wait_s, once)
        return Task(self, wire_id, delivery, sent_at)

    def send_raw(self, text: str, *, wait_s: float = settings.SEND_WAIT_S) -> Delivery:
        """Type *text* as it is and submit it; raises like :meth:`send`."""
        return send_raw(self._address, text, wait_s)

    def poll(
        self,
        task_id: str | None = None,
        until: frozenset[protocol.Marker] | None = None,
        timeout_s: float = 30.0,
        on_near_miss: Callable[[protocol.NearMiss], None] = _ignore,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Iterator[WitnessedAnswer]:
        """Yield answers as they are seen, like ``swarmcomm poll``.

        It ends at the first answer that comes while it looks, or one other than ACK that is there
        already; with *until* at one of those markers or the end of the task; else after
        *timeout_s* seconds. *task_id* may carry its tag; without it, answers of any task.
        *wanted* is asked about once a second; False ends it.

        Raises:
            InvalidInputError: *task_id* is no task id.
            NotFoundError: there is no such window, or its pane is dead.
            TmuxError: tmux could not be asked.
        """
        if task_id is not None:
            protocol.WireId.parse(task_id)
        gaze = Gaze(*self._place, task_id)
        return self._poll(gaze, until, timeout_s, on_near_miss, wanted=wanted)

    @property
    def _place(self) -> tuple[Server, str, str]:
        return self.swarm.server, self.swarm.settings.session, self.name

    def _poll(
        self,
        gaze: Gaze,
        until: frozenset[protocol.Marker] | None,
        timeout_s: float,
        on_near_miss: Callable[[protocol.NearMiss], None] = _ignore,
        stored: Callable[[], list[WitnessedAnswer]] = list,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Iterator[WitnessedAnswer]:
        interval_s = self.swarm.settings.interval_s
        return watching.poll(gaze, until, timeout_s, interval_s, on_near_miss, stored, wanted)

    def answers(self, task_id: str | None = None) -> tuple[protocol.Answer, ...]:
        """Return the answers that can be read now, oldest first; raises like :meth:`poll`."""
        return tuple(self.poll(task_id, protocol.ANSWERS, 0.0))

    def lines(self, count: int) -> list[str]:
        """Return the last *count* lines of the window's text, also of one whose program ended.

        Raises:
            NotFoundError: there is no such window.
            TmuxError: tmux could not be asked.
        """
        server, session, _ = self._place
        pane = locate_pane(list_panes(server, session), session, self.name)
        lines = [line.rstrip() for line in capture_all(server, pane).split("\n")]
        while lines and (not lines[-1] or (pane.dead and lines[-1].startswith("Pane is dead"))):
            lines.pop()
        return lines[-count:]

    def state(self) -> tuple[State, str]:
        """Return what the window's agent is doing, and what there is to say of it.

        That is a dialog's text while it waits for a person, the error's row after an error, else
        "". A window that is not there, or whose program has ended, is GONE.

        Raises:
            NotFoundError: there is no such server or session.
            TmuxError: tmux could not be asked.
        """
        server = self.swarm.server
        panes = list_panes(server, self.swarm.settings.session)
        try:
            pane = find_pane(panes, self.swarm.settings.session, self.name)
        except NotFoundError as error:
            return State.GONE, str(error)
        return states.look(server, pane)

    def interrupt(self) -> None:
        """Press Ctrl-C in the window: the built-in worker ends its task with ERROR.

        Raises:
            NotFoundError: there is no such window, or its pane is dead.
            TmuxError: tmux could not be asked.
        """
        press(self.swarm.server, self.swarm.settings.session, self.name, INTERRUPT)

    @staticmethod
    def _wire_id(task_id: str | None, tag: bool | str) -> protocol.WireId:
        fresh = tag if isinstance(tag, str) else protocol.make_tag(int.from_bytes(os.urandom(8)))
        if task_id is None:
            return protocol.WireId(f"task-{fresh}", fresh if tag else None)
        return protocol.WireId.parse(f"{task_id}+{fresh}" if tag else task_id)


@dataclass(frozen=True)
class Swarm:
    """One tmux session with its windows; ``with`` closes nothing, the agents go on."""

    server: Server
    settings: settings.Settings

    @classmethod
    def attach(
        cls,
        session: str | None = None,
        socket: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Swarm:
        """Return the swarm that runs already; None means what the environment says.

        Raises:
            NotFoundError: there is no such server or session.
            InvalidInputError: a name cannot be used.
            MissingProgramError: tmux is not installed or too old.
            TmuxError: tmux could not be asked.
        """
        found = settings.from_environment(environ).with_session(session, socket)
        swarm = cls(Server(found.socket, found.tmux), found)
        swarm.windows()
        return swarm

    @classmethod
    def launch(
        cls,
        agent: str | None = None,
        workdir: Path | str | None = None,
        session: str | None = None,
        socket: str | None = None,
        command: str | None = None,
        agent_file: Path | str | None = None,
        hooks: bool | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Swarm:
        """Start a session with an agent in each window and return the swarm.

        *agent_file* is the profile of an agent that is not found by its name; *command* is started
        instead of an agent that has a profile. *hooks* (default: SWARM_HOOKS is not 0) make an
        agent that can a second witness of its answers. Agents may still be starting: a send waits
        for them.

        Raises:
            RefusedError: the session is already there.
            NestingError: this is a session of ours that may start no other one.
            MissingProgramError: tmux or the agent is not installed.
            InvalidInputError: a name, the agent or the directory cannot be used.
            TmuxError: tmux could not be asked.
        """
        found = settings.from_environment(environ).with_session(session, socket)
        profile: agents.Profile | None = None
        if agent_file is not None and agent:
            raise InvalidInputError("an agent or the file of one starts a swarm, and not both")
        if agent_file is not None:
            profile = agents.read(Path(agent_file))
        elif agent or not command:
            profile = agents.load(agent or found.agent)
        server = Server(found.socket, found.tmux)
        launch.launch(
            server,
            session=found.session,
            workdir=Path(workdir or found.workdir or Path.cwd()),
            agent=profile,
            command=command,
            environment=environ,
            windows=found.windows,
            hooks=found.hooks if hooks is None else hooks,
        )
        return cls(server, found)

    def __getitem__(self, window: str) -> Window:
        """Return a window by name; that it is there is checked when it is used."""
        return Window(self, window)

    def __enter__(self) -> Swarm:
        """Return the swarm itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the session and its agents as they are."""

    def windows(self) -> tuple[str, ...]:
        """Return the names of the session's windows, in tmux's order.

        Raises:
            NotFoundError: there is no such server or session.
            TmuxError: tmux could not be asked.
        """
        panes = list_panes(self.server, self.settings.session)
        return tuple(dict.fromkeys(pane.window for pane in panes))

    def watch(
        self,
        windows: tuple[str, ...] | None = None,
        interval_s: float | None = None,
        since: int | None = None,
        wanted: Callable[[], bool] = lambda: True,
        registry: bool | None = None,
    ) -> Generator[Event]:
        """Yield events of *windows* (default: all but the master) as they happen, for ever.

        With *registry* (default: where no windows are named) also what registered sessions say.

        Each is stored, and has a number; what others who watch the same windows have stored comes
        as well, each event once and by number. What is visible already comes first, or with
        *since* what is stored above that number. *interval_s* is the time between two looks where
        tmux gives no control mode. *wanted* is asked whenever all that is known was given out, and
        about once a second; False ends the iterator. Close it before the server is ended.

        Raises:
            NotFoundError: there is no such session, or it went away.
            TmuxError: tmux could not be asked.
        """
        if registry is None:
            registry = windows is None
        if windows is None:
            windows = tuple(name for name in self.windows() if name != "master")
        found = self.settings
        interval_s = interval_s or found.interval_s
        place = (self.server, found.session, windows)
        return watching.watch(*place, interval_s, found.state, since, wanted, registry)

    def command(self, verb: str) -> str:
        """Return the tmux command that a person types to ``attach`` to the session or to end it."""
        return launch.typed(self.server, self.settings.session, verb)

    def down(self) -> None:
        """End the session and every agent in it.

        Raises:
            NotFoundError: there is no such server or session.
            TmuxError: tmux could not be asked.
        """
        launch.down(self.server, self.settings.session)
