"""Finds and reads stored frames and labels by index, while the run may go on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from faro.storage.chunks import StoredArray
from faro.storage.jsontext import read_document
from faro.storage.layout import OTHERS, SeriesKey, series_key
from faro.storage.ngff import N_PLANE_AXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from faro.model import FrameRole
    from faro.model.frame import PixelArray


@dataclass(frozen=True, slots=True)
class StoredStack:
    """A stack on disk.

    Attributes
    ----------
    series
        Which series holds it.
    name
        Path of the series in the folder of the images.
    channels
        Names of the stored planes.
    read
        Returns the stored planes (C, Y, X) or (C, Z, Y, X), read-only.
    channel
        Returns those of one channel, (Y, X) or (Z, Y, X); takes its place in
        ``channels``.
    """

    series: SeriesKey
    name: str
    timestep: int
    channels: tuple[str, ...]
    read: Callable[[], PixelArray]
    channel: Callable[[int], PixelArray]

    def plane(self, channel: str) -> PixelArray:
        """Return a channel by name, (Y, X) or (Z, Y, X)."""
        return self.channel(self.channels.index(channel))


class StoredImages(Protocol):
    """Finds and reads stored frames and labels by index; thread-safe."""

    def series(self) -> list[SeriesKey]:
        """Return the series on disk, in order."""
        ...

    def n_timepoints(self, key: SeriesKey) -> int:
        """Return the length of the time axis of a series, as it is now."""
        ...

    def stacks(self, fov: int, timestep: int, role: FrameRole) -> Iterator[StoredStack]:
        """Yield what is stored of one FOV, timepoint and role: none, one or more."""
        ...

    def labels(
        self, name: str, fov: int, timestep: int
    ) -> npt.NDArray[np.integer[Any]] | None:
        """Return stored labels (Y, X) or (Z, Y, X), None if there are none."""
        ...

    def label_names(self, fov: int) -> tuple[str, ...]:
        """Return the names of the label images of one FOV."""
        ...


class SeriesPaths(Protocol):
    """Where the image groups of a run are."""

    def keys(self) -> list[SeriesKey]:
        """Return the series on disk, in order."""
        ...

    def path_of(self, key: SeriesKey) -> str | None:
        """Return the path of a series in the folder of the images, None if absent."""
        ...


class CollectionPaths:
    """The image groups of a collection.

    Parameters
    ----------
    path
        Its folder.
    prefix
        Its path in the folder of the images.
    """

    def __init__(self, path: Path, prefix: str = "") -> None:
        self._path, self._prefix = path, prefix

    def keys(self) -> list[SeriesKey]:
        """Return the series on disk, in order."""
        if not self._path.is_dir():
            return []
        keys = {series_key(folder.name) for folder in self._path.iterdir()}
        return sorted(k for k in keys if k is not None and self.path_of(k))

    def path_of(self, key: SeriesKey) -> str | None:
        """Return the path of a series, None if absent; its group is written last."""
        there = (self._path / key.name / "zarr.json").is_file()
        return f"{self._prefix}{key.name}" if there else None


class PlatePaths:
    """The fields of a plate, and the series beside its wells."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._others = CollectionPaths(path / OTHERS, f"{OTHERS}/")
        self._fields: dict[int, str] = {}

    def keys(self) -> list[SeriesKey]:
        """Return the series on disk, in order."""
        self._look()
        return sorted([*map(SeriesKey, self._fields), *self._others.keys()])

    def path_of(self, key: SeriesKey) -> str | None:
        """Return the path of a series in the plate, None if absent."""
        if key == SeriesKey(key.fov):
            if key.fov not in self._fields:
                self._look()
            if key.fov in self._fields:
                return self._fields[key.fov]
        return self._others.path_of(key)

    def _look(self) -> None:
        """Read which fields there are; they only become more."""
        root = self._path / "zarr.json"
        if root.is_file():
            said = read_document(root)["attributes"].get("faro", {}).get("fields", {})
            self._fields = {int(fov): str(path) for fov, path in said.items()}


