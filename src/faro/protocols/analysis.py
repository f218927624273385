"""What finds, follows and measures cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faro.model import Stack
    from faro.model.cells import Column
    from faro.model.frame import PixelArray

Labels = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@runtime_checkable
class Segmenter(Protocol):
    """Finds objects in one image. Called on a worker thread, for several FOVs at once.

    A function ``segment(pixels)`` works as well.
    """

    def segment(self, pixels: PixelArray, /) -> npt.NDArray[Any]:
        """Return labels (Y, X), any integer or bool dtype; 0 is background.

        ``pixels`` is (Y, X), or (C, Y, X) for a segmenter that asked for several
        channels; read-only.
        """
        ...


class ChainedSegmenter(Protocol):
    """A segmenter that starts from the labels of another, like cells from nuclei.

    A function ``segment(pixels, seeds)`` works as well. Threads as for `Segmenter`.
    """

    def segment(self, pixels: PixelArray, seeds: Labels, /) -> npt.NDArray[Any]:
        """Return labels (Y, X), any integer or bool dtype; 0 is background.

        ``pixels`` as for `Segmenter`; ``seeds`` is (Y, X) int32, read-only.
        """
        ...


class CellPixels(NamedTuple):
    """The pixels of all cells, grouped by cell, in raster order within a cell.

    Attributes
    ----------
    flat
        (M,) intp index into the raveled image.
    cell
        (M,) int32: which cell each pixel belongs to, as index into ``cells.label``.
    row, column
        (M,) int32, px.
    """

    flat: npt.NDArray[np.intp]
    cell: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]


class Cells(Protocol):
    """The cells of one frame, shared by features, tracker and stimulator.

    All per-cell arrays have one value per cell, in the order of `label`. Properties
    are computed when first asked for and kept; one frame is in one thread's hands.
    """

    @property
    def labels(self) -> Labels:
        """(Y, X) int32 label image, 0 background, read-only."""
        ...

    @property
    def label(self) -> npt.NDArray[np.int32]:
        """(n,) int32 labels, ascending."""
        ...

    @property
    def track_id(self) -> npt.NDArray[np.int64]:
        """(n,) int64 track ids, >= 1; raises before the tracker has run."""
        ...

    @property
    def y(self) -> Floats:
        """(n,) float64 centroid rows, px."""
        ...

    @property
    def x(self) -> Floats:
        """(n,) float64 centroid columns, px."""
        ...

    @property
    def area(self) -> npt.NDArray[np.int64]:
        """(n,) int64 areas, px."""
        ...

    @property
    def bbox(self) -> npt.NDArray[np.int64]:
        """(n, 4) int64 half-open boxes: y0, x0, y1, x1, px."""
        ...

    @property
    def pixel_size_um(self) -> float | None:
        """Edge of a pixel in the sample, None where unknown."""
        ...

    def __len__(self) -> int: ...

    def mean(self, image: PixelArray) -> Floats:
        """Return the (n,) mean of ``image`` (Y, X) in each cell; NaN where empty."""
        ...

    def median(self, image: PixelArray) -> Floats:
        """Return the (n,) median of ``image`` (Y, X) in each cell; NaN where empty."""
        ...

    def std(self, image: PixelArray) -> Floats:
        """Return the (n,) standard deviation (ddof 0) of ``image`` (Y, X)."""
        ...

    def sum(self, image: PixelArray) -> Floats:
        """Return the (n,) sum of ``image`` (Y, X) in each cell; 0 where empty."""
        ...

    def percentiles(self, image: PixelArray, percents: Sequence[float]) -> Floats:
        """Return percentiles (k, n), 0 to 100, of ``image`` (Y, X); NaN where empty."""
        ...

    def compartment(self, name: str, *, without_self: bool = False) -> Cells:
        """Return the parts of another label image that have these cells' numbers.

        The same cells in the same order; ``without_self`` leaves their own pixels out.
        """
        ...

    def ring(self, margin: int = 2, distance: int = 4) -> Cells:
        """Return the ring around each cell, from ``margin`` to ``distance`` px.

        The result has the same cells in the same order; a ring may be empty.
        """
        ...

    def half(
        self, direction: npt.ArrayLike, fraction: npt.ArrayLike = 0.5
    ) -> npt.NDArray[np.bool_]:
        """Return a mask (Y, X): the ``fraction`` of each cell that is furthest along.

        ``direction`` is (dy, dx), of any length but zero, or (n, 2), one per cell,
        where a cell without a direction (NaN) stays dark. ``fraction`` is one number
        from 0 to 1, or (n,), one per cell.
        """
        ...

    @property
    def pixels(self) -> CellPixels:
        """The pixels of all cells, grouped by cell; for masks per cell."""
        ...

    def select(self, keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return a mask (Y, X) of the cells where ``keep`` (n,) is true."""
        ...

    def track_image(self) -> npt.NDArray[np.uint32]:
        """Return the track ids as an image (Y, X) uint32, 0 background."""
        ...

    def __contains__(self, feature: str, /) -> bool: ...

    def __getitem__(self, feature: str, /) -> Column:
        """Return a feature of this frame, (n,), by column name."""
        ...


@runtime_checkable
class FeatureExtractor(Protocol):
    """Measures the cells of one frame. Called in frame order, per FOV.

    A function ``features(cells, stack)`` works as well. Optional attributes:
    ``needs`` (names of columns it builds on), ``provides`` (names it returns),
    ``rings`` (names of label images it wants stored). One that remembers has
    ``state(fov)``, which returns what it knows of a FOV, JSON-able, and
    ``restore(fov, state)``, which goes on from it, and from nothing where it is empty.
    """

    def features(self, cells: Cells, stack: Stack, /) -> Mapping[str, Column]:
        """Return columns: name to (n,) array in the order of ``cells.label``."""
        ...


@runtime_checkable
class Tracker(Protocol):
    """Follows the cells of one FOV; one instance per FOV, called in frame order."""

    def update(self, timestep: int, cells: Cells, /) -> npt.NDArray[np.int64]:
        """Return (n,) int64 track ids >= 1, never reused, in the order of the cells."""
        ...

    def state(self) -> dict[str, Any]:
        """Return the state, JSON-able."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        ...
