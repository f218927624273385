"""One image series (t, c, y, x) on disk and its label images (t, y, x); writing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from faro.errors import StorageError
from faro.storage import disk, ngff
from faro.storage.chunks import open_array
from faro.storage.jsontext import document
from faro.storage.layout import is_label_name

if TYPE_CHECKING:
    from pathlib import Path

    import tensorstore as ts

    from faro.model.frame import PixelArray
    from faro.storage.disk import Durability
    from faro.storage.ngff import ImageFacts, Json, Window

LABEL_DTYPES: Final = {
    "bool": "uint8",
    "uint8": "uint8",
    "int8": "int32",
    "int16": "int32",
    "uint16": "int32",
    "int32": "int32",
}
"""How labels are stored; what is not listed becomes uint32."""

SHOWN_PERCENT: Final = (0.5, 99.8)


def write_group(path: Path, metadata: Json) -> None:
    """Create or replace the group in the folder ``path``."""
    disk.make_folder(path)
    disk.write_atomic(path / "zarr.json", document(metadata))


class GrowingArray:
    """An array whose first axis is time and grows; thread-safe."""

    def __init__(self, path: Path, metadata: Json, durability: Durability) -> None:
        disk.make_folder(path)
        disk.write_atomic(path / "zarr.json", document(metadata))
        self.path, self._lock = path, threading.Lock()
        self._array: ts.TensorStore = open_array(path, durability)

    @property
    def n_timepoints(self) -> int:
        """Length of the time axis."""
        return int(self._array.shape[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type."""
        return np.dtype(self._array.dtype.numpy_dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without time."""
        return tuple(int(n) for n in self._array.shape[1:])

    def grow(self, n_timepoints: int) -> None:
        """Make the time axis at least ``n_timepoints`` long; it never shrinks."""
        with self._lock:
            if n_timepoints > self.n_timepoints:
                shape = [n_timepoints, *self.shape]
                grown = self._array.resize(exclusive_max=shape, expand_only=True)
                self._array = _done(grown, self.path, "grow")

    def write(
        self, timestep: int, values: npt.NDArray[Any], at: list[int] | None = None
    ) -> None:
        """Store ``values`` (Y, X) or (C, Y, X); readable when this returns.

        ``at`` are indices of the second axis, None for all of it.

        Raises
        ------
        StorageError
            If it cannot be written, for example because the disk is full.
        """
        self.grow(timestep + 1)
        place = self._array[timestep] if at is None else self._array[timestep, at]
        _done(place.write(values), self.path, f"write timepoint {timestep} of")


class LabelImage:
    """One label image of a series."""

    def __init__(self, array: GrowingArray, name: str) -> None:
        self._array, self.name = array, name

    def grow(self, n_timepoints: int) -> None:
        """Make the time axis at least ``n_timepoints`` long."""
        self._array.grow(n_timepoints)

    def write(self, timestep: int, labels: npt.NDArray[np.integer[Any]]) -> None:
        """Store labels (Y, X), any integer or bool; values are never changed.

        Raises
        ------
        StorageError
            If the shape differs, or a value does not fit the stored data type.
        """
        if labels.shape != self._array.shape:
            problem = f"A label image {self.name!r} has shape {labels.shape}, "
            problem += f"the ones before {self._array.shape}."
            raise StorageError(problem, remedy="Store labels of one shape per name.")
        dtype = self._array.dtype
        if not np.can_cast(labels.dtype, dtype) and labels.size:
            limits = np.iinfo(dtype)
            low, high = int(labels.min()), int(labels.max())
            if low < limits.min or high > limits.max:
                problem = f"Labels {low} to {high} of {self.name!r} do not fit {dtype}."
                remedy = "Store them under another name, or as the type used at first."
                raise StorageError(problem, remedy=remedy)
        self._array.write(timestep, np.ascontiguousarray(labels, dtype))


class Series:
    """The stacks of one FOV and role that share a format; thread-safe.

    Parameters
    ----------
    path
        The image group; created with its metadata, on the device when this returns.
    facts
        What the metadata says.
    n_timepoints
        Planned length of the time axis.
    """

    def __init__(
        self, path: Path, facts: ImageFacts, n_timepoints: int, durability: Durability
    ) -> None:
        self.path, self.facts, self._durability = path, facts, durability
        metadata = ngff.image_array(facts.format, max(1, n_timepoints))
        self._array = GrowingArray(path / "0", metadata, durability)
        write_group(path, ngff.image_group(facts))
        self._lock = threading.Lock()
        self._taken: set[int] = set()
        self._labels: dict[str, LabelImage] = {}
        self.window_of: dict[int, Window] = {}

    @property
    def n_timepoints(self) -> int:
        """Length of the time axis."""
        return self._array.n_timepoints

    def grow(self, n_timepoints: int) -> None:
        """Make images and labels at least ``n_timepoints`` long."""
        self._array.grow(n_timepoints)
        with self._lock:
            labels = list(self._labels.values())
        for label in labels:
            label.grow(n_timepoints)

    def claim(self, timestep: int) -> bool:
        """Return whether ``timestep`` was free; it is taken now."""
        with self._lock:
            free = timestep not in self._taken
            self._taken.add(timestep)
            return free

    def release(self, timestep: int) -> None:
        """Undo `claim`, after a write that failed."""
        with self._lock:
            self._taken.discard(timestep)

    def channel_indices(self, channels: tuple[str, ...]) -> list[int] | None:
        """Return where ``channels`` are stored, None if one has no place.

        A name that comes twice takes the first two places of that name.
        """
        known = list(self.facts.format.channels)
        indices = []
        for name in channels:
            if name not in known:
                return None
            index = known.index(name)
            known[index] = "\0taken"
            indices.append(index)
        return indices

    def write(self, timestep: int, pixels: PixelArray, at: list[int]) -> None:
        """Store planes (C, Y, X) as one file; readable when this returns.

        Raises
        ------
        StorageError
            If they cannot be written.
        """
        whole = at == list(range(len(self.facts.format.channels)))
        self._array.write(timestep, pixels, None if whole else at)
        for index, plane in zip(at, pixels, strict=True):
            if index not in self.window_of:
                low, high = np.percentile(plane[::4, ::4], SHOWN_PERCENT)
                self.window_of[index] = (int(low), int(max(high, low + 1)))

    def label(self, name: str, like: npt.NDArray[np.integer[Any]]) -> LabelImage:
        """Return the label image ``name``, created for ``like`` (Y, X) if new.

        Raises
        ------
        StorageError
            If the name cannot be a folder.
        """
        with self._lock:
            if name not in self._labels:
                self._labels[name] = self._new_label(name, like)
            return self._labels[name]

    def describe(self, facts: ImageFacts) -> None:
        """Replace the metadata of the image group; its labels stay on the image."""
        with self._lock:
            moved = facts.place != self.facts.place
            self.facts = facts
            write_group(self.path, ngff.image_group(facts))
            for name in self._labels if moved else ():
                folder = self.path / "labels" / name
                write_group(folder, ngff.label_group(name, facts.place))

    def _new_label(self, name: str, like: npt.NDArray[np.integer[Any]]) -> LabelImage:
        if not is_label_name(name):
            problem = f"A label image cannot be called {name!r}."
            raise StorageError(problem, remedy="Use letters, digits, '_' and '-'.")
        folder = self.path / "labels" / name
        shape = (int(like.shape[0]), int(like.shape[1]))
        dtype = LABEL_DTYPES.get(str(like.dtype), "uint32")
        metadata = ngff.label_array(shape, dtype, self.n_timepoints)
        array = GrowingArray(folder / "0", metadata, self._durability)
        write_group(folder, ngff.label_group(name, self.facts.place))
        names = [*self._labels, name]
        write_group(folder.parent, ngff.group({"labels": names}))
        return LabelImage(array, name)


def _done(future: Any, path: Path, verb: str) -> Any:
    """Return the result of a tensorstore future, once it is committed."""
    try:
        return future.result()
    except (ValueError, IndexError) as error:
        problem = f"Cannot {verb} {path}: {error}."
        remedy = "Free space, or check the disk; what was stored before is intact."
        raise StorageError(problem, remedy=remedy) from error
