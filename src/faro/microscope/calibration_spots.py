"""Spots for a calibration: where they are shown, and where the camera sees them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from faro.model.frame import PixelArray

Points: TypeAlias = npt.NDArray[np.float64]
"""(n, 2), (x, y)."""

CLEAR_ABOVE_NOISE = 8.0
"""A spot is this many standard deviations brighter than the rest."""
EDGE = 0.4
"""Part of the brightest value down to which pixels belong to a spot."""
LARGEST_SHARE = 0.2
"""A thing that fills more of the image is no spot."""
MAD_TO_SIGMA = 1.4826


def planned_spots(
    shape: tuple[int, int], count: int, seed: int, margin_px: float
) -> Points:
    """Return where spots are shown, (n, 2) whole (x, y), spread over a rectangle.

    One at a random place in each cell of a grid, in random order, so that no order
    and no regular pattern can be mistaken for another.

    Parameters
    ----------
    shape
        (Y, X) of the rectangle in pixels.
    count
        How many at least.
    seed
        The same seed gives the same spots.
    margin_px
        Distance from the border.
    """
    rng = np.random.default_rng(seed)
    height, width = (max(1.0, n - 1 - 2 * margin_px) for n in shape)
    columns = max(1, round(math.sqrt(count * width / height)))
    rows = math.ceil(count / columns)
    row, column = (part.ravel() for part in np.mgrid[:rows, :columns])
    jitter = rng.uniform(0.15, 0.85, (2, rows * columns))
    x = margin_px + (column + jitter[0]) * width / columns
    y = margin_px + (row + jitter[1]) * height / rows
    spots = np.rint(np.stack([x, y], axis=1))
    return np.asarray(rng.permutation(spots), np.float64)


def spot_pattern(
    shape: tuple[int, int], spot: Points, radius_px: float
) -> npt.NDArray[np.bool_]:
    """Return a pattern (Y, X) with a disc around ``spot`` (x, y), in mirrors."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    inside: npt.NDArray[np.bool_] = (x - spot[0]) ** 2 + (
        y - spot[1]
    ) ** 2 <= radius_px**2
    return inside


def found_spot(frame: PixelArray, dark: PixelArray) -> Points | None:
    """Return the centre (x, y) of the one spot in a frame, None where there is none.

    The middle of the brightest thing by weight, which for a disc is its centre to a
    small part of a pixel. Single hot pixels are removed by a median; what is there in
    the dark too does not count; a spot that touches the border is cut off and counts
    as none.

    Parameters
    ----------
    frame, dark
        (Y, X), with the spot and without it.
    """
    light = np.subtract(frame, dark, dtype=np.float32)
    light = np.asarray(cv2.medianBlur(light, 3), np.float32)
    light -= np.float32(np.median(light))
    smooth = np.asarray(cv2.GaussianBlur(light, (0, 0), 1.5), np.float32)
    noise = MAD_TO_SIGMA * float(np.median(np.abs(smooth)))
    _, peak, _, where = cv2.minMaxLoc(smooth)
    if peak < CLEAR_ABOVE_NOISE * max(noise, 1e-3):
        return None
    bright = (smooth >= EDGE * peak).astype(np.uint8)
    _, numbers, facts, _ = cv2.connectedComponentsWithStats(bright)
    number = int(np.asarray(numbers)[where[1], where[0]])
    left, top, wide, high, area = (int(value) for value in facts[number])
    height, width = frame.shape
    cut_off = left == 0 or top == 0 or left + wide == width or top + high == height
    if cut_off or area > LARGEST_SHARE * frame.size:
        return None
    y, x = np.nonzero(np.asarray(numbers) == number)
    weight = smooth[y, x] - np.float32(EDGE * peak)
    weight = np.maximum(weight, 0) + np.float32(1e-6)
    centre = np.array([np.average(x, weights=weight), np.average(y, weights=weight)])
    return np.asarray(centre, np.float64)
