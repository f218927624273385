"""The rows of one frame, as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from faro.model import CellTable

if TYPE_CHECKING:
    from faro.analysis import PixelCells
    from faro.model import Stack
    from faro.model.cells import Column
    from faro.protocols import FeatureExtractor, Tracker


def parents_of(tracker: Tracker, cells: PixelCells) -> Column:
    """Return the parent's track id of each cell, 0 for none."""
    parents = np.asarray(getattr(tracker, "parents", ()), np.int64)
    return parents if len(parents) == len(cells) else np.zeros(len(cells), np.int64)


def images_of(
    extractor: FeatureExtractor, cells: PixelCells, _stack: Stack
) -> dict[str, Any]:
    """Return the label images that an extractor gives, empty if it gives none."""
    make = getattr(extractor, "label_images", None)
    return {} if make is None else make(cells)


def table_of(
    stack: Stack, cells: PixelCells, parents: Column, columns: dict[str, Column]
) -> CellTable:
    """Return the rows of one frame, the fixed columns first."""
    n = len(cells)
    first: dict[str, Column] = {
        "fov": np.full(n, stack.fov, np.int32),
        "timestep": np.full(n, stack.timestep, np.int32),
        "label": cells.label,
        "track_id": cells.track_id,
        "parent_id": parents,
        "y": cells.y,
        "x": cells.x,
        "area": cells.area,
    }
    return CellTable(first | {k: v for k, v in columns.items() if k not in first})
