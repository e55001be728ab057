"""``hooks.log`` in the state folder: what hooks and handlers could not do, for a person to read."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from swarmcomm import clock

if TYPE_CHECKING:
    from pathlib import Path

FILE = "hooks.log"

#: Bytes of the file; then it is kept as ``hooks.log.old`` and begins anew.
MAX_BYTES = 256 * 1024

#: Bytes of one line.
_LINE_BYTES = 4 * 1024


def note(folder: Path | None, text: str) -> None:
    """Append *text* as one line with the time to the log in *folder*, for nobody else to read.

    Does nothing, and raises nothing, where that cannot be done.
    """
    if folder is None:
        return
    words = "".join(char if char.isprintable() else " " for char in text)
    line = f"{clock.now().isoformat(timespec='seconds')} [{os.getpid()}] {words}"
    data = line.encode("utf-8", "replace")[: _LINE_BYTES - 1] + b"\n"
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _append(folder, data)


def _append(folder: Path, data: bytes) -> None:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    home = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | flags)
    try:
        if not _is_ours(os.fstat(home), 0o022):
            return
        flags |= os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
        file = os.open(FILE, flags, 0o600, dir_fd=home)
        try:
            found = os.fstat(file)
            if stat.S_ISREG(found.st_mode) and _is_ours(found, 0o077):
                os.write(file, data)
                if found.st_size > MAX_BYTES:
                    os.replace(FILE, f"{FILE}.old", src_dir_fd=home, dst_dir_fd=home)
        finally:
            os.close(file)
    finally:
        os.close(home)


def _is_ours(found: os.stat_result, forbidden: int) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & forbidden
