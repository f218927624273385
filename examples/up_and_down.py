"""Two directions in one dish; simulated_optogenetics.toml names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.protocols import StimulationContext

UP, DOWN = (-1.0, 0.0), (1.0, 0.0)


class UpAndDown:
    """Lights the upper end of cells with an even track id, the lower end of others.

    Parameters
    ----------
    fraction
        How much of each cell.
    """

    def __init__(self, fraction: float = 0.3) -> None:
        self.fraction = fraction

    def stimulate(self, context: StimulationContext) -> npt.NDArray[np.bool_] | None:
        """Return a mask (Y, X)."""
        cells = context.cells
        if cells is None:
            return None
        even = cells.select(cells.track_id % 2 == 0)
        up, down = (cells.half(way, self.fraction) for way in (UP, DOWN))
        return np.where(even, up, down)
