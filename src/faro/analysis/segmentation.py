"""Segmenters that need no learned model: fixed, Otsu and local threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from faro.analysis.clumps import compacted, connected, split_clumps
from faro.analysis.labels import one_plane

if TYPE_CHECKING:
    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

Plane: TypeAlias = npt.NDArray[np.float32]
Bytes: TypeAlias = npt.NDArray[np.uint8]

_SHRINK = 8
_CELLS_PER_WINDOW = 2.75
_MAD_TO_SD = 1.4826
_ONE_GREY_LEVEL = np.float32(1)
_WARM_UP_SHAPE = (64, 64)


def warm_up(n_threads: int = 1) -> None:
    """Do before the first frame what is slow once, and limit threads of libraries.

    Threads of OpenCV, OpenMP and BLAS would fight with those of the run, which has one
    per FOV at work; each library gets ``n_threads``, for the life of the process.
    """
    cv2.setNumThreads(n_threads)
    threadpool_limits(n_threads)
    y, x = np.mgrid[: _WARM_UP_SHAPE[0], : _WARM_UP_SHAPE[1]]
    discs = (y % 32 - 16) ** 2 + (x % 20 - 10) ** 2 < 11**2
    image = np.where(discs, 2000, 100).astype(np.uint16)
    LocalThresholdSegmenter().segment(image)
    OtsuSegmenter().segment(image)


@dataclass(frozen=True, slots=True)
class BinarySegmenter:
    """The image is a mask already: all that is not 0; connected pixels are one cell.

    For masks that another program made, and for channels that are one.

    Parameters
    ----------
    min_area_px
        Smaller objects are dropped.
    """

    min_area_px: int = 1

    def segment(self, pixels: PixelArray) -> Labels:
        """Return labels (Y, X) int32 of one image (Y, X)."""
        plane = one_plane(pixels, "BinarySegmenter")
        mask = (plane != 0).view(np.uint8)
        return compacted(connected(mask, 8)[1], self.min_area_px)


@dataclass(frozen=True, slots=True)
class ThresholdSegmenter:
    """Everything brighter than a fixed grey level; connected pixels are one cell.

    Parameters
    ----------
    threshold
        Grey level; brighter pixels are cells.
    min_area_px
        Smaller objects are dropped.

    Examples
    --------
    >>> image = np.array([[9, 0, 9], [9, 0, 0]], np.uint16)
    >>> ThresholdSegmenter(5, min_area_px=1).segment(image).tolist()
    [[1, 0, 2], [1, 0, 0]]
    """

    threshold: int
    min_area_px: int = 20

    def segment(self, pixels: PixelArray) -> Labels:
        """Return labels (Y, X) int32 of one image (Y, X)."""
        plane = one_plane(pixels, "ThresholdSegmenter")
        mask = (plane > self.threshold).view(np.uint8)
        return compacted(connected(mask, 8)[1], self.min_area_px)


@dataclass(frozen=True, slots=True)
class OtsuSegmenter:
    """Blur, then the threshold of Otsu (1979) for the whole image.

    Fast and simple; for even light, and cells of much the same brightness.

    Parameters
    ----------
    sigma_px
        Standard deviation of the blur; 0 for none.
    min_area_px
        Smaller objects are dropped.
    """

    sigma_px: float = 1.0
    min_area_px: int = 20

    def segment(self, pixels: PixelArray) -> Labels:
        """Return labels (Y, X) int32 of one image (Y, X)."""
        plane = one_plane(pixels, "OtsuSegmenter")
        if self.sigma_px > 0:
            blurred = cv2.GaussianBlur(plane, (0, 0), self.sigma_px)
            plane = np.asarray(blurred, plane.dtype)
        kind = cv2.THRESH_BINARY | cv2.THRESH_OTSU
        level, _ = cv2.threshold(plane, 0, 1, kind)
        if level < plane.min():  # an even image: OpenCV puts the level below
            return np.zeros(plane.shape, np.int32)
        mask = (plane > level).view(np.uint8)
        return compacted(connected(mask, 8)[1], self.min_area_px)


@dataclass(frozen=True, slots=True)
class LocalThresholdSegmenter:
    """Cells that stand out from their surroundings; touching ones are split.

    The background is looked up locally (at an eighth of the scale), the threshold is a
    fraction of the local brightness and at least several times the noise, and a
    watershed splits clumps only. For fluorescent nuclei in uneven light.

    Parameters
    ----------
    diameter_px
        Typical diameter of a cell; half and double of it are fine.
    contrast_fraction
        Where the edge lies between background (0) and the brightest cells nearby (1).
    noise_factor
        How many times the noise a cell stands out at least.
    min_area_px
        Smaller objects are dropped; by default those under a tenth of a typical cell.
    """

    diameter_px: float = 26.0
    contrast_fraction: float = 0.3
    noise_factor: int = 6
    min_area_px: int | None = None

    def segment(self, pixels: PixelArray) -> Labels:
        """Return labels (Y, X) int32 of one image (Y, X)."""
        plane = one_plane(pixels, "LocalThresholdSegmenter").astype(np.float32)
        smooth = _blurred(plane, max(self.diameter_px / 26, 0.5))
        mask = (smooth > self._threshold(smooth)).view(np.uint8)
        edge = 2 * max(round(self.diameter_px / 13), 1) + 1
        brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (edge, edge))
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, brush), np.uint8)
        tenth = round(np.pi / 40 * self.diameter_px**2)
        return split_clumps(
            mask,
            smoothing_px=max(self.diameter_px / 13, 0.5),
            reach_px=max(round(self.diameter_px / 6), 1),
            min_area_px=tenth if self.min_area_px is None else self.min_area_px,
        )

    def _threshold(self, smooth: Plane) -> Plane:
        """Return the grey level (Y, X) float32 above which a pixel is of a cell."""
        height, width = smooth.shape
        size = max(width // _SHRINK, 1), max(height // _SHRINK, 1)
        small = cv2.resize(smooth, size, interpolation=cv2.INTER_AREA)
        reach = max(round(_CELLS_PER_WINDOW * self.diameter_px / _SHRINK / 2), 1)
        window = cv2.getStructuringElement(
            cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)
        )
        low = cv2.morphologyEx(small, cv2.MORPH_OPEN, window)
        low = _blurred(low, reach)
        high = _blurred(cv2.dilate(small, window), reach)
        centre, noise = _background_of(smooth, low)
        least = max(self.noise_factor * noise, _ONE_GREY_LEVEL)
        rise = np.maximum(least, self.contrast_fraction * (high - low))
        return _grown(low + centre + rise, smooth)


def _blurred(plane: cv2.typing.MatLike, sigma_px: float) -> Plane:
    """Return ``plane`` (Y, X) blurred, float32."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), np.float32)


def _background_of(smooth: Plane, low: Plane) -> tuple[np.float32, np.float32]:
    """Return the grey level of the background above ``low`` and its noise.

    Most pixels are taken to be background; the noise is read from its darker half,
    which no cell brightens. A sixteenth of the pixels is enough.
    """
    above = (smooth - _grown(low, smooth))[::4, ::4]
    centre = np.median(above)
    noise = _MAD_TO_SD * np.median(centre - above[above <= centre])
    return np.float32(centre), np.float32(noise)


def _grown(small: Plane, like: Plane) -> Plane:
    """Return ``small`` (Y, X) stretched to the shape of ``like`` (Y, X)."""
    size = like.shape[1], like.shape[0]
    grown = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown, np.float32)
