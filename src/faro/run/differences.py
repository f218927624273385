"""Where two runs over the same frames differ: the first place, and every stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.errors import MissingFrameError
from faro.run.dosing import is_dose
from faro.run.stored import mask_labels_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from faro.model import CellTable
    from faro.storage import Run

FIXED: Final = ("fov", "timestep", "label", "y", "x", "area")
"""Columns that follow from the labels."""
TRACKED: Final = ("track_id", "parent_id")
MASKS: Final = "stim_mask"
TRACKS: Final = "tracks"


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two runs differ.

    Attributes
    ----------
    fov, timestep
        The frame.
    stage
        What gave another result: ``"segment/NAME"``, ``"track"``, ``"features/COLUMN"``
        or ``"stimulate"``.
    what
        The difference in words.
    """

    fov: int
    timestep: int
    stage: str
    what: str

    def __str__(self) -> str:
        return f"fov {self.fov}, timepoint {self.timestep}, {self.stage}: {self.what}"


def differences(run: Run, recorded: Run) -> Iterator[Difference]:
    """Yield where ``run`` differs from ``recorded``, in the order of time.

    Within a frame, stages are compared in their order; only what both runs have is
    compared, bit for bit. The dose of light is not: a replay gives none. Columns
    that only one has are told once, at the first frame.
    """
    ours, theirs = _Rows(run.cells), _Rows(recorded.cells)
    yield from _other_columns(ours, theirs, run, recorded)
    labels, masks = _labels_of(run, recorded), _masks_of(run, recorded)
    for timestep in range(recorded.n_timepoints):
        for fov in recorded.fovs:
            if not recorded.has(fov, timestep):
                continue
            place = fov, timestep
            yield from _labels(run, recorded, labels, place)
            yield from _cells(ours, theirs, place)
            yield from _labels(run, recorded, masks, place)


def mask_numbers(run: Run, recorded: Run) -> dict[str, Any]:
    """Return how masks that were fired agree with those that were computed again.

    Returns
    -------
    numbers
        Empty where nothing was fired. Masks in both, identical ones, the median and
        the smallest overlap (IoU) of lit pixels, masks that only one run has.
    """
    overlaps: list[float] = []
    only = {"fired only": 0, "computed only": 0}
    for theirs, ours in _masks_of(run, recorded).items():
        for fov in recorded.fovs:
            for timestep in range(recorded.n_timepoints):
                then = _stored(recorded, theirs, fov, timestep)
                now = _stored(run, ours, fov, timestep)
                if then is not None and now is not None:
                    overlaps.append(_overlap(then, now))
                elif then is not None or now is not None:
                    only["computed only" if then is None else "fired only"] += 1
    if not overlaps and not any(only.values()):
        return {}
    return {
        "masks compared": len(overlaps),
        "identical": sum(overlap == 1.0 for overlap in overlaps),
        "median overlap": round(float(np.median(overlaps)), 4) if overlaps else None,
        "smallest overlap": round(min(overlaps), 4) if overlaps else None,
        **only,
    }


class _Rows:
    """The rows of a table, by frame, in the order of their labels."""

    def __init__(self, cells: CellTable) -> None:
        self.cells = cells
        self.names = tuple(cells.names)
        self._of: dict[tuple[int, int], npt.NDArray[np.int64]] = {}
        if "label" not in cells:
            return
        order = np.lexsort((cells["label"], cells["timestep"], cells["fov"]))
        keys = np.stack([cells["fov"][order], cells["timestep"][order]], axis=1)
        cuts = np.flatnonzero(np.any(np.diff(keys, axis=0), axis=1)) + 1
        for rows in np.split(order, cuts) if len(order) else ():
            key = int(cells["fov"][rows[0]]), int(cells["timestep"][rows[0]])
            self._of[key] = rows

    def at(self, place: tuple[int, int]) -> npt.NDArray[np.int64]:
        """Return the rows (n,) of one frame."""
        return self._of.get(place, np.empty(0, np.int64))


