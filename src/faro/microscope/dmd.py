"""The DMD: masks carried from camera pixels to mirrors, without losing area."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from faro.errors import ContractError, FaroError

if TYPE_CHECKING:
    Affine: TypeAlias = npt.NDArray[np.float64]
    Mask: TypeAlias = npt.NDArray[np.uint8]

FULL = 255
HALF = 128
MAX_FINE = 4
SMALLEST_SCALE = 1e-3


class CalibrationError(FaroError, ValueError):
    """A camera-to-DMD calibration cannot be used."""


class DMD:
    """Carries masks from camera pixels to mirrors, by a known affine.

    Parameters
    ----------
    shape
        (Y, X) of the DMD in mirrors.
    affine
        3 x 3, float64: camera pixel (x, y, 1) to mirror (x, y, 1). Pixel centres are
        at whole numbers. The last row is (0, 0, 1).
    on_value
        Pixel value that means "on".
    camera_shape
        (Y, X) of the camera image; other masks are refused. None to take any.

    Raises
    ------
    CalibrationError
        If the affine is not finite, singular, or no affine.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        affine: npt.ArrayLike,
        on_value: int = FULL,
        *,
        camera_shape: tuple[int, int] | None = None,
    ) -> None:
        self._shape = (int(shape[0]), int(shape[1]))
        self._affine = _checked_affine(affine)
        self._on_value = int(on_value)
        self._camera_shape = camera_shape
        scale = math.sqrt(abs(np.linalg.det(self._affine[:2, :2])))
        self._fine = min(MAX_FINE, max(1, math.ceil(1.0 / scale - 1e-6)))
        self._maps = self._sampling_maps()

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the DMD in mirrors."""
        return self._shape

    @property
    def affine(self) -> Affine:
        """(3, 3) float64: camera pixel (x, y, 1) to mirror (x, y, 1), read-only."""
        return self._affine

    @property
    def on_value(self) -> int:
        """Pixel value that means "on"."""
        return self._on_value

    def warp(self, mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return ``mask`` as it must be shown.

        A mirror is lit when at least half of it is covered. Structures too thin to
        cover half a mirror still light the mirrors they fall on. Grey levels are
        averaged and scaled to the on-value.

        Parameters
        ----------
        mask
            (Y, X) uint8 in camera pixels, 0 dark to 255 full, or bool. A mask of 0
            and 1 counts as bool.

        Returns
        -------
        (Y, X) uint8 in mirrors. Of a mask with one level, 0 and that level.

        Raises
        ------
        ContractError
            If the mask has another shape or dtype, or grey levels on a DMD that has
            none.
        """
        pixels = self._checked(mask)
        top = int(pixels.max(initial=0))
        if top == 0:
            return np.zeros(self._shape, np.uint8)
        on = pixels > 0
        if np.count_nonzero(on) == np.count_nonzero(pixels == top):
            value = self._on_value if top == 1 else self._level(top)
            lit = self._binary(on.view(np.uint8) * np.uint8(FULL))
            return np.where(lit, np.uint8(value), np.uint8(0))
        self._level(top)
        grey = self._sample(pixels)
        if self._on_value == FULL:
            return grey
        scaled = np.rint(grey * (self._on_value / FULL))
        return np.asarray(scaled, dtype=np.uint8)

    def _level(self, level: int) -> int:
        """Return a camera-side level in the DMD's own values."""
        if level != FULL and self._on_value < FULL // 2:
            problem = f"The mask has the grey level {level}; this DMD has on and off."
            raise ContractError(problem, remedy="Give a mask of 0 and 255.")
        return round(level * self._on_value / FULL)

    def _binary(self, full: Mask) -> npt.NDArray[np.bool_]:  # (Y, X)
        lit: npt.NDArray[np.bool_] = self._sample(full) >= HALF
        if self._fine > 1:
            self._keep_thin(full, lit)
        return lit

    def _keep_thin(self, full: Mask, lit: npt.NDArray[np.bool_]) -> None:
        """Light the mirror of every lit pixel that has no lit mirror next to it."""
        near = cv2.dilate(lit.view(np.uint8), np.ones((3, 3), np.uint8))
        y, x = np.nonzero(full)
        (a, b, c), (d, e, f) = self._affine[:2]
        mirror_x = np.rint(a * x + b * y + c).astype(np.intp)
        mirror_y = np.rint(d * x + e * y + f).astype(np.intp)
        height, width = self._shape
        inside = (mirror_x >= 0) & (mirror_x < width)
        inside &= (mirror_y >= 0) & (mirror_y < height)
        mirror_y, mirror_x = mirror_y[inside], mirror_x[inside]
        lost = np.asarray(near)[mirror_y, mirror_x] == 0
        lit[mirror_y[lost], mirror_x[lost]] = True

    def _sample(self, pixels: Mask) -> Mask:
        """Return the mean of ``pixels`` (Y, X) over each mirror."""
        fine = cv2.remap(
            pixels,
            *self._maps,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        if self._fine == 1:
            return _array(fine)
        height, width = self._shape
        return _array(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA))

    def _sampling_maps(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
        """Return for each (fine) mirror where it looks in the camera image, (Y, X)."""
        fine = self._fine
        height, width = self._shape
        y = (np.arange(height * fine) + 0.5) / fine - 0.5
        x = (np.arange(width * fine) + 0.5) / fine - 0.5
        (a, b, c), (d, e, f) = np.linalg.inv(self._affine)[:2]
        camera_x = (a * x[None, :] + b * y[:, None] + c).astype(np.float32)
        camera_y = (d * x[None, :] + e * y[:, None] + f).astype(np.float32)
        whole, fraction = cv2.convertMaps(camera_x, camera_y, cv2.CV_16SC2)
        return np.asarray(whole, np.int16), np.asarray(fraction, np.uint16)

    def _checked(self, mask: npt.NDArray[np.uint8]) -> Mask:
        pixels = np.asarray(mask)
        if pixels.dtype == np.bool_:
            pixels = pixels.astype(np.uint8) * np.uint8(FULL)
        if pixels.dtype != np.uint8 or pixels.ndim != 2:
            problem = f"The mask has shape {pixels.shape} and dtype {pixels.dtype}."
            raise ContractError(problem, remedy="Give (Y, X), bool or uint8.")
        if self._camera_shape is not None and pixels.shape != self._camera_shape:
            problem = f"The mask is {pixels.shape}, the camera {self._camera_shape}."
            raise ContractError(problem, remedy="Give a mask in camera pixels, (Y, X).")
        return np.ascontiguousarray(pixels)


def _array(image: object) -> Mask:
    return np.asarray(image, dtype=np.uint8)


def _checked_affine(affine: npt.ArrayLike) -> Affine:
    matrix = np.array(affine, dtype=np.float64)
    remedy = "Calibrate the DMD again: it must be 3 x 3, camera to mirror, in (x, y)."
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        problem = (
            f"The camera-to-DMD affine is not 3 x 3 finite numbers: {matrix.tolist()}."
        )
        raise CalibrationError(problem, remedy=remedy)
    if not np.array_equal(matrix[2], [0, 0, 1]):
        problem = f"The last row of the camera-to-DMD affine is {matrix[2].tolist()}."
        raise CalibrationError(problem, remedy="It must be 0, 0, 1.")
    scales = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    if scales[-1] < SMALLEST_SCALE or scales[-1] < SMALLEST_SCALE * scales[0]:
        problem = f"The camera-to-DMD affine is singular: scales {scales.tolist()}."
        raise CalibrationError(problem, remedy=remedy)
    matrix.setflags(write=False)
    return matrix
