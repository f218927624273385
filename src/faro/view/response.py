"""How the cells of each arm answered: the FOV is the unit of the statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faro.analysis.statistics import hedges_g, permutation_test

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faro.model import CellTable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UP = (-1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Arm:
    """The FOVs that were treated alike; a run without arms has one, unnamed."""

    name: str
    fovs: tuple[int, ...]

    @property
    def title(self) -> str:
        """The name as people read it."""
        return self.name or "all FOVs"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm against another; two-sided permutation test over FOVs.

    Attributes
    ----------
    arm, other
        Names of the arms.
    n, n_other
        FOVs in each.
    difference, unit
        Mean of ``arm`` minus mean of ``other``, in the unit of the response.
    effect
        The difference in pooled standard deviations (Hedges' g); not finite if 0.
    p_value
        Of the test, 0 to 1.
    """

    arm: str
    other: str
    n: int
    n_other: int
    difference: float
    unit: str
    effect: float
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """One measure of all FOVs over time.

    Attributes
    ----------
    name, unit, how
        What was measured, in what unit, and how the end value is made.
    timesteps
        (T,) int64.
    fovs
        Position indices, ascending.
    values
        (F, T) float64, mean over the cells of each FOV; NaN where there are none.
    ends
        (F,) float64, the one number of each FOV that is compared; NaN if unknown.
    comparisons
        Every arm against the control, the treated arm first.
    """

    name: str
    unit: str
    how: str
    timesteps: Ints
    fovs: tuple[int, ...]
    values: Floats
    ends: Floats
    comparisons: tuple[Comparison, ...] = ()

    def of(self, arm: Arm) -> tuple[Floats, Floats]:
        """Return the (F, T) values and (F,) ends of one arm's FOVs."""
        rows = np.isin(self.fovs, arm.fovs)
        return self.values[rows], self.ends[rows]


@dataclass(frozen=True, slots=True)
class Span:
    """The timepoints that count.

    Attributes
    ----------
    start
        Last frame before light: what the first mask was computed from.
    end
        Last timepoint that every FOV reached.
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One track from a common origin.

    Attributes
    ----------
    fov
        Where it was followed.
    timesteps
        (n,) int64, ascending.
    steps
        (n, 2) float64 as (y, x), relative to its start; unit of the displacement.
    """

    fov: int
    timesteps: Ints
    steps: Floats


def arms_of(description: Mapping[str, Any], fovs: Sequence[int], key: str) -> list[Arm]:
    """Return the arms in the order of their first FOV.

    ``description["fov_metadata"][str(fov)][key]`` names the arm of a FOV.
    """
    metadata = description.get("fov_metadata") or {}
    members: dict[str, list[int]] = {}
    for fov in sorted(fovs):
        facts = metadata.get(str(fov)) or {}
        members.setdefault(str(facts.get(key, "")), []).append(fov)
    return [Arm(name, tuple(group)) for name, group in members.items()]


def unit_vector(direction: Sequence[float]) -> tuple[float, float]:
    """Return ``direction`` (y, x) with length 1; up where it has none.

    >>> unit_vector((0, 2))
    (0.0, 1.0)
    """
    dy, dx = float(direction[0]), float(direction[1])
    length = math.hypot(dy, dx)
    return (dy / length, dx / length) if length else UP


def paths_of(cells: CellTable, span: Span, scale_um_per_px: float) -> list[Path]:
    """Return the tracks that are present at ``span.start``, from there on."""
    if not {"fov", "timestep", "track_id", "y", "x"} <= set(cells.names):
        return []
    fov, time, track = (
        cells[name].astype(np.int64) for name in ("fov", "timestep", "track_id")
    )
    kept = np.flatnonzero((time >= span.start) & (time <= span.end) & (track >= 1))
    kept = kept[np.lexsort((time[kept], track[kept], fov[kept]))]
    if not kept.size:
        return []
    place = np.column_stack([cells["y"][kept], cells["x"][kept]]).astype(np.float64)
    changes = np.diff(fov[kept]).astype(bool) | np.diff(track[kept]).astype(bool)
    cuts = np.flatnonzero(changes) + 1
    return [
        Path(int(fov[rows[0]]), time[rows], (points - points[0]) * scale_um_per_px)
        for rows, points in zip(
            np.split(kept, cuts), np.split(place, cuts), strict=True
        )
        if time[rows[0]] == span.start
    ]


