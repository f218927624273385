"""Cells around nuclei that another segmenter found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from skimage.segmentation import watershed

from faro.analysis.labels import one_plane

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

    Flood: TypeAlias = Callable[..., Labels]


@dataclass(frozen=True, slots=True)
class SeededSegmenter:
    """Whole cells: the bright surroundings of nuclei, split between them.

    A watershed of the image from the nuclei (Meyer and Beucher 1990). Every nucleus
    gives one cell of the same number, which holds it; what has no nucleus is no cell.
    For `SegmentationMethod` with ``seeds=`` the name of the nuclei.

    Parameters
    ----------
    threshold
        Grey level; brighter pixels may be of a cell. None for that of Otsu (1979).
    sigma_px
        Standard deviation of the blur before; 0 for none.
    max_distance_px
        How far a cell reaches from its nucleus at most; None for no limit.
    """

    threshold: int | None = None
    sigma_px: float = 1.5
    max_distance_px: float | None = 25.0

    def segment(self, pixels: PixelArray, seeds: Labels) -> Labels:
        """Return labels (Y, X) int32 of an image (Y, X) and its nuclei (Y, X) int32."""
        plane = one_plane(pixels, "SeededSegmenter")
        if self.sigma_px > 0:
            blurred = cv2.GaussianBlur(plane, (0, 0), self.sigma_px)
            plane = np.asarray(blurred, plane.dtype)
        level: float | None = self.threshold
        if level is None:
            kind = cv2.THRESH_BINARY | cv2.THRESH_OTSU
            level = cv2.threshold(plane, 0, 1, kind)[0]
        nuclei = seeds != 0
        if not nuclei.any():
            return np.zeros(plane.shape, np.int32)
        mask = (plane > level) | nuclei
        if self.max_distance_px is not None:
            outside = (~nuclei).view(np.uint8)
            mask &= cv2.distanceTransform(outside, cv2.DIST_L2, 5) <= (
                self.max_distance_px
            )
        flood: Flood = watershed
        hill: npt.NDArray[np.float32] = -plane.astype(np.float32)
        return np.asarray(flood(hill, np.asarray(seeds, np.int32), mask=mask), np.int32)
