"""The file of the permissions: what it says counts at once; what cannot be trusted is no yes."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from swarmcomm import permissions
from swarmcomm.errors import PermissionsFileError
from swarmcomm.permissions import DEFAULTS, MASTER, SESSION, Permissions

ALL = {
    "can_create_sessions": True,
    "can_manage_worktrees": True,
    "can_merge_branches": True,
    "max_child_sessions": 3,
    "restricted_to_task": False,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the file is looked for; it is not there yet, and its folder is an old one."""
    folder = tmp_path / "swarmcomm"
    folder.mkdir(mode=0o700)
    os.utime(folder, (1, 1))
    return folder / "permissions.json"


def write(file: Path, roles: object, top: str = "session_permissions") -> None:
    file.write_text(json.dumps({top: roles}), encoding="utf-8")
    file.chmod(0o600)


def test_without_a_file_a_master_may_all_and_a_session_nothing(file: Path) -> None:
    assert permissions.load(file) == permissions.load(None) == DEFAULTS
    assert DEFAULTS[MASTER] == Permissions(True, True, True, 8, False)
    assert DEFAULTS[SESSION] == Permissions(False, False, False, 0, True)


@pytest.mark.parametrize(
    ("word", "role"),
    [("master", MASTER), ("child", SESSION), ("worker", SESSION), ("", SESSION), ("x", "x")],
)
def test_words_of_the_environment_are_roles(word: str, role: str) -> None:
    assert permissions.role_of(word) == role


def test_what_is_left_out_is_the_default_and_a_new_role_may_nothing_more(file: Path) -> None:
    write(file, {MASTER: {"max_child_sessions": 2}, "reviewer": {"can_merge_branches": True}})
    found = permissions.load(file)
    assert found[MASTER] == Permissions(True, True, True, 2, False)
    assert found[SESSION] == DEFAULTS[SESSION]
    assert found["reviewer"] == Permissions(can_merge_branches=True)
    assert permissions.of("nobody-knows-it", file) == DEFAULTS[SESSION]


