"""The pixels of every cell, grouped once, for sums, medians and masks per cell."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faro.protocols.analysis import Floats, Labels

Image: TypeAlias = npt.NDArray[np.integer[Any] | np.floating[Any] | np.bool_]
Ints: TypeAlias = npt.NDArray[np.int64]
_SIXTEEN_BITS = 2**16
_LEVELS = 2**32 - 1


class PixelIndex:
    """Pixels of a label image grouped by label, in raster order within a label.

    One sort per frame; everything else is a gather and a ``reduceat``. Sums of
    integers are exact, and others are added in the order in which numpy adds, so means
    and centroids equal those of numpy (of float64) bit for bit.

    Parameters
    ----------
    labels
        (Y, X) int32, 0 background, nothing negative.
    label
        (n,) int32, ascending: the labels to list, also those without a pixel; every
        label of the image is among them. By default those that occur.
    flat
        (M,) ascending flat indices of the pixels to look at, for who has looked for
        them already; none of them is background. By default all that are not.

    Examples
    --------
    >>> index = PixelIndex(np.array([[0, 7, 7], [3, 0, 0]], np.int32))
    >>> index.label.tolist(), index.counts.tolist(), index.flat.tolist()
    ([3, 7], [1, 2], [3, 1, 2])
    """

    def __init__(
        self,
        labels: Labels,
        label: npt.NDArray[np.int32] | None = None,
        flat: npt.NDArray[np.intp] | None = None,
    ) -> None:
        self.shape: tuple[int, int] = (int(labels.shape[0]), int(labels.shape[1]))
        if flat is None:
            flat = np.flatnonzero(labels != 0)
        values = labels.ravel()[flat]
        # numpy sorts 16-bit integers by radix, several times faster than 32-bit ones
        narrow = int(values.max(initial=0)) < _SIXTEEN_BITS
        keys = values.astype(np.uint16) if narrow else values
        order = np.argsort(keys, kind="stable")
        self.flat: npt.NDArray[np.intp] = flat[order]
        grouped = values[order]
        first = np.flatnonzero(np.diff(grouped, prepend=np.int32(0)))
        present = grouped[first]
        sizes: Ints = np.diff(first, append=len(grouped)).astype(np.int64)
        self.label: npt.NDArray[np.int32] = present if label is None else label
        self.counts: Ints = np.zeros(len(self.label), np.int64)
        self.counts[np.searchsorted(self.label, present)] = sizes
        self.starts: Ints = np.cumsum(self.counts) - self.counts

    def __len__(self) -> int:
        return len(self.label)

    @cached_property
    def filled(self) -> npt.NDArray[np.bool_]:
        """(n,) bool: the cells that have a pixel."""
        filled: npt.NDArray[np.bool_] = self.counts > 0
        return filled

    @cached_property
    def rank(self) -> npt.NDArray[np.int32]:
        """(M,) int32: which cell, from 0, each pixel of ``flat`` belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.counts)

    @cached_property
    def rows(self) -> npt.NDArray[np.int32]:
        """(M,) int32 row of each pixel of ``flat``, px."""
        return self.flat.astype(np.int32) // np.int32(self.shape[1])

    @cached_property
    def columns(self) -> npt.NDArray[np.int32]:
        """(M,) int32 column of each pixel of ``flat``, px."""
        return self.flat.astype(np.int32) - self.rows * np.int32(self.shape[1])

    def gather(self, image: Image) -> npt.NDArray[Any]:
        """Return the values (M,) of ``image`` (Y, X), grouped by cell."""
        values: npt.NDArray[Any] = image.ravel()[self.flat]
        return values

    def reduced(
        self, ufunc: np.ufunc, values: npt.NDArray[Any], dtype: npt.DTypeLike
    ) -> npt.NDArray[Any]:
        """Return ``ufunc`` over the values (M,) of each cell, (n,); 0 where empty."""
        result = np.zeros(len(self), dtype)
        if self.filled.any():
            starts = self.starts[self.filled]
            result[self.filled] = ufunc.reduceat(values, starts, dtype=dtype)
        return result

    def sum(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the sum (n,) of values (M,) grouped by cell; 0 where empty.

        int64 of whole numbers, float64 of others.
        """
        if values.dtype.kind in "biu":
            return self.reduced(np.add, values, np.int64)
        # np.sum starts from 0, reduceat from the first value: the 0 is put there
        padded = np.zeros(len(values) + len(self))
        padded[np.arange(1, len(values) + 1) + self.rank] = values
        starts = self.starts + np.arange(len(self))
        return np.add.reduceat(padded, starts) if len(self) else padded

    def mean(self, values: npt.NDArray[Any]) -> Floats:
        """Return the mean (n,) of values (M,) grouped by cell; NaN where empty."""
        sums = self.sum(values)
        means: Floats = np.full(len(self), np.nan)
        np.divide(sums, self.counts, out=means, where=self.filled)
        return means

    def std(self, values: npt.NDArray[Any]) -> Floats:
        """Return the standard deviation (n,), ddof 0, of values (M,) by cell."""
        apart = values - np.repeat(self.mean(values), self.counts)
        spread: Floats = np.sqrt(self.mean(np.square(apart)))
        return spread

    def median(self, values: npt.NDArray[Any]) -> Floats:
        """Return the median (n,) of values (M,) grouped by cell; NaN where empty."""
        ordered = self._sorted(values)
        medians: Floats = np.full(len(self), np.nan)
        starts, counts = self.starts[self.filled], self.counts[self.filled]
        low = ordered[starts + (counts - 1) // 2].astype(np.float64)
        high = ordered[starts + counts // 2].astype(np.float64)
        medians[self.filled] = (low + high) / 2
        return medians

    def percentiles(
        self, values: npt.NDArray[Any], percents: Sequence[float]
    ) -> Floats:
        """Return percentiles (k, n) of values (M,) by cell; NaN where empty.

        Linear between the two nearest values, rounded as ``numpy.percentile`` does.
        """
        ordered = self._sorted(values)
        found: Floats = np.full((len(percents), len(self)), np.nan)
        starts, last = self.starts[self.filled], self.counts[self.filled] - 1
        for row, percent in zip(found, percents, strict=True):
            place = last * (percent / 100)
            low = np.floor(place).astype(np.int64)
            share = place - low
            below = ordered[starts + low].astype(np.float64)
            above = ordered[starts + np.minimum(low + 1, last)].astype(np.float64)
            apart = above - below
            near_above = above - apart * (1 - share)
            row[self.filled] = np.where(share >= 0.5, near_above, below + apart * share)
        return found

    def _sorted(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return values (M,) sorted within each cell."""
        if values.dtype in (np.uint8, np.uint16) and len(self) < _SIXTEEN_BITS:
            keys = self.rank.astype(np.uint32) << np.uint32(16)
            keys |= values
            keys.sort()
            return keys.astype(np.uint16)  # the upper half, the cell, is cut off
        order = np.lexsort((values, self.rank))
        return values[order]

    def furthest(self, along: Floats, fraction: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Return the flat indices of the ``fraction`` of each cell with largest values.

        Pixels of equal value stay together, so at least that fraction is returned.

        Parameters
        ----------
        along
            (M,) float64, grouped by cell.
        fraction
            0 to 1, of the pixels of each cell; one number or (n,).
        """
        part = np.broadcast_to(np.asarray(fraction, np.float64), (len(self),))
        if not len(self.flat) or not part.any():
            return np.empty(0, np.intp)
        lowest, highest = along.min(), along.max()
        scale = _LEVELS / max(float(highest - lowest), 1.0)
        keys = np.rint((along - lowest) * scale).astype(np.uint64)
        keys |= self.rank.astype(np.uint64) << np.uint64(32)
        ordered = np.sort(keys)
        # 0.3 * 10 is 3.0000000000000004: the millionth of a pixel asked for less
        wanted = np.ceil(self.counts * part - 1e-6).astype(np.int64)
        wanted = np.clip(wanted, 1, self.counts)
        cut = np.full(len(self), np.iinfo(np.uint64).max)
        some = self.filled & (part > 0)
        at = self.starts + self.counts - wanted
        cut[some] = ordered[at[some]]
        chosen: npt.NDArray[np.intp] = self.flat[keys >= np.repeat(cut, self.counts)]
        return chosen