class FrameReader:
    """Reads the OME-Zarr images of a run folder; thread-safe.

    Parameters
    ----------
    images
        Folder of the images.
    paths
        Where the series are in it.
    """

    def __init__(self, images: Path, paths: SeriesPaths) -> None:
        self._images, self._paths, self._lock = images, paths, threading.Lock()
        self._arrays: dict[Path, StoredArray] = {}
        self._channels: dict[str, tuple[str, ...]] = {}

    def series(self) -> list[SeriesKey]:
        """Return the series on disk, in order."""
        return self._paths.keys()

    def n_timepoints(self, key: SeriesKey) -> int:
        """Return the length of the time axis of a series, as it is now."""
        name = self._paths.path_of(key)
        return self._opened(self._images / name / "0").shape[0] if name else 0

    def stacks(self, fov: int, timestep: int, role: FrameRole) -> Iterator[StoredStack]:
        """Yield what is stored of one FOV, timepoint and role: none, one or more."""
        number = 0
        while name := self._paths.path_of(key := SeriesKey(fov, role, number)):
            number += 1
            array = self._array(self._images / name / "0", timestep)
            if not 0 <= timestep < array.shape[0]:
                continue
            stored = [c for c in range(array.shape[1]) if array.holds(timestep, c)]
            if stored:
                yield self._stack(key, name, timestep, stored, array)

    def labels(
        self, name: str, fov: int, timestep: int
    ) -> npt.NDArray[np.integer[Any]] | None:
        """Return a stored label image, None if there is none.

        (Y, X), also where it stands for all planes of a stack; else (Z, Y, X).
        """
        folder = self._labels_path(fov)
        if folder is None or name not in self.label_names(fov):
            return None
        array = self._array(folder / name / "0", timestep)
        if not 0 <= timestep < array.shape[0] or not array.holds(timestep):
            return None
        found = array.read(timestep)
        return found[0] if found.ndim > N_PLANE_AXES and len(found) == 1 else found

    def label_names(self, fov: int) -> tuple[str, ...]:
        """Return the names of the label images of one FOV."""
        folder = self._labels_path(fov)
        if folder is None or not (folder / "zarr.json").is_file():
            return ()
        return tuple(read_document(folder / "zarr.json")["attributes"]["ome"]["labels"])

    def _stack(
        self,
        key: SeriesKey,
        name: str,
        timestep: int,
        stored: list[int],
        array: StoredArray,
    ) -> StoredStack:
        def read() -> PixelArray:
            pixels: PixelArray = array.read(timestep)
            if len(stored) != len(pixels):
                pixels = pixels[stored]
            pixels.setflags(write=False)
            return pixels

        def channel(index: int) -> PixelArray:
            plane: PixelArray = array.read(timestep, stored[index])
            return plane

        known = self._names(name)
        names = tuple(known[c] for c in stored)
        return StoredStack(key, name, timestep, names, read, channel)

    def _labels_path(self, fov: int) -> Path | None:
        name = self._paths.path_of(SeriesKey(fov))
        return self._images / name / "labels" if name else None

    def _array(self, path: Path, timestep: int) -> StoredArray:
        """Return an array, opened again where it may have grown since."""
        with self._lock:
            array = self._arrays.get(path)
        if array is None or timestep >= array.shape[0]:
            return self._opened(path)
        return array

    def _opened(self, path: Path) -> StoredArray:
        """Return an array as it is now."""
        array = StoredArray.at(path)
        with self._lock:
            known = self._arrays.get(path)
            if known is not None and known == array:
                return known
            self._arrays[path] = array
            return array

    def _names(self, name: str) -> tuple[str, ...]:
        if name not in self._channels:
            group = read_document(self._images / name / "zarr.json")
            channels = group["attributes"]["ome"]["omero"]["channels"]
            self._channels[name] = tuple(channel["label"] for channel in channels)
        return self._channels[name]
