"""The mask that is about to fire, as a plain file: written at once, and quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faro.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def write_mask(path: Path, mask: npt.NDArray[np.uint8]) -> None:
    """Write a mask (Y, X); it outlives the process when this returns.

    A kill can leave half of it; whoever reads it compares it with the journal.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("wb", buffering=0) as file:
            np.save(file, mask, allow_pickle=False)
    except OSError as error:
        problem = f"{path} cannot be written: {error}."
        raise StorageError(problem, remedy="Free space, or check the disk.") from error


def read_mask(path: Path) -> npt.NDArray[np.uint8] | None:
    """Return a mask (Y, X), None if there is none or it is not whole."""
    try:
        found: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found
