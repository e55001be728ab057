"""The hook program: writes down what an agent tells its hooks, as ``python3 -I -S witness.py DIR``.

It reads one JSON object and appends one line of JSON to ``DIR/<tmux server's pid>-<pane>.jsonl``,
where TMUX and TMUX_PANE say which. Whatever happens it prints nothing, ends with status 0 and is
gone soon: an agent waits for its hooks. It needs nothing but Python 3.6 and imports nothing of
ours, so that it starts in 20 ms wherever the agent runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import stat
import sys

#: Seconds to wait for the input; an agent writes it at once.
INPUT_S = 3.0

#: Seconds to wait for another hook of this window, which needs less than a millisecond.
LOCK_S = 0.05

#: Bytes of input, and of a text that is kept.
INPUT_BYTES = 16 * 1024 * 1024
TEXT_BYTES = 256 * 1024

#: What is kept of the input, and what it is called in the spool. Of a prompt only the first line,
#: which names the task; of the last message its end.
KEPT = (
    ("prompt_id", "turn"),
    ("last_assistant_message", "message"),
    ("error", "error"),
    ("reason", "reason"),
    ("tool_name", "tool"),
    ("notification_type", "notification"),
)


class Late(Exception):
    """The time for a step is over."""


def main() -> None:
    """Write the line, or nothing."""
    try:
        signal.signal(signal.SIGALRM, _late)
        spool(sys.argv[1], os.environ["TMUX"], os.environ["TMUX_PANE"])
    except BaseException:  # an agent must never hear of it
        pass
    finally:
        os._exit(0)  # not even a flush that fails


def spool(folder: str, tmux: str, pane: str) -> None:
    """Append what standard input says to the file of the window."""
    server = tmux.rsplit(",", 2)[1]
    if not re.fullmatch("[0-9]{1,9}", server) or not re.fullmatch("%[0-9]{1,9}", pane):
        return
    signal.setitimer(signal.ITIMER_REAL, INPUT_S)
    told = json.loads(sys.stdin.buffer.read(INPUT_BYTES))
    signal.setitimer(signal.ITIMER_REAL, 0)
    line = json.dumps(record(told), ensure_ascii=False, separators=(",", ":")) + "\n"
    append(folder, f"{server}-{pane[1:]}.jsonl", line.encode())


def record(told: dict[str, object]) -> dict[str, str]:
    """Return what is kept of a hook's input."""
    kept = {"event": _text(told["hook_event_name"])}
    prompt = told.get("prompt")
    if isinstance(prompt, str):
        kept["prompt"] = _text((prompt.lstrip().splitlines() or [""])[0][:1024])
    for name, short in KEPT:
        if isinstance(told.get(name), str):
            kept[short] = _text(told[name])
    return kept


def append(folder: str, name: str, line: bytes) -> None:
    """Append *line*, whole or not at all, to a file that nobody else can read."""
    os.umask(0o077)
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    home = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | flags)
    if not _is_ours(os.fstat(home), 0o022):
        return
    flags |= os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    file = os.open(name, flags, 0o600, dir_fd=home)
    there = os.fstat(file)
    if not stat.S_ISREG(there.st_mode) or there.st_nlink != 1 or not _is_ours(there, 0o077):
        return
    try:
        signal.setitimer(signal.ITIMER_REAL, LOCK_S)
        fcntl.flock(file, fcntl.LOCK_EX)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Late:
        pass  # who holds it was stopped; one write behind the end of a file is whole all the same
    size = os.fstat(file).st_size
    if os.write(file, line) != len(line):
        os.ftruncate(file, size)


def _is_ours(found: os.stat_result, forbidden: int) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & forbidden


def _text(value: object) -> str:
    """Return *value* in valid UTF-8, its end where it is too long."""
    return str(value).encode("utf-8", "replace")[-TEXT_BYTES:].decode("utf-8", "ignore")


def _late(_number: int, _frame: object) -> None:
    raise Late


if __name__ == "__main__":
    main()
