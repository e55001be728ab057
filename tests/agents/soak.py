"""Many tasks through real agents, and what became of each; scripts/soak.sh runs all of it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest

from tests.agents.rig import FACES, Rig, start_rig
from tests.agents.second.codex import start_codex
from tests.conftest import wait_for

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

    def faults(self) -> list[str]:
        """Return the names of the figures that are not as they have to be."""
        every = ("submitted", "received", "acknowledged", "done")
        wrong = [name for name in every if getattr(self, name) != self.tasks]
        return wrong + [name for name in ("early", "doubled", "lost") if getattr(self, name)]


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
    return int(SMALLEST_BYTES * (LARGEST_BYTES / SMALLEST_BYTES) ** place)


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
                print(rig.visible(window), flush=True)

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
        twice = max(len(acknowledged), len(done), received[task]) > 1
        if twice:
            told = f"ACK {acknowledged}, DONE {done}"
            print(f"{task} doubled: received {received[task]} times, told {told}", flush=True)
        figures.doubled += twice
        figures.lost += not done


def sender_rounds(rig: Rig, window: str, rounds: int) -> int:
    """Let bash and Python send at once; return in how many rounds both arrived apart and whole."""
    good = 0
    for turn in range(rounds):
        tasks = {name: f"at-once-{name}-{turn}" for name in FACES}
        texts = {task: description(task, 150 + 97 * turn) for task in tasks.values()}
        with ThreadPoolExecutor() as pool:
            senders = [
                pool.submit(rig.send, name, window, task, texts[task])
                for name, task in tasks.items()
            ]
            sent = [sender.result().returncode == 0 for sender in senders]
        if all(sent):
            wait_for(partial(all_received, rig, list(texts)), "both tasks")
        good += all(
            rig.received(task) == [f"[TASK] {task}\n{typed(task, text)}"]
            for task, text in texts.items()
        )
    return good


def all_received(rig: Rig, tasks: list[str]) -> bool:
    return all(rig.received(task) for task in tasks)


@dataclass
class Dialogs:
    """What became of sends into an open dialog."""

    rounds: int
    refused: int = 0  # status 5, not an Enter pressed
    approved: int = 0
    arrived: int = 0  # sent with --wait: once, when a person had closed the dialog

    def faults(self) -> list[str]:
        """Return the names of the figures that are not as they have to be."""
        wrong = [name for name in ("refused", "arrived") if getattr(self, name) != self.rounds]
        return wrong + (["approved"] if self.approved else [])


def dialog_rounds(rig: Rig, window: str, rounds: int) -> Dialogs:
    """Send into an open dialog, at once and with --wait, from both faces in turn."""
    figures = Dialogs(rounds)
    rig.make_manual(window)
    for turn, name in zip(range(rounds), cycle(FACES), strict=False):
        rig.wait_ready(window)
        rig.open_dialog(window, f"asks-{turn}")
        enters, late = rig.enters(), f"late-{turn}"
        refused = rig.send(name, window, f"never-{turn}", "1\n1\ny\nyes", wait_s=0)
        saw_it = refused.returncode == 5 and "a dialog is open" in refused.stderr
        figures.refused += saw_it and rig.enters() == enters
        waits = rig.start(name, "send", "--wait", "30", window, late, "1\ntext")
        figures.approved += not rig.has_dialog(window)
        rig.close_dialog(window)
        waits.communicate(timeout=60)
        if waits.returncode == 0:
            wait_for(partial(all_received, rig, [late]), "the task that waited")
        figures.arrived += rig.received(late) == [f"[TASK] {late}\n1\ntext"]
        figures.approved += rig.approved()
    return figures


def silence(rig: Rig, window: str, silent_s: int) -> bool:
    """Tell whether an answer that falls silent in its middle is not called done before its end."""
    rig.submit("python", window, "silent", f"{{fake:silent={silent_s}}}")
    early = rig.poll("python", window, "silent", silent_s - 3)
    return early == (1, "[ACK] silent\n") and rig.poll("python", window, "silent")[0] == 0


@contextmanager
def claude(fullscreen: bool = False) -> Iterator[Rig]:
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        start_rig(Path(folder), fullscreen=fullscreen) as rig,
    ):
        rig.launch("--agent", "claude", windows=" ".join(WINDOWS))
        yield rig


def run_classic() -> bool:
    with claude() as rig:
        return show("claude", soak(rig, 150, tuple(FACES)))


def run_fullscreen() -> bool:
    with claude(fullscreen=True) as rig:
        return show("claude, full screen", soak(rig, 30, tuple(FACES)))


def run_codex() -> bool:
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        start_codex(Path(folder), " ".join(WINDOWS)) as rig,
    ):
        good = show("codex", soak(rig, 20, tuple(FACES)))
        return show("codex, sends into an open dialog", dialog_rounds(rig, WINDOWS[0], 4)) and good


def run_dialogs() -> bool:
    with claude() as rig:
        found = dialog_rounds(rig, WINDOWS[0], 10)
    return show("sends into an open dialog", found)


def run_senders() -> bool:
    with claude() as rig:
        good = sender_rounds(rig, WINDOWS[0], 20)
    print(f"\ntwo senders at once: {good} of 20 rounds arrived apart and whole", flush=True)
    return good == 20


def run_silence() -> bool:
    with claude() as rig:
        good = silence(rig, WINDOWS[0], 40)
    said = "not called done before its end" if good else "CALLED DONE"
    print(f"\nan answer that is silent for 40 s in its middle: {said}", flush=True)
    return good


PARTS: dict[str, Callable[[], bool]] = {
    "classic": run_classic,
    "fullscreen": run_fullscreen,
    "dialogs": run_dialogs,
    "senders": run_senders,
    "silence": run_silence,
    "codex": run_codex,
}


def show(name: str, figures: Figures | Dialogs) -> bool:
    """Print a table of *figures*; return whether all is as it has to be."""
    print(f"\n{name}")
    for field in fields(figures):
        value = getattr(figures, field.name)
        print(f"  {field.name:14}{value:>8.4g}", flush=True)
    return not figures.faults()


def succeeds(name: str) -> bool:
    try:
        return PARTS[name]()
    except (AssertionError, pytest.fail.Exception) as error:
        print(f"\n{name}: {error}", flush=True)
        return False


def main(names: list[str]) -> int:
    """Run the parts named, or all; return 0 where all was as it has to be."""
    failed = [name for name in names or PARTS if not succeeds(name)]
    print(f"\nFAILED: {' '.join(failed)}" if failed else "\nall as it has to be")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
