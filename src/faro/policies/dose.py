"""Dose of light: what is counted, and how much is allowed. Pure.

The unit is milliseconds of full light: level of the mask (0 to 1) x power (part of the
highest) x exposure. Light of several channels is added up as such.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from faro.errors import ContractError

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Factor: TypeAlias = float
"""A number without a unit, 0 to 1."""


@dataclass(frozen=True, slots=True)
class DoseCeiling:
    """How much light is allowed at most.

    Parameters
    ----------
    most_ms
        Milliseconds of full light, > 0.
    of
        ``"fov"``: the mean over the field of view, for each position. ``"cell"``: the
        mean over the cell, for each track.
    channel
        Preset whose light counts; empty for all light together.
    per_s
        Within any so many seconds, for example 3600; 0 for the whole run.

    Raises
    ------
    ContractError
        If a value means nothing.

    Examples
    --------
    >>> str(DoseCeiling(500, of="cell", channel="CyanStim", per_s=3600))
    '500 ms of CyanStim per cell in 3600 s'
    """

    most_ms: float
    of: Literal["cell", "fov"] = "fov"
    channel: str = ""
    per_s: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.most_ms) and self.most_ms > 0):
            problem = f"DoseCeiling(most_ms=...) is {self.most_ms!r}."
            raise ContractError(problem, remedy="Give ms of full light, more than 0.")
        if self.of not in {"cell", "fov"}:
            problem = f"DoseCeiling(of=...) is {self.of!r}."
            raise ContractError(problem, remedy="Use 'cell' or 'fov'.")
        if not (math.isfinite(self.per_s) and self.per_s >= 0):
            problem = f"DoseCeiling(per_s=...) is {self.per_s!r}."
            raise ContractError(problem, remedy="Give seconds, or 0 for the whole run.")

    def counts(self, channel: str) -> bool:
        """Return whether the light of ``channel`` counts."""
        return self.channel in {"", channel}

    def __str__(self) -> str:
        light = self.channel or "light"
        place = "cell" if self.of == "cell" else "position"
        when = f" in {self.per_s:g} s" if self.per_s else ""
        return f"{self.most_ms:g} ms of {light} per {place}{when}"


@dataclass(frozen=True, slots=True)
class DoseRules:
    """What is allowed, and what happens where it would be exceeded.

    Attributes
    ----------
    ceilings
        All of them hold.
    when_over
        ``"refuse"``: the exposure is left out. ``"clip"``: light for stimulation is
        reduced to what is left: cells that have had enough stay dark, or are dimmed
        where the mask has grey levels, and the exposure is shortened for what holds of
        the whole field. Images are never shortened; they are left out.
    at_division
        Whether daughters go on with the dose of their mother, or begin with none.
    """

    ceilings: tuple[DoseCeiling, ...] = ()
    when_over: Literal["refuse", "clip"] = "refuse"
    at_division: Literal["inherit", "reset"] = "inherit"


@dataclass(frozen=True, slots=True, eq=False)
class CellShares:
    """How much of the full light each cell gets from a mask.

    Attributes
    ----------
    track_id
        (n,) int64; cells that are not named get nothing.
    level
        (n,) float64, mean of the mask over the cell, 0 to 1.
    """

    track_id: Ints
    level: Floats

    @classmethod
    def of(cls, track_id: Ints, level: Floats) -> CellShares:
        """Return the cells that get any; levels are rounded up to 1e-4, as recorded."""
        rounded = np.ceil(np.nan_to_num(level) * 1e4 - 1e-6) / 1e4
        lit = rounded > 0
        return cls(np.asarray(track_id, np.int64)[lit], rounded[lit])


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """One exposure that gives light.

    Attributes
    ----------
    fov, timestep, channel
        Where, at which timepoint, with which preset.
    role
        ``"image"``, ``"stim"`` or ``"ref"``.
    at_s
        Seconds since the run started.
    full_ms
        What a place gets where the mask is full: exposure x part of the full power.
    mean, peak
        Mean and highest level of the mask, 0 to 1; both 1 for the whole field.
    from_timestep
        The frame that the mask was computed from; None for the whole field and for a
        mask that stands in for another.
    cells
        What each cell gets; None for the whole field, and where it is not known yet.
    """

    fov: int
    timestep: int
    channel: str
    role: str
    at_s: float
    full_ms: float
    mean: float = 1.0
    peak: float = 1.0
    from_timestep: int | None = None
    cells: CellShares | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """How much of an exposure is allowed.

    Attributes
    ----------
    field
        Part of the exposure that is allowed, 0 to 1, by what holds for all of it.
    cells
        (n,) part that each cell of `Light.cells` may have of its own; None for all.
    ceiling
        The ceiling that is met first; empty if none is.
    """

    field: Factor = 1.0
    cells: Floats | None = None
    ceiling: str = ""

    @property
    def whole(self) -> bool:
        """Whether all of it is allowed."""
        return not self.ceiling
