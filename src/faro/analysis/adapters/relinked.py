"""Tracks of a whole movie, from the links that another project's tracker made."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Ints = npt.NDArray[np.int64]
Place: TypeAlias = tuple[int, int]
"""A cell by its frame and its row there."""


class Relinked(NamedTuple):
    """Tracks of a whole movie, one entry per frame.

    Attributes
    ----------
    track_ids
        (n,) int64 >= 1, in the order of the cells.
    parents
        (n,) int64 id of the mother, 0 for none.
    """

    track_ids: tuple[Ints, ...]
    parents: tuple[Ints, ...]


def relinked(n_cells: Sequence[int], links: Iterable[tuple[Place, Place]]) -> Relinked:
    """Return the tracks that links make; a cell linked to several is a mother.

    Parameters
    ----------
    n_cells
        Of each frame.
    links
        Pairs of an earlier and a later cell; a later one is in one pair at most.

    Examples
    --------
    >>> links = [((0, 0), (1, 1)), ((1, 1), (2, 0)), ((1, 1), (2, 1))]
    >>> [ids.tolist() for ids in relinked([1, 2, 2], links).track_ids]
    [[1], [2, 1], [3, 4]]
    >>> [ids.tolist() for ids in relinked([1, 2, 2], links).parents]
    [[0], [0, 0], [1, 1]]
    """
    before = {later: earlier for earlier, later in links}
    n_after = Counter(before.values())
    track_ids = tuple(np.zeros(n, np.int64) for n in n_cells)
    parents = tuple(np.zeros(n, np.int64) for n in n_cells)
    last_id = 0
    for frame, n in enumerate(n_cells):
        for cell in range(n):
            earlier = before.get((frame, cell))
            if earlier is not None and n_after[earlier] == 1:
                track_ids[frame][cell] = track_ids[earlier[0]][earlier[1]]
                parents[frame][cell] = parents[earlier[0]][earlier[1]]
                continue
            last_id += 1
            track_ids[frame][cell] = last_id
            if earlier is not None:
                parents[frame][cell] = track_ids[earlier[0]][earlier[1]]
    return Relinked(track_ids, parents)
