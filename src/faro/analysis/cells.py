"""The cells of one frame: positions, sums, rings and masks, lazy and kept."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from faro.analysis.pixels import PixelIndex
from faro.analysis.rings import ring_labels
from faro.errors import ContractError, FaroError
from faro.protocols.analysis import CellPixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faro.analysis.pixels import Image, Ints
    from faro.model.cells import Column
    from faro.protocols.analysis import Floats, Labels

_OWN_COLUMNS = ("label", "track_id", "y", "x", "area")


class NotTrackedError(FaroError, LookupError):
    """Track ids were asked for before the tracker has run."""


class UnknownFeatureError(FaroError, KeyError):
    """The cells have no feature of that name, or not yet."""

    __str__ = Exception.__str__


class _Named:
    """What a frame's cells and their rings share: ids, features, label images."""

    def __init__(self) -> None:
        self.tracks: Ints | None = None
        self.features: dict[str, Column] = {}
        self.label_images: dict[str, Labels] = {}


class PixelCells:
    """The cells of one frame, as `faro.protocols.Cells` asks for.

    Parameters
    ----------
    labels
        (Y, X) int32, 0 background, nothing negative; labels need not be consecutive
        and may exceed 65535. Kept, not copied; must not change any more.
    pixel_size_um
        Edge of a pixel in the sample, None where unknown.

    Examples
    --------
    >>> cells = PixelCells(np.array([[0, 4, 4], [9, 0, 0]], np.int32))
    >>> cells.label.tolist(), cells.y.tolist(), cells.x.tolist()
    ([4, 9], [0.0, 1.0], [1.5, 0.0])
    """

    def __init__(self, labels: Labels, pixel_size_um: float | None = None) -> None:
        self.pixel_size_um = pixel_size_um
        self._labels = labels.view()
        self._labels.setflags(write=False)
        self._names = _Named()
        self._only: npt.NDArray[np.int32] | None = None
        self._rings: dict[tuple[int, int], PixelCells] = {}
        self._parts: dict[tuple[str, bool], PixelCells] = {}

    @cached_property
    def _index(self) -> PixelIndex:
        return PixelIndex(self._labels, self._only)

    @property
    def labels(self) -> Labels:
        """(Y, X) int32 label image, 0 background, read-only."""
        return self._labels

    @property
    def label(self) -> npt.NDArray[np.int32]:
        """(n,) int32 labels, ascending."""
        return self._index.label

    @property
    def track_id(self) -> Ints:
        """(n,) int64 track ids, >= 1.

        Raises
        ------
        NotTrackedError
            Before `set_tracks`.
        """
        if self._names.tracks is None:
            problem = "The cells of this frame have no track ids yet."
            remedy = "Give the pipeline a tracker, or ask after it has run."
            raise NotTrackedError(problem, remedy=remedy)
        return self._names.tracks

    @cached_property
    def y(self) -> Floats:
        """(n,) float64 centroid rows, px; NaN where empty."""
        return self._index.mean(self._index.rows)

    @cached_property
    def x(self) -> Floats:
        """(n,) float64 centroid columns, px; NaN where empty."""
        return self._index.mean(self._index.columns)

    @property
    def area(self) -> Ints:
        """(n,) int64 areas, px."""
        return self._index.counts

    @cached_property
    def bbox(self) -> Ints:
        """(n, 4) int64 half-open boxes: y0, x0, y1, x1, px; zeros where empty."""
        index = self._index
        y0 = index.reduced(np.minimum, index.rows, np.int64)
        x0 = index.reduced(np.minimum, index.columns, np.int64)
        y1 = index.reduced(np.maximum, index.rows, np.int64) + index.filled
        x1 = index.reduced(np.maximum, index.columns, np.int64) + index.filled
        return np.stack([y0, x0, y1, x1], axis=1)

    def __len__(self) -> int:
        return len(self._index)

    def mean(self, image: Image) -> Floats:
        """Return the (n,) mean of ``image`` (Y, X) in each cell; NaN where empty."""
        return self._index.mean(self._values(image))

    def median(self, image: Image) -> Floats:
        """Return the (n,) median of ``image`` (Y, X) in each cell; NaN where empty."""
        return self._index.median(self._values(image))

    def std(self, image: Image) -> Floats:
        """Return the (n,) standard deviation (ddof 0) of ``image`` (Y, X)."""
        return self._index.std(self._values(image))

    def sum(self, image: Image) -> Floats:
        """Return the (n,) sum of ``image`` (Y, X) in each cell; 0 where empty."""
        return self._index.sum(self._values(image)).astype(np.float64)

    def percentiles(self, image: Image, percents: Sequence[float]) -> Floats:
        """Return percentiles (k, n) of ``image`` (Y, X); NaN where empty.

        0 is the smallest value and 100 the largest; between two values as
        ``numpy.percentile`` does.
        """
        return self._index.percentiles(self._values(image), percents)

    def ring(self, margin: int = 2, distance: int = 4) -> PixelCells:
        """Return the ring around each cell, from ``margin`` to ``distance`` px.

        The result has the same cells in the same order, with the same track ids and
        features; a ring may be empty. Equal to the difference of two
        ``skimage.segmentation.expand_labels``.
        """
        key = (margin, distance)
        if key not in self._rings:
            self._rings[key] = self._like(ring_labels(self._labels, margin, distance))
        return self._rings[key]

    @property
    def pixels(self) -> CellPixels:
        """The pixels of all cells, grouped by cell, in raster order within a cell."""
        index = self._index
        return CellPixels(index.flat, index.rank, index.rows, index.columns)

    def compartment(self, name: str, *, without_self: bool = False) -> PixelCells:
        """Return the parts of a second label image with the numbers of these cells.

        The result has the same cells in the same order, with the same track ids and
        features; a part may be empty. For what a chained segmenter found, such as
        whole cells around nuclei.

        Parameters
        ----------
        name
            Of the label image.
        without_self
            Leave out the pixels of these cells, so that whole cells become cytoplasm.

        Raises
        ------
        UnknownFeatureError
            If there is no such label image in this frame.
        """
        images = self._names.label_images
        if name not in images:
            problem = f"The frame has no labels {name!r}; it has: {', '.join(images)}."
            remedy = "Give the pipeline a segmenter of that name."
            raise UnknownFeatureError(problem, remedy=remedy)
        key = (name, without_self)
        if key not in self._parts:
            known = np.isin(images[name], self.label)
            if without_self:
                known &= self._labels == 0
            self._parts[key] = self._like(np.where(known, images[name], 0))
        return self._parts[key]

    def half(
        self, direction: npt.ArrayLike, fraction: npt.ArrayLike = 0.5
    ) -> npt.NDArray[np.bool_]:
        """Return a mask (Y, X): the ``fraction`` of each cell that is furthest along.

        Parameters
        ----------
        direction
            (dy, dx), of any length but zero; (-1, 0) is up. Or (n, 2), one per cell;
            a cell whose direction is NaN stays dark.
        fraction
            0 to 1, of the pixels of each cell; one number or (n,). Pixels equally far
            along stay together.

        Raises
        ------
        ContractError
            If the direction is no direction or the fraction is out of range.
        """
        towards = np.asarray(direction, np.float64)
        parts = np.asarray(fraction, np.float64)
        lengths = np.hypot(towards[..., 0], towards[..., 1])
        per_cell = towards.ndim == 2
        good = (lengths > 0) | (np.isnan(lengths) & per_cell)
        fits = towards.shape in {(2,), (len(self), 2)} and parts.ndim < 2
        if not (fits and good.all() and ((parts >= 0) & (parts <= 1)).all()):
            problem = f"There is no fraction {parts} of a cell along {direction!r}."
            remedy = "Use a direction (dy, dx) that is not zero and 0 <= fraction <= 1."
            raise ContractError(problem, remedy=remedy)
        index = self._index
        dy, dx = np.moveaxis(towards / lengths[..., None], -1, 0)
        if per_cell:
            parts = np.where(np.isnan(lengths), 0.0, parts)
            dy, dx = np.nan_to_num(dy)[index.rank], np.nan_to_num(dx)[index.rank]
        along = index.rows * dy + index.columns * dx
        return self._painted(index.furthest(along, parts))

    def select(self, keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return a mask (Y, X) of the cells where ``keep`` (n,) is true.

        Raises
        ------
        ContractError
            If ``keep`` is not one bool per cell.
        """
        keep = np.asarray(keep)
        if keep.shape != (len(self),) or keep.dtype != np.bool_:
            problem = (
                f"A selection has shape {keep.shape} and dtype {keep.dtype}; "
                f"there are {len(self)} cells."
            )
            raise ContractError(problem, remedy="Give one bool per cell.")
        index = self._index
        return self._painted(index.flat[np.repeat(keep, index.counts)])

    def track_image(self) -> npt.NDArray[np.uint32]:
        """Return the track ids as an image (Y, X) uint32, 0 background."""
        image = np.zeros(self._labels.shape, np.uint32)
        ids = self.track_id.astype(np.uint32)
        image.ravel()[self._index.flat] = np.repeat(ids, self._index.counts)
        return image

    def set_tracks(self, track_id: Ints) -> None:
        """Take the track ids (n,) int64 of the cells, >= 1, each once.

        Raises
        ------
        ContractError
            If they are anything else.
        """
        self._names.tracks = checked_track_ids(track_id, len(self))

    def set_features(self, features: Mapping[str, Column]) -> None:
        """Add columns, name to (n,) array; a name already there is replaced.

        Raises
        ------
        ContractError
            If a column is not one value per cell.
        """
        self._names.features.update(
            {name: _checked_column(name, v, len(self)) for name, v in features.items()}
        )

    def __contains__(self, feature: str) -> bool:
        return feature in self._names.features or feature in _OWN_COLUMNS

    def __getitem__(self, feature: str) -> Column:
        """Return a feature of this frame, (n,), by column name.

        Raises
        ------
        UnknownFeatureError
            If it has not been measured.
        """
        if feature in self._names.features:
            return self._names.features[feature]
        if feature in _OWN_COLUMNS:
            own: Column = getattr(self, feature)
            return own
        names = ", ".join([*_OWN_COLUMNS, *self._names.features])
        problem = f"The cells have no feature {feature!r}; they have: {names}."
        remedy = "Name it in `needs`, so that it is measured first."
        raise UnknownFeatureError(problem, remedy=remedy)

    def set_label_images(self, images: Mapping[str, Labels]) -> None:
        """Take all label images (Y, X) int32 of the frame, by name."""
        self._names.label_images = dict(images)

    def _like(self, labels: Labels) -> PixelCells:
        """Return the same cells with other pixels, ``labels`` (Y, X)."""
        other = PixelCells(labels, self.pixel_size_um)
        other._only = self.label
        other._names = self._names
        return other

    def _values(self, image: Image) -> npt.NDArray[np.generic]:
        """Return the pixels of ``image`` (Y, X), grouped by cell."""
        if image.shape != self._labels.shape:
            problem = (
                f"An image of shape {image.shape} was to be measured; "
                f"the labels have {self._labels.shape}."
            )
            raise ContractError(problem, remedy="Give one plane (Y, X) of the stack.")
        return self._index.gather(image)

    def _painted(self, flat: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        """Return a mask (Y, X) that is true at the ``flat`` indices."""
        mask = np.zeros(self._labels.shape, np.bool_)
        mask.ravel()[flat] = True
        return mask


def checked_track_ids(track_id: object, n_cells: int) -> Ints:
    """Return track ids as (n,) int64.

    Raises
    ------
    ContractError
        If they are not one integer >= 1 per cell, each once.

    Examples
    --------
    >>> checked_track_ids([2, 7], 2)
    array([2, 7])
    """
    ids = np.asarray(track_id)
    whole = np.issubdtype(ids.dtype, np.integer) or not ids.size
    good = whole and ids.shape == (n_cells,)
    if not (good and (ids >= 1).all() and len(np.unique(ids)) == n_cells):
        problem = (
            f"A tracker returned ids of shape {ids.shape} and dtype {ids.dtype} for "
            f"{n_cells} cells: {ids.ravel()[:5].tolist()}..."
        )
        remedy = "Return one integer >= 1 per cell, each once."
        raise ContractError(problem, remedy=remedy)
    return ids.astype(np.int64, copy=False)


def _checked_column(name: str, values: object, n_cells: int) -> Column:
    """Return a column as (n,) array, or raise ContractError."""
    column: Column = np.asarray(values)
    if column.shape != (n_cells,) or column.dtype.kind not in "biufUM":
        problem = (
            f"The feature {name!r} has shape {column.shape} and dtype {column.dtype}; "
            f"there are {n_cells} cells."
        )
        raise ContractError(problem, remedy="Return one value per cell.")
    return column
