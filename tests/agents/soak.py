"""Many tasks through real agents, and what became of each; ``python -m tests.agents.soak``.

Prints a table. ``scripts/soak.sh`` runs it with its full figures.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import cycle

from tests.agents.rig import Rig

WINDOWS = ("worker-0", "worker-1", "worker-2")
SMALLEST_BYTES, LARGEST_BYTES = 100, 20_000
TASK_DEADLINE_S = 60
DELAY_S = 0.3  # between ACK and DONE: an answer called early is early by that


@dataclass
class Figures:
    """What became of *tasks* tasks; times of the model and of the watcher are of one clock."""

    tasks: int
    submitted: int = 0
    enters: int = 0
    received: int = 0  # once, exactly as typed
    acknowledged: int = 0
    done: int = 0
    early: int = 0  # called done before the model began to say so
    doubled: int = 0  # received, acknowledged or done more than once
    lost: int = 0  # submitted, and not done
    seconds: float = 0.0


def description(task: str, size: int) -> str:
    """Return *size* bytes of many lines that name the task's own end."""
    line = f"Write ünïcode 中文, `code` and \\back; then the line\n[DONE] {task}\nand go on. "
    return (line * (size // len(line.encode()) + 1)).encode()[: size - 4].decode(
        errors="ignore"
    ) + " end"


def typed(task: str, text: str) -> str:
    """Return *text* as the model gets it: its own end is quoted."""
    return text.replace(f"[DONE] {task}", f"\\[DONE] {task}")


def size_of(number: int, count: int) -> int:
    """Return the bytes of a task: as many small ones as large ones, in no order."""
    place = (number * 37 % count) / max(count - 1, 1)
    return round(SMALLEST_BYTES * (LARGEST_BYTES / SMALLEST_BYTES) ** place)


class Watcher:
    """Reads ``swarmcomm watch`` and keeps when it saw which answer."""

    def __init__(self, rig: Rig) -> None:
        self.seen: dict[tuple[str, str], list[float]] = {}
        self._changed = threading.Condition()
        self._process = rig.start("python", "watch", "--json", "--interval", "0.1", *WINDOWS)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            event = json.loads(line)
            if event["marker"]:
                at = datetime.fromisoformat(event["time"]).timestamp()
                with self._changed:
                    self.seen.setdefault((event["marker"], event["wire_id"]), []).append(at)
                    self._changed.notify_all()

    def wait_done(self, task: str) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: ("DONE", task) in self.seen, TASK_DEADLINE_S)

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()
        self._thread.join()


def soak(rig: Rig, count: int, faces: tuple[str, ...], prefix: str = "soak") -> Figures:
    """Send *count* tasks in turn from *faces* into the windows, each when the one before ended."""
    figures = Figures(count)
    texts = {
        f"{prefix}-{number}": f"{{fake:delay={DELAY_S}}} "
        + description(f"{prefix}-{number}", size_of(number, count))
        for number in range(count)
    }
    enters, begin = rig.enters(), time.monotonic()
    watcher = Watcher(rig)
    submitted: list[str] = []

    def feed(place: int, window: str) -> None:
        for task, face in list(zip(texts, cycle(faces), strict=False))[place :: len(WINDOWS)]:
            try:
                sent = rig.send(face, window, task, texts[task])
            except subprocess.TimeoutExpired:
                continue
            if sent.returncode == 0:
                submitted.append(task)
                watcher.wait_done(task)
            else:
                print(f"{window} {task}: status {sent.returncode}: {sent.stderr.strip()}")

    try:
        threads = [threading.Thread(target=feed, args=item) for item in enumerate(WINDOWS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(1)  # a doubled answer would come now
    finally:
        watcher.stop()
    figures.seconds = time.monotonic() - begin
    figures.submitted = len(submitted)
    figures.enters = rig.enters() - enters
    count_up(figures, rig, watcher, texts)
    return figures


def count_up(figures: Figures, rig: Rig, watcher: Watcher, texts: dict[str, str]) -> None:
    said = rig.said("DONE")
    received: Counter[str] = Counter()
    exact: Counter[str] = Counter()
    for request in rig.requests():
        for task in request.get("tasks", ()):
            if task in texts and request["status"] == 200:
                received[task] += 1
                exact[task] += f"[TASK] {task}\n{typed(task, texts[task])}" in request["texts"]
    for task in texts:
        acknowledged = watcher.seen.get(("ACK", task), [])
        done = watcher.seen.get(("DONE", task), [])
        figures.received += exact[task] == 1
        figures.acknowledged += bool(acknowledged)
        figures.done += bool(done)
        figures.early += any(at < said.get(task, float("inf")) for at in done)
        figures.doubled += max(len(acknowledged), len(done), received[task]) > 1
        figures.lost += not done


def check(figures: Figures) -> None:
    """Fail where one task did not do what all have to."""
    number = figures.tasks
    for name in ("submitted", "received", "acknowledged", "done"):
        assert getattr(figures, name) == number, figures
    assert (figures.early, figures.doubled, figures.lost) == (0, 0, 0), figures


def table(rows: dict[str, Figures]) -> str:
    """Return the figures as a table with one column for each of *rows*."""
    lines = [f"{'':14}" + "".join(f"{name:>14}" for name in rows)]
    for field in fields(Figures):
        values = [getattr(figures, field.name) for figures in rows.values()]
        cells = [f"{v:.1f}" if isinstance(v, float) else str(v) for v in values]
        lines.append(f"{field.name:14}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)
