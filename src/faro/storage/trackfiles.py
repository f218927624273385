"""Tracks in the format of the Cell Tracking Challenge, for other people's programs.

Source: celltrackingchallenge.net, "File format of tracking results": label images
``maskTTT.tif`` (uint16) and ``res_track.txt`` with lines "L B E P". A track of ours
that has a gap is several of theirs, each the child of the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tifffile

from faro.errors import StorageError
from faro.storage import disk

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from faro.model import CellTable
    from faro.storage.reader import Run

MOST_LABELS: Final = np.iinfo(np.uint16).max


def write_ctc(run: Run, folder: Path, fov: int) -> list[Path]:
    """Write the tracks of a position; return the files.

    Parameters
    ----------
    folder
        Created if absent; no file is replaced.

    Raises
    ------
    StorageError
        If the run has no tracks there, or more than 65,535 of them.
    """
    if "tracks" not in run.images.label_names(fov):
        problem = f"{run.path} holds no tracks of fov {fov}."
        raise StorageError(problem, remedy=f"Label images: {list(run.label_names)}.")
    number_of, lines = _pieces(run.cells, fov)
    if len(lines) > MOST_LABELS:
        problem = f"fov {fov} has {len(lines)} tracks; the format has {MOST_LABELS}."
        raise StorageError(problem, remedy="Export fewer timepoints.")
    disk.make_folder(folder)
    digits = max(3, len(str(run.n_timepoints - 1)))
    files = []
    shape: tuple[int, ...] = run.image_shape
    for timestep in range(run.n_timepoints):
        tracks = run.images.labels("tracks", fov, timestep)
        mask = np.zeros(shape if tracks is None else tracks.shape, np.uint16)
        if tracks is not None:
            mask = _renumbered(tracks, number_of.get(timestep, {}))
        files.append(folder / f"mask{timestep:0{digits}d}.tif")
        _refuse_to_replace(files[-1])
        tifffile.imwrite(files[-1], mask, compression="zlib")
    files.append(folder / "res_track.txt")
    _refuse_to_replace(files[-1])
    text = "".join(" ".join(map(str, line)) + "\n" for line in lines)
    files[-1].write_text(text, encoding="ascii", newline="\n")
    return files


def _pieces(
    cells: CellTable, fov: int
) -> tuple[dict[int, dict[int, int]], list[tuple[int, int, int, int]]]:
    """Return timestep to our id to theirs, and their lines (L, B, E, P)."""
    here = np.flatnonzero(cells["fov"] == fov)
    order = here[np.lexsort((cells["timestep"][here], cells["track_id"][here]))]
    number_of: dict[int, dict[int, int]] = {}
    lines: list[tuple[int, int, int, int]] = []
    last_of: dict[int, int] = {}
    wanted: list[tuple[int, int]] = []
    before = (-1, -1)
    for row in order:
        track, time = int(cells["track_id"][row]), int(cells["timestep"][row])
        if (track, time - 1) == before:
            number, begin, _, parent = lines[-1]
            lines[-1] = (number, begin, time, parent)
        else:
            number = len(lines) + 1
            lines.append((number, time, time, last_of.get(track, 0)))
            if track not in last_of and cells["parent_id"][row] > 0:
                wanted.append((len(lines) - 1, int(cells["parent_id"][row])))
        last_of[track] = lines[-1][0]
        number_of.setdefault(time, {})[track] = lines[-1][0]
        before = (track, time)
    for index, parent in wanted:
        number, begin, end, _ = lines[index]
        mother = _piece_before(number_of, parent, begin)
        lines[index] = (number, begin, end, mother)
    return number_of, lines


def _piece_before(
    number_of: dict[int, dict[int, int]],
    track: int,
    begin: int,
) -> int:
    """Return the piece of ``track`` that was there last before ``begin``, 0 if none."""
    times = [t for t, ids in number_of.items() if track in ids and t < begin]
    return number_of[max(times)][track] if times else 0


def _renumbered(
    tracks: npt.NDArray[Any], number_of: dict[int, int]
) -> npt.NDArray[np.uint16]:
    """Return an image of track ids (Y, X) with their numbers."""
    ids = np.array(sorted(number_of), tracks.dtype)
    numbers = np.array([0, *(number_of[int(i)] for i in ids)], np.uint16)
    place = np.searchsorted(ids, tracks)
    known = np.isin(tracks, ids)
    return np.where(known, numbers[np.minimum(place + 1, len(ids))], 0).astype(
        np.uint16
    )


def _refuse_to_replace(path: Path) -> None:
    if path.exists():
        problem = f"{path} is there already; it is not replaced."
        raise StorageError(problem, remedy="Give another folder.")
