"""One image series (t, c[, z], y, x) as OME-Zarr, and its label images; writing."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.errors import StorageError
from faro.storage import disk, ngff
from faro.storage.chunks import open_array
from faro.storage.jsontext import document, read_document
from faro.storage.planes import PlaneFile
from faro.storage.quick import uncompressed_shard
from faro.storage.series import LabelArray, Series, label_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt
    import tensorstore as ts

    from faro.model import Stack
    from faro.storage.chunks import StoredArray
    from faro.storage.disk import Durability
    from faro.storage.ngff import ImageFacts, Json, Window


NODE: Final = "zarr.json"
"""Metadata of a group or an array."""


def write_node(path: Path, metadata: Json, durability: Durability) -> None:
    """Create or replace the group or array in the folder ``path``."""
    synced = durability == "power-loss"
    disk.make_folder(path, synced=synced)
    disk.write_atomic(path / NODE, document(metadata), synced=synced)


class GrowingArray:
    """An array whose first axis is time and grows; thread-safe.

    Parameters
    ----------
    path
        Its folder.
    metadata
        What it is; None opens the one that is there.
    """

    def __init__(
        self, path: Path, metadata: Json | None, durability: Durability
    ) -> None:
        if metadata is not None:
            write_node(path, metadata, durability)
        self.path, self._lock = path, threading.Lock()
        self._metadata = metadata or read_document(path / NODE)
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
        """Store ``values`` (Y, X), (C, Y, X) or with Z; readable when this returns.

        ``at`` are indices of the second axis, None for all of it.

        Raises
        ------
        StorageError
            If it cannot be written, for example because the disk is full.
        """
        self.grow(timestep + 1)
        place = self._array[timestep] if at is None else self._array[timestep, at]
        _done(place.write(values), self.path, f"write timepoint {timestep} of")

    def link(self, timestep: int, source: StoredArray) -> bool:
        """Give the file of a timepoint of another array a second name, in this one.

        Returns whether that was possible: the file is there, and the arrays are coded
        the same way. Where the disk has no links, the file is copied.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        file = source.file_of(timestep)
        if not file.is_file() or _coding(source.metadata) != _coding(self._metadata):
            return False
        self.grow(timestep + 1)
        disk.link_or_copy(file, self.path / file.name)
        return True

    def write_quickly(self, timestep: int, stack: npt.NDArray[Any]) -> None:
        """Store a stack (C, Y, X) like `write`, with less work and more bytes.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        self.grow(timestep + 1)
        files, key = self._array.kvstore, f"c.{timestep}" + ".0" * stack.ndim
        assert files is not None
        written = files.write(key, uncompressed_shard(self._metadata, stack))
        _done(written, self.path, f"write timepoint {timestep} of")


class ZarrSeries(Series):
    """The stacks of one FOV and role that share a format, as OME-Zarr; thread-safe.

    Parameters
    ----------
    path
        The image group; created with its metadata, on the device when this returns.
        One that is there keeps its contrast, see also `restore`.
    name
        Its path in the folder of the images.
    facts
        What the metadata says.
    n_timepoints
        Planned length of the time axis.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        facts: ImageFacts,
        n_timepoints: int,
        durability: Durability,
    ) -> None:
        windows = _windows_in(path / NODE)
        facts = replace(facts, windows=windows or facts.windows)
        super().__init__(name, facts)
        full = (0, ngff.DTYPE_MAX[facts.format.dtype])
        known = enumerate(facts.windows)
        self.window_of = {index: window for index, window in known if window != full}
        self.path, self._durability = path, durability
        metadata = ngff.image_array(facts.format, max(1, n_timepoints))
        self._array = GrowingArray(path / "0", metadata, durability)
        self._planes = PlaneFile(path, name, facts, self._array.n_timepoints)
        write_node(path, ngff.image_group(facts), durability)

    @property
    def n_timepoints(self) -> int:
        """Length of the time axis."""
        return self._array.n_timepoints

    def describe(self, facts: ImageFacts) -> None:
        """Replace the metadata of the image group; its labels stay on the image."""
        with self._lock:
            moved = facts.place != self.facts.place
            self.facts = facts
            write_node(self.path, ngff.image_group(facts), self._durability)
            for name, label in self._labels.items() if moved else ():
                self._describe_label(name, label.shape)

    def restore(self, frames: Iterable[Mapping[str, Any]], labels: set[str]) -> None:
        """Take up again what a run that was ended had stored here."""
        told = list(frames)
        super().restore(told, labels)
        self._planes.rewrite(self.facts, self.n_timepoints, told)
        for name in sorted(labels):
            array = GrowingArray(
                self.path / "labels" / name / "0", None, self._durability
            )
            array.grow(self.n_timepoints)
            self._labels[name] = array

    def note(self, record: Mapping[str, Any]) -> None:
        """Add the planes of a stored stack to the OME-XML of this series."""
        self._planes.append(record, self.n_timepoints)

    def finish(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Write the OME-XML of this series anew, from the journal."""
        self._planes.rewrite(self.facts, self.n_timepoints, lines)

    def _grow(self, n_timepoints: int) -> None:
        self._array.grow(n_timepoints)

    def _store(self, stack: Stack, at: list[int]) -> None:
        whole = at == list(range(len(self.facts.format.channels)))
        if whole and self.compress_less:
            self._array.write_quickly(stack.timestep, stack.pixels)
        else:
            self._array.write(stack.timestep, stack.pixels, None if whole else at)

    def _link(self, timestep: int, source: StoredArray) -> bool:
        return self._array.link(timestep, source)

    def _new_label(self, name: str, like: LabelArray) -> GrowingArray:
        folder = self.path / "labels" / name
        metadata = ngff.label_array(like.shape, label_dtype(like), self.n_timepoints)
        array = GrowingArray(folder / "0", metadata, self._durability)
        self._describe_label(name, like.shape)
        names = [*self._labels, name]
        write_node(folder.parent, ngff.group({"labels": names}), self._durability)
        return array

    def _describe_label(self, name: str, shape: tuple[int, ...]) -> None:
        place, n_z = self.facts.place, self.facts.format.n_z
        if n_z and shape[0] == 1:
            place = place.flattened(n_z)
        metadata = ngff.label_group(name, place, ngff.label_axes(shape))
        write_node(self.path / "labels" / name, metadata, self._durability)


def _windows_in(node: Path) -> tuple[Window, ...]:
    """Return the grey values that an image group shows; none if it is not there."""
    if not node.is_file():
        return ()
    omero = read_document(node)["attributes"]["ome"]["omero"]
    shown = (channel["window"] for channel in omero["channels"])
    return tuple((window["start"], window["end"]) for window in shown)


def _coding(metadata: Json) -> Json:
    """Return what makes two arrays have the same files: all but the length of time."""
    names = "data_type", "chunk_grid", "chunk_key_encoding", "codecs"
    said = {name: metadata[name] for name in names}
    return {**said, "shape": list(metadata["shape"])[1:]}


def _done(future: Any, path: Path, verb: str) -> Any:
    """Return the result of a tensorstore future, once it is committed."""
    try:
        return future.result()
    except (ValueError, IndexError) as error:
        problem = f"Cannot {verb} {path}: {error}."
        remedy = "Free space, or check the disk; what was stored before is intact."
        raise StorageError(problem, remedy=remedy) from error
