"""Who is beside whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from faro.model import Stack
    from faro.model.cells import Column
    from faro.protocols import Cells
    from faro.protocols.analysis import Labels

_BESIDE = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True, slots=True)
class NeighbourFeatures:
    """How many cells are near each cell, how near, and how many it touches.

    Columns: ``n_neighbours`` with a centre within ``distance_px``; ``nearest_px``, the
    distance to the nearest centre, NaN for a cell alone; ``n_touching`` cells with a
    pixel beside one of its own, also at a corner.

    Parameters
    ----------
    distance_px
        Between centres.
    """

    provides: ClassVar[tuple[str, ...]] = ("n_neighbours", "nearest_px", "n_touching")
    distance_px: float = 50.0

    def features(self, cells: Cells, stack: Stack) -> dict[str, Column]:  # noqa: ARG002  looks at labels only
        """Return the columns, name to (n,) array."""
        n = len(cells)
        near, nearest = np.zeros(n, np.int64), np.full(n, np.nan)
        if n > 1:
            centres = np.stack([cells.y, cells.x], axis=1)
            tree = KDTree(centres)
            pairs = tree.query_pairs(self.distance_px, output_type="ndarray")
            near = np.bincount(pairs.ravel(), minlength=n)
            nearest = np.asarray(tree.query(centres, k=2)[0])[:, 1]
        return {
            "n_neighbours": near,
            "nearest_px": nearest,
            "n_touching": _touching(cells.labels, cells.label),
        }


def _touching(labels: Labels, label: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return how many others each of ``label`` (n,) touches in ``labels`` (Y, X)."""
    met = []
    for dy, dx in _BESIDE:
        height, width = labels.shape
        one = labels[: height - dy, max(-dx, 0) : width - max(dx, 0)]
        other = labels[dy:, max(dx, 0) : width + min(dx, 0)]
        at = (one != other) & (one != 0) & (other != 0)
        met.append(np.stack([one[at], other[at]], axis=1))
    pairs = np.concatenate(met).astype(np.int64)
    if not len(pairs):
        return np.zeros(len(label), np.int64)
    ranks = np.sort(np.searchsorted(label, pairs), axis=1)
    once = np.unique(ranks[:, 0] * len(label) + ranks[:, 1])
    both = np.concatenate(np.divmod(once, len(label)))
    return np.bincount(both, minlength=len(label)).astype(np.int64)
