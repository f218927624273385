"""What is done to the labels of every segmenter alike: holes, borders, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from faro.analysis.clumps import connected

if TYPE_CHECKING:
    from faro.model import LabelCleaning
    from faro.protocols.analysis import Labels

_STEPS = ((0, -1), (0, 1), (-1, 0), (1, 0))


def cleaned(labels: Labels, cleaning: LabelCleaning) -> Labels:
    """Return labels (Y, X) int32 with holes filled and unfit objects dropped.

    Labels keep their numbers; the input is not changed.

    >>> from faro.model import LabelCleaning
    >>> labels = np.array([[5, 5, 0, 7]], np.int32)
    >>> cleaned(labels, LabelCleaning(min_area_px=2)).tolist()
    [[5, 5, 0, 0]]
    """
    if not cleaning.does_something or not labels.size:
        return labels
    if cleaning.fill_holes:
        labels = _filled(labels)
    flat = np.flatnonzero(labels != 0)
    values = labels.ravel()[flat]
    present, rank, area = np.unique(values, return_inverse=True, return_counts=True)
    fit = area >= cleaning.min_area_px
    if cleaning.max_area_px is not None:
        fit &= area <= cleaning.max_area_px
    if cleaning.clear_borders:
        fit &= ~np.isin(present, _border(labels))
    if fit.all():
        return labels
    result = labels.copy()
    result.ravel()[flat[~fit[rank]]] = 0
    return result


def _border(labels: Labels) -> npt.NDArray[np.int32]:
    """Return what lies on the border of ``labels`` (Y, X)."""
    edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    return np.unique(np.concatenate(edges))


def _filled(labels: Labels) -> Labels:
    """Return ``labels`` (Y, X) where background that one object encloses is its own.

    Background that touches at a corner only is apart, as for
    ``scipy.ndimage.binary_fill_holes``; holes with another object inside stay.
    """
    background = (labels == 0).view(np.uint8)
    n, parts = connected(background)
    is_hole = np.ones(n, np.bool_)
    is_hole[_border(parts)] = is_hole[0] = False
    flat = np.flatnonzero(is_hole[parts])
    if not len(flat):
        return labels
    hole = parts.ravel()[flat]
    # no hole touches the border, so that every neighbour is in the image
    row, column = np.divmod(flat, labels.shape[1])
    low = np.full(n, np.iinfo(np.int32).max, np.int32)
    high = np.zeros(n, np.int32)
    for dy, dx in _STEPS:
        beside = labels[row + dy, column + dx]
        wall = beside > 0
        np.minimum.at(low, hole[wall], beside[wall])
        np.maximum.at(high, hole[wall], beside[wall])
    owner = np.where(low == high, high, 0)
    result = labels.copy()
    result.ravel()[flat] = owner[hole]
    return result
