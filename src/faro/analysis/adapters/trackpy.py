"""trackpy (Crocker and Grier 1996) as a tracker of the loop."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faro.analysis.tracks import check_words
from faro.errors import ContractError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.analysis.tracking import Positions
    from faro.protocols.analysis import Floats

Ints = npt.NDArray[np.int64]


class TrackpyTracker:
    """Follows the cells of one FOV with trackpy, by position only.

    trackpy counts its tracks in one place for the whole process, and starts again
    whenever a field of view begins; so ids here are our own, one count per FOV, from
    1. trackpy knows no divisions and no stage jumps. One instance per FOV; not
    thread-safe. Needs the extra ``trackpy``.

    Parameters
    ----------
    max_distance_px
        Largest displacement between two timepoints; trackpy's ``search_range``.
    memory
        For how many frames a cell may be missing and keep its id.
    adaptive_stop_px, adaptive_step_fraction
        Where too many cells are within reach of each other, the reach is shrunk by
        this factor, down to this many px.
    """

    def __init__(
        self,
        max_distance_px: float = 50.0,
        memory: int = 3,
        *,
        adaptive_stop_px: float = 3.0,
        adaptive_step_fraction: float = 0.95,
    ) -> None:
        self.max_distance_px, self.memory = max_distance_px, memory
        self.adaptive_stop_px = adaptive_stop_px
        self.adaptive_step_fraction = adaptive_step_fraction
        self._linker: Any = None
        self._timestep: int | None = None
        self._last_id = 0

    def update(self, timestep: int, cells: Positions, /) -> Ints:
        """Return the track ids (n,) int64 >= 1 of the cells, in their order.

        Raises
        ------
        MissingExtraError
            If trackpy is not installed.
        ContractError
            If time does not go forward.
        """
        if self._timestep is not None and timestep <= self._timestep:
            problem = f"Timestep {timestep} came after {self._timestep}."
            raise ContractError(problem, remedy="Give the frames of a FOV in order.")
        yx = np.stack([cells.y, cells.x], axis=1).astype(np.float64)
        if self._linker is None:
            self._linker = self._new_linker(yx, timestep)
        else:
            self._linker.next_level(yx, timestep)
        self._timestep = timestep
        return self._ids(self._linker.hash.points)

    def state(self) -> dict[str, Any]:
        """Return the state, JSON-able; its size does not grow with time."""
        state: dict[str, Any] = {"timestep": self._timestep, "last_id": self._last_id}
        if self._linker is not None:
            missing = self._linker.mem_set
            state["now"] = _described(self._linker.hash.points)
            state["missing"] = [
                _described(point for point in lost if point in missing)
                for lost in self._linker.mem_history
            ]
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned.

        Raises
        ------
        ForeignStateError
            If another version returned it.
        """
        begun = ("now", "missing") if {"now", "missing"} & set(state) else ()
        check_words(state, ("timestep", "last_id", *begun), "the tracker")
        self._timestep = state["timestep"]
        self._last_id = int(state["last_id"])
        self._linker = None
        if "now" not in state:
            return
        linking = _linking()
        now = np.asarray(state["now"], np.float64).reshape(-1, 3)
        self._linker = self._new_linker(now[:, :2], self._timestep or 0)
        _name(self._linker.hash.points, now[:, 2])
        history = []
        for lost in state["missing"]:
            rows = np.asarray(lost, np.float64).reshape(-1, 3)
            points = linking.linking.points_from_arr(rows[:, :2], self._timestep)
            for point in points:
                linking.utils.TrackUnstored(point)
            _name(points, rows[:, 2])
            history.append(set(points))
        self._linker.mem_history = history
        self._linker.mem_set = set().union(*history)

    def _new_linker(self, yx: Floats, timestep: int) -> Any:
        """Return trackpy's linker with cells at (n, 2) in its first frame."""
        _compiled()
        linker = _linking().Linker(
            search_range=self.max_distance_px,
            memory=self.memory,
            adaptive_stop=self.adaptive_stop_px,
            adaptive_step=self.adaptive_step_fraction,
        )
        linker.init_level(yx, timestep)
        return linker

    def _ids(self, points: Iterable[Any]) -> Ints:
        """Return our id (n,) of each of trackpy's points; new tracks get the next."""
        ids = []
        for point in points:
            if not hasattr(point.track, "faro_id"):
                self._last_id += 1
                point.track.faro_id = self._last_id
            ids.append(point.track.faro_id)
        return np.asarray(ids, np.int64)


@cache
def _compiled() -> None:
    """Have numba compile trackpy before the first frame is linked; it takes seconds.

    The cells are so close that all of trackpy's solver is asked.
    """
    linker = _linking().Linker(search_range=5.0, memory=1, adaptive_stop=1.0)
    y, x = np.divmod(np.arange(9.0), 3)
    linker.init_level(np.stack([y, x], axis=1), 0)
    for timestep in (1, 2):
        linker.next_level(np.stack([y, x + 0.4 * timestep], axis=1), timestep)


def _linking() -> Any:
    """Return trackpy's linking package, or raise MissingExtraError."""
    try:
        from trackpy import linking  # noqa: PLC0415  optional, and slow to load
    except ImportError as error:
        library = "trackpy"
        raise MissingExtraError(library, extra="trackpy") from error
    return linking


def _described(points: Iterable[Any]) -> list[list[float]]:
    """Return y, x and id of each point."""
    return [[*point.pos.tolist(), point.track.faro_id] for point in points]


def _name(points: Iterable[Any], ids: Floats) -> None:
    """Give the tracks of ``points`` their ids (n,)."""
    for point, number in zip(points, ids.tolist(), strict=True):
        point.track.faro_id = int(number)
