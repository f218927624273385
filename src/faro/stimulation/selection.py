"""Some of the cells: by a feature, by rank, at random, by a schedule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from faro.errors import ContractError
from faro.model import Stimulus, stimulus_from
from faro.protocols import needs_of
from faro.stimulation.plugin import as_stimulator
from faro.stimulation.settings import cells_of, checked_fraction

if TYPE_CHECKING:
    from faro.protocols import Cells, StimulationContext

Levels = npt.NDArray[np.uint8]
FULL = 255


def painted(cells: Cells, levels: Levels) -> Levels:
    """Return grey levels (Y, X) uint8: that of each cell, from ``levels`` (n,)."""
    flat, cell, _, _ = cells.pixels
    mask: Levels = np.zeros(cells.labels.shape, np.uint8)
    mask.ravel()[flat] = levels[cell]
    return mask


class Selection:
    """What all selections do: light the chosen cells, or another's light in them."""

    within: object

    @property
    def required_metadata(self) -> tuple[str, ...]:
        """Metadata that the stimulator inside needs."""
        if self.within is None:
            return ()
        return tuple(getattr(self.within, "required_metadata", ()) or ())

    def also_needs(self, *own: str) -> tuple[str, ...]:
        """Return ``own`` and what the stimulator inside needs."""
        inner = () if self.within is None else needs_of(as_stimulator(self.within))
        return tuple(dict.fromkeys([*own, *inner]))

    def lit(
        self, context: StimulationContext, cells: Cells, levels: Levels
    ) -> Levels | Stimulus | None:
        """Return the light of cells with ``levels`` (n,), 0 to 255."""
        chosen = painted(cells, levels)
        if self.within is None:
            return chosen
        answer = as_stimulator(self.within).stimulate(context)
        inner = stimulus_from(answer, context.shape)
        if inner is None or inner.mask is None:
            return None if inner is None else chosen
        return replace(inner, mask=_dimmed(inner.mask, chosen))


def _dimmed(mask: Levels, by: Levels) -> Levels:
    """Return ``mask`` (Y, X) scaled by the grey levels of another."""
    product = mask.astype(np.uint16) * by
    return ((product + 127) // FULL).astype(np.uint8)


def _levels(chosen: npt.NDArray[np.bool_]) -> Levels:
    return chosen.astype(np.uint8) * np.uint8(FULL)


@dataclass(frozen=True, slots=True)
class CellsByFeature(Selection):
    """Lights the cells whose feature lies in a range.

    Parameters
    ----------
    feature
        Name of a column of the cell table; one of `faro.protocols.Cells` such as
        ``"area"``, or one that a feature extractor provides. NaN is in no range.
    at_least, at_most
        Ends of the range, both included; None for no end.
    within
        Another stimulator, whose light is kept in the chosen cells only; None to light
        the whole cells.

    Raises
    ------
    ContractError
        If there is no range.
    """

    feature: str
    at_least: float | None = None
    at_most: float | None = None
    within: object = None

    def __post_init__(self) -> None:
        low = -np.inf if self.at_least is None else self.at_least
        high = np.inf if self.at_most is None else self.at_most
        if (self.at_least is None and self.at_most is None) or not low <= high:
            problem = f"CellsByFeature has the range {self.at_least} to {self.at_most}."
            raise ContractError(problem, remedy="Give at_least, at_most or both.")

    @property
    def needs(self) -> tuple[str, ...]:
        """The feature, and what the stimulator inside needs."""
        return self.also_needs(*ready(self.feature))

    def stimulate(self, context: StimulationContext) -> Levels | Stimulus | None:
        """Return the light of the chosen cells, (Y, X)."""
        cells = cells_of(context, self)
        values = np.asarray(cells[self.feature], np.float64)
        low = -np.inf if self.at_least is None else self.at_least
        high = np.inf if self.at_most is None else self.at_most
        return self.lit(context, cells, _levels((values >= low) & (values <= high)))


@dataclass(frozen=True, slots=True)
class CellsByRank(Selection):
    """Lights the cells with the highest or lowest values of a feature.

    Parameters
    ----------
    feature
        As for `CellsByFeature`; cells with NaN are never chosen.
    count, fraction
        How many, or which part of all cells; one of the two. Of equal values the
        cells with the smaller labels are taken.
    which
        ``"highest"`` or ``"lowest"``.
    within
        As for `CellsByFeature`.

    Raises
    ------
    ContractError
        If neither or both of count and fraction are given, or they mean nothing.
    """

    feature: str
    count: int | None = None
    fraction: float | None = None
    which: Literal["highest", "lowest"] = "highest"
    within: object = None

    def __post_init__(self) -> None:
        if (self.count is None) == (self.fraction is None) or (self.count or 0) < 0:
            problem = f"CellsByRank has count {self.count}, fraction {self.fraction}."
            raise ContractError(problem, remedy="Give one of the two, 0 or more.")
        if self.fraction is not None:
            checked_fraction(self.fraction, "CellsByRank(fraction=...)")

    @property
    def needs(self) -> tuple[str, ...]:
        """The feature, and what the stimulator inside needs."""
        return self.also_needs(*ready(self.feature))

    def stimulate(self, context: StimulationContext) -> Levels | Stimulus | None:
        """Return the light of the chosen cells, (Y, X)."""
        cells = cells_of(context, self)
        values = np.asarray(cells[self.feature], np.float64)
        valid = np.flatnonzero(~np.isnan(values))
        share = 0.0 if self.fraction is None else self.fraction * len(cells)
        wanted = int(share + 0.5) if self.count is None else self.count
        keys = -values[valid] if self.which == "highest" else values[valid]
        chosen = np.zeros(len(cells), np.bool_)
        chosen[valid[np.argsort(keys, kind="stable")[:wanted]]] = True
        return self.lit(context, cells, _levels(chosen))


@dataclass(frozen=True, slots=True)
class RandomCells(Selection):
    """Lights a random part of the cells; a track is chosen once and for all.

    The choice follows from seed, FOV and track id alone, so it is the same in a replay
    and does not change when other cells come and go.

    Parameters
    ----------
    fraction
        Probability of a cell to be chosen, 0 to 1.
    seed
        Another seed, another choice.
    within
        As for `CellsByFeature`.
    """

    fraction: float = 0.5
    seed: int = 0
    within: object = None

    def __post_init__(self) -> None:
        checked_fraction(self.fraction, "RandomCells(fraction=...)")

    @property
    def needs(self) -> tuple[str, ...]:
        """Tracks, and what the stimulator inside needs."""
        return self.also_needs("tracks")

    def stimulate(self, context: StimulationContext) -> Levels | Stimulus | None:
        """Return the light of the chosen cells, (Y, X)."""
        cells = cells_of(context, self)
        draws = uniform_of(cells.track_id, self.seed, context.fov)
        return self.lit(context, cells, _levels(draws < self.fraction))


def uniform_of(
    track_id: npt.NDArray[np.int64], seed: int, fov: int
) -> npt.NDArray[np.float64]:
    """Return a number from 0 to 1, 1 excluded, for each track, (n,).

    The mixing function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) over seed,
    FOV and track id, one after the other.
    """
    state = np.zeros(len(track_id), np.uint64)
    for part in (np.uint64(seed % 2**64), np.uint64(fov), track_id.astype(np.uint64)):
        state = _mixed(state ^ part)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def ready(feature: str) -> tuple[str, ...]:
    """Return what must be ready for a feature that cells have, or an extractor's."""
    if feature in {"label", "y", "x", "area"}:
        return ("labels",)
    return ("tracks",) if feature in {"track_id", "parent_id"} else (feature,)