def _labels_of(run: Run, recorded: Run) -> dict[str, str]:
    """Return the label images of both that segmenters and features made, in order."""
    both = [name for name in recorded.label_names if name in run.label_names]
    return {n: n for n in both if n != TRACKS and not n.startswith(MASKS)}


def _masks_of(run: Run, recorded: Run) -> dict[str, str]:
    """Return the recorded label images of masks, each with ours of the same light.

    Names depend on how many channels there were at first; see `mask_labels`.
    """
    ours, theirs = mask_labels_of(run), mask_labels_of(recorded)
    same = {theirs[light]: ours[light] for light in theirs if light in ours}
    return {n: same.get(n, n) for n in recorded.label_names if n.startswith(MASKS)}


def _labels(
    run: Run, recorded: Run, names: Mapping[str, str], place: tuple[int, int]
) -> Iterator[Difference]:
    for name, our_name in names.items():
        then, now = _stored(recorded, name, *place), _stored(run, our_name, *place)
        stage = "stimulate" if name.startswith(MASKS) else f"segment/{name}"
        if (then is None) != (now is None):
            has = "the recording" if now is None else "the replay"
            yield Difference(*place, stage, f"only {has} has {name!r}")
        elif then is not None and now is not None and not np.array_equal(then, now):
            if then.shape != now.shape:
                what = f"shape {now.shape} instead of {then.shape}"
            else:
                what = f"{np.count_nonzero(then != now)} pixels of {name!r} differ"
            yield Difference(*place, stage, what)


def _cells(ours: _Rows, theirs: _Rows, place: tuple[int, int]) -> Iterator[Difference]:
    """Yield how the rows of one frame differ."""
    mine, known = ours.at(place), theirs.at(place)
    if len(mine) != len(known):
        what = f"{len(mine)} cells instead of {len(known)}"
        yield Difference(*place, "track", what)
        return
    for name in theirs.names:
        if name not in ours.cells or is_dose(name):
            continue
        now, then = ours.cells[name][mine], theirs.cells[name][known]
        if (n := _unequal(now, then)) == 0:
            continue
        stage = "track" if name in TRACKED else f"features/{name}"
        stage = "segment" if name in FIXED else stage
        yield Difference(*place, stage, f"{name!r} of {n} cells differs")


def _other_columns(
    ours: _Rows, theirs: _Rows, run: Run, recorded: Run
) -> Iterator[Difference]:
    """Yield the columns that only one of two runs has."""
    fov = min(recorded.fovs, default=0)
    pairs = ((theirs, ours, recorded), (ours, theirs, run))
    for there, here, owner in pairs if len(ours.cells) and len(theirs.cells) else ():
        for name in there.names:
            if name not in here.cells and not is_dose(name):
                what = f"only {owner.path.name} has the column {name!r}"
                yield Difference(fov, 0, f"features/{name}", what)


def _unequal(now: npt.NDArray[Any], then: npt.NDArray[Any]) -> int:
    """Return how many values differ; NaN equals NaN."""
    same = now == then
    if now.dtype.kind == then.dtype.kind == "f":
        same |= np.isnan(now) & np.isnan(then)
    return int(np.count_nonzero(~same))


def _stored(
    run: Run, name: str, fov: int, timestep: int
) -> npt.NDArray[np.integer[Any]] | None:
    try:
        return run.labels(name, fov, timestep)
    except MissingFrameError:
        return None


def _overlap(then: npt.NDArray[Any], now: npt.NDArray[Any]) -> float:
    """Return the overlap of two masks (Y, X); 1 only where all grey levels agree."""
    if np.array_equal(then, now):
        return 1.0
    if then.shape != now.shape:
        return 0.0
    lit = int(np.count_nonzero((then > 0) | (now > 0)))
    both = int(np.count_nonzero((then > 0) & (now > 0)))
    return min(both / max(lit, 1), 1.0 - 1e-9)
