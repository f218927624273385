"""Lights one end of every cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from faro.stimulation.directions import (
    Direction,
    End,
    Vector,
    checked_direction,
    directions,
)
from faro.stimulation.settings import cells_of, checked_fraction, in_px, one_length

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.protocols import StimulationContext


@dataclass(frozen=True, slots=True)
class PercentageOfCell:
    """Lights the part of each cell that lies furthest in one direction.

    The lit end of a cell belongs to its track and never flips: a direction of the
    image is the same for all frames; along the major axis the end nearest to the last
    one is taken; a direction of movement stays until the cell has moved on.

    Parameters
    ----------
    fraction
        Part of each cell that is lit, 0 to 1.
    direction
        (dy, dx) in the image; ``(-1, 0)`` is up. Any length but zero. Or
        ``"major_axis"``: along the long axis of each cell, at first its upper end.
        Or ``"movement"``: where the cell moves; one that has not moved stays dark.
    metadata_key
        Name of an entry of the event's metadata that holds the fraction instead, for
        example to give each treatment its own.
    towards_px
        (y, x) in camera pixels: the end of each cell that is nearest to this point,
        instead of a direction.
    end
        ``"front"``, or ``"rear"`` for the opposite end.

    Raises
    ------
    ContractError
        If the fraction is not 0 to 1 or the direction is none.
    """

    fraction: float = 0.3
    direction: Direction = (-1.0, 0.0)
    metadata_key: str | None = None
    towards_px: Vector | None = None
    end: End = "front"

    def __post_init__(self) -> None:
        checked_fraction(self.fraction, "PercentageOfCell(fraction=...)")
        checked_direction(self.direction, self.towards_px, "PercentageOfCell")

    @property
    def needs(self) -> tuple[str, ...]:
        """What must be ready: tracks where the lit end is remembered, else labels."""
        return checked_direction(self.direction, self.towards_px, "PercentageOfCell")

    @property
    def required_metadata(self) -> tuple[str, ...]:
        """Names that stimulation events must carry."""
        return () if self.metadata_key is None else (self.metadata_key,)

    def stimulate(self, context: StimulationContext) -> npt.NDArray[np.bool_]:
        """Return the mask (Y, X) of the lit ends.

        Raises
        ------
        ContractError
            If there are no cells, or the metadata holds no fraction.
        """
        cells = cells_of(context, self)
        fraction = self.fraction
        if self.metadata_key is not None:
            value = context.metadata.get(self.metadata_key)
            fraction = checked_fraction(value, f"metadata[{self.metadata_key!r}]")
        towards = directions(context, cells, self.direction, self.towards_px, self.end)
        return cells.half(towards, fraction)


@dataclass(frozen=True, slots=True)
class EdgeOfCell:
    """Lights the edge of each cell that faces one direction: top, front or rear.

    A pixel is lit if the point ``width`` further along lies outside its cell.

    Parameters
    ----------
    width_px, width_um
        Width of the edge; one of the two.
    direction, towards_px, end
        As for `PercentageOfCell`; the default is the top edge.

    Raises
    ------
    ContractError
        If the width or the direction is none.
    """

    required_metadata: ClassVar[tuple[str, ...]] = ()
    width_px: float | None = None
    width_um: float | None = None
    direction: Direction = (-1.0, 0.0)
    towards_px: Vector | None = None
    end: End = "front"

    def __post_init__(self) -> None:
        one_length(self.width_px, self.width_um, "EdgeOfCell(width_...=...)")
        checked_direction(self.direction, self.towards_px, "EdgeOfCell")

    @property
    def needs(self) -> tuple[str, ...]:
        """What must be ready: tracks where the lit end is remembered, else labels."""
        return checked_direction(self.direction, self.towards_px, "EdgeOfCell")

    def stimulate(self, context: StimulationContext) -> npt.NDArray[np.bool_]:
        """Return the mask (Y, X) of the lit edges.

        Raises
        ------
        ContractError
            If there are no cells, or the width is in um and the pixel size unknown.
        """
        cells = cells_of(context, self)
        width = in_px(self.width_px, self.width_um, context, self)
        towards = directions(context, cells, self.direction, self.towards_px, self.end)
        towards = np.broadcast_to(towards, (len(cells), 2))
        steps = width * towards / np.hypot(*towards.T)[:, None]
        points = ~np.isnan(steps[:, 0])
        dy, dx = np.rint(np.nan_to_num(steps)).astype(np.int32).T
        flat, cell, row, column = cells.pixels
        y, x = row + dy[cell], column + dx[cell]
        height, wide = cells.labels.shape
        outside = (y < 0) | (y >= height) | (x < 0) | (x >= wide)
        there = np.clip(y, 0, height - 1) * np.int32(wide) + np.clip(x, 0, wide - 1)
        leaves = outside | (cells.labels.ravel()[there] != cells.label[cell])
        mask = np.zeros(cells.labels.shape, np.bool_)
        mask.ravel()[flat[leaves & points[cell]]] = True
        return mask
