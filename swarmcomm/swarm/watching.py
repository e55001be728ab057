"""Waiting for what happens on windows: one window's answers, or everything on many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmcomm import clock, protocol, settings
from swarmcomm.swarm.journal import Journal, notice
from swarmcomm.swarm.lookout import Lookout
from swarmcomm.swarm.reading import Gaze
from swarmcomm.swarm.states import State
from swarmcomm.tmux.connection import connect
from swarmcomm.tmux.pane import find_pane, list_panes
from swarmcomm.tmux.server import socket_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from swarmcomm.store import Event
    from swarmcomm.swarm.ledger import WitnessedAnswer
    from swarmcomm.swarm.watched import Sighting
    from swarmcomm.tmux.server import Server


def poll(
    gaze: Gaze,
    until: frozenset[protocol.Marker] | None,
    timeout_s: float,
    interval_s: float,
    on_near_miss: Callable[[protocol.NearMiss], None],
    stored: Callable[[], list[WitnessedAnswer]] = list,
    wanted: Callable[[], bool] = lambda: True,
) -> Iterator[WitnessedAnswer]:
    """Yield the answers of *gaze* as they are seen, up to the one that ends the wait.

    Without *until* that is the first answer that comes while it looks, or an answer other than ACK
    that is there already. With *until* it is one of those markers, or the end of the task. It
    stops without one when *timeout_s* is over; 0 is one look. *interval_s* is the time between two
    looks where tmux gives no control mode. *stored* returns what watchers have stored of it, which
    may have scrolled away. *wanted* is asked at least every BEAT_S; False ends it.

    Raises:
        NotFoundError: the window is not there, or its pane is dead or died.
        TmuxError: tmux could not be asked.
    """
    deadline = clock.monotonic() + timeout_s
    answers, near_misses = gaze.look()
    for near in near_misses:
        on_near_miss(near)
    yield from answers
    if any(_satisfies(answer, until, first=True) for answer in answers):
        return
    known = {_said(answer) for answer in answers}
    answers = [answer for answer in stored() if _said(answer) not in known]
    yield from answers
    if any(_satisfies(answer, until, first=True) for answer in answers):
        return
    find_pane([gaze.pane] if gaze.pane else [], gaze.session, gaze.window)
    if clock.monotonic() >= deadline:
        return
    with connect(gaze.server, gaze.session) as connection:
        lookout = Lookout(connection, gaze.session, [gaze], interval_s)
        while wanted() and (left := deadline - clock.monotonic()) > 0:
            seen = lookout.news(min(left, settings.BEAT_S))
            for near in (each.near_miss for each in seen if each.near_miss):
                on_near_miss(near)
            answers = [each.answer for each in seen if each.answer and not each.again]
            yield from answers
            if any(_satisfies(answer, until, first=False) for answer in answers):
                return
            if any(each.state and each.state[0] is State.GONE for each in seen):
                find_pane(list_panes(connection, gaze.session), gaze.session, gaze.window)


def _said(answer: WitnessedAnswer) -> tuple[protocol.Marker, str]:
    return answer.marker, protocol.without_marks(answer.text)


def _satisfies(
    answer: protocol.Answer, until: frozenset[protocol.Marker] | None, first: bool
) -> bool:
    if until is None:
        return not (first and answer.marker is protocol.Marker.ACK)
    return answer.marker in until or answer.marker in protocol.ENDS


def watch(
    server: Server,
    session: str,
    windows: tuple[str, ...],
    interval_s: float,
    folder: Path | None,
    since: int | None = None,
    wanted: Callable[[], bool] = lambda: True,
    registry: bool = False,
) -> Generator[Event]:
    """Yield what happens on *windows*; what is already visible comes first.

    Answers, near misses, each change of a window's state (idle, busy, a dialog that waits for a
    person, an error, gone), and notices; with *registry* what registered sessions say as well. With
    *since* it begins with the events in the store above that number instead. *folder* is that of
    the store; None: none. *interval_s* is the time between two looks where tmux gives no control
    mode. *wanted* is asked whenever all that is known was given out, and at least every BEAT_S or
    *interval_s*; False ends it.

    Raises:
        NotFoundError: there is no such session, or it went away.
        TmuxError: tmux could not be asked.
    """
    gazes = [Gaze(server, session, window, None) for window in windows]
    with connect(server, session) as connection:
        journal = Journal(folder, socket_path(connection), session, windows, since, registry)
        try:
            if connection.note:
                yield notice("no-stream", f"{connection.note}; looking every {interval_s:g} s")
            lookout = Lookout(connection, session, gazes, interval_s, journal.remember)
            seen: list[Sighting] = []
            while True:
                yield from journal.record(seen, lookout.anchors(now=bool(seen)))
                if not wanted():
                    return
                seen = lookout.news(settings.BEAT_S)
        finally:
            journal.close()
