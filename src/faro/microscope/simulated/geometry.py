"""Where things are: the camera's field in the dish, and the SLM's way onto it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import cos, radians, sin
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Pattern: TypeAlias = npt.NDArray[np.uint8]
Factor: TypeAlias = float
"""A number without a unit."""

ROTATION_DEG = 7.0
FILL = 0.9


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in the dish, in stage micrometres."""

    x0_um: float
    y0_um: float
    x1_um: float
    y1_um: float

    def grown(self, margin_um: float) -> Box:
        """Return the box with ``margin_um`` added on every side."""
        return Box(
            self.x0_um - margin_um,
            self.y0_um - margin_um,
            self.x1_um + margin_um,
            self.y1_um + margin_um,
        )

    def holds(self, x_um: Floats, y_um: Floats) -> npt.NDArray[np.bool_]:
        """Return which of the points, each (n,), are inside, (n,)."""
        in_x = (x_um >= self.x0_um) & (x_um < self.x1_um)
        return in_x & (y_um >= self.y0_um) & (y_um < self.y1_um)


@dataclass(frozen=True, slots=True)
class Field:
    """What the camera sees: the stage position is the centre of the image.

    Stage x grows to the right and stage y grows downwards in the image.

    >>> field = Field(100.0, 50.0, shape=(3, 5), pixel_size_um=2.0)
    >>> y_px, x_px = field.to_px(np.array([102.0]), np.array([48.0]))
    >>> y_px.tolist(), x_px.tolist()
    ([0.0], [3.0])
    """

    x_um: float
    y_um: float
    shape: tuple[int, int]
    pixel_size_um: float

    def to_px(self, x_um: Floats, y_um: Floats) -> tuple[Floats, Floats]:
        """Return stage points, each (N,), as pixel positions (y, x), each (N,)."""
        height, width = self.shape
        y_px = (y_um - self.y_um) / self.pixel_size_um + (height - 1) / 2
        x_px = (x_um - self.x_um) / self.pixel_size_um + (width - 1) / 2
        return y_px, x_px

    def box(self) -> Box:
        """Return the part of the dish that the image covers."""
        height, width = (0.5 * n * self.pixel_size_um for n in self.shape)
        return Box(
            self.x_um - width, self.y_um - height, self.x_um + width, self.y_um + height
        )


@dataclass(frozen=True, eq=False)
class Projector:
    """How the SLM's pixels fall onto the camera's.

    Attributes
    ----------
    shape
        (Y, X) of the SLM.
    camera_to_slm
        (2, 3) float64: ``(x_slm, y_slm) = A @ (x_camera, y_camera, 1)``, in pixels,
        the centre of the first pixel being 0, 0.
    """

    shape: tuple[int, int]
    camera_to_slm: Floats

    @cached_property
    def slm_to_camera(self) -> Floats:
        """The inverse affine, (2, 3)."""
        square = np.vstack([self.camera_to_slm, [0.0, 0.0, 1.0]])
        inverse: Floats = np.linalg.inv(square)[:2]
        return inverse

    def indices(self, y_px: Floats, x_px: Floats) -> npt.NDArray[np.intp]:
        """Return which SLM pixel lights each camera point, as flat index.

        ``y_px`` and ``x_px`` are of one shape (N,) or any other; so is the result.
        Points that no SLM pixel reaches get the index one past the last pixel.
        """
        height, width = self.shape
        (a, b, c), (d, e, f) = self.camera_to_slm
        column = np.floor(a * x_px + b * y_px + (c + 0.5)).astype(np.intp)
        row = np.floor(d * x_px + e * y_px + (f + 0.5)).astype(np.intp)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        flat: npt.NDArray[np.intp] = row * width + column
        flat[~inside] = height * width
        return flat

    def light(self, pattern: Pattern, indices: npt.NDArray[np.intp]) -> Floats:
        """Return the light fraction 0 to 1 at `indices` (N,) of ``pattern`` (Y, X)."""
        padded = np.append(pattern.ravel(), np.uint8(0))
        return padded[indices] / 255.0

    def reach(self, field: Field) -> Box:
        """Return the part of the dish that the SLM can light around ``field``."""
        height, width = self.shape
        corners = np.array(
            [[-0.5, -0.5], [width, -0.5], [-0.5, height], [width, height]]
        )
        x_px, y_px = self.slm_to_camera @ np.column_stack([corners, np.ones(4)]).T
        rows, columns = field.shape
        size_um = field.pixel_size_um
        x_um = field.x_um + (x_px - (columns - 1) / 2) * size_um
        y_um = field.y_um + (y_px - (rows - 1) / 2) * size_um
        edges = (x_um.min(), y_um.min(), x_um.max(), y_um.max())
        return Box(*(float(edge) for edge in edges))


def mounted_affine(camera: tuple[int, int], slm: tuple[int, int]) -> Floats:
    """Return the affine (2, 3) from camera to SLM pixels of the simulated rig.

    The SLM is mirrored left to right, turned by `ROTATION_DEG` and scaled such that
    the camera's field fills `FILL` of the SLM's shorter side.

    Parameters
    ----------
    camera, slm
        Their (Y, X) in pixels.
    """
    rows, columns = camera
    cosine, sine = cos(radians(ROTATION_DEG)), sin(radians(ROTATION_DEG))
    wide, high = cosine * columns + sine * rows, sine * columns + cosine * rows
    scale = FILL * min(slm[1] / wide, slm[0] / high)
    turn = scale * np.array([[-cosine, sine], [sine, cosine]])
    camera_centre = np.array([(columns - 1) / 2, (rows - 1) / 2])
    slm_centre = np.array([(slm[1] - 1) / 2, (slm[0] - 1) / 2])
    return np.column_stack([turn, slm_centre - turn @ camera_centre])


@lru_cache(maxsize=8)
def pixel_grid(shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return the row and the column of every pixel, each (Y, X), read-only."""
    rows, columns = np.indices(shape).astype(np.float64)
    for grid in (rows, columns):
        grid.setflags(write=False)
    return rows, columns
