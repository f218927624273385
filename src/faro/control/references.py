"""Set-points: one for all, one that changes with time, one for each cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from faro.control.checks import Number, checked_number
from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SetPoint:
    """One value for all cells at all times.

    Parameters
    ----------
    value
        In the unit of the feature.
    """

    value: float

    def __post_init__(self) -> None:
        checked_number(self.value, "SetPoint(value=...)")

    def at(self, time_s: float, fov: int, track_id: Ints) -> Floats:  # noqa: ARG002  the same for all
        """Return the set-points (n,)."""
        values: Floats = np.full(len(track_id), float(self.value))
        return values


@dataclass(frozen=True, slots=True)
class TimeCourse:
    """One value for all cells that changes with time.

    Parameters
    ----------
    times_s
        Ascending, seconds of the run.
    values
        As many, in the unit of the feature. The first holds before, the last after.
    between
        ``"hold"``: the value of the time before; ``"linear"``: on a line.

    Raises
    ------
    ContractError
        If these are no time course.
    """

    times_s: tuple[float, ...]
    values: tuple[float, ...]
    between: Literal["hold", "linear"] = "hold"

    def __post_init__(self) -> None:
        times, values = np.asarray(self.times_s), np.asarray(self.values)
        good = len(times) == len(values) > 0 and (np.diff(times) > 0).all()
        if not (good and np.isfinite(times).all() and np.isfinite(values).all()):
            problem = f"TimeCourse has times {self.times_s} and values {self.values}."
            remedy = "Give ascending times and as many values."
            raise ContractError(problem, remedy=remedy)

    def at(self, time_s: float, fov: int, track_id: Ints) -> Floats:  # noqa: ARG002  the same for all
        """Return the set-points (n,)."""
        if self.between == "linear":
            value = float(np.interp(time_s, self.times_s, self.values))
        else:
            index = int(np.searchsorted(self.times_s, time_s, side="right")) - 1
            value = self.values[max(index, 0)]
        values: Floats = np.full(len(track_id), float(value))
        return values


class CellTargets:
    """A value for each cell, from a table.

    Parameters
    ----------
    table
        Columns of one length: ``track_id``, ``value`` and, where there are several,
        ``fov`` and ``from_s`` (the time from which a line holds). Lists, arrays, or a
        data frame's columns.
    otherwise
        Value of cells that the table does not name; None to leave them alone.

    Raises
    ------
    ContractError
        If the table lacks a column or its columns differ in length.
    """

    def __init__(
        self, table: Mapping[str, Any], otherwise: Number | None = None
    ) -> None:
        self.otherwise = otherwise
        lacking = {"track_id", "value"} - set(table)
        sizes = {name: len(table[name]) for name in table}
        if lacking or len(set(sizes.values())) > 1:
            problem = f"The table of CellTargets has columns {sizes}."
            remedy = "Give track_id and value (and fov, from_s), of one length."
            raise ContractError(problem, remedy=remedy)
        n = len(table["track_id"])
        fov = np.asarray(table.get("fov", np.zeros(n)), np.int64)
        track = np.asarray(table["track_id"], np.int64)
        from_s = np.asarray(table.get("from_s", np.full(n, -np.inf)), np.float64)
        order = np.lexsort((from_s, track, fov))
        self._any_fov = "fov" not in table
        self._fov, self._track = fov[order], track[order]
        self._from_s = from_s[order]
        self._value = np.asarray(table["value"], np.float64)[order]

    def at(self, time_s: float, fov: int, track_id: Ints) -> Floats:
        """Return the set-points (n,): the newest line that holds for each cell."""
        valid = self._from_s <= time_s
        if not self._any_fov:
            valid &= self._fov == fov
        tracks, values = self._track[valid], self._value[valid]
        rest = np.nan if self.otherwise is None else self.otherwise
        found: Floats = np.full(len(track_id), rest)
        if len(tracks):
            last = np.searchsorted(tracks, track_id, side="right") - 1
            known = (last >= 0) & (tracks[np.maximum(last, 0)] == track_id)
            found[known] = values[last[known]]
        return found
