"""The few calls that differ between systems: space, sync, atomic replacement."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from faro.errors import StorageError
from faro.system.disk import REPLACE_TRIES, sync_file, sync_folder

if TYPE_CHECKING:
    from pathlib import Path

Durability: TypeAlias = Literal["process", "power-loss"]
"""What acknowledged data outlives: the end of the process, or of the power too."""

AskedDurability: TypeAlias = Literal["auto", "process", "power-loss"]
"""What is asked for; auto is power-loss for real devices, whose frames are unique."""

REPLACE_PAUSE_S: Final = 0.02


def durability(asked: AskedDurability, *, real: bool) -> Durability:
    """Return what acknowledged data must outlive; ``real`` tells of the devices.

    >>> durability("auto", real=True), durability("process", real=True)
    ('power-loss', 'process')
    """
    if asked == "auto":
        return "power-loss" if real else "process"
    return asked


def existing_ancestor(path: Path) -> Path:
    """Return ``path`` or the nearest folder above it that exists."""
    path = path.absolute()
    return next(p for p in (path, *path.parents) if p.exists())


def free_bytes(path: Path) -> int:
    """Return the free bytes where ``path`` is or would be."""
    return shutil.disk_usage(existing_ancestor(path)).free


def make_folder(path: Path, *, synced: bool = True) -> None:
    """Create a folder and those above it; on the device then, if ``synced``.

    Raises
    ------
    StorageError
        If that is not possible.
    """
    missing = [p for p in (path, *path.parents) if not p.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        for folder in missing if synced else ():
            sync_folder(folder.parent)
    except OSError as error:
        problem = f"The folder {path} cannot be created: {error}."
        raise StorageError(
            problem, remedy="Choose a folder you may write to."
        ) from error


def write_atomic(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Write a file so that readers see the old or the new one.

    On the device when this returns, if ``synced``.

    Raises
    ------
    StorageError
        If it cannot be written; the old file is untouched.
    """
    hidden = path.with_name(f".{path.name}.tmp")
    try:
        with hidden.open("wb") as file:
            file.write(data)
            file.flush()
            if synced:
                sync_file(file.fileno())
        replace(hidden, path, synced=synced)
    except OSError as error:
        with suppress(OSError):
            hidden.unlink()
        problem = f"{path} cannot be written: {error}."
        raise StorageError(problem, remedy="Free space, or check the disk.") from error


def replace(source: Path, target: Path, *, synced: bool = True) -> None:
    """Rename ``source`` to ``target``, on the device when this returns if ``synced``.

    On Windows a reader that has ``target`` open is waited for, up to a second.
    """
    for _ in range(REPLACE_TRIES - 1):
        with suppress(PermissionError):
            source.replace(target)
            break
        time.sleep(REPLACE_PAUSE_S)
    else:
        source.replace(target)
    if synced:
        sync_folder(target.parent)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; where the disk cannot, copy it. Replaces nothing.

    Raises
    ------
    StorageError
        If neither is possible.
    """
    try:
        os.link(source, target)
    except FileExistsError as error:
        problem = f"{target} is there already; it is not replaced."
        raise StorageError(problem, remedy="Give another folder.") from error
    except OSError:
        write_atomic(target, source.read_bytes(), synced=False)


def append_all(path: Path, descriptor: int, data: bytes) -> int:
    """Append ``data`` by one write and return where; a write cut short is undone.

    ``descriptor`` was opened for appending and has one writer.

    Raises
    ------
    StorageError
        If not all of it could be written, for example on a full disk.
    """
    start = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, data)
        short = written != len(data)
    except OSError as error:
        problem = f"{len(data)} bytes could not be appended to {path}: {error}."
        raise StorageError(problem, remedy="Free space, or check the disk.") from error
    if short:
        os.ftruncate(descriptor, start)
        problem = f"Only {written} of {len(data)} bytes could be appended to {path}."
        raise StorageError(problem, remedy="Free space on the disk.")
    return start


def open_appending(path: Path) -> int:
    """Return a descriptor that appends to ``path``; the caller closes it."""
    binary: int = getattr(os, "O_BINARY", 0)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | binary
    try:
        return os.open(path, flags, 0o644)
    except OSError as error:
        problem = f"{path} cannot be opened for appending: {error}."
        raise StorageError(problem, remedy="Check the folder's permissions.") from error
