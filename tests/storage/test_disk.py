"""What differs between systems: space, atomic replacement, appending."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from faro.errors import StorageError
from faro.storage import disk

if TYPE_CHECKING:
    from pathlib import Path


def test_free_space_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    there = shutil.disk_usage(tmp_path).free
    found = disk.free_bytes(tmp_path / "a" / "b" / "c")
    assert abs(found - there) < 1_000_000_000


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "zarr.json"
    disk.write_atomic(path, b"one")
    disk.write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["zarr.json"]


def test_a_file_that_cannot_be_replaced_is_reported_with_its_path(
    tmp_path: Path,
) -> None:
    path = tmp_path / "taken"
    path.mkdir()
    with pytest.raises(StorageError, match=r"taken cannot be written.*check the disk"):
        disk.write_atomic(path, b"one")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot be created.*Choose a folder"):
        disk.make_folder(tmp_path / "file" / "run")


def test_appending_reports_a_descriptor_that_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    read_only = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(StorageError, match="3 bytes could not be appended"):
            disk.append_all(path, read_only, b"abc")
    finally:
        os.close(read_only)


def test_appending_to_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened for appending"):
        disk.open_appending(tmp_path)
