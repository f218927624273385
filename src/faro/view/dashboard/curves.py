"""Curves of the cell table: single cells of a position, means of each treatment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from faro.view.response import arms_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from faro.model import CellTable

KEYS: Final = ("fov", "timestep", "label", "track_id", "parent_id")
MOST_CELLS: Final = 60
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A value over time.

    Attributes
    ----------
    timesteps
        (n,) int64, ascending.
    values
        (n,) float64.
    errors
        (n,) float64, standard error over positions; NaN where there is one position.
    """

    name: str
    timesteps: Ints
    values: Floats
    errors: Floats | None = None


def features_of(cells: CellTable) -> list[str]:
    """Return the columns that can be drawn."""
    return [n for n in cells if n not in KEYS and cells[n].dtype.kind in "fiub"]


def cell_curves(
    cells: CellTable, fov: int, feature: str, most: int = MOST_CELLS
) -> list[Curve]:
    """Return the longest tracks of a position, ``most`` of them."""
    if feature not in cells or "track_id" not in cells:
        return []
    here = np.asarray(cells["fov"] == fov) & (cells["track_id"].astype(np.int64) > 0)
    tracks = cells["track_id"][here].astype(np.int64)
    times = cells["timestep"][here].astype(np.int64)
    values = cells[feature][here].astype(np.float64)
    numbers, counts = np.unique(tracks, return_counts=True)
    longest = np.sort(numbers[np.argsort(-counts, kind="stable")][:most])
    curves = []
    for number in longest:
        rows = np.flatnonzero(tracks == number)
        rows = rows[np.argsort(times[rows], kind="stable")]
        curves.append(Curve(str(number), times[rows], values[rows]))
    return curves


def treatment_keys(description: Mapping[str, Any]) -> list[str]:
    """Return what positions are told apart by, like ``"arm"``."""
    metadata = (description.get("fov_metadata") or {}).values()
    return list(dict.fromkeys(key for said in metadata for key in said))


def treatment_curves(
    cells: CellTable,
    description: Mapping[str, Any],
    fovs: Sequence[int],
    key: str,
    feature: str,
) -> list[Curve]:
    """Return the mean of each treatment, with the standard error over positions.

    The position is the unit: its cells are averaged first.
    """
    if feature not in cells or not len(cells):
        return []
    position = cells["fov"].astype(np.int64)
    times = cells["timestep"].astype(np.int64)
    values = cells[feature].astype(np.float64)
    known = np.isfinite(values)
    position, times, values = position[known], times[known], values[known]
    curves = []
    for arm in arms_of(description, fovs, key):
        each = [
            _means(times[position == fov], values[position == fov]) for fov in arm.fovs
        ]
        curve = _over_positions(arm.title, each)
        if len(curve.timesteps):
            curves.append(curve)
    return curves


def _means(times: Ints, values: Floats) -> dict[int, float]:
    """Return the mean of ``values`` (n,) at each of ``times`` (n,)."""
    if not len(times):
        return {}
    sums, counts = np.bincount(times, weights=values), np.bincount(times)
    return {int(t): float(sums[t] / counts[t]) for t in np.flatnonzero(counts)}


def _over_positions(name: str, each: Sequence[Mapping[int, float]]) -> Curve:
    times = sorted({t for means in each for t in means})
    rows = [np.array([m[t] for m in each if t in m]) for t in times]
    nan = float("nan")
    errors = [
        float(row.std(ddof=1) / np.sqrt(len(row))) if len(row) > 1 else nan
        for row in rows
    ]
    return Curve(
        name,
        np.array(times, np.int64),
        np.array([row.mean() for row in rows], np.float64),
        np.array(errors, np.float64),
    )
