"""The folder and its files are for nobody else, from the moment that they are there."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmcomm import errors
from swarmcomm.store import FILE, Store, database
from tests.store.conftest import answer, names
from tests.store.processes import NOBODY, as_nobody, run

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes files of two users")


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the user that as_nobody() is; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        yield path


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_folder_and_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "above" / "swarmcomm"

    def child() -> None:
        os.umask(umask)
        store = Store.open(folder)
        store.record([answer()])
        assert modes(folder) == {FILE: 0o600, f"{FILE}-wal": 0o600, f"{FILE}-shm": 0o600}
        store.close()

    assert run(child) == 0
    assert modes(tmp_path) == {"above": 0o700}
    assert modes(tmp_path / "above") == {"swarmcomm": 0o700}


def test_no_file_is_ever_there_that_others_could_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()

    def upgrade(*args: object) -> None:
        really(*args)  # type: ignore[arg-type]
        (making,) = folder.iterdir()
        assert stat.S_IMODE(making.stat().st_mode) == 0o700
        seen.update(modes(making).values())

    really = database._upgrade
    monkeypatch.setattr(database, "_upgrade", upgrade)
    before = os.umask(0)
    try:
        Store.open(folder).close()
    finally:
        os.umask(before)
    assert seen == {0o600}


def test_a_file_that_others_may_read_is_closed_to_them(store: Store, folder: Path) -> None:
    store.close()
    (folder / FILE).chmod(0o644)
    Store.open(folder).close()
    assert modes(folder) == {FILE: 0o600}


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir(parents=True)
    folder.chmod(mode)
    with pytest.raises(errors.StoreError, match="chmod 700"):
        Store.open(folder)
    assert names(folder) == []


@needs_root
def test_a_folder_or_file_of_somebody_else_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True)
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(errors.StoreError, match="somebody else"):
        Store.open(folder)
    assert names(folder) == []
    os.chown(folder, 0, 0)
    Store.open(folder).close()
    os.chown(folder / FILE, NOBODY, NOBODY)
    with pytest.raises(errors.StoreError, match="somebody else"):
        Store.open(folder)


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_in_place_of_the_file_is_refused(
    folder: Path, tmp_path: Path, there: bool
) -> None:
    target = tmp_path / "target.db"
    if there:
        Store.open(tmp_path / "another").close()
        shutil.copy(tmp_path / "another" / FILE, target)
    folder.mkdir(parents=True)
    (folder / FILE).symlink_to(target)
    with pytest.raises(errors.StoreError, match="symbolic link"):
        Store.open(folder)
    assert target.exists() is there


def test_a_folder_in_place_of_the_file_or_a_file_in_place_of_the_folder_is_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "a" / FILE).mkdir(parents=True)
    (tmp_path / "b").write_text("")
    for folder in ("a", "b", "b/below"):
        with pytest.raises(errors.StoreError):
            Store.open(tmp_path / folder)
    with pytest.raises(errors.StoreError):
        Store.existing(tmp_path / "b")


def test_what_may_not_be_written_has_a_name_and_what_may_be_read_is_read(home: Path) -> None:
    def child() -> None:
        folder = home / "state"
        folder.mkdir()
        folder.chmod(0o500)
        with pytest.raises(errors.StoreReadOnlyError, match="SWARM_STATE_DIR"):
            Store.open(folder)
        folder.chmod(0o000)
        with pytest.raises(errors.StoreReadOnlyError):
            Store.existing(folder)
        with pytest.raises(errors.StoreReadOnlyError):
            Store.open(folder / "below")
        folder.chmod(0o700)
        store = Store.open(folder)
        store.record([answer("t1")])
        store.close()
        (folder / FILE).chmod(0o400)
        store = Store.open(folder)
        assert len(store.after(0)) == 1
        with pytest.raises(errors.StoreReadOnlyError):
            store.record([answer("t2")])
        assert len(store.after(0)) == 1
        store.close()
        (folder / FILE).chmod(0o000)
        with pytest.raises(errors.StoreReadOnlyError):
            Store.open(folder)
        (folder / FILE).chmod(0o600)
        Store.open(folder).close()
        assert names(folder) == [FILE]
        folder.chmod(0o500)
        with pytest.raises(errors.StoreReadOnlyError):
            Store.open(folder).record([answer("t2")])
        folder.chmod(0o700)
        store = Store.open(folder)
        assert store.record([answer("t2")])[0].number == 2
        store.close()

    as_nobody(child)


def test_what_a_killed_maker_left_is_cleared_away_later(folder: Path) -> None:
    folder.mkdir(parents=True)
    old, new = folder / f"{FILE}.new-1", folder / f"{FILE}.new-2"
    for making in (old, new):
        making.mkdir()
        (making / FILE).write_text("")
    os.utime(old, (0, 0))
    Store.open(folder).close()
    assert names(folder) == [FILE, new.name]
