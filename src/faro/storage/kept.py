"""What a run keeps beside its data, to be gone on with: state, masks, sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faro.errors import StorageError
from faro.storage.journal import has_mark
from faro.storage.jsontext import read_document
from faro.storage.layout import RunLayout

if TYPE_CHECKING:
    from pathlib import Path

    from faro.storage.reader import Run


def sources_of(run: Run) -> dict[str, Any] | None:
    """Return the user's modules and files with their hashes, None if not recorded."""
    path = RunLayout(run.path).sources
    return read_document(path) if path.is_file() else None


def state_of(run: Run, fov: int) -> dict[str, Any] | None:
    """Return the newest state of one FOV, as `RunWriter.store_state` was given it.

    None if none was stored, or if lines that the journal had then were lost with the
    power, or it does not tell which: it may follow frames that are not all stored.
    """
    layout = RunLayout(run.path)
    path = layout.state(fov)
    state = read_document(path) if path.is_file() else None
    mark = state.get("journal") if state else None
    return state if mark and has_mark(layout.journal, mark) else None


def kept_mask(
    run: Run, name: str, fov: int, timestep: int
) -> npt.NDArray[np.uint8] | None:
    """Return a mask (Y, X) that was armed and has no label image yet, if kept.

    None if there is none, or it is not whole.
    """
    path = RunLayout(run.path).kept_mask(name, fov, timestep)
    try:
        found: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found


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
