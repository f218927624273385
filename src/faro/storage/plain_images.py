"""Images of any origin as a run: OME-Zarr and OME-TIFF with named axes.

An image is a position. Such files do not tell a frame that is missing from a black one,
so every frame counts as stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol
from xml.etree import ElementTree as ET

import numpy as np
import tensorstore as ts
import tifffile

from faro.errors import StorageError
from faro.model import CellTable, FrameRole
from faro.storage.frames import StoredStack
from faro.storage.jsontext import read_document
from faro.storage.layout import RunLayout, SeriesKey
from faro.storage.omexml import NAMESPACE
from faro.storage.reader import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from faro.model.frame import PixelArray

AXES: Final = "tczyx"
TIFF_ENDS: Final = (".ome.tif", ".ome.tiff", ".tif", ".tiff")
OME_UNIT: Final = "\u00b5m"
"""The unit of lengths in OME-XML that says none."""
TO_UM: Final = {
    **dict.fromkeys(("micrometer", "micrometre", "um", OME_UNIT), 1.0),
    **dict.fromkeys(("nanometer", "nm"), 1e-3),
    **dict.fromkeys(("millimeter", "mm"), 1e3),
}


class PlainImage(Protocol):
    """One image with named axes."""

    axes: str
    """Of `AXES`, in the order in which they are stored; y and x are last."""
    shape: tuple[int, ...]
    dtype: str
    names: tuple[str, ...]
    """Of the channels; empty where they have none."""
    pixel_size_um: float | None
    label_names: tuple[str, ...]

    def read(self, at: Mapping[str, int]) -> npt.NDArray[Any]:
        """Return the planes at some indices, (Y, X) or more axes, in their order."""
        ...

    def labels(self, name: str, timestep: int) -> npt.NDArray[Any] | None:
        """Return stored labels (Y, X), or (Z, Y, X); None if there are none."""
        ...


def is_plain(path: Path) -> bool:
    """Return whether ``path`` is an image, or a folder of images, that we can read."""
    if path.is_file():
        return path.name.endswith(TIFF_ENDS)
    return bool(_zarr_images(path)) or bool(_tiff_files(path))


def open_plain(path: Path) -> Run:
    """Open images as a run.

    Raises
    ------
    StorageError
        If an image has axes that are not understood, or pixels of another type.
    """
    found: list[PlainImage] = [ZarrImage(p) for p in _zarr_images(path)]
    for file in [path] if path.is_file() else _tiff_files(path) if not found else ():
        found += _tiff_images(file)
    images = PlainImages(path, found)
    first = found[0]
    info: dict[str, Any] = {
        "format": "images",
        "needs": {
            "channels": list(images.channels),
            "image_shape": list(first.shape[-2:]),
            "image_dtype": first.dtype,
            "pixel_size_um": first.pixel_size_um,
        },
        "description": {},
    }
    folder = path if path.is_dir() else path.parent
    return Run(RunLayout(folder), info, images, NoCells())


class NoCells:
    """The cell table of images: there is none."""

    def state(self) -> object:
        """Return something that never differs."""
        return None

    def read(self) -> CellTable:
        """Return no rows."""
        return CellTable({})


class PlainImages:
    """Images, each of them a position; `faro.storage.frames.StoredImages`."""

    def __init__(self, path: Path, images: Sequence[PlainImage]) -> None:
        for image in images:
            _check(path, image)
        self._images = tuple(images)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of the first image."""
        return _names(self._images[0])

    def series(self) -> list[SeriesKey]:
        """Return a series for each image."""
        return [SeriesKey(fov) for fov in range(len(self._images))]

    def n_timepoints(self, key: SeriesKey) -> int:
        """Return the length of the time axis, 1 where there is none."""
        return _length(self._images[key.fov], "t")

    def stacks(self, fov: int, timestep: int, role: FrameRole) -> Iterator[StoredStack]:
        """Yield the stack of one FOV and timepoint, if it is inside."""
        if role is not FrameRole.IMAGE or not 0 <= fov < len(self._images):
            return
        image = self._images[fov]
        if not 0 <= timestep < _length(image, "t"):
            return
        read = partial(_stack, image, timestep)
        channel = partial(_channel, image, timestep)
        key = SeriesKey(fov)
        yield StoredStack(key, key.stem, timestep, _names(image), read, channel)

    def labels(
        self, name: str, fov: int, timestep: int
    ) -> npt.NDArray[np.integer[Any]] | None:
        """Return stored labels (Y, X), None if there are none."""
        if not 0 <= fov < len(self._images):
            return None
        image = self._images[fov]
        inside = 0 <= timestep < _length(image, "t") and name in image.label_names
        return image.labels(name, timestep) if inside else None

    def label_names(self, fov: int) -> tuple[str, ...]:
        """Return the names of the label images of one FOV."""
        return self._images[fov].label_names if fov < len(self._images) else ()


