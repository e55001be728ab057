"""Defaults with their unit and reason, and what the environment says instead of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from swarmcomm.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds that one tmux call may take. A call takes 2 ms; a frozen server never answers.
TMUX_DEADLINE_S = 10.0

#: Seconds between two looks. A look is two tmux processes of 2 ms each, or three after a change.
LOOK_S = 0.2

#: Seconds that a send waits for a window that cannot take the text yet.
SEND_WAIT_S = 30.0

#: Seconds for typed text to be seen at the cursor; a slow agent repaints within one.
SEEN_S = 5.0

#: Seconds for the box to come back after a text that has just left, and to be painted.
BACK_S = 0.7

#: Seconds for the text to leave after Enter, before Enter is pressed once more: more than a busy
#: machine needs to paint, since an Enter too many could answer a dialog that is not painted yet.
LEFT_S = 3.0

#: Seconds for the text to leave after the second Enter.
LEFT_AGAIN_S = 2.0

#: Seconds for a hook of the agent to tell of a text that is on the screen already.
HOOK_LATE_S = 3.0

#: Seconds after which a piece that ends like the one before it, at the same place, has arrived. Few
#: do, since the pieces are cut so that the cursor tells; with four busy programs on two cores
#: claude took 0.2 to 2.2 s to paint one.
SAME_END_S = 3.0

#: C-u presses at a time for a left-over; claude clears a line with two, and drops longer bursts.
CLEAR_BURST = 20

#: Bursts for a left-over: of the longest text that is typed some 1,000 lines are cleared so.
CLEAR_BURSTS = 100

#: Seconds for the box to be seen empty after a burst.
CLEARED_S = 0.3

#: Seconds between two looks while a text is being typed or waited for.
STEP_S = 0.02

#: Seconds between two tries to have the turn on a pane; whoever has it keeps it for longer.
TURN_S = 0.1

#: Seconds that a lock may stand unchanged before another sender takes it: longer than all but the
#: longest texts are typed, well below SEND_WAIT_S. Who lost its lock can no longer type.
LOCK_STALE_S = 10.0

#: Lines of a text that names its own answers, in a plain terminal: each is typed when the terminal
#: stands still, since echo and output mix, and 200 take five seconds.
PLAIN_ESCAPED_LINES = 200

#: Seconds for a plain terminal to stand still before the next such line.
STILL_S = 1.0

#: Bytes of text in one tmux command: each is three characters, and tmux takes about 16,300.
PIECE_BYTES = 1600

#: Columns of a row that the first piece of a text leaves free in a box: its end, and the cursor.
ROW_SPARE = 2

#: Bytes that a cooked terminal line keeps; the kernel drops what is longer.
COOKED_LINE_BYTES = {"darwin": 1023}
COOKED_LINE_BYTES_DEFAULT = 4095

#: Seconds to wait for another program that writes events; one transaction takes some ms.
STORE_BUSY_S = 5.0

#: Seconds between two looks for what wakes nobody: programs that ended, hooks, windows that came.
BEAT_S = 1.0

#: Seconds that a program gets to finish what it paints before it is looked at.
SETTLE_S = 0.01

#: A look that took a second is followed by so many seconds without one.
LOOK_REST = 4

#: Seconds without output after which a row is read that no newline has ended.
UNFINISHED_S = 1.0

#: Seconds after which a program that painted is taken for one that prints lines again.
PAINTS_S = 2.0

#: Seconds between two notes of where reading stands, while nothing is told.
ANCHORS_S = 5.0

#: Seconds for which a store that could not be used is left alone.
STORE_AGAIN_S = 30.0

#: Seconds that a message is its reader's before it is given out again: longer than an agent works
#: on one. A reader that ended has lost it at once.
LEASE_S = 600.0

#: Seconds that a message waits for its reader: a week, so that one outlives a holiday.
MESSAGE_EXPIRES_S = 7 * 86_400.0

#: Messages that are given out at once where the reader does not say.
MESSAGES_AT_ONCE = 100

#: Ids that a pane keeps of those that are sent once; a courier that was killed leaves one open.
ENTERED_KEPT = 50

#: Oldest tmux that has all we need (new-session -e, copy-mode -q).
TMUX_MINIMUM = (3, 2)

_SESSION_NAME = re.compile(r"[A-Za-z0-9_-]+")
_CONF = Path(__file__).with_name("session.conf")


@dataclass(frozen=True)
class Settings:
    """Where the swarm is and how it is started."""

    session: str
    windows: tuple[str, ...]
    socket: str | None
    tmux: str
    workdir: Path | None
    agent: str
    tag: bool
    hooks: bool
    interval_s: float
    state: Path | None

    def with_session(self, session: str | None, socket: str | None) -> Settings:
        """Return these settings for another session or socket; None keeps what is set.

        Raises:
            InvalidInputError: *session* is no session name of ours.
        """
        return replace(
            self,
            session=check_session(session) if session is not None else self.session,
            socket=socket or self.socket,
        )


def check_session(name: str) -> str:
    """Return *name*.

    Raises:
        InvalidInputError: it holds anything but letters, digits, ``_`` and ``-``.
    """
    if not _SESSION_NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} is no session name; letters, digits, '_' and '-' are allowed"
        )
    return name


def session_conf() -> dict[str, str]:
    """Return ``session.conf``, the KEY=VALUE lines that both launchers read."""
    pairs = (
        line.split("=", 1)
        for line in _CONF.read_text(encoding="utf-8").splitlines()
        if "=" in line and not line.startswith("#")
    )
    return {key.strip(): value.strip().strip('"') for key, value in pairs}


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Return the settings that *environ* gives, over the defaults.

    Raises:
        InvalidInputError: a variable holds what cannot be used.
    """
    conf = session_conf()
    return Settings(
        session=check_session(
            environ.get("SWARM_SESSION") or environ.get("CLAUDE_SESSION") or conf["SESSION"]
        ),
        windows=tuple((environ.get("SWARM_WINDOWS") or conf["WINDOWS"]).split()),
        socket=environ.get("SWARM_SOCKET") or None,
        tmux=environ.get("SWARM_TMUX") or "tmux",
        workdir=Path(environ["SWARM_WORKDIR"]) if environ.get("SWARM_WORKDIR") else None,
        agent=environ.get("SWARM_AGENT") or "claude",
        tag=environ.get("SWARM_TAG", "") not in ("", "0"),
        hooks=environ.get("SWARM_HOOKS", "") != "0",
        interval_s=_seconds("SWARM_INTERVAL", environ.get("SWARM_INTERVAL"), LOOK_S),
        state=state_folder(environ),
    )


def state_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder for what we keep, as an absolute path; None where there is no home."""
    given, state, home = map(environ.get, ("SWARM_STATE_DIR", "XDG_STATE_HOME", "HOME"))
    if given:
        return Path(given).absolute()
    if state:
        return Path(state, "swarmcomm").absolute()
    return Path(home, ".local/state/swarmcomm").absolute() if home else None


def _seconds(name: str, text: str | None, default: float) -> float:
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidInputError(f"{name}={text!r} is no time; give seconds above 0, as in 0.5")
    return seconds
