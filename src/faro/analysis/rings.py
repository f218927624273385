"""Rings around labelled cells, equal to skimage's ``expand_labels``, ties included."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from skimage.segmentation import expand_labels

from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.protocols.analysis import Labels

Dilatable: TypeAlias = npt.NDArray[np.uint16 | np.float64]
_LARGEST_DISK_PX = 12
_SIXTEEN_BITS = 2**16


def ring_labels(labels: Labels, margin: int, distance: int) -> Labels:
    """Return the ring of every label, (Y, X) int32, 0 elsewhere.

    A pixel belongs to the ring of the nearest cell if it is more than ``margin`` and
    at most ``distance`` px away from it.

    Parameters
    ----------
    labels
        (Y, X) int32, 0 background.
    margin, distance
        Inner and outer edge, px; ``0 <= margin < distance``.

    Raises
    ------
    ContractError
        If the ring has no width.

    Examples
    --------
    >>> ring_labels(np.array([[0, 0, 0, 5]], np.int32), 1, 2).tolist()
    [[0, 5, 0, 0]]
    """
    if not 0 <= margin < distance:
        problem = f"A ring from {margin} to {distance} px has no width."
        raise ContractError(problem, remedy="Use 0 <= margin < distance.")
    if not labels.any():
        return np.zeros(labels.shape, np.int32)
    if distance > _LARGEST_DISK_PX:
        return _plain_ring(labels, margin, distance)
    foreground = (labels != 0).view(np.uint8)
    band = cv2.dilate(foreground, _disk(distance))
    band[cv2.dilate(foreground, _disk(margin)) != 0] = 0
    ring: Labels = np.zeros(labels.shape, np.int32)
    _own(labels, np.flatnonzero(band.view(np.bool_)), distance, ring)
    return ring


def _plain_ring(labels: Labels, margin: int, distance: int) -> Labels:
    """Return the ring by definition, (Y, X) int32; slow, for wide rings."""
    expand: Callable[[Labels, int], Labels] = expand_labels
    ring = expand(labels, distance)
    ring[expand(labels, margin) > 0] = 0
    return ring


def _own(
    labels: Labels, band: npt.NDArray[np.intp], distance: int, ring: Labels
) -> None:
    """Write the nearest label of each pixel of ``band`` (flat) into ``ring`` (Y, X)."""
    top = int(labels.max(initial=0)) + 1
    # what OpenCV can dilate and what holds every label exactly
    kind: type[np.uint16 | np.float64] = (
        np.uint16 if top < _SIXTEEN_BITS else np.float64
    )
    disk = _disk(distance)
    upward: Dilatable = labels.astype(kind)
    downward: Dilatable = (top - upward) * (labels != 0)
    largest = cv2.dilate(upward, disk).ravel()[band].astype(np.int32)
    smallest = top - cv2.dilate(downward, disk).ravel()[band].astype(np.int32)
    flat = ring.ravel()
    flat[band] = largest
    _settle(labels, band[largest != smallest], distance, flat)


def _settle(
    labels: Labels,
    contested: npt.NDArray[np.intp],
    distance: int,
    flat: npt.NDArray[np.int32],
) -> None:
    """Write the label nearest to each contested pixel into ``flat`` (Y * X,).

    Of several at one distance it is the one that scipy's distance transform finds:
    the smallest column, then the smallest row.
    """
    padded = np.pad(labels, distance)
    width = padded.shape[1]
    row, column = np.divmod(contested, labels.shape[1])
    seat = (row + distance) * width + column + distance
    source = padded.ravel()
    for dy, dx in _nearest_first(distance):
        owner = source[seat + dy * width + dx]
        found = owner != 0
        flat[contested[found]] = owner[found]
        contested, seat = contested[~found], seat[~found]


@lru_cache(maxsize=_LARGEST_DISK_PX + 1)
def _nearest_first(distance: int) -> tuple[tuple[int, int], ...]:
    """Return the offsets (dy, dx) within ``distance`` px, nearest first."""
    reach = range(-distance, distance + 1)
    inside = [(dy, dx) for dy in reach for dx in reach if dy**2 + dx**2 <= distance**2]
    return tuple(sorted(inside, key=lambda d: (d[0] ** 2 + d[1] ** 2, d[1], d[0])))


@lru_cache(maxsize=_LARGEST_DISK_PX + 1)
def _disk(radius: int) -> npt.NDArray[np.uint8]:
    """Return the pixels within ``radius`` px of the centre, (Y, X) uint8."""
    reach = np.arange(-radius, radius + 1) ** 2
    inside = reach[:, None] + reach[None, :] <= radius**2
    return inside.astype(np.uint8)
