"""Where cells are and what shape they have; any property of skimage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from skimage.measure import regionprops_table

from faro.analysis.intensity import channel_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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

    Columns, with skimage's names and definitions, equal up to rounding:
    ``axis_major_length``, ``axis_minor_length``, ``eccentricity``, ``orientation``
    (rad, from the row axis), ``equivalent_diameter_area``, ``extent``; and
    ``roundness``, 4 area / (pi major²) (ISO 9276-6). For others see `RegionFeatures`.
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
        shape = cells.labels.shape
        y = np.broadcast_to(np.arange(shape[0], dtype=np.uint32)[:, None], shape)
        x = np.broadcast_to(np.arange(shape[1], dtype=np.uint32)[None, :], shape)
        # sums of whole numbers are exact: no cancellation below
        vyy = cells.mean(y * y) - cells.y**2
        vxx = cells.mean(x * x) - cells.x**2
        vxy = cells.mean(y * x) - cells.y * cells.x
        middle, apart = (vyy + vxx) / 2, np.hypot((vyy - vxx) / 2, vxy)
        large, small = middle + apart, np.maximum(middle - apart, 0)
        box = cells.bbox
        extent = cells.area / ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]))
        return {
            "axis_major_length": 4 * np.sqrt(large),
            "axis_minor_length": 4 * np.sqrt(small),
            "eccentricity": np.sqrt(1 - _share(small, large, 1.0)),
            "orientation": _orientation(vyy, vxx, vxy),
            "equivalent_diameter_area": np.sqrt(4 * cells.area / np.pi),
            "extent": extent,
            "roundness": _share(cells.area / (4 * np.pi), large, np.nan),
        }


def _share(part: Floats, whole: Floats, empty_fraction: float) -> Floats:
    """Return ``part / whole`` (n,), and ``empty_fraction`` where the whole is 0."""
    share: Floats = np.full(len(whole), empty_fraction)
    return np.divide(part, whole, out=share, where=whole > 0)


def _orientation(vyy: Floats, vxx: Floats, vxy: Floats) -> Floats:
    """Return the angle (n,) of the long axis from the row axis, as skimage does."""
    angle: Floats = 0.5 * np.arctan2(2 * vxy, vyy - vxx)
    round_ones = vyy == vxx
    angle[round_ones] = np.where(vxy[round_ones] > 0, np.pi / 4, -np.pi / 4)
    return angle


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
