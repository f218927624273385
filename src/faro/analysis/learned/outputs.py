"""From what a network says of every pixel to labels: our own post-processing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.draw import polygon
from skimage.segmentation import watershed

from faro.analysis.clumps import connected, split_clumps

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.protocols.analysis import Labels

    Flood: TypeAlias = Callable[..., Labels]
    Fill: TypeAlias = Callable[..., tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]

Planes: TypeAlias = npt.NDArray[np.float32]

_SINK_PX, _SINK_REACH = 5, 5
_SINK_LEAST, _SINK_EDGE = 10, 2
_FLOW_SCALE = 5.0


def labels_of_probability(
    probability: Planes, threshold_fraction: float, diameter_px: float | None
) -> Labels:
    """Return labels (Y, X) int32 of a probability (Y, X) of being a cell.

    Parameters
    ----------
    probability
        0 to 1.
    threshold_fraction
        More is a cell.
    diameter_px
        Touching cells of about this diameter are split by their shape; None: pixels
        that touch are one cell.
    """
    mask = (probability > threshold_fraction).view(np.uint8)
    if diameter_px is None:
        return connected(mask, 8)[1]
    smoothing_px = max(diameter_px / 13, 0.5)
    return split_clumps(mask, smoothing_px, max(round(diameter_px / 6), 1))


def labels_of_distance(
    probability: Planes,
    distance: Planes,
    threshold_fraction: float,
    diameter_px: float | None,
) -> Labels:
    """Return labels (Y, X) int32 of a distance to the background, (Y, X), any unit.

    A watershed of the distance from its peaks, among pixels that are likely a cell.

    Parameters
    ----------
    probability, distance
        (Y, X) each.
    threshold_fraction
        More is a cell.
    diameter_px
        Of a typical cell: peaks closer than a sixth of it are one. None: 3 px.
    """
    mask = probability > threshold_fraction
    reach = 3 if diameter_px is None else max(round(diameter_px / 6), 1)
    smooth = np.asarray(cv2.GaussianBlur(distance, (0, 0), 1.0), np.float32)
    window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    peak = (smooth == cv2.dilate(smooth, window)) & mask
    _, seeds = connected(peak.view(np.uint8), 8)
    flood: Flood = watershed
    return flood(-smooth, seeds, mask=mask).astype(np.int32, copy=False)


def labels_of_stars(
    probability: Planes,
    rays: Planes,
    threshold_fraction: float,
    overlap_fraction: float,
    shape: tuple[int, int],
) -> Labels:
    """Return labels (Y, X) int32 of star-convex polygons.

    After Schmidt et al., MICCAI 2018: the likeliest polygon is kept, those that it
    covers are dropped, and so on. Where two that are kept overlap, the likelier has
    the pixel.

    Parameters
    ----------
    probability
        (Y / g, X / g).
    rays
        (R, Y / g, X / g), distances from the pixel to the outline, px of the image;
        ray k at the angle 2 pi k / R, from x towards y.
    threshold_fraction
        Pixels that are likelier are candidates.
    overlap_fraction
        A polygon of which more is covered already is dropped.
    shape
        (Y, X) of the image.
    """
    labels: Labels = np.zeros(shape, np.int32)
    fill: Fill = polygon
    grid = max(round(shape[0] / probability.shape[0]), 1)
    ys, xs = np.nonzero(probability > threshold_fraction)
    order = np.argsort(-probability[ys, xs], kind="stable")
    angles = 2 * np.pi * np.arange(len(rays)) / len(rays)
    across, along = np.sin(angles), np.cos(angles)
    n = 0
    for y, x in zip(ys[order].tolist(), xs[order].tolist(), strict=True):
        cy, cx = y * grid, x * grid
        if cy >= shape[0] or cx >= shape[1] or labels[cy, cx]:
            continue
        reach = np.maximum(rays[:, y, x], 0)
        rows, columns = fill(cy + reach * across, cx + reach * along, shape)
        free = labels[rows, columns] == 0
        if not len(rows) or free.mean() < 1 - overlap_fraction:
            continue
        n += 1
        labels[rows[free], columns[free]] = n
    return labels


def labels_of_flows(
    flows: Planes, inside: npt.NDArray[np.bool_], n_steps: int
) -> Labels:
    """Return labels (Y, X) int32 of flows towards the middle of each cell.

    After Stringer et al., Nature Methods 2021: every pixel follows the flow, and those
    that end in one place are one cell.

    Parameters
    ----------
    flows
        (2, Y, X) dy, dx, in fifths of a px per step, as Cellpose networks give them.
    inside
        (Y, X) which pixels are of a cell.
    n_steps
        How many steps; more for larger cells.
    """
    ys, xs = np.nonzero(inside)
    labels: Labels = np.zeros(inside.shape, np.int32)
    if not len(ys):
        return labels
    step = flows * (inside / _FLOW_SCALE).astype(np.float32)
    at = np.stack([ys, xs]).astype(np.float32)
    limit = np.array(inside.shape, np.float32)[:, None] - 1
    for _ in range(n_steps):
        move = [ndimage.map_coordinates(d, at, order=1, mode="nearest") for d in step]
        at = np.clip(at + np.stack(move), 0, limit)
    end_y, end_x = np.rint(at).astype(np.intp)
    labels[ys, xs] = _sinks(end_y, end_x, inside.shape)[end_y, end_x]
    return labels


def _sinks(
    y: npt.NDArray[np.intp], x: npt.NDArray[np.intp], shape: tuple[int, ...]
) -> Labels:
    """Return labels (Y, X) int32 of the places where many pixels end."""
    flat = np.bincount(y * shape[1] + x, minlength=shape[0] * shape[1])
    ended = flat.reshape(shape).astype(np.float32)
    window = np.ones((_SINK_PX, _SINK_PX), np.uint8)
    peak = (ended == cv2.dilate(ended, window)) & (ended > _SINK_LEAST)
    _, seeds = connected(peak.view(np.uint8), 8)
    grown = seeds.astype(np.float32)
    brush = np.ones((3, 3), np.uint8)
    for _ in range(_SINK_REACH):
        wider = np.asarray(cv2.dilate(grown, brush), np.float32)
        grown = np.where((grown == 0) & (ended > _SINK_EDGE), wider, grown)
    return grown.astype(np.int32)