@dataclass(frozen=True, slots=True)
class _Group:
    """The metadata of an NGFF group, of version 0.4 or 0.5."""

    path: Path
    ome: Mapping[str, Any]

    @classmethod
    def at(cls, path: Path) -> _Group | None:
        """Return the group in a folder, None if there is none."""
        if (path / "zarr.json").is_file():
            said = read_document(path / "zarr.json").get("attributes", {})
            return cls(path, said.get("ome", {}))
        if (path / ".zattrs").is_file():
            return cls(path, read_document(path / ".zattrs"))
        return None


class ZarrImage:
    """An OME-Zarr image, NGFF 0.4 (zarr 2) or 0.5 (zarr 3), at full resolution."""

    def __init__(self, path: Path) -> None:
        group = _Group.at(path)
        assert group is not None
        scales = group.ome["multiscales"][0]
        level = scales["datasets"][0]
        self._path, self._array = path, _opened(path / level["path"])
        self.axes = "".join(axis["name"] for axis in scales["axes"])
        self.shape = tuple(int(n) for n in self._array.shape)
        self.dtype = str(np.dtype(self._array.dtype.numpy_dtype))
        known = group.ome.get("omero", {}).get("channels", ())
        self.names = tuple(str(c.get("label", "")) for c in known)
        self.pixel_size_um = _scale_um(scales["axes"], level)
        labels = _Group.at(path / "labels")
        self.label_names = tuple(labels.ome.get("labels", ())) if labels else ()

    def read(self, at: Mapping[str, int]) -> npt.NDArray[Any]:
        """Return the planes at some indices, (Y, X) or with more axes."""
        index = tuple(at.get(axis, slice(None)) for axis in self.axes)
        values: npt.NDArray[Any] = self._array[index].read().result()
        return values

    def labels(self, name: str, timestep: int) -> npt.NDArray[Any] | None:
        """Return stored labels (Y, X), or (Z, Y, X)."""
        return _labels_of(ZarrImage(self._path / "labels" / name), timestep)


class TiffImage:
    """One image of a TIFF file.

    Parameters
    ----------
    series
        Of the file, as tifffile has it.
    names
        Of the channels.
    pixel_size_um
        None if the file does not say.
    """

    label_names: tuple[str, ...] = ()

    def __init__(
        self,
        path: Path,
        series: int,
        names: tuple[str, ...],
        pixel_size_um: float | None,
    ) -> None:
        self._path, self._series = path, series
        self.names, self.pixel_size_um = names, pixel_size_um
        with tifffile.TiffFile(path) as file:
            found = file.series[series]
            self.axes, self.shape = found.axes.lower(), tuple(found.shape)
            self.dtype = str(found.dtype)

    def read(self, at: Mapping[str, int]) -> npt.NDArray[Any]:
        """Return the planes at some indices, (Y, X) or more; only these are read."""
        leading = self.shape[:-2]
        chosen = [
            range(n) if axis not in at else [at[axis]]
            for axis, n in zip(self.axes, leading, strict=False)
        ]
        places = np.ravel_multi_index(np.meshgrid(*chosen, indexing="ij"), leading)
        keys = [int(k) for k in np.ravel(places)] if leading else [0]
        with tifffile.TiffFile(self._path) as file:
            pages = [file.series[self._series].pages[k] for k in keys]
            planes = np.stack([page.asarray() for page in pages if page is not None])
        kept = [len(c) for a, c in zip(self.axes, chosen, strict=False) if a not in at]
        return planes.reshape(*kept, *self.shape[-2:])

    def labels(self, name: str, timestep: int) -> npt.NDArray[Any] | None:  # noqa: ARG002  the seam's
        """Return None: a TIFF file has no labels (Y, X)."""
        return None


