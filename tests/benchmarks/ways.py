"""The ways to watch that are compared, each a program of its own.

Each prints a line for each answer that it has not seen before. ``python -m tests.benchmarks.ways
NAME WINDOW...`` is the watcher of the ways in Python; its lines begin with ``@`` and the time at
which it knew, CLOCK_MONOTONIC in nanoseconds.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from tests.conftest import ROOT

#: What is done by hand: each window once a second, the last 200 lines, grep.
_BASH = r"""
declare -A seen
while :; do
  for window in "$@"; do
    while IFS= read -r line; do
      [[ -n "${seen[${window} ${line}]-}" ]] || printf '%s: %s\n' "${window}" "${line}"
      seen[${window} ${line}]=1
    done < <(tmux -L "${SWARM_SOCKET}" capture-pane -p -S - -t "=${SWARM_SESSION}:=${window}" |
      tail -200 | grep -E '^\[(ACK|DONE|ERROR|WAIT|HELP)\] ')
  done
  sleep 1
done
"""


@dataclass(frozen=True)
class Way:
    """One way to watch; *settle_s* is how long it takes to have looked at a few windows."""

    name: str
    argv: tuple[str, ...]

    def command(self, windows: list[str]) -> list[str]:
        """Return the command that watches *windows*."""
        return [*self.argv, *windows]


_SELF = (sys.executable, "-m", "tests.benchmarks.ways")
BASH = Way("bash, capture-pane | tail | grep, 1 s", ("bash", "-c", _BASH, "bash"))
SCRIPT = Way(
    "claude_poll.sh --interval 1",
    ("bash", str(ROOT / "scripts" / "claude_poll.sh"), "--interval", "1"),
)
LIBTMUX = Way("libtmux, capture_pane, 100 ms", (*_SELF, "libtmux"))
SWARMCOMM = Way("Swarm.watch", (*_SELF, "swarmcomm"))
WAYS = (BASH, SCRIPT, LIBTMUX, SWARMCOMM)


def _libtmux(windows: list[str]) -> Iterator[str]:
    import os

    import libtmux

    session = libtmux.Server(socket_name=os.environ["SWARM_SOCKET"]).sessions[0]
    panes = [(window.name, window.panes[0]) for window in session.windows if window.name in windows]
    seen = set()
    while True:
        for name, pane in panes:
            for line in pane.capture_pane(start=-200):
                if re.match(r"\[(ACK|DONE|ERROR|WAIT|HELP)\] ", line) and (name, line) not in seen:
                    seen.add((name, line))
                    yield f"{name}: {line}"
        time.sleep(0.1)


def _swarmcomm(windows: list[str]) -> Iterator[str]:
    from swarmcomm import Swarm

    for event in Swarm.attach().watch(tuple(windows)):
        if event.marker:
            yield f"{event.window}: [{event.marker}] {event.wire_id} {event.text}"
        elif event.flags[:1] == ("gap",):
            yield f"{event.window}: gap {event.text}"


def main() -> None:
    watch: Callable[[list[str]], Iterator[str]] = {"libtmux": _libtmux, "swarmcomm": _swarmcomm}[
        sys.argv[1]
    ]
    lines = watch(sys.argv[2:])
    for _ in count():
        try:
            line = next(lines)
        except (StopIteration, KeyboardInterrupt):
            break
        # One write: a flood is not to be slowed down by its printing.
        sys.stdout.write(f"@{time.monotonic_ns()} {line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
