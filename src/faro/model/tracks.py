"""Numbers that belong to tracks, from frame to frame: kept over gaps, inherited."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def _no_ids() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class TrackValues:
    """Some numbers for every track that was seen lately. Immutable.

    Attributes
    ----------
    track_id
        (m,) int64, ascending.
    columns
        Name to (m,) float64; NaN where nothing is known.
    missed
        (m,) int64: how many updates in a row the track was not there.

    Examples
    --------
    >>> seen = TrackValues().updated(np.array([7, 3]), {"dose": np.array([2.0, 5.0])})
    >>> seen.of(np.array([3, 4, 7]), "dose").tolist()
    [5.0, nan, 2.0]
    """

    track_id: Ints = field(default_factory=_no_ids)
    columns: Mapping[str, Floats] = field(default_factory=dict)
    missed: Ints = field(default_factory=_no_ids)

    def of(self, track_id: Ints, name: str, *, parent_id: Ints | None = None) -> Floats:
        """Return a column (n,) for the tracks ``track_id`` (n,); NaN where unknown.

        Parameters
        ----------
        track_id
            Whose.
        name
            Of the column; one that was never set is unknown for all.
        parent_id
            (n,) int64, 0 for none: a track that is unknown inherits from its parent.
        """
        return self.rows(track_id, (name,), parent_id=parent_id)[name]

    def rows(
        self, track_id: Ints, names: Iterable[str], *, parent_id: Ints | None = None
    ) -> dict[str, Floats]:
        """Return several columns at once, name to (n,); see `of`."""
        at, known = self._places(track_id)
        if parent_id is not None and not known.all():
            theirs, there = self._places(parent_id)
            adopted = ~known & there & (parent_id > 0)
            at, known = np.where(adopted, theirs, at), known | adopted
        found = {}
        for name in names:
            values: Floats = np.full(len(track_id), np.nan)
            if name in self.columns:
                values[known] = self.columns[name][at[known]]
            found[name] = values
        return found

    def knows(self, track_id: Ints) -> npt.NDArray[np.bool_]:
        """Return for each track (n,) whether it has been seen."""
        return self._places(track_id)[1]

    def updated(
        self, track_id: Ints, columns: Mapping[str, Floats], keep_missed: int = 20
    ) -> TrackValues:
        """Return these values with those of one more frame.

        Parameters
        ----------
        track_id
            (n,) the tracks of the frame, each once.
        columns
            Name to (n,) new values.
        keep_missed
            Updates for which a track that is not there is remembered.
        """
        order = np.argsort(track_id, kind="stable")
        ids = np.asarray(track_id, np.int64)[order]
        if np.array_equal(ids, self.track_id):
            same = {k: np.asarray(v, np.float64)[order] for k, v in columns.items()}
            return TrackValues(ids, same, np.zeros(len(ids), np.int64))
        gone = ~np.isin(self.track_id, ids) & (self.missed < keep_missed)
        merged = np.concatenate([ids, self.track_id[gone]])
        into = np.argsort(merged, kind="stable")
        old_missed = self.missed[gone] + 1
        missed = np.concatenate([np.zeros(len(ids), np.int64), old_missed])[into]
        values = {}
        for name, new in columns.items():
            old = self.columns.get(name)
            kept = np.full(int(gone.sum()), np.nan) if old is None else old[gone]
            values[name] = np.concatenate([np.asarray(new, float)[order], kept])[into]
        return TrackValues(merged[into], values, missed)

    def state(self) -> dict[str, Any]:
        """Return everything, JSON-able; NaN becomes None."""
        columns = {
            name: [None if np.isnan(v) else float(v) for v in values]
            for name, values in self.columns.items()
        }
        return {
            "track_id": self.track_id.tolist(),
            "missed": self.missed.tolist(),
            "columns": columns,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> TrackValues:
        """Return what `state` was taken from."""
        columns = {
            name: np.array([np.nan if v is None else v for v in values], np.float64)
            for name, values in state["columns"].items()
        }
        return cls(
            np.array(state["track_id"], np.int64),
            columns,
            np.array(state["missed"], np.int64),
        )

    def _places(
        self, track_id: Ints
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return where each track (n,) is, and whether it is there."""
        if not len(self.track_id):
            none = np.zeros(len(track_id), np.bool_)
            return np.zeros(len(track_id), np.intp), none
        at = np.searchsorted(self.track_id, track_id)
        at = np.minimum(at, len(self.track_id) - 1)
        return at, self.track_id[at] == track_id
