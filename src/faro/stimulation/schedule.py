"""Cells that are lit by a schedule of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from faro.errors import ContractError
from faro.model import TrackValues
from faro.stimulation.selection import FULL, Levels, Selection
from faro.stimulation.settings import cells_of, checked_fraction

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.model import Stimulus
    from faro.protocols import Cells, StimulationContext


@dataclass(frozen=True, slots=True)
class Lit:
    """One line of a schedule: which cells are lit from when to when.

    Attributes
    ----------
    from_s, to_s
        Seconds; ``from_s`` included, ``to_s`` not.
    track_id, fov
        Which cell; None for every track, every FOV.
    level
        Light, 0 to 1.
    """

    from_s: float
    to_s: float
    track_id: int | None = None
    fov: int | None = None
    level: float = 1.0


@dataclass(frozen=True, slots=True)
class ScheduledCells(Selection):
    """Lights each cell by a schedule of its own.

    Parameters
    ----------
    schedule
        Lines of the schedule; where several hold for a cell, the brightest counts.
    since
        From when seconds are counted: ``"run"``, the beginning of the run, or
        ``"seen"``, the frame on which the track was seen first; a daughter cell counts
        from its own.
    within
        As for `CellsByFeature`.

    Raises
    ------
    ContractError
        If a line is empty or its level is not 0 to 1.
    """

    schedule: tuple[Lit, ...] = ()
    since: Literal["run", "seen"] = "run"
    within: object = None
    _kept: ClassVar[str] = "first seen"

    def __post_init__(self) -> None:
        for number, line in enumerate(self.schedule):
            where = f"ScheduledCells(schedule=...)[{number}]"
            checked_fraction(line.level, f"{where}.level")
            if not line.from_s < line.to_s:
                problem = f"{where} is from {line.from_s} to {line.to_s} s."
                raise ContractError(problem, remedy="Let it end after it begins.")

    @property
    def needs(self) -> tuple[str, ...]:
        """Tracks, and what the stimulator inside needs."""
        return self.also_needs("tracks")

    def stimulate(self, context: StimulationContext) -> Levels | Stimulus | None:
        """Return the light of the cells, (Y, X)."""
        cells = cells_of(context, self)
        age_s = self._age_s(context, cells)
        levels = np.zeros(len(cells))
        for line in self.schedule:
            if line.fov not in {None, context.fov}:
                continue
            due = (age_s >= line.from_s) & (age_s < line.to_s)
            if line.track_id is not None:
                due &= cells.track_id == line.track_id
            levels[due] = np.maximum(levels[due], line.level)
        return self.lit(context, cells, np.rint(levels * FULL).astype(np.uint8))

    def _age_s(
        self, context: StimulationContext, cells: Cells
    ) -> npt.NDArray[np.float64]:
        """Return the seconds that count for each cell, (n,)."""
        now_s: npt.NDArray[np.float64] = np.full(len(cells), context.time_s)
        if self.since == "run":
            return now_s
        kept = context.memory.get(self._kept) or TrackValues()
        first_s = kept.of(cells.track_id, "first_s")
        first_s = np.where(np.isnan(first_s), now_s, first_s)
        context.memory[self._kept] = kept.updated(cells.track_id, {"first_s": first_s})
        age_s: npt.NDArray[np.float64] = now_s - first_s
        return age_s
