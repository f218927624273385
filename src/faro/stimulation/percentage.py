"""Lights one end of every cell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from faro.errors import ContractError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from faro.protocols import StimulationContext


@dataclass(frozen=True, slots=True)
class PercentageOfCell:
    """Lights the part of each cell that lies furthest in one direction.

    The direction is one of the image, the same for all cells and frames, so the lit
    end never flips.

    Parameters
    ----------
    fraction
        Part of each cell that is lit, 0 to 1.
    direction
        (dy, dx) in the image; ``(-1, 0)`` is up. Any length but zero.
    metadata_key
        Name of an entry of the event's metadata that holds the fraction instead, for
        example to give each treatment its own.

    Raises
    ------
    ContractError
        If the fraction is not 0 to 1 or the direction is zero.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    fraction: float = 0.3
    direction: tuple[float, float] = (-1.0, 0.0)
    metadata_key: str | None = None

    def __post_init__(self) -> None:
        _checked_fraction(self.fraction, "PercentageOfCell(fraction=...)")
        length = math.hypot(*self.direction)
        if not (math.isfinite(length) and length > 0):
            problem = f"PercentageOfCell was given the direction {self.direction}."
            remedy = "Give (dy, dx), not both zero; (-1, 0) is up."
            raise ContractError(problem, remedy=remedy)

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
        if context.cells is None:
            problem = "PercentageOfCell was given no cells."
            remedy = "Give the pipeline a segmenter."
            raise ContractError(problem, remedy=remedy)
        fraction = self.fraction
        if self.metadata_key is not None:
            value = context.metadata.get(self.metadata_key)
            fraction = _checked_fraction(value, f"metadata[{self.metadata_key!r}]")
        return context.cells.half(self.direction, fraction)


def _checked_fraction(value: object, where: str) -> float:
    """Return a number from 0 to 1, or raise ContractError."""
    if isinstance(value, int | float) and 0 <= value <= 1:
        return float(value)
    problem = f"{where} is {value!r}, not a fraction of a cell."
    raise ContractError(problem, remedy="Use a number from 0 to 1.")
