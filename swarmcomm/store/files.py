"""The folder and the files of the store: whose they are, who else may open them, on what disk."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from swarmcomm.errors import StoreError
from swarmcomm.store.trouble import corrupt, named

#: Where several hosts would each have a memory of their own for the log.
_NETWORK = re.compile(
    "nfs[0-9]?|cifs|smb[0-9]?|smbfs|afs|ncpfs|ceph|lustre|gfs2|ocfs2|beegfs|gpfs|fuse[.](sshfs|ceph"
    "|glusterfs|s3fs|rclone)"
)

_MOUNTS = Path("/proc/mounts")


def is_there(path: Path) -> bool:
    """Return whether there is anything at *path*.

    Raises:
        StoreError: that cannot be said.
    """
    with named(path):
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        return True


def make_folder(folder: Path) -> None:
    """Make *folder* and those above it that are missing, for nobody else."""
    for missing in (*reversed(folder.parents), folder):
        if not missing.exists():
            with suppress(FileExistsError):
                missing.mkdir(mode=0o700)
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise StoreError(f"{folder} is no folder; set SWARM_STATE_DIR to one of yours")
    if found.st_uid != os.geteuid():
        raise _not_ours(folder, found.st_uid)
    if found.st_mode & 0o022:
        raise StoreError(f"others may write to {folder}; take that away with: chmod 700 {folder}")


def check(path: Path) -> tuple[int, int]:
    """Return device and inode of the file; it has to be one of ours, and becomes private."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no file"
        raise StoreError(f"{path} is {what}; move it away, and a new store is made")
    if found.st_uid != os.geteuid():
        raise _not_ours(path, found.st_uid)
    if found.st_size == 0:
        raise corrupt(path, "it is empty")
    # SQLite gives the two beside it the mode that the file had when they were made.
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        file, mode = path.with_name(name), found.st_mode & 0o700
        with suppress(FileNotFoundError):
            there = file.lstat().st_mode
            if stat.S_ISREG(there) and stat.S_IMODE(there) != mode:
                file.chmod(mode)
    return found.st_dev, found.st_ino


def network(folder: Path) -> str:
    """Return the kind of network file system that *folder* is on; "" on a disk, or not known."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    folder = folder.resolve()
    kind, depth = "", -1
    for _, point, found in re.findall(r"^(\S+) (\S+) (\S+) ", mounts, flags=re.MULTILINE):
        mount = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point))
        if folder.is_relative_to(mount) and len(mount.parts) >= depth:
            kind, depth = found, len(mount.parts)
    return kind if _NETWORK.fullmatch(kind) else ""


def _not_ours(path: Path, uid: int) -> StoreError:
    return StoreError(
        f"{path} belongs to somebody else (uid {uid}); set SWARM_STATE_DIR to a folder of yours"
    )
