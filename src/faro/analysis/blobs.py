"""Round spots of a known size: the Laplacian of the Gaussian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from faro.analysis.clumps import divided
from faro.analysis.labels import one_plane

if TYPE_CHECKING:
    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

Plane: TypeAlias = npt.NDArray[np.float32]

_MAD_TO_SD = 1.4826
_KERNEL_NORM = 6.0
_SMALLEST_RESPONSE = 0.5
_EDGE_FRACTION = 0.25


@dataclass(frozen=True, slots=True)
class BlobSegmenter:
    """Bright round spots of one size, by the Laplacian of the Gaussian.

    The scale-normalised Laplacian (Lindeberg 1998, Int. J. Comput. Vis. 30:79) is
    largest at the middle of a spot and zero near its edge. Touching spots are split.
    Uneven background does not matter. For small nuclei, spots and particles; it finds
    spots of half to double the size.

    Parameters
    ----------
    diameter_px
        Typical diameter of a spot.
    noise_factor
        How many times its noise the response of a spot is at least.
    min_area_px
        Smaller spots are dropped; by default those under a fifth of a typical one.
    """

    diameter_px: float = 10.0
    noise_factor: float = 8.0
    min_area_px: int | None = None

    def segment(self, pixels: PixelArray) -> Labels:
        """Return labels (Y, X) int32 of one image (Y, X)."""
        plane = one_plane(pixels, "BlobSegmenter").astype(np.float32)
        sigma_px = self.diameter_px / (2 * np.sqrt(2))
        response = laplacian_of_gaussian(plane, sigma_px)
        noise = pixel_noise(plane) / (sigma_px * np.sqrt(2 * np.pi))
        least = max(self.noise_factor * noise, _SMALLEST_RESPONSE)
        reach_px = max(round(self.diameter_px / 3), 1)
        highest = cv2.dilate(response, np.ones((2 * reach_px + 1,) * 2, np.uint8))
        seeds = (response == highest) & (response >= least)
        edge = np.maximum(highest, least) * np.float32(_EDGE_FRACTION)
        mask = (response > edge).view(np.uint8)
        fifth = round(np.pi / 20 * self.diameter_px**2)
        smallest = fifth if self.min_area_px is None else self.min_area_px
        return divided(mask, response, seeds, smallest, seeded_only=True)


def pixel_noise(plane: Plane) -> float:
    """Return the noise of a pixel of ``plane`` (Y, X), whatever the picture shows.

    From the difference of two Laplacians, which cancels planes and edges (Immerkaer
    1996, Comput. Vis. Image Underst. 64:300); its median, so that spots do not count.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    rough = cv2.filter2D(plane, cv2.CV_32F, kernel)[::2, ::2]
    return _MAD_TO_SD * float(np.median(np.abs(rough))) / _KERNEL_NORM


def laplacian_of_gaussian(plane: Plane, sigma_px: float) -> Plane:
    """Return minus sigma² times the Laplacian of the blurred ``plane`` (Y, X)."""
    smooth = cv2.GaussianBlur(plane, (0, 0), sigma_px)
    curved = cv2.Laplacian(smooth, cv2.CV_32F, ksize=1)
    return np.asarray(curved * np.float32(-(sigma_px**2)), np.float32)
