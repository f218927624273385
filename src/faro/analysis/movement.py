"""How cells moved along their tracks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from faro.analysis.tracks import check_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model import Stack
    from faro.model.cells import Column
    from faro.protocols import Cells
    from faro.protocols.analysis import Floats

Ints = npt.NDArray[np.int64]


@dataclass(slots=True, eq=False)
class _Seen:
    """Where tracks were last seen, one row each, by ascending id."""

    ids: Ints
    y: Floats
    x: Floats
    y0: Floats
    x0: Floats
    path: Floats
    timestep: Ints
    acquired_s: Floats

    def at(self, rows: npt.NDArray[np.generic]) -> _Seen:
        """Return some rows, (n,) each."""
        return _Seen(*(getattr(self, f.name)[rows] for f in fields(self)))

    def with_(self, other: _Seen) -> _Seen:
        """Return the rows of both, by ascending id."""
        both = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        joined = _Seen(*(np.concatenate(pair) for pair in both))
        return joined.at(np.argsort(joined.ids, kind="stable"))


class MovementFeatures:
    """Speed, direction and displacement of every track.

    Columns: ``step_px`` since the track was last seen, ``speed_px_per_frame``,
    ``speed_um_per_min`` (NaN where the size of a pixel is unknown), ``direction_deg``
    of the step, 0 to the right and 90 down the image; ``displacement_px`` from where
    the track began, straight, and ``path_px``, along it. A track that begins has NaN
    steps and 0 displacement. The speed after a gap, or a pause, is the step divided by
    the time that passed.

    One object serves all FOVs; what it remembers is bounded, and stored with a run, so
    that tracks go on where a run is resumed.

    Parameters
    ----------
    memory
        For how many timepoints a missing track is remembered.
    """

    provides: ClassVar[tuple[str, ...]] = (
        "step_px",
        "speed_px_per_frame",
        "speed_um_per_min",
        "direction_deg",
        "displacement_px",
        "path_px",
    )

    def __init__(self, memory: int = 10) -> None:
        self.memory = memory
        self._seen: dict[int, _Seen] = {}

    def state(self, fov: int) -> dict[str, Any]:
        """Return what is remembered of a FOV, JSON-able; it does not grow."""
        seen = self._seen.get(fov)
        if seen is None:
            return {}
        return {f.name: getattr(seen, f.name).tolist() for f in fields(_Seen)}

    def restore(self, fov: int, state: Mapping[str, Any]) -> None:
        """Continue a FOV from what `state` returned; from nothing where it is empty.

        Raises
        ------
        ForeignStateError
            If another version returned it.
        """
        self._seen.pop(fov, None)
        if state:
            check_words(state, (f.name for f in fields(_Seen)), "MovementFeatures")
            whole = {"ids", "timestep"}
            kept: dict[str, Any] = {
                name: np.asarray(values, np.int64 if name in whole else np.float64)
                for name, values in state.items()
            }
            self._seen[fov] = _Seen(**kept)

    def features(self, cells: Cells, stack: Stack) -> dict[str, Column]:
        """Return the columns, name to (n,) float64."""
        now = _now(cells, stack)
        before = self._seen.get(stack.fov, now.at(np.empty(0, np.intp)))
        if len(before.ids) and before.timestep.max() >= stack.timestep:
            before = before.at(np.empty(0, np.intp))  # another run, from the start
        place = np.searchsorted(before.ids, now.ids)
        place = np.minimum(place, max(len(before.ids) - 1, 0))
        known = np.zeros(len(now.ids), np.bool_)
        if len(before.ids):
            known = before.ids[place] == now.ids
        last = before.at(place[known])
        columns, step_px = _compared(now, known, last, stack.pixel_size_um)
        now.y0[known], now.x0[known] = last.y0, last.x0
        now.path[known] = last.path + step_px[known]
        apart = np.hypot(now.y - now.y0, now.x - now.x0)
        gone = ~np.isin(before.ids, now.ids)
        gone &= before.timestep >= stack.timestep - self.memory
        path = now.path.copy()
        order = np.argsort(now.ids, kind="stable")
        self._seen[stack.fov] = now.at(order).with_(before.at(gone))
        return {**columns, "displacement_px": apart, "path_px": path}


def _now(cells: Cells, stack: Stack) -> _Seen:
    """Return where the cells are, as tracks that begin."""
    n = len(cells)
    return _Seen(
        ids=cells.track_id,
        y=cells.y,
        x=cells.x,
        y0=cells.y.copy(),
        x0=cells.x.copy(),
        path=np.zeros(n),
        timestep=np.full(n, stack.timestep, np.int64),
        acquired_s=np.full(n, stack.acquired_s),
    )


def _compared(
    now: _Seen, known: npt.NDArray[np.bool_], last: _Seen, pixel_size_um: float | None
) -> tuple[dict[str, Column], Floats]:
    """Return the columns of the last step, (n,) each, NaN where there is none."""
    step_px, speed, fast, angle = np.full((4, len(now.ids)), np.nan)
    dy, dx = now.y[known] - last.y, now.x[known] - last.x
    step_px[known] = np.hypot(dy, dx)
    angle[known] = np.degrees(np.arctan2(dy, dx))
    speed[known] = step_px[known] / (now.timestep[known] - last.timestep)
    if pixel_size_um is not None:
        minutes = (now.acquired_s[known] - last.acquired_s) / 60
        um = step_px[known] * pixel_size_um
        fast[known] = np.divide(um, minutes, out=fast[known], where=minutes > 0)
    columns: dict[str, Column] = {
        "step_px": step_px,
        "speed_px_per_frame": speed,
        "speed_um_per_min": fast,
        "direction_deg": angle,
    }
    return columns, step_px
