"""Splits touching cells: a watershed that only looks where a split is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from skimage.segmentation import watershed

from faro.analysis.pixels import PixelIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.protocols.analysis import Labels

    Flood: TypeAlias = Callable[..., Labels]

_SHELF_PX = 512
Plane: TypeAlias = npt.NDArray[np.float32]
Bytes: TypeAlias = npt.NDArray[np.uint8]


def connected(mask: Bytes, connectivity: int = 4) -> tuple[int, Labels]:
    """Return (number of labels with background, labels (Y, X) int32) of ``mask``.

    ``mask`` is (Y, X) uint8, not 0 where there is something. Labels are numbered in
    raster order, as skimage and scipy do.
    """
    n, labels = cv2.connectedComponentsWithAlgorithm(
        mask, connectivity, cv2.CV_32S, cv2.CCL_SAUF
    )
    return n, labels.astype(np.int32, copy=False)


def split_clumps(
    mask: Bytes, smoothing_px: float, reach_px: int, min_area_px: int = 1
) -> Labels:
    """Return labels (Y, X) int32 of ``mask``, touching round cells apart.

    Cells are told apart by the peaks of the distance to the background.

    Parameters
    ----------
    mask
        (Y, X) uint8, 0 or 1.
    smoothing_px
        Standard deviation of the blur of the distance; larger splits less.
    reach_px
        Two peaks closer than this are one.
    min_area_px
        Smaller cells are dropped.
    """
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    depth = np.asarray(cv2.GaussianBlur(distance, (0, 0), smoothing_px), np.float32)
    return divided(mask, depth, peaks(depth, reach_px), min_area_px)


def peaks(depth: Plane, reach_px: int) -> npt.NDArray[np.bool_]:
    """Return where ``depth`` (Y, X) is largest within a square of ``reach_px``."""
    window = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    highest: npt.NDArray[np.bool_] = depth == cv2.dilate(depth, window)
    return highest


def divided(
    mask: Bytes,
    depth: Plane,
    seeds: npt.NDArray[np.bool_],
    min_area_px: int = 1,
    *,
    seeded_only: bool = False,
) -> Labels:
    """Return labels (Y, X) int32 of ``mask``; what holds several seeds is split.

    A watershed by flooding (Meyer 1994) of the inverted ``depth``, which only what is
    split pays for; equal to one of the whole image. Labels are consecutive.

    Parameters
    ----------
    mask
        (Y, X) uint8, 0 or 1; pixels that touch by an edge are together.
    depth
        (Y, X), high in the middle of an object.
    seeds
        (Y, X) one or several touching pixels for each object.
    min_area_px
        Smaller objects are dropped.
    seeded_only
        Also drop what holds no seed.
    """
    n, labels = connected(mask)
    marks, n_seeds = _marked(mask, labels, n, seeds)
    flat = np.flatnonzero(mask.view(np.bool_))
    values = labels.ravel()[flat]
    if seeded_only:
        values *= n_seeds[values] > 0
    in_clump = np.flatnonzero((n_seeds > 1)[values])
    if len(in_clump):
        at = flat[in_clump]
        clumps = PixelIndex(labels, flat=at)
        parts = _flooded(clumps, depth.ravel(), marks.ravel())
        labels.ravel()[clumps.flat] = parts + n
        values[in_clump] = labels.ravel()[at]
    labels.ravel()[flat] = _renumbered(values, min_area_px)
    return labels


def compacted(
    labels: Labels, min_area_px: int, max_area_px: int | None = None
) -> Labels:
    """Return labels (Y, X) int32 numbered 1, 2, ... without those of unfit area.

    The order of the labels is kept.
    """
    flat = np.flatnonzero(labels != 0)
    result: Labels = np.zeros(labels.shape, np.int32)
    result.ravel()[flat] = _renumbered(labels.ravel()[flat], min_area_px, max_area_px)
    return result


def _renumbered(
    values: npt.NDArray[np.int32], min_area_px: int, max_area_px: int | None = None
) -> npt.NDArray[np.int32]:
    """Return the labels (m,) of all pixels as 1, 2, ..., and 0 for unfit areas."""
    area = np.bincount(values)
    fit = area >= max(min_area_px, 1)
    fit[:1] = False
    if max_area_px is not None:
        fit &= area <= max_area_px
    number = np.cumsum(fit, dtype=np.int32) * fit
    fresh: npt.NDArray[np.int32] = number[values]
    return fresh


def _marked(
    mask: Bytes, labels: Labels, n: int, seeds: npt.NDArray[np.bool_]
) -> tuple[Labels, npt.NDArray[np.int64]]:
    """Return the numbered seeds (Y, X) and how many each label (n,) has."""
    seeds = seeds & mask.view(np.bool_)
    n_marks, marks = connected(seeds.view(np.uint8), connectivity=8)
    at = np.flatnonzero(seeds)
    home = np.zeros(n_marks, np.int32)
    home[marks.ravel()[at]] = labels.ravel()[at]
    return marks, np.bincount(home[1:], minlength=n)


def _flooded(
    clumps: PixelIndex, depth: npt.NDArray[np.float32], seeds: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Return the seed that each pixel (m,) of the clumps drains to.

    The clumps are moved together into one small picture, and that is flooded: the
    cost depends on the clumps, not on the image.
    """
    y0 = clumps.reduced(np.minimum, clumps.rows, np.int64)
    x0 = clumps.reduced(np.minimum, clumps.columns, np.int64)
    height = clumps.reduced(np.maximum, clumps.rows, np.int64) - y0 + 1
    width = clumps.reduced(np.maximum, clumps.columns, np.int64) - x0 + 1
    top, left, shape = _shelved(height, width)
    row = clumps.rows + (top - y0)[clumps.rank]
    column = clumps.columns + (left - x0)[clumps.rank]
    at = row * shape[1] + column
    hill, marks = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    inside = np.zeros(shape, np.bool_)
    hill.ravel()[at] = -depth[clumps.flat]
    marks.ravel()[at] = seeds[clumps.flat]
    inside.ravel()[at] = True
    flood: Flood = watershed
    drained = flood(hill, marks, mask=inside)
    return np.asarray(drained.ravel()[at], np.int32)


def _shelved(
    height: npt.NDArray[np.int64], width: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], tuple[int, int]]:
    """Return the top and left (n,) of boxes put on shelves, and the (Y, X) needed.

    Boxes are one pixel apart; the highest come first.
    """
    limit = max(_SHELF_PX, int(width.max()) + 1)
    top, left = np.zeros_like(height), np.zeros_like(width)
    y = x = shelf = 0
    for box in np.argsort(-height, kind="stable").tolist():
        if x + width[box] > limit:
            y, x, shelf = y + shelf, 0, 0
        top[box], left[box] = y, x
        x += int(width[box]) + 1
        shelf = max(shelf, int(height[box]) + 1)
    return top, left, (y + shelf, limit)
