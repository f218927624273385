"""Reference frames: what they show of the cells of their moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.analysis import PixelCells
    from faro.model import Stack
    from faro.model.cells import Column

PREFIX = "ref_"


def unusable(cells: PixelCells | None, timestep: int | None, stack: Stack) -> str:
    """Return why a reference frame cannot be measured, empty where it can."""
    if cells is None or timestep is None:
        return "no cells were found before it"
    if timestep != stack.timestep:
        return f"the cells were last found at timepoint {timestep}"
    if cells.labels.shape != stack.shape:
        return f"its shape is {stack.shape}, that of the cells {cells.labels.shape}"
    return ""


def referred(cells: PixelCells, columns: Mapping[str, Column]) -> dict[str, Any]:
    """Return what the journal says of a reference frame.

    ``track_id`` is a list of n ids, ``columns`` name to list of n values; names begin
    with ``ref_``. The storage gives the values to all rows of each track.
    """
    return {
        "track_id": cells.track_id.tolist(),
        "columns": {
            PREFIX + name: np.asarray(values, np.float64).tolist()
            for name, values in columns.items()
        },
    }
