"""Records what tmux sends to control clients: ``python -m tests.tmux.record_corpus``.

It writes ``corpus/NAME.bin``, the bytes as they came, for the tests of the parser.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")

#: Everything that tmux writes in another way, and what looks like the end of a reply.
PRINTED = (
    r"printf '\001\002\a\b\t\v\f\r\033[1;31mred\033[0m \\ \\\\ \\033 \177 \200\377 %%end 1 2 1\n';"
    r" printf '%%end 1 2 1\n%%begin 1 2 1\n%%exit\n%%output %%0 x\n';"
    r" printf 'é 世界 😀 a\314\201 :  : x\n'; printf '\033]0;title\007\033[?1049h\033[?1049l';"
    " printf DONE; cat"
)

COMMANDS = (
    "display-message -p hello",
    "display-message -p ''",
    "no-such-command",
    "kill-pane -t %99",
    "display-message -p a ; display-message -p b",
    "kill-pane -t %99 ; display-message -p never",
    "if-shell -F 1 'display-message -p inner'",
    "capture-pane -p -t %0",
    "capture-pane -p -e -t %0",
    "new-window -d -n other cat",
    "rename-window -t %0 new-name",
    "split-window -d cat",
    "list-panes -s -F '#{pane_id} #{window_name}'",
    "kill-window -t other",
    "refresh-client -A '%0:pause'",
    "refresh-client -A '%0:continue'",
    "set-option -g status-left '%end 1 2 1'",
    "show-options -g status-left",
    "rename-session t",
)


class Client:
    """A control client whose bytes are kept."""

    def __init__(self, tmux: list[str], flags: str) -> None:
        self.process = subprocess.Popen(
            [*tmux, "-C", "attach-session", "-t", "=s:", "-f", flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.data = b""
        self.until(b"%session-changed")

    def until(self, text: bytes, count: int = 1) -> None:
        assert self.process.stdout
        end = time.monotonic() + 10
        while self.data.count(text) < count:
            assert time.monotonic() < end, (text, self.data)
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                self.data += os.read(self.process.stdout.fileno(), 4096)

    def write(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())

    def end(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        while data := os.read(self.process.stdout.fileno(), 4096):
            self.data += data
        self.process.wait()


def main() -> None:
    """Record every case anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, flags in (
        ("output", "ignore-size"),
        ("extended", "ignore-size,pause-after=1"),
        ("commands", "ignore-size,no-output"),
    ):
        with tempfile.TemporaryDirectory(prefix="swt") as folder:
            os.environ["TMUX_TMPDIR"] = folder
            tmux = ["tmux", "-u", "-Lrecord", "-f", "/dev/null"]
            go = Path(folder, "go")
            waits = f"while [ ! -e {go} ]; do sleep 0.05; done; {PRINTED}"
            size = ["-x", "60", "-y", "12"]
            subprocess.run([*tmux, "new", "-d", "-s", "s", *size, shlex.join(["sh", "-c", waits])])
            client = Client(tmux, flags)
            go.touch()
            look = [*tmux, "capture-pane", "-p", "-t", "%0"]
            while b"DONE" not in subprocess.run(look, capture_output=True).stdout:
                time.sleep(0.05)
            if name != "commands":
                client.until(b"DONE")
            for number, line in enumerate(COMMANDS):
                client.write(line)
                client.write(f"display-message -p mark-{number}")
                client.until(f"\nmark-{number}\n%end".encode())
            client.end()
            subprocess.run([*tmux, "kill-server"])
            FOLDER.joinpath(f"{name}.bin").write_bytes(client.data)


if __name__ == "__main__":
    main()
