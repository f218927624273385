"""One number per cell over time: a row for each track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrackSeries:
    """A column of the cell table, track by track.

    Attributes
    ----------
    name
        Of the column.
    fov, track_id
        (m,) int64, of each row; ascending.
    timestep
        (k,) int64, of each column; ascending, without holes.
    values
        (m, k) float64; NaN where the cell was not seen.

    Examples
    --------
    >>> table = {
    ...     "fov": np.array([0, 0, 0]),
    ...     "timestep": np.array([0, 1, 1]),
    ...     "track_id": np.array([1, 1, 2]),
    ...     "area": np.array([9.0, 8.0, 5.0]),
    ... }
    >>> series = series_of(table, "area")
    >>> series.track_id.tolist(), series.values.tolist()
    ([1, 2], [[9.0, 8.0], [nan, 5.0]])
    """

    name: str
    fov: Ints
    track_id: Ints
    timestep: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.track_id)

    def mean(self) -> Floats:
        """Return the mean of all tracks at each timestep, (k,); NaN where none is."""
        return _nan_mean(self.values)

    def std(self) -> Floats:
        """Return the standard deviation of all tracks at each timestep, (k,)."""
        return np.sqrt(_nan_mean((self.values - self.mean()) ** 2))

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas table: a row per timestep, a column per (fov, track_id)."""
        import pandas as pd  # noqa: PLC0415  optional, and slow to load

        index = pd.MultiIndex.from_arrays(
            [self.fov, self.track_id], names=["fov", "track_id"]
        )
        rows = pd.Index(self.timestep, name="timestep")
        return pd.DataFrame(self.values.T, index=rows, columns=index)


def series_of(cells: Mapping[str, npt.NDArray[np.generic]], name: str) -> TrackSeries:
    """Return a column of a table, track by track.

    Parameters
    ----------
    cells
        Name to (n,) array; with ``fov``, ``timestep`` and ``track_id``.

    Raises
    ------
    KeyError
        If there is no such column; the message names those that there are.
    """
    if name not in cells:
        known = ", ".join(cells) or "none, no cell was found so far"
        message = f"There is no column {name!r}. Columns: {known}."
        raise KeyError(message)
    fov, track_id = (np.asarray(cells[n], np.int64) for n in ("fov", "track_id"))
    timestep = np.asarray(cells["timestep"], np.int64)
    keys = np.stack([fov, track_id], axis=1)
    owners, row = np.unique(keys, axis=0, return_inverse=True)
    first = int(timestep.min()) if len(timestep) else 0
    n_times = int(timestep.max()) - first + 1 if len(timestep) else 0
    values = np.full((len(owners), n_times), np.nan)
    values[row.ravel(), timestep - first] = np.asarray(cells[name], np.float64)
    times = np.arange(first, first + n_times, dtype=np.int64)
    return TrackSeries(name, owners[:, 0], owners[:, 1], times, values)


def _nan_mean(values: Floats) -> Floats:
    """Return the mean over the first axis of (m, k), (k,); NaN where all are NaN."""
    there = np.isfinite(values)
    counts = there.sum(axis=0)
    sums = np.where(there, values, 0.0).sum(axis=0)
    means = np.full(len(counts), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
