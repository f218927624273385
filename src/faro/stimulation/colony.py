"""Lights one side of a colony of cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from faro.errors import ContractError
from faro.stimulation.directions import Vector, checked_direction
from faro.stimulation.settings import checked_fraction, checked_positive

if TYPE_CHECKING:
    from faro.protocols import StimulationContext

Bools = npt.NDArray[np.bool_]
COUNTED = 50_000
"""Pixels that are looked at to find where the lit part of a colony ends."""


@dataclass(frozen=True, slots=True)
class PercentageOfColony:
    """Lights the part of the largest colony that lies furthest in one direction.

    Cells whose gap is narrower than ``gap_px`` belong to one colony; gaps between them
    and holes belong to it.

    Parameters
    ----------
    fraction
        Part of the colony that is lit, 0 to 1.
    direction
        (dy, dx) in the image; ``(0, -1)`` is to the left.
    gap_px
        Widest gap between two cells of a colony; 0 for objects as they are.
    labels
        Name of the label image; None for the one of the main segmenter.
    metadata_key
        Name of an entry of the event's metadata that holds the fraction instead.

    Raises
    ------
    ContractError
        If the fraction is not 0 to 1, or the direction is none.
    """

    needs: ClassVar[tuple[str, ...]] = ("labels",)
    fraction: float = 0.5
    direction: Vector = (0.0, -1.0)
    gap_px: float = 20.0
    labels: str | None = None
    metadata_key: str | None = None

    def __post_init__(self) -> None:
        checked_fraction(self.fraction, "PercentageOfColony(fraction=...)")
        checked_direction(self.direction, None, "PercentageOfColony")
        checked_positive(self.gap_px, "PercentageOfColony(gap_px=...)", zero=True)

    @property
    def required_metadata(self) -> tuple[str, ...]:
        """Names that stimulation events must carry."""
        return () if self.metadata_key is None else (self.metadata_key,)

    def stimulate(self, context: StimulationContext) -> Bools:
        """Return the mask (Y, X) of the lit part."""
        fraction = self.fraction
        if self.metadata_key is not None:
            value = context.metadata.get(self.metadata_key)
            fraction = checked_fraction(value, f"metadata[{self.metadata_key!r}]")
        colony = largest_colony(self._cells(context), self.gap_px)
        if fraction == 0 or not colony.any():
            return np.zeros(context.shape, np.bool_)
        dy, dx = self.direction
        length = math.hypot(dy, dx)
        y, x = (np.arange(n, dtype=np.float64) for n in context.shape)
        y, x = y * (dy / length), x * (dx / length)
        cut = _cut(colony, y, x, fraction)
        colony &= y[:, None] >= cut - x[None, :]
        return colony

    def _cells(self, context: StimulationContext) -> Bools:
        """Return where there are cells, (Y, X)."""
        if self.labels is not None and self.labels not in context.labels:
            known = ", ".join(context.labels) or "none"
            problem = f"There is no label image {self.labels!r}; there are: {known}."
            raise ContractError(problem, remedy="Name a segmenter of the pipeline.")
        if self.labels is not None:
            return np.asarray(context.labels[self.labels] != 0)
        if context.cells is None:
            problem = "PercentageOfColony was given no cells."
            raise ContractError(problem, remedy="Give the pipeline a segmenter.")
        return np.asarray(context.cells.labels != 0)


def largest_colony(cells: Bools, gap_px: float) -> Bools:
    """Return the largest colony (Y, X), its gaps and holes filled.

    Parameters
    ----------
    cells
        (Y, X), where there are cells.
    gap_px
        Widest gap that is bridged.
    """
    reach = math.ceil(gap_px / 2)
    # room around the image, so that closing does not eat at its border
    room = reach + 1
    image = np.pad(cells.view(np.uint8), room)
    if reach:
        grown = _within(image, gap_px / 2)
        image |= 1 - _within(1 - grown, gap_px / 2)
    _, numbers, facts, _ = cv2.connectedComponentsWithStats(image, connectivity=8)
    if len(facts) < 2:
        return np.zeros(cells.shape, np.bool_)
    largest = 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))
    colony = (np.asarray(numbers) == largest).astype(np.uint8)
    outlines, _ = cv2.findContours(colony, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(colony, outlines, -1, 1, cv2.FILLED)
    return np.asarray(filled)[room:-room, room:-room].astype(np.bool_)


def _within(image: npt.NDArray[np.uint8], reach_px: float) -> npt.NDArray[np.uint8]:
    """Return what is at most ``reach_px`` from the foreground of ``image`` (Y, X)."""
    distance = cv2.distanceTransform(1 - image, cv2.DIST_L2, cv2.DIST_MASK_5)
    return (np.asarray(distance) <= reach_px).astype(np.uint8)


def _cut(
    colony: Bools,
    y: npt.NDArray[np.float64],
    x: npt.NDArray[np.float64],
    fraction: float,
) -> float:
    """Return how far along (y + x) the lit part of ``colony`` (Y, X) begins."""
    stride = max(1, math.isqrt(int(np.count_nonzero(colony)) // COUNTED))
    rows, columns = np.nonzero(colony[::stride, ::stride])
    along = y[rows * stride] + x[columns * stride]
    first = len(along) - max(1, math.ceil(len(along) * fraction - 1e-6))
    return float(np.partition(along, first)[first]) - 1e-9
