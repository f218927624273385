"""Statistics of the grey levels of every cell, by channel and compartment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from faro.errors import ContractError

if TYPE_CHECKING:
    from faro.model import Stack
    from faro.model.frame import PixelArray
    from faro.protocols import Cells
    from faro.protocols.analysis import Floats

    Found: TypeAlias = dict[str, Floats]

_PLAIN = ("mean", "median", "std", "sum", "min", "max")
_CORRECTED = "corrected_"
_PERCENTILE = re.compile(r"p(\d{1,2}|100)")
_FEWEST_PX = 100
_CROWDED_PERCENTILE = 5


@dataclass(frozen=True, slots=True)
class IntensityFeatures:
    """Statistics of the grey levels in each cell, or in a part of it.

    Columns are called ``<statistic>_<channel>_<region>``, like ``mean_miRFP_nuc``.

    Parameters
    ----------
    statistics
        Any of ``"mean"``, ``"median"``, ``"std"``, ``"sum"``, ``"min"``, ``"max"`` and
        ``"p0"`` to ``"p100"`` for percentiles; with ``corrected_`` before it, less the
        background (`background_level`), times the pixels for ``corrected_sum``.
    channels
        Names or indices; all by default.
    region
        What is measured is called in the names of the columns.
    ring
        Measure the ring from so many to so many px around each cell instead.
    compartment
        Measure the labels of this name that have the cells' numbers instead.
    without_self
        Of the compartment, leave out the cells themselves.
    background_distance_px
        Background is what is further than this from every cell.

    Raises
    ------
    ContractError
        If a statistic is unknown, or both a ring and a compartment are asked for.
    """

    statistics: tuple[str, ...] = ("mean",)
    channels: tuple[str | int, ...] | None = None
    region: str = "nuc"
    ring: tuple[int, int] | None = None
    compartment: str | None = None
    without_self: bool = False
    background_distance_px: int = 10

    def __post_init__(self) -> None:
        unknown = [name for name in self.statistics if not _is_known(name)]
        if unknown:
            problem = f"There is no statistic {unknown[0]!r}."
            remedy = f"Use any of: {', '.join(_PLAIN)}, p0 to p100, {_CORRECTED}<one>."
            raise ContractError(problem, remedy=remedy)
        if self.ring is not None and self.compartment is not None:
            problem = f"Both a ring and the compartment {self.compartment!r} are asked."
            raise ContractError(problem, remedy="Use two IntensityFeatures.")

    @property
    def provides(self) -> tuple[str, ...] | None:
        """Names of the columns; None where they depend on the stack's channels."""
        names = [name for name in self.channels or () if isinstance(name, str)]
        if not names or len(names) < len(self.channels or ()):
            return None
        return tuple(f"{s}_{n}_{self.region}" for s in self.statistics for n in names)

    def features(self, cells: Cells, stack: Stack) -> dict[str, Floats]:
        """Return the columns, name to (n,) float64."""
        names = channel_names(stack, self.channels)
        parts = cells
        if self.ring is not None:
            parts = cells.ring(*self.ring)
        elif self.compartment is not None:
            parts = cells.compartment(self.compartment, without_self=self.without_self)
        found = {name: self._measured(parts, cells, stack[name]) for name in names}
        return {
            f"{statistic}_{name}_{self.region}": found[name][statistic]
            for statistic in self.statistics
            for name in names
        }

    def _measured(self, parts: Cells, cells: Cells, plane: PixelArray) -> Found:
        """Return the statistics of one channel by name, (n,) each."""
        plain = dict.fromkeys(s.removeprefix(_CORRECTED) for s in self.statistics)
        found = _statistics(parts, plane, tuple(plain))
        if any(s.startswith(_CORRECTED) for s in self.statistics):
            level = background_level(cells, plane, self.background_distance_px)
            for name in plain:
                share = parts.area if name == "sum" else 0 if name == "std" else 1
                found[_CORRECTED + name] = found[name] - level * share
        return found


def background_level(cells: Cells, plane: PixelArray, distance_px: int) -> float:
    """Return the grey level of an image (Y, X) where no cell is near: the median.

    Where hardly a pixel is that far from all cells, the 5th percentile of the image.
    """
    empty = (cells.labels == 0).view(np.uint8)
    edge = 2 * distance_px + 1
    far = cv2.erode(empty, np.ones((edge, edge), np.uint8)).view(np.bool_)
    if np.count_nonzero(far) >= _FEWEST_PX:
        return float(np.median(plane[far]))
    return float(np.percentile(plane, _CROWDED_PERCENTILE)) if plane.size else 0.0


def channel_names(
    stack: Stack, channels: tuple[str | int, ...] | None
) -> tuple[str, ...]:
    """Return the names of channels given by name or index; all for None.

    Raises
    ------
    UnknownChannelError
        If the stack has no such channel.
    """
    if channels is None:
        return stack.channels
    for channel in channels:
        stack.plane(channel)
    return tuple(c if isinstance(c, str) else stack.channels[c] for c in channels)


def _is_known(statistic: str) -> bool:
    plain = statistic.removeprefix(_CORRECTED)
    return plain in _PLAIN or _PERCENTILE.fullmatch(plain) is not None


def _statistics(cells: Cells, plane: PixelArray, names: tuple[str, ...]) -> Found:
    """Return plain statistics by name, (n,) each; the pixels are sorted once."""
    measures = {
        "mean": cells.mean,
        "median": cells.median,
        "std": cells.std,
        "sum": cells.sum,
    }
    found: Found = {n: measures[n](plane) for n in names if n in measures}
    ranked = [name for name in names if name not in measures]
    extremes = {"min": 0.0, "max": 100.0}
    if ranked:
        percents = [extremes.get(n) if n in extremes else float(n[1:]) for n in ranked]
        rows = cells.percentiles(plane, [p for p in percents if p is not None])
        found |= dict(zip(ranked, rows, strict=True))
    return found