BROKEN = {
    "empty": b"",
    "torn": b'{"session_permissions": {"dev_session": {"can_create_sessions": tr',
    "no JSON": b"allow: all",
    "a remark": b'{"session_permissions": {}} // all',
    "two objects": b'{"session_permissions": {}}{"session_permissions": {}}',
    "not UTF-8": b'{"session_permissions": {"\xff": {}}}',
    "deep": b'{"session_permissions": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "long": b'{"session_permissions": {}}' + b" " * 70_000,
    "a list": b"[]",
    "null": b"null",
    "no key": b"{}",
    "another key": b'{"permissions": {}}',
    "one key more": b'{"session_permissions": {}, "default": "allow"}',
    "a key twice": b'{"session_permissions": {"dev_session": {}, "dev_session": {}}}',
    "roles as a list": b'{"session_permissions": []}',
    "a role that is true": b'{"session_permissions": {"dev_session": true}}',
    "a role of blanks": b'{"session_permissions": {"a b": {}}}',
    "an unknown key": b'{"session_permissions": {"dev_session": {"can_do_all": true}}}',
    "a key in capitals": b'{"session_permissions": {"dev_session": {"CAN_CREATE_SESSIONS": true}}}',
    "a text": b'{"session_permissions": {"dev_session": {"can_create_sessions": "true"}}}',
    "a number": b'{"session_permissions": {"dev_session": {"can_create_sessions": 1}}}',
    "null in it": b'{"session_permissions": {"dev_session": {"can_create_sessions": null}}}',
    "true children": b'{"session_permissions": {"dev_session": {"max_child_sessions": true}}}',
    "minus one": b'{"session_permissions": {"dev_session": {"max_child_sessions": -1}}}',
    "a half child": b'{"session_permissions": {"dev_session": {"max_child_sessions": 1.5}}}',
    "infinite": b'{"session_permissions": {"dev_session": {"max_child_sessions": Infinity}}}',
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_allows_nothing_and_says_so_on_one_line(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    file.chmod(0o600)
    with pytest.raises(PermissionsFileError, match="so nothing is allowed") as raised:
        permissions.load(file)
    assert isinstance(raised.value, PermissionError)
    assert raised.value.exit_status == 5
    assert str(raised.value).startswith(str(file))
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("which", "mode"), [("file", 0o620), ("file", 0o602), ("folder", 0o720), ("folder", 0o702)]
)
def test_what_others_can_write_allows_nothing(file: Path, which: str, mode: int) -> None:
    write(file, {})
    assert permissions.load(file) == DEFAULTS
    place = file if which == "file" else file.parent
    place.chmod(mode)
    with pytest.raises(PermissionsFileError, match=f"written by others.*chmod go-w '{place}'"):
        permissions.load(file)


def test_the_folder_that_a_link_points_into_counts_as_well(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "permissions.json"
    real.parent.mkdir(mode=0o700)
    write(real, {MASTER: ALL})
    file.symlink_to(real)
    assert permissions.load(file)[MASTER].max_child_sessions == 3
    real.parent.chmod(0o777)
    with pytest.raises(PermissionsFileError, match="written by others"):
        permissions.load(file)
    real.parent.chmod(0o700)
    real.unlink()
    os.utime(file.parent, (1, 1))
    with pytest.raises(PermissionsFileError, match="link to nothing"):
        permissions.load(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_file_of_somebody_else_allows_nothing(file: Path, which: str) -> None:
    write(file, {})
    os.chown(file if which == "file" else file.parent, 12345, -1)
    with pytest.raises(PermissionsFileError, match="belongs to somebody else"):
        permissions.load(file)


def test_what_cannot_be_read_allows_nothing(file: Path, tmp_path: Path) -> None:
    file.mkdir(mode=0o700)
    with pytest.raises(PermissionsFileError):
        permissions.load(file)
    file.rmdir()
    os.mkfifo(file, 0o600)
    with pytest.raises(PermissionsFileError, match="is no file"):
        permissions.load(file)
    (tmp_path / "plain").write_text("")
    with pytest.raises(PermissionsFileError, match="cannot be read"):
        permissions.load(tmp_path / "plain" / "permissions.json")
    if os.geteuid() != 0:
        file.unlink()
        write(file, {})
        file.chmod(0)
        with pytest.raises(PermissionsFileError, match="cannot be read"):
            permissions.load(file)


def test_d15_a_file_that_is_edited_counts_at_once_and_is_never_a_yes_by_halves(file: Path) -> None:
    """D15: in place, torn, by rename, gone for a moment: old or new or refused, never more."""
    no = {MASTER: {**ALL, "can_create_sessions": False}}
    write(file, no)
    assert not permissions.load(file)[MASTER].can_create_sessions
    write(file, {MASTER: ALL})
    assert permissions.load(file)[MASTER].can_create_sessions
    write(file, no)
    assert not permissions.load(file)[MASTER].can_create_sessions

    stop = threading.Event()

    def edit() -> None:
        """Both forbid: what is ever read as allowed is somebody's guess."""
        texts = [
            json.dumps({"session_permissions": no}, indent=indent).encode() for indent in (0, 4)
        ]
        other = file.with_suffix(".new")
        while not stop.is_set():
            for text in texts:
                with file.open("wb", buffering=0) as out:  # emptied, then in pieces
                    for at in range(0, len(text), 17):
                        out.write(text[at : at + 17])
                other.write_bytes(text)
                other.chmod(0o600)
                other.replace(file)
                file.unlink()  # as some editors do
                file.touch(mode=0o600)
                file.write_bytes(text)

    editor = threading.Thread(target=edit)
    editor.start()
    seen = {"read": 0, "refused": 0}
    try:
        while min(seen.values()) < 20:
            try:
                found = permissions.load(file)
            except PermissionsFileError:
                seen["refused"] += 1
            else:
                assert not found[MASTER].can_create_sessions
                assert not found[SESSION].can_create_sessions
                seen["read"] += 1
    finally:
        stop.set()
        editor.join()
