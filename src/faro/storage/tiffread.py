"""Reads TIFF files: those of our runs, and single ones of any origin."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import tifffile

from faro.errors import MissingExtraError, StorageError
from faro.storage.frames import StoredStack
from faro.storage.layout import SeriesKey, series_key
from faro.storage.omexml import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from faro.model import FrameRole
    from faro.model.frame import PixelArray

IMAGE_ENDS: Final = ".ome.tif"
LABEL_ENDS: Final = ".tif"
LABELS: Final = "labels"
_TIMED = re.compile(r".*_t(\d{5,})\.ome\.tif")


def image_file(folder: Path, timestep: int) -> Path:
    """Return the file of one stack of the series in ``folder``."""
    return folder / f"{folder.name}_t{timestep:05d}{IMAGE_ENDS}"


def label_file(folder: Path, name: str, timestep: int) -> Path:
    """Return the file of one label image of the series in ``folder``."""
    return folder / LABELS / name / f"{folder.name}_t{timestep:05d}{LABEL_ENDS}"


def read_tiff(path: Path) -> npt.NDArray[Any]:
    """Return all pages of a TIFF file, (Y, X), (C, Y, X) or more axes.

    Raises
    ------
    MissingExtraError
        If its compression needs imagecodecs.
    StorageError
        If it cannot be read.
    """
    try:
        with tifffile.TiffFile(path) as file:
            found: npt.NDArray[Any] = file.asarray()
    except (OSError, ValueError, ImportError, tifffile.TiffFileError) as error:
        if isinstance(error, ImportError) or "imagecodecs" in str(error):
            library = "imagecodecs"
            raise MissingExtraError(library, extra="tiff") from error
        problem = f"{path} cannot be read: {error}."
        raise StorageError(problem, remedy="Restore it from a copy.") from error
    return found


class TiffReader:
    """Reads the images of a run that is stored as TIFF files; thread-safe.

    Parameters
    ----------
    images
        Folder of the series.
    """

    def __init__(self, images: Path) -> None:
        self._images = images

    def series(self) -> list[SeriesKey]:
        """Return the series on disk, in order."""
        if not self._images.is_dir():
            return []
        keys = (series_key(folder.name) for folder in self._images.iterdir())
        return sorted(key for key in keys if key is not None)

    def n_timepoints(self, key: SeriesKey) -> int:
        """Return the last stored timepoint of a series, and one more."""
        found = map(_TIMED.fullmatch, (p.name for p in self._folder(key).iterdir()))
        return max((int(match[1]) + 1 for match in found if match), default=0)

    def stacks(self, fov: int, timestep: int, role: FrameRole) -> Iterator[StoredStack]:
        """Yield what is stored of one FOV, timepoint and role: none, one or more."""
        number = 0
        while (folder := self._folder(key := SeriesKey(fov, role, number))).is_dir():
            number += 1
            path = image_file(folder, timestep)
            if timestep >= 0 and path.is_file():
                channels, n_z = _contents(path)
                read = partial(_stack, path, len(channels), n_z)
                yield StoredStack(
                    key, key.stem, timestep, channels, read, partial(_channel, read)
                )

    def labels(
        self, name: str, fov: int, timestep: int
    ) -> npt.NDArray[np.integer[Any]] | None:
        """Return stored labels (Y, X) or (Z, Y, X), None if there are none."""
        path = label_file(self._folder(SeriesKey(fov)), name, timestep)
        return read_tiff(path) if timestep >= 0 and path.is_file() else None

    def label_names(self, fov: int) -> tuple[str, ...]:
        """Return the names of the label images of one FOV."""
        folder = self._folder(SeriesKey(fov)) / LABELS
        return (
            tuple(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else ()
        )

    def _folder(self, key: SeriesKey) -> Path:
        return self._images / key.stem


def _contents(path: Path) -> tuple[tuple[str, ...], int]:
    """Return the channels of an OME-TIFF file and its planes a channel."""
    try:
        with tifffile.TiffFile(path) as file:
            root = ET.fromstring(file.ome_metadata or "")
    except (OSError, tifffile.TiffFileError, ET.ParseError) as error:
        problem = f"{path} is no OME-TIFF file: {error}."
        raise StorageError(problem, remedy="Restore it from a copy.") from error
    pixels = next(root.iter(f"{{{NAMESPACE}}}Pixels"))
    names = (c.attrib["Name"] for c in pixels.iter(f"{{{NAMESPACE}}}Channel"))
    has_z = pixels.attrib["ID"].endswith(":z")  # one plane may be a stack too
    return tuple(names), int(pixels.attrib["SizeZ"]) if has_z else 0


def _stack(path: Path, n_channels: int, n_z: int) -> PixelArray:
    """Return the planes (C, Y, X) or (C, Z, Y, X) of a file, read-only."""
    found = read_tiff(path)
    shape = (n_channels, n_z) if n_z else (n_channels,)
    pixels: PixelArray = found.reshape(*shape, *found.shape[-2:])
    pixels.setflags(write=False)
    return pixels


def _channel(read: partial[PixelArray], index: int) -> PixelArray:
    planes: PixelArray = read()[index]
    return planes
