"""Finds and reads stored frames and labels by index, while the run may go on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faro.storage.chunks import StoredArray
from faro.storage.jsontext import read_document
from faro.storage.layout import SeriesKey, series_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from faro.model import FrameRole
    from faro.model.frame import PixelArray
    from faro.storage.layout import RunLayout


@dataclass(frozen=True, slots=True)
class StoredStack:
    """A stack on disk.

    Attributes
    ----------
    channels
        Names of the stored planes.
    indices
        Where these are on the channel axis.
    """

    series: SeriesKey
    timestep: int
    channels: tuple[str, ...]
    indices: tuple[int, ...]
    array: StoredArray

    def read(self) -> PixelArray:
        """Return the stored planes (C, Y, X), read-only."""
        pixels: PixelArray = self.array.read(self.timestep)
        if len(self.indices) != len(pixels):
            pixels = pixels[list(self.indices)]
        pixels.setflags(write=False)
        return pixels

    def plane(self, channel: str) -> PixelArray:
        """Return one stored plane (Y, X)."""
        index = self.indices[self.channels.index(channel)]
        plane: PixelArray = self.array.read(self.timestep, index)
        return plane


class FrameReader:
    """Reads images of a run folder; thread-safe."""

    def __init__(self, layout: RunLayout) -> None:
        self._layout, self._lock = layout, threading.Lock()
        self._arrays: dict[Path, StoredArray] = {}
        self._channels: dict[SeriesKey, tuple[str, ...]] = {}

    def series(self) -> list[SeriesKey]:
        """Return the series on disk, in order."""
        images = self._layout.images
        if not images.is_dir():
            return []
        keys = {series_key(folder.name) for folder in images.iterdir()}
        return sorted(key for key in keys if key is not None and self._complete(key))

    def n_timepoints(self, key: SeriesKey) -> int:
        """Return the length of the time axis of a series, as it is now."""
        return self._opened(self._image_path(key)).shape[0]

    def stacks(self, fov: int, timestep: int, role: FrameRole) -> Iterator[StoredStack]:
        """Yield what is stored of one FOV, timepoint and role: none, one or more."""
        number = 0
        while self._complete(key := SeriesKey(fov, role, number)):
            number += 1
            array = self._array(self._image_path(key), timestep)
            if not 0 <= timestep < array.shape[0]:
                continue
            stored = [c for c in range(array.shape[1]) if array.holds(timestep, c)]
            if stored:
                names = tuple(self._names(key)[c] for c in stored)
                yield StoredStack(key, timestep, names, tuple(stored), array)

    def labels(
        self, name: str, fov: int, timestep: int
    ) -> npt.NDArray[np.integer[Any]] | None:
        """Return a stored label image (Y, X), None if there is none."""
        path = self._labels_path(fov) / name / "0"
        if name not in self.label_names(fov):
            return None
        array = self._array(path, timestep)
        if not 0 <= timestep < array.shape[0] or not array.holds(timestep):
            return None
        return array.read(timestep)

    def label_names(self, fov: int) -> tuple[str, ...]:
        """Return the names of the label images of one FOV."""
        group = self._labels_path(fov) / "zarr.json"
        if not group.is_file():
            return ()
        return tuple(read_document(group)["attributes"]["ome"]["labels"])

    def _complete(self, key: SeriesKey) -> bool:
        """Return whether a series is there; its group is written last."""
        return (self._layout.series(key.name) / "zarr.json").is_file()

    def _image_path(self, key: SeriesKey) -> Path:
        return self._layout.series(key.name) / "0"

    def _labels_path(self, fov: int) -> Path:
        return self._layout.series(SeriesKey(fov).name) / "labels"

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

    def _names(self, key: SeriesKey) -> tuple[str, ...]:
        if key not in self._channels:
            group = read_document(self._layout.series(key.name) / "zarr.json")
            channels = group["attributes"]["ome"]["omero"]["channels"]
            self._channels[key] = tuple(channel["label"] for channel in channels)
        return self._channels[key]
