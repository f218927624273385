"""The DMD: masks carried from camera pixels to mirrors, without losing area."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from faro.errors import ContractError, FaroError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Affine: TypeAlias = npt.NDArray[np.float64]
    Mask: TypeAlias = npt.NDArray[np.uint8]

FULL = 255
HALF = 128
SMALLEST_SCALE = 1e-3


class CalibrationError(FaroError, ValueError):
    """A camera-to-DMD calibration cannot be used."""


class DMD:
    """Carries masks from camera pixels to mirrors, by a known transform.

    Parameters
    ----------
    shape
        (Y, X) of the DMD in mirrors.
    affine
        3 x 3, float64: camera pixel (x, y, 1) to mirror (x, y, 1). Pixel centres are
        at whole numbers. The last row is (0, 0, 1), unless it is projective.
    on_value
        Pixel value that means "on".
    camera_shape
        (Y, X) of the camera image; other masks are refused. None to take any.
    optics
        With which binning, ROI and objective the affine was measured, as in
        `HardwareFacts.optics`; what is not named is not checked.
    projective
        Whether the last row may be another: an oblique projection. All mirrors are
        taken to be as large as in the middle of the DMD.

    Raises
    ------
    CalibrationError
        If the transform is not finite, singular, or no affine and not projective.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        affine: npt.ArrayLike,
        on_value: int = FULL,
        *,
        camera_shape: tuple[int, int] | None = None,
        optics: Mapping[str, str] | None = None,
        projective: bool = False,
    ) -> None:
        self._shape = (int(shape[0]), int(shape[1]))
        self._affine = _checked_affine(affine, projective=projective)
        self._on_value = int(on_value)
        self._camera_shape = camera_shape
        self.optics = dict(optics or {})
        scale = self._scale()
        self._width = 1.0 if math.isclose(scale, 1.0) else 1.0 / scale
        self._kernel = self._box()
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

    @property
    def camera_shape(self) -> tuple[int, int] | None:
        """(Y, X) of the masks that are taken, None for any."""
        return self._camera_shape

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
        _, highest, _, _ = cv2.minMaxLoc(pixels)
        top, n_on = round(highest), cv2.countNonZero(pixels)
        if n_on == 0:
            return np.zeros(self._shape, np.uint8)
        if round(cv2.sumElems(pixels)[0]) == n_on * top:
            value = self._on_value if top == 1 else self._level(top)
            full = pixels if top == FULL else np.minimum(pixels, 1) * np.uint8(FULL)
            return self._binary(full, value)
        self._level(top)
        grey = self._sample(self._spread(pixels))
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

    def _binary(self, full: Mask, value: int) -> Mask:
        """Return 0 and ``value`` (Y, X) in mirrors for a mask of 0 and 255."""
        spread = self._spread(full)
        _, lit = cv2.threshold(self._sample(spread), HALF - 1, value, cv2.THRESH_BINARY)
        if self._width > 1:
            self._keep_thin(full, spread, _array(lit), value)
        return _array(lit)

    def _keep_thin(self, full: Mask, spread: Mask, lit: Mask, value: int) -> None:
        """Light the mirror of every lit pixel that has no lit mirror next to it.

        Only pixels near an edge are looked at: others cover their mirror.
        """
        edge = cv2.bitwise_and(full, cv2.bitwise_not(spread))
        # numpy lists the few of a million several times faster than OpenCV does
        flat = np.flatnonzero(_array(edge).view(np.bool_)).astype(np.int32)
        if len(flat) == 0:
            return
        y, x = np.divmod(flat, np.int32(full.shape[1]))
        at_x, at_y = _carried(self._affine, x, y)
        mirror_x, mirror_y = (
            np.rint(at_x).astype(np.intp),
            np.rint(at_y).astype(np.intp),
        )
        height, width = self._shape
        inside = (mirror_x >= 0) & (mirror_x < width)
        inside &= (mirror_y >= 0) & (mirror_y < height)
        mirror_y, mirror_x = mirror_y[inside], mirror_x[inside]
        near = _array(cv2.dilate(lit, np.ones((3, 3), np.uint8)))
        lost = near[mirror_y, mirror_x] == 0
        lit[mirror_y[lost], mirror_x[lost]] = value

    def _spread(self, pixels: Mask) -> Mask:
        """Return the mean of ``pixels`` (Y, X) over the width of a mirror."""
        if self._width <= 1:
            return pixels
        border = cv2.BORDER_CONSTANT
        kernel = self._kernel
        return _array(cv2.sepFilter2D(pixels, -1, kernel, kernel, borderType=border))

    def _sample(self, pixels: Mask) -> Mask:
        """Return ``pixels`` (Y, X) of the camera at the centre of each mirror."""
        return _array(
            cv2.remap(
                pixels,
                *self._maps,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=0,
            )
        )

    def _scale(self) -> float:
        """Return how many mirrors a camera pixel is wide, in the middle of the DMD."""
        if self._affine[2, :2].any():
            y, x = (self._shape[0] - 1) / 2, (self._shape[1] - 1) / 2
            point = inverse_of(self._affine) @ np.array([x, y, 1.0])
            share = float(self._affine[2] @ (point / point[2]))
            return math.sqrt(abs(float(np.linalg.det(self._affine)) / share**3))
        return math.sqrt(abs(np.linalg.det(self._affine[:2, :2])))

    def _box(self) -> npt.NDArray[np.float32]:
        """Return the weights (X,) of a box as wide as a mirror, in camera pixels."""
        reach = max(0, math.ceil((self._width - 1) / 2))
        distance = np.abs(np.arange(-reach, reach + 1))
        weights = np.clip(self._width / 2 + 0.5 - distance, 0, 1)
        return np.asarray(weights / weights.sum(), dtype=np.float32)

    def _sampling_maps(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
        """Return for each mirror where it looks in the camera image, (Y, X)."""
        height, width = self._shape
        y, x = np.arange(height)[:, None], np.arange(width)[None, :]
        camera_x, camera_y = _carried(inverse_of(self._affine), x, y)
        whole, fraction = cv2.convertMaps(
            camera_x.astype(np.float32), camera_y.astype(np.float32), cv2.CV_16SC2
        )
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


def inverse_of(matrix: Affine) -> Affine:
    """Return the inverse (3, 3) of a transform (3, 3)."""
    return np.asarray(np.linalg.inv(matrix), np.float64)


def _carried(
    matrix: Affine, x: npt.NDArray[Any], y: npt.NDArray[Any]
) -> tuple[Affine, Affine]:
    """Return the points x, y (N,) carried by ``matrix`` (3, 3), each (N,)."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    if g == h == 0:
        return (a * x + b * y + c) / i, (d * x + e * y + f) / i
    share = g * x + h * y + i
    return (a * x + b * y + c) / share, (d * x + e * y + f) / share


def _checked_affine(affine: npt.ArrayLike, *, projective: bool) -> Affine:
    matrix = np.array(affine, dtype=np.float64)
    remedy = "Calibrate the DMD again: it must be 3 x 3, camera to mirror, in (x, y)."
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        problem = (
            f"The camera-to-DMD affine is not 3 x 3 finite numbers: {matrix.tolist()}."
        )
        raise CalibrationError(problem, remedy=remedy)
    if not projective and not np.array_equal(matrix[2], [0, 0, 1]):
        problem = f"The last row of the camera-to-DMD affine is {matrix[2].tolist()}."
        raise CalibrationError(problem, remedy="It must be 0, 0, 1.")
    scales = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    if scales[-1] < SMALLEST_SCALE or scales[-1] < SMALLEST_SCALE * scales[0]:
        problem = f"The camera-to-DMD affine is singular: scales {scales.tolist()}."
        raise CalibrationError(problem, remedy=remedy)
    matrix.setflags(write=False)
    return matrix
