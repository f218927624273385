"""Who became whom: gated assignment between two sets of points, in small blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import (
    connected_components,
    min_weight_full_bipartite_matching,
)

if TYPE_CHECKING:
    from scipy.spatial import KDTree

    from faro.protocols.analysis import Floats

Places: TypeAlias = npt.NDArray[np.intp]
_DENSE_BLOCK = 150


class Edges(NamedTuple):
    """Possible links: from, to (m,) and what each costs."""

    source: Places
    target: Places
    cost: Floats

    def at(self, which: Places | npt.NDArray[np.bool_] | slice) -> Edges:
        """Return some of the edges, (n,) each."""
        return Edges(self.source[which], self.target[which], self.cost[which])


def edges_within(sources: KDTree, targets: KDTree, reach_px: float) -> Edges:
    """Return all pairs of points closer than ``reach_px``; the cost is the distance."""
    found = sources.sparse_distance_matrix(targets, reach_px, output_type="ndarray")
    return Edges(found["i"], found["j"], found["v"])


def assign(edges: Edges, n_sources: int, n_targets: int) -> Edges:
    """Return the links that together cost least.

    A link is made only where that is cheaper than leaving both alone: an edge costs
    less than 1, and being left alone costs 1 for the pair. The graph is taken apart
    into its connected parts first, and each solved by itself (Jonker and Volgenant
    1987; sparse for large parts), so the cost grows with the crowding, not with n.
    """
    edges = edges.at(edges.cost < 1)
    if not len(edges.cost):
        return edges
    n = n_sources + n_targets
    graph = coo_array(
        (np.ones(len(edges.cost), np.int8), (edges.source, edges.target + n_sources)),
        shape=(n, n),
    )
    parts = np.asarray(connected_components(graph, directed=False)[1], np.intp)
    part = parts[edges.source]
    order = np.argsort(part, kind="stable")
    edges = edges.at(order)
    starts = np.flatnonzero(np.diff(part[order], prepend=-1))
    sizes = np.diff(starts, append=len(part))
    chosen = [starts[sizes == 1]]
    crowds = sizes > 1
    for start, size in zip(starts[crowds], sizes[crowds], strict=True):
        chosen.append(start + _solved(edges.at(slice(start, start + size))))
    return edges.at(np.concatenate(chosen))


def _solved(edges: Edges) -> Places:
    """Return which edges of one connected part are links."""
    sources, row = np.unique(edges.source, return_inverse=True)
    targets, column = np.unique(edges.target, return_inverse=True)
    if max(len(sources), len(targets)) > _DENSE_BLOCK:
        return _solved_sparse(edges.cost, row, column, len(sources), len(targets))
    # 0 is "both alone", a link is what it saves; nothing else is ever worth it
    gain = np.zeros((len(sources), len(targets)))
    gain[row, column] = edges.cost - 1
    number = np.full(gain.shape, -1, np.intp)
    number[row, column] = np.arange(len(row))
    at_row, at_column = linear_sum_assignment(gain)
    chosen: Places = number[at_row, at_column]
    return chosen[chosen >= 0]


def _solved_sparse(
    cost: Floats, row: Places, column: Places, n_rows: int, n_columns: int
) -> Places:
    """Return which edges are links, for a large part of the graph.

    Every row has a column of its own, at cost 1, which stands for "left alone".
    """
    own = np.arange(n_rows)
    # a stored zero would be taken for no edge, hence all are moved above it; every row
    # has one link, so that nothing else changes
    lift = 1 - min(float(cost.min()), 1.0)
    weights = coo_array(
        (
            np.concatenate([cost + lift + 1, np.full(n_rows, lift + 2)]),
            (np.concatenate([row, own]), np.concatenate([column, n_columns + own])),
        ),
        shape=(n_rows, n_columns + n_rows),
    ).tocsr()
    matched = np.asarray(min_weight_full_bipartite_matching(weights)[1], np.intp)
    return np.flatnonzero(matched[row] == column)
