"""How far everything moved together: stage jumps and drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from faro.protocols.analysis import Floats

_MOST_POINTS = 400
_FEWEST_POINTS = 8
_STEADY_FRACTION = 0.2
_SUPPORT = 0.4
_ADVANTAGE = 1.5
_PEAK_RADIUS = 0.15
_MAD_TO_SD = 1.4826
_MEDIAN_LOSS = 1.25


def common_shift(
    expected: Floats, found: Floats, spacing_px: float, reach_px: float
) -> Floats:
    """Return how far the points moved together (dy, dx), (2,) px.

    Where most points are found close to where they were expected, it is the median of
    the small displacements. Otherwise the stage may have jumped: the displacement that
    most pairs of points agree on is taken, if it explains clearly more points than
    standing still does; else zero.

    Parameters
    ----------
    expected, found
        (n, 2) and (m, 2) y, x, px.
    spacing_px
        Typical distance between neighbours.
    reach_px
        Largest jump looked for.
    """
    if min(len(expected), len(found)) < _FEWEST_POINTS:
        return np.zeros(2)
    if len(expected) > _MOST_POINTS:
        # evenly over the list, not at random: equal runs give equal results
        places = np.linspace(0, len(expected) - 1, _MOST_POINTS).astype(np.intp)
        expected = expected[places]
    tree = KDTree(found)
    near = tree.query(expected)
    distance, nearest = np.asarray(near[0]), np.asarray(near[1], np.intp)
    if np.median(distance) < _STEADY_FRACTION * spacing_px:
        close = distance < _STEADY_FRACTION * spacing_px
        return _median_shift(found[nearest[close]] - expected[close])
    return _mode_shift(expected, tree, spacing_px, reach_px)


def _median_shift(steps: Floats) -> Floats:
    """Return the median of ``steps`` (n, 2), or zero where chance explains it."""
    shift = np.median(steps, axis=0)
    spread = _MAD_TO_SD * np.median(np.abs(steps - shift), axis=0)
    standard_error = _MEDIAN_LOSS * spread / np.sqrt(len(steps))
    return shift if (np.abs(shift) > 3 * standard_error).any() else np.zeros(2)


def _mode_shift(
    expected: Floats, found: KDTree, spacing_px: float, reach_px: float
) -> Floats:
    """Return the most frequent displacement (dy, dx), or zero if none stands out."""
    pairs = KDTree(expected).sparse_distance_matrix(
        found, reach_px, output_type="ndarray"
    )
    steps = np.asarray(found.data)[pairs["j"]] - expected[pairs["i"]]
    if not len(steps):
        return np.zeros(2)
    bin_px = _PEAK_RADIUS * spacing_px
    edges = np.arange(-reach_px - bin_px, reach_px + 2 * bin_px, bin_px)
    counts, _, _ = np.histogram2d(steps[:, 0], steps[:, 1], bins=(edges, edges))
    crowd = cv2.blur(counts, (2, 2), borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(np.argmax(crowd)), crowd.shape)
    # the 2x2 window of OpenCV ends at its anchor: its centre is the lower edge
    peak = np.array([edges[row], edges[column]])
    for _ in range(2):
        near = np.square(steps - peak).sum(axis=1) < bin_px**2
        if not near.any():
            return np.zeros(2)
        peak = np.median(steps[near], axis=0)
    supporters = np.count_nonzero(np.square(steps - peak).sum(axis=1) < bin_px**2)
    stayed = np.count_nonzero(np.square(steps).sum(axis=1) < bin_px**2)
    clear = supporters > _SUPPORT * len(expected)
    return peak if clear and supporters > _ADVANTAGE * stayed else np.zeros(2)
