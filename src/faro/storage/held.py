"""Tells whether somebody is writing a run now: a lock that ends with its process."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from faro.errors import StorageError
from faro.system.process import this_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = ".writing"
"""The file that is locked, in the run folder; what is in it means nothing."""


class Hold:
    """Holds a run until it is released or the process ends, however it ends.

    Raises
    ------
    StorageError
        If another process, or another part of this one, holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._descriptor: int | None = os.open(self._path, os.O_RDWR | os.O_CREAT)
        if not _is_locked(self._descriptor):
            os.close(self._descriptor)
            problem = f"{folder} is being written by another process."
            remedy = "Wait until it is done; readers may go on meanwhile."
            raise StorageError(problem, remedy=remedy)

    def release(self) -> None:
        """Let others have it. Safe to call twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            with suppress(OSError):
                self._path.unlink()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run for the block.

    Raises
    ------
    StorageError
        If somebody else holds it.
    """
    hold = Hold(folder)
    try:
        yield
    finally:
        hold.release()


def is_held(folder: Path) -> bool:
    """Return whether somebody is writing a run now."""
    if not (folder / NAME).exists():
        return False
    try:
        Hold(folder).release()
    except (StorageError, OSError):
        return True
    return False


def _is_locked(descriptor: int) -> bool:
    """Lock an open file; False if somebody else holds it, or it cannot be locked."""
    try:
        return this_process().try_lock(descriptor)
    except OSError:
        return False
