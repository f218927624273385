"""A stimulator of one's own; own_stimulator.toml names it by its import path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.protocols import StimulationContext


class LargestCells:
    """Lights the largest cells of every frame.

    Parameters
    ----------
    count
        How many.
    """

    def __init__(self, count: int = 1) -> None:
        self.count = count

    def stimulate(self, context: StimulationContext) -> npt.NDArray[np.bool_] | None:
        """Return a mask (Y, X) of the largest cells."""
        cells = context.cells
        if cells is None:
            return None
        largest = np.argsort(cells.area)[::-1][: self.count]
        return np.isin(cells.labels, cells.label[largest])