def displacement(
    paths: Sequence[Path],
    fovs: tuple[int, ...],
    span: Span,
    direction: tuple[float, float],
    unit: str,
) -> Response:
    """Return how far the cells went along ``direction`` (y, x), a unit vector."""
    times = np.arange(span.start, span.end + 1, dtype=np.int64)
    fov = np.concatenate([np.full(len(p.timesteps), p.fov) for p in paths])
    time = np.concatenate([p.timesteps for p in paths])
    along = np.concatenate([p.steps @ np.array(direction) for p in paths])
    values = mean_by_fov(fov, time, along, fovs, times)
    return Response(
        name=f"displacement {direction_name(direction)}",
        unit=unit,
        how=f"mean over cells at timepoint {span.end}, from timepoint {span.start} on",
        timesteps=times,
        fovs=fovs,
        values=values,
        ends=values[:, -1],
    )


def change(
    cells: CellTable, column: str, fovs: tuple[int, ...], span: Span
) -> Response | None:
    """Return how ``column`` changed since before light, None if it is not known."""
    if not {"fov", "timestep", column} <= set(cells.names) or not len(cells):
        return None
    time = cells["timestep"].astype(np.int64)
    times = np.arange(int(time.min()), span.end + 1, dtype=np.int64)
    fov = cells["fov"].astype(np.int64)
    column_values = cells[column].astype(np.float64)
    values = mean_by_fov(fov, time, column_values, fovs, times)
    before = nan_mean(values[:, times <= span.start], axis=1)
    values = values - before[:, None]
    first = max(span.start + 1, span.end - math.ceil(len(times) / 4) + 1)
    late = times >= first
    if not late.any():
        return None
    return Response(
        name="C/N ratio (ERK), change" if column == "cnr" else f"{column}, change",
        unit=cells.units.get(column, ""),
        how=f"{_period(first, span.end)} minus mean up to timepoint {span.start}",
        timesteps=times,
        fovs=fovs,
        values=values,
        ends=nan_mean(values[:, late], axis=1),
    )


def _period(first: int, last: int) -> str:
    """Return a stretch of timepoints in words."""
    if first == last:
        return f"timepoint {last}"
    return f"mean of timepoints {first}\N{EN DASH}{last}"


def compared(
    response: Response, arms: Sequence[Arm], treated: str, control: str
) -> tuple[Comparison, ...]:
    """Return every arm against ``control``, ``treated`` first; two FOVs at least."""
    by_name = {arm.name: arm for arm in arms}
    if control not in by_name:
        return ()
    names = [treated, *(name for name in by_name if name != treated)]
    pairs = [
        (by_name[name], by_name[control])
        for name in names
        if name in by_name and name != control
    ]
    tests = [comparison(response, arm, other) for arm, other in pairs]
    return tuple(test for test in tests if test is not None)


def comparison(response: Response, arm: Arm, other: Arm) -> Comparison | None:
    """Return the test of one arm against another, None with less than two FOVs."""
    ends, base = finite(response.of(arm)[1]), finite(response.of(other)[1])
    if min(len(ends), len(base)) < 2:
        return None
    return Comparison(
        arm=arm.name,
        other=other.name,
        n=len(ends),
        n_other=len(base),
        difference=float(ends.mean() - base.mean()),
        unit=response.unit,
        effect=hedges_g(ends, base),
        p_value=permutation_test(ends, base).p_value,
    )


def mean_by_fov(
    fov: Ints, time: Ints, values: Floats, fovs: tuple[int, ...], times: Ints
) -> Floats:
    """Return the (F, T) mean of ``values`` (n,) by FOV and timepoint, NaN if none."""
    known = np.isfinite(values) & np.isin(fov, fovs) & np.isin(time, times)
    rows = np.searchsorted(fovs, fov[known])
    cells = rows * len(times) + np.searchsorted(times, time[known])
    size = len(fovs) * len(times)
    total = np.bincount(cells, values[known], minlength=size)
    count = np.bincount(cells, minlength=size)
    mean = np.full(size, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.reshape(len(fovs), len(times))


def nan_mean(values: Floats, axis: int) -> Floats:
    """Return the mean of (F, T) along ``axis`` over what is known; NaN if nothing."""
    known = np.isfinite(values)
    total, count = np.where(known, values, 0.0).sum(axis), known.sum(axis)
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def finite(values: Floats) -> Floats:
    """Return the known ones of ``values`` (n,)."""
    return values[np.isfinite(values)]


def direction_name(direction: tuple[float, float]) -> str:
    """Return ``direction`` (y, x) in words.

    >>> direction_name((-1.0, 0.0)), direction_name((0.6, 0.8))
    ('upwards', 'along (y, x) = (0.6, 0.8)')
    """
    names = {
        (-1.0, 0.0): "upwards",
        (1.0, 0.0): "downwards",
        (0.0, -1.0): "to the left",
        (0.0, 1.0): "to the right",
    }
    y, x = direction
    return names.get((y, x), f"along (y, x) = ({y:.2g}, {x:.2g})")
