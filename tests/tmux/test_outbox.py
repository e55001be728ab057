"""The queue between the thread that reads and whoever waits: ordered, bounded, honest."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import pytest

from swarmcomm.errors import NotFoundError, TmuxError
from swarmcomm.tmux.outbox import Lost, Outbox, Output


def test_everything_comes_in_order_and_neighbours_are_joined() -> None:
    box = Outbox(10_000)
    for pane, data in (("%1", b"a"), ("%1", b"b"), ("%2", b"c"), ("%1", b"d")):
        box.put(pane, data)
    box.lose(None, "why")
    box.lose(None, "why")
    assert box.take(0) == [
        Output("%1", b"ab"),
        Output("%2", b"c"),
        Output("%1", b"d"),
        Lost(None, "why"),
    ]
    assert box.take(0) == []


def test_what_is_known_from_a_newer_look_is_dropped_and_nothing_else() -> None:
    box = Outbox(10_000)
    box.put("%1", b"a")
    box.put("%2", b"b")
    box.lose("%1", "why")
    box.lose(None, "why")
    box.drop("%1")
    box.put("%1", b"c")
    assert box.take(0) == [Output("%2", b"b"), Lost(None, "why"), Output("%1", b"c")]


def test_the_pane_that_fills_it_loses_what_it_has_at_the_place_of_the_first() -> None:
    box = Outbox(10_000)
    box.put("%2", b"b")
    box.put("%1", b"x" * 4000)
    box.put("%3", b"c")
    box.put("%1", b"x" * 4000)
    box.put("%3", b"x" * 4000)
    box.put("%1", b"d")
    assert box.take(0) == [
        Output("%2", b"b"),
        Lost("%1", "whoever watches was too slow"),
        Output("%3", b"c"),
        Output("%3", b"x" * 4000),
        Output("%1", b"d"),
    ]


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_it_never_holds_more_than_its_limit(size: int) -> None:
    box = Outbox(10_000)
    for number in range(10_000):
        box.put(f"%{number % 7}", b"x" * size)
    found = box.take(0)
    assert sum(len(each.data) for each in found if isinstance(each, Output)) <= 10_000
    assert len(found) < 100
    # It is empty now, and is counted so.
    box.put("%1", b"x" * 9000)
    assert box.take(0) == [Output("%1", b"x" * 9000)]


def test_the_end_is_told_after_what_was_there() -> None:
    box = Outbox(10_000)
    box.put("%1", b"a")
    box.end(NotFoundError("gone"))
    box.end(TmuxError("closed"))
    assert box.take(0) == [Output("%1", b"a")]
    for _ in range(2):
        with pytest.raises(NotFoundError, match="gone"):
            box.take(60)


def test_who_waits_is_woken_by_each_kind_of_news() -> None:
    for news in (
        lambda box: box.put("%1", b"a"),
        lambda box: box.lose(None, "why"),
        lambda box: box.end(TmuxError("closed")),
    ):
        box = Outbox(10_000)
        found: list[object] = []

        def wait(box: Outbox = box, found: list[object] = found) -> None:
            try:
                found.extend(box.take(600))
            except TmuxError as error:
                found.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        news(box)
        thread.join()
        assert len(found) == 1


def test_an_end_behind_what_one_takes_is_told_to_all_who_wait() -> None:
    waiting = threading.Semaphore(0)

    class News(SimpleQueue[None]):
        def get(self, block: bool = True, timeout: float | None = None) -> None:
            waiting.release()
            super().get(block, timeout)

    box = Outbox(10_000)
    box._news = News()
    found: list[str] = []

    def wait() -> None:
        try:
            found.extend(map(str, box.take(20)))
        except TmuxError as error:
            found.append(str(error))

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert waiting.acquire(timeout=20)
    box.put("%1", b"a")
    box.end(TmuxError("closed"))
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted([str(Output("%1", b"a")), "closed"])
