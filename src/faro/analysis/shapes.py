"""Where cells are and what shape they have; any property of skimage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from skimage.measure import moments_central, regionprops_table

from faro.analysis.intensity import channel_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from faro.model import Stack
    from faro.model.cells import Column
    from faro.protocols import Cells
    from faro.protocols.analysis import Floats

_BBOX = tuple(f"bbox-{side}" for side in range(4))


@dataclass(frozen=True, slots=True)
class PositionFeatures:
    """Centre in um, area in um², bounding box in px.

    Columns: ``y_um``, ``x_um`` from the corner of the image, ``area_um2``, all NaN
    where the size of a pixel is unknown; ``bbox-0`` to ``bbox-3``, half open: y0, x0,
    y1, x1. The centre and the area in px are in every table.
    """

    provides: ClassVar[tuple[str, ...]] = ("y_um", "x_um", "area_um2", *_BBOX)

    def features(self, cells: Cells, stack: Stack) -> dict[str, Column]:
        """Return the columns, name to (n,) array."""
        size_um = np.nan if stack.pixel_size_um is None else stack.pixel_size_um
        boxes = dict(zip(_BBOX, cells.bbox.T, strict=True))
        return {
            "y_um": cells.y * size_um,
            "x_um": cells.x * size_um,
            "area_um2": cells.area * size_um**2,
            **boxes,
        }


@dataclass(frozen=True, slots=True)
class ShapeFeatures:
    """The ellipse with the second moments of each cell, and how compact it is.

    Columns, with skimage's names and definitions, equal to those of its
    ``regionprops_table`` bit for bit: ``axis_major_length``, ``axis_minor_length``,
    ``eccentricity``, ``orientation`` (rad, from the row axis),
    ``equivalent_diameter_area``, ``extent``; and ``roundness``, 4 area / (pi major²)
    (ISO 9276-6). NaN where a cell has no pixel. For others see `RegionFeatures`.
    """

    provides: ClassVar[tuple[str, ...]] = (
        "axis_major_length",
        "axis_minor_length",
        "eccentricity",
        "orientation",
        "equivalent_diameter_area",
        "extent",
        "roundness",
    )

    def features(self, cells: Cells, stack: Stack) -> dict[str, Column]:  # noqa: ARG002  shapes have no channel
        """Return the columns, name to (n,) float64."""
        filled = cells.area > 0
        found: Floats = np.full((len(self.provides), len(cells)), np.nan)
        found[:, filled] = _shapes(cells, np.flatnonzero(filled))
        return dict(zip(self.provides, found, strict=True))


def _shapes(cells: Cells, rows: npt.NDArray[np.intp]) -> Floats:
    """Return the columns of `ShapeFeatures` (7, k) of the cells at ``rows`` (k,).

    The order of operations is skimage's: another one rounds otherwise.
    """
    area, box = cells.area[rows], cells.bbox[rows]
    inertia = _inertia(cells, rows)
    small, large = np.maximum(np.linalg.eigvalsh(inertia), 0).T
    ratio = np.divide(small, large, out=np.ones(len(rows)), where=large > 0)
    major = 4 * np.sqrt(large)
    circle = np.full(len(rows), np.nan)
    np.divide(4 * area / np.pi, np.square(major), out=circle, where=large > 0)
    # numpy turns ** 0.5 of an array into a square root, of a number it does not
    diameter = [twice**0.5 for twice in (4 * area / np.pi).tolist()]
    extent = area / ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]))
    return np.array(
        [
            major,
            4 * np.sqrt(small),
            np.sqrt(1 - ratio),
            [_orientation(tensor) for tensor in inertia.tolist()],
            diameter,
            extent,
            circle,
        ]
    )


def _inertia(cells: Cells, rows: npt.NDArray[np.intp]) -> Floats:
    """Return the inertia tensors (k, 2, 2) of the cells at ``rows`` (k,), px².

    Central moments are sums of floating-point numbers, and a matrix product adds in an
    order of its own: only skimage's own function gives skimage's last bit.
    """
    label, box = cells.label[rows], cells.bbox[rows]
    # the sum of whole numbers, got back from the mean, is exact
    yx_sum = np.rint(np.stack([cells.y, cells.x]).T[rows] * cells.area[rows, None])
    centre = (yx_sum - box[:, :2] * cells.area[rows, None]) / cells.area[rows, None]
    moments: Callable[..., Floats] = moments_central
    found = []
    for own, (y0, x0, y1, x1), middle in zip(label, box.tolist(), centre, strict=True):
        inside = cells.labels[y0:y1, x0:x1] == own
        found.append(moments(inside.view(np.uint8), middle))
    mu = np.array(found).reshape(-1, 4, 4)
    yy, xx, yx = mu[:, 2, 0], mu[:, 0, 2], mu[:, 1, 1]
    tensor = np.array([[yy + xx - yy, -yx], [-yx, yy + xx - xx]]) / mu[:, 0, 0]
    return np.moveaxis(tensor, -1, 0)


def _orientation(tensor: list[list[float]]) -> float:
    """Return the angle of the long axis from the row axis, rad."""
    (a, b), (_, c) = tensor
    if a == c:
        return math.pi / 4 if b < 0 else -math.pi / 4
    return 0.5 * math.atan2(-2 * b, c - a)


@dataclass(frozen=True, slots=True)
class RegionFeatures:
    """Any property of ``skimage.measure.regionprops_table``, under skimage's names.

    Slower than the other extractors: skimage looks at one cell after the other.

    Parameters
    ----------
    properties
        Names, such as ``"solidity"`` or ``"intensity_max"``.
    channels
        Channels of the intensities; with one, the names have no ``-0`` behind.
    in_um
        Lengths and areas in um, where the size of a pixel is known.
    """

    properties: tuple[str, ...]
    channels: tuple[str | int, ...] | None = None
    in_um: bool = False

    def features(self, cells: Cells, stack: Stack) -> dict[str, Column]:
        """Return the columns, name to (n,) array."""
        names = channel_names(stack, self.channels)
        planes = np.stack([stack[name] for name in names], axis=-1)
        size_um = stack.pixel_size_um if self.in_um else None
        table: Callable[..., Mapping[str, Column]] = regionprops_table
        columns = table(
            cells.labels,
            planes[..., 0] if len(names) == 1 else planes,
            properties=self.properties,
            spacing=None if size_um is None else (size_um, size_um),
        )
        return dict(columns)
