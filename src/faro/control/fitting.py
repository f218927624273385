"""A response model from what cells did in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from faro.control.checks import checked_positive
from faro.control.response import MOST_LAGS, ResponseModel
from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterator

Floats = npt.NDArray[np.float64]
FEWEST_POINTS = 3
BEGINNINGS = (0.5, 3.0, 12.0)
"""Time constants to begin with, in intervals."""


class Columns(Protocol):
    """A table by columns: a mapping, a `faro.model.CellTable`, a pandas data frame."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a column, (n,)."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Return the names of the columns."""
        ...


def fit_response(
    table: Columns,
    feature: str,
    dose: str = "dose",
    *,
    order: int = 1,
    time: str = "time_s",
    full_ms: float | None = None,
) -> ResponseModel:
    """Return the response model that fits a cell table best.

    Every track has a baseline of its own; gain and time constants are shared. Fitted
    by simulation (output error): noise of the measurement does not shorten the time
    constants as it does when each value is predicted from the one before. Before its
    first row a track is taken to have been dark for long.

    Parameters
    ----------
    table
        Columns, one row per cell and frame: ``track_id``, ``fov`` if there are
        several, the time, the feature and the dose.
    feature
        Name of the column that answers.
    dose
        Name of the column of the dose, 0 to 1, given from this row to the next.
    order
        1 or 2 lags.
    time
        Name of the column of the time, seconds.
    full_ms
        What is dose 1, where ``dose`` names a column of light received so far, in ms of
        full light, as ``dose_CHANNEL_ms`` of a run; None where it is given from 0 to 1.

    Returns
    -------
    The model; ``baseline`` is the mean over tracks, ``rms`` what it does not explain.

    Raises
    ------
    ContractError
        If the table lacks a column, or no dose ever changes.
    """
    if order not in range(1, MOST_LAGS + 1):
        problem = f"fit_response(order=...) is {order}."
        raise ContractError(problem, remedy="Use 1 or 2.")
    times, doses, values = _series(table, (time, dose, feature))
    if full_ms is not None:
        checked_positive(full_ms, "fit_response(full_ms=...)")
        doses = np.diff(doses, axis=1, append=np.nan) / full_ms
    doses = np.nan_to_num(doses)
    interval_s = float(np.median(np.diff(times, axis=1)[np.isfinite(values[:, 1:])]))

    def misfit(logs: Floats) -> float:
        return _explained(times, doses, values, np.exp(logs))[2]

    found = [
        minimize(
            misfit,
            np.log(interval_s * np.array([begin, begin / 2.0][:order])),
            method="Nelder-Mead",
            options={"xatol": 1e-5, "fatol": 1e-12, "maxiter": 600},
        )
        for begin in BEGINNINGS
    ]
    best = min(found, key=lambda result: float(result.fun))
    constants = np.sort(np.exp(np.asarray(best.x)))[::-1]
    gain, baseline, misfit_squared = _explained(times, doses, values, constants)
    return ResponseModel(
        gain, tuple(map(float, constants)), baseline, float(np.sqrt(misfit_squared))
    )


def _explained(
    times: Floats, doses: Floats, values: Floats, constants: Floats
) -> tuple[float, float, float]:
    """Return gain, mean baseline and mean squared misfit for time constants.

    Given these, gain and baselines are a linear fit.
    """
    answer = _filtered(times, doses, constants)
    there = np.isfinite(values)
    count = there.sum(axis=1, keepdims=True)

    def mean(of: Floats) -> Floats:
        total: Floats = np.where(there, of, 0.0).sum(axis=1, keepdims=True)
        means: Floats = total / count
        return means

    x = np.where(there, answer - mean(answer), 0.0)
    y = np.where(there, values - mean(values), 0.0)
    spread = float((x * x).sum())
    gain = float((x * y).sum()) / spread if spread > 0 else 0.0
    baseline = float((mean(values) - gain * mean(answer)).mean())
    return gain, baseline, float(np.square(y - gain * x).sum() / there.sum())


def _filtered(times: Floats, doses: Floats, constants: Floats) -> Floats:
    """Return the doses (n, T) as they come out of the lags, (n, T)."""
    model = ResponseModel(1.0, tuple(map(float, constants)))
    steps = np.diff(times, axis=1)
    sizes, which = np.unique(np.round(steps, 6), return_inverse=True)
    pairs = [model.matrices(float(size)) for size in sizes]
    forward = np.stack([a for a, _ in pairs])[which.reshape(steps.shape)]
    driven = np.stack([b for _, b in pairs])[which.reshape(steps.shape)]
    state = np.zeros((len(doses), model.order))
    out = np.zeros(doses.shape)
    for k in range(1, doses.shape[1]):
        state = np.einsum("nij,nj->ni", forward[:, k - 1], state)
        state += driven[:, k - 1] * doses[:, k - 1, None]
        out[:, k] = state[:, -1]
    return out


def _series(
    table: Columns, names: tuple[str, str, str]
) -> tuple[Floats, Floats, Floats]:
    """Return time, dose and feature, each (tracks, T); the feature is NaN if absent.

    Where a track has no row its dose goes on, and so does time by the usual interval.
    """
    columns = list(table)
    lacking = {"track_id", *names} - set(columns)
    if lacking:
        problem = f"The table has no {sorted(lacking)}; it has {sorted(columns)}."
        raise ContractError(problem, remedy="Name the columns, see fit_response.")
    track = np.asarray(table["track_id"], np.int64)
    fov = np.asarray(table["fov"], np.int64) if "fov" in columns else track * 0
    time_s, dose, value = (np.asarray(table[name], np.float64) for name in names)
    order = np.lexsort((time_s, track, fov))
    begins = np.flatnonzero(
        (np.diff(track[order], prepend=track[order][:1] - 1) != 0)
        | (np.diff(fov[order], prepend=fov[order][:1]) != 0)
    )
    rows = [r for r in np.split(order, begins[1:]) if len(r) >= FEWEST_POINTS]
    if not rows or not any(np.ptp(np.nan_to_num(dose[r])) > 0 for r in rows):
        problem = f"No track has {FEWEST_POINTS} rows and a dose that changes."
        raise ContractError(problem, remedy="Fit a run in which light was switched.")
    longest = max(map(len, rows))
    padded = [np.full((len(rows), longest), np.nan) for _ in range(3)]
    for number, r in enumerate(rows):
        for target, source in zip(padded, (time_s, dose, value), strict=True):
            target[number, : len(r)] = source[r]
    times, doses, values = padded
    ahead = np.arange(longest)
    for number, r in enumerate(rows):
        usual = float(np.median(np.diff(times[number, : len(r)])))
        times[number, len(r) :] = times[number, len(r) - 1] + usual * (
            ahead[len(r) :] - len(r) + 1
        )
    return times, doses, values