def _zarr_images(path: Path) -> list[Path]:
    """Return the OME-Zarr images in a folder: itself, its series, its fields."""
    group = _Group.at(path) if path.is_dir() else None
    if group is None:
        found = (
            sorted(p for p in path.glob("*.zarr") if _Group.at(p))
            if path.is_dir()
            else []
        )
        return [image for p in found for image in _zarr_images(p)]
    if "multiscales" in group.ome:
        return [path]
    if "plate" in group.ome:
        wells = [path / well["path"] for well in group.ome["plate"]["wells"]]
        groups = [(well, _Group.at(well)) for well in wells]
        return [
            well / image["path"]
            for well, said in groups
            if said is not None
            for image in said.ome["well"]["images"]
        ]
    listed = _Group.at(path / "OME")
    names = listed.ome.get("series", ()) if listed else ()
    inside = [path / name for name in names] or sorted(path.iterdir())
    return [p for p in inside if (g := _Group.at(p)) and "multiscales" in g.ome]


def _tiff_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.name.endswith(TIFF_ENDS[:2]))


def _tiff_images(path: Path) -> list[PlainImage]:
    """Return the images of a TIFF file."""
    try:
        with tifffile.TiffFile(path) as file:
            n_series, said = len(file.series), file.ome_metadata
    except (OSError, tifffile.TiffFileError) as error:
        problem = f"{path} cannot be read: {error}."
        raise StorageError(problem, remedy="Restore it from a copy.") from error
    pixels = list(ET.fromstring(said).iter(f"{{{NAMESPACE}}}Pixels")) if said else []
    images: list[PlainImage] = []
    for number in range(n_series):
        names: tuple[str, ...] = ()
        size_um = None
        if number < len(pixels):
            channels = pixels[number].iter(f"{{{NAMESPACE}}}Channel")
            names = tuple(c.attrib.get("Name", "") for c in channels)
            unit = TO_UM.get(pixels[number].attrib.get("PhysicalSizeXUnit", OME_UNIT))
            size = pixels[number].attrib.get("PhysicalSizeX")
            size_um = float(size) * unit if size and unit else None
        images.append(TiffImage(path, number, names, size_um))
    return images


def _opened(path: Path) -> Any:
    """Return a zarr array of either version."""
    driver = "zarr3" if (path / "zarr.json").is_file() else "zarr"
    where = {"driver": "file", "path": f"{path.resolve().as_posix()}/"}
    try:
        return ts.open({"driver": driver, "kvstore": where}, open=True).result()
    except ValueError as error:
        problem = f"The array {path} cannot be opened: {error}."
        raise StorageError(problem, remedy="Check that it is complete.") from error


def _scale_um(
    axes: Sequence[Mapping[str, Any]], level: Mapping[str, Any]
) -> float | None:
    """Return the edge of a pixel, None where there is no unit."""
    unit = TO_UM.get(str(axes[-1].get("unit", "")))
    for change in level.get("coordinateTransformations", ()):
        if change.get("type") == "scale" and unit:
            return float(change["scale"][-1]) * unit
    return None


def _check(path: Path, image: PlainImage) -> None:
    """Raise StorageError for an image that is no time series of frames."""
    known = set(image.axes) <= set(AXES) and image.axes.endswith("yx")
    if not known or len(set(image.axes)) != len(image.axes):
        problem = f"{path} has axes ({', '.join(image.axes)})."
        raise StorageError(
            problem, remedy="Understood are t, c, z, and y, x at the end."
        )
    if image.dtype not in ("uint8", "uint16"):
        problem = f"{path} has pixels of type {image.dtype}."
        raise StorageError(problem, remedy="Convert them to uint8 or uint16.")


def _names(image: PlainImage) -> tuple[str, ...]:
    """Return the names of the channels; numbered where they have none."""
    known = dict(enumerate(image.names))
    return tuple(known.get(c) or f"channel_{c}" for c in range(_length(image, "c")))


def _length(image: PlainImage, axis: str) -> int:
    return image.shape[image.axes.index(axis)] if axis in image.axes else 1


def _stack(image: PlainImage, timestep: int) -> PixelArray:
    """Return (C, Y, X) or (C, Z, Y, X), read-only."""
    planes = [_channel(image, timestep, c) for c in range(_length(image, "c"))]
    pixels: PixelArray = np.stack(planes)
    pixels.setflags(write=False)
    return pixels


def _channel(image: PlainImage, timestep: int, channel: int) -> PixelArray:
    """Return (Y, X) or (Z, Y, X)."""
    at = {
        axis: i for axis, i in (("t", timestep), ("c", channel)) if axis in image.axes
    }
    plane: PixelArray = image.read(at)
    return plane


def _labels_of(image: PlainImage, timestep: int) -> npt.NDArray[Any]:
    """Return a label image (Y, X) or (Z, Y, X)."""
    at = {axis: i for axis, i in (("t", timestep), ("c", 0)) if axis in image.axes}
    found = image.read(at)
    return found[0] if "z" in image.axes and len(found) == 1 else found
