"""Reads the images of the public FARO project: OME-Zarr, plates, folders of TIFF."""

from __future__ import annotations

import re
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.errors import StorageError
from faro.model import FrameRole
from faro.storage.chunks import StoredArray
from faro.storage.frames import StoredStack
from faro.storage.jsontext import read_document
from faro.storage.layout import SeriesKey
from faro.storage.tiffread import read_tiff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from faro.model.frame import PixelArray

AXES: Final = ("tpcyx", "tcyx", "tpyx", "tyx")
"""Axes of the images that its writers make."""
STIM: Final = re.compile(r"stim_\d+")
"""Names of the channels that hold read-outs of the stimulation."""
FRAME: Final = re.compile(r"(\d+)_(\d+)\.tiff?")
NOT_LABELS: Final = ("raw", "ref", "stim", "tracks")


class PublicTiffs:
    """Folders of TIFF files, ``FOV_TIMEPOINT.tiff``.

    A timepoint with reference frames is one file in ``ref``, the imaging channels
    first, and has none in ``raw``.

    Parameters
    ----------
    path
        The folder of the run.
    channels, ref_channels
        Names, as far as they were recorded.
    """

    def __init__(
        self, path: Path, channels: tuple[str, ...], ref_channels: tuple[str, ...]
    ) -> None:
        self._path, self._named, self._refs = path, channels, ref_channels
        self._listed: dict[str, tuple[int, dict[tuple[int, int], Path]]] = {}

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Names of the imaging channels; numbered where they were not recorded."""
        if self._named:
            return self._named
        raw = next(iter(self._frames("raw").values()), None)
        n_channels = len(_planes(read_tiff(raw))) if raw is not None else 0
        return _numbered("channel", n_channels)

    def first_image(self) -> PixelArray:
        """Return one stored frame (Y, X), for shape and type."""
        for folder in ("raw", "ref"):
            for path in self._frames(folder).values():
                frame: PixelArray = _planes(read_tiff(path))[0]
                return frame
        problem = f"{self._path} holds no frame."
        raise StorageError(problem, remedy="Check that the recording is complete.")

    def series(self) -> list[SeriesKey]:
        """Return the series on disk, in order."""
        roles = {"raw": FrameRole.IMAGE, "stim": FrameRole.STIM, "ref": FrameRole.REF}
        keys = {
            SeriesKey(fov, role)
            for folder, role in roles.items()
            for fov, _ in self._frames(folder)
        }
        images = {SeriesKey(key.fov) for key in keys if key.role is FrameRole.REF}
        return sorted(keys | images)

    def n_timepoints(self, key: SeriesKey) -> int:
        """Return the last stored timepoint of a position, and one more."""
        times = (
            timestep
            for folder in ("raw", "ref", "stim")
            for fov, timestep in self._frames(folder)
            if fov == key.fov
        )
        return max(times, default=-1) + 1

    def stacks(self, fov: int, timestep: int, role: FrameRole) -> Iterator[StoredStack]:
        """Yield what is stored of one FOV, timepoint and role: none or one."""
        key = SeriesKey(fov, role)
        ref = self._frames("ref").get((fov, timestep))
        n_imaged = len(self.channels)
        if role is FrameRole.IMAGE:
            path = self._frames("raw").get((fov, timestep), ref)
            if path is not None:
                read = partial(_first, path, n_imaged)
                yield _stored(key, timestep, self.channels, read)
        elif role is FrameRole.REF and ref is not None:
            names = self._refs or _numbered("ref", len(_rest(ref, n_imaged)))
            yield _stored(key, timestep, names, partial(_rest, ref, n_imaged))
        elif role is FrameRole.STIM:
            path = self._frames("stim").get((fov, timestep))
            if path is not None:
                n_planes = len(_planes(read_tiff(path)))
                names = _numbered("stim", n_planes)
                yield _stored(key, timestep, names, partial(_first, path, n_planes))

    def labels(
        self, name: str, fov: int, timestep: int
    ) -> npt.NDArray[np.integer[Any]] | None:
        """Return stored labels (Y, X), None if there are none."""
        path = self._frames(name).get((fov, timestep))
        return None if path is None else _planes(read_tiff(path))[0]

    def label_names(self, fov: int) -> tuple[str, ...]:
        """Return the names of the label images of one FOV."""
        folders = (p.name for p in self._path.iterdir() if p.is_dir())
        names = sorted(name for name in folders if name not in NOT_LABELS)
        return tuple(n for n in names if any(f == fov for f, _ in self._frames(n)))

    def _frames(self, folder: str) -> dict[tuple[int, int], Path]:
        """Return the files of a folder by FOV and timepoint, in order."""
        path = self._path / folder
        if not path.is_dir():
            return {}
        changed = path.stat().st_mtime_ns
        if folder not in self._listed or self._listed[folder][0] != changed:
            found = (
                (FRAME.fullmatch(file.name), file) for file in sorted(path.iterdir())
            )
            files = {(int(m[1]), int(m[2])): file for m, file in found if m is not None}
            self._listed[folder] = changed, files
        return self._listed[folder][1]


class PublicZarr:
    """One OME-Zarr image (t[, p][, c], y, x), or a plate of images (t[, c], y, x).

    Parameters
    ----------
    path
        The store.
    ref_channels
        Names of the channels of the reference frames, which are TIFF files beside it.

    Raises
    ------
    StorageError
        If the axes are others.
    """

    def __init__(self, path: Path, ref_channels: tuple[str, ...]) -> None:
        ome = read_document(path / "zarr.json")["attributes"]["ome"]
        self._groups = _fields(path, ome["plate"]) if "plate" in ome else [path]
        first = read_document(self._groups[0] / "zarr.json")["attributes"]["ome"]
        self._axes = "".join(axis["name"] for axis in first["multiscales"][0]["axes"])
        if self._axes not in AXES:
            known = ", ".join(f"({', '.join(axes)})" for axes in AXES)
            problem = f"{path} has axes ({', '.join(self._axes)}); understood: {known}."
            raise StorageError(problem, remedy="Convert it with the public project.")
        self._omero: Mapping[str, Any] = first.get("omero", {})
        self._arrays = [StoredArray.at(group / "0") for group in self._groups]
        self._refs = PublicTiffs(path.parent, self.channels, ref_channels)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Names of the imaging channels."""
        return tuple(name for name in self._names if not STIM.fullmatch(name))

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """Names on the channel axis."""
        named = tuple(str(c["label"]) for c in self._omero.get("channels", ()))
        if "c" not in self._axes:
            return named[:1] or ("channel_0",)
        n_channels = self._arrays[0].shape[self._axes.index("c")]
        more = (f"channel_{number}" for number in range(len(named), n_channels))
        return (*named[:n_channels], *more)

    def first_image(self) -> PixelArray:
        """Return an image (Y, X) of the stored shape and type."""
        array = self._arrays[0]
        frame: PixelArray = np.zeros(array.shape[-2:], array.dtype)
        return frame

    def series(self) -> list[SeriesKey]:
        """Return the series on disk, in order."""
        roles = [FrameRole.IMAGE]
        if len(self.channels) < len(self._names):
            roles.append(FrameRole.STIM)
        keys = [SeriesKey(fov, role) for fov in range(self._n_fovs) for role in roles]
        refs = [key for key in self._refs.series() if key.role is FrameRole.REF]
        return sorted({*keys, *refs})

    def n_timepoints(self, key: SeriesKey) -> int:
        """Return the length of the time axis."""
        return self._array(key.fov).shape[0] if key.fov < self._n_fovs else 0

    def stacks(self, fov: int, timestep: int, role: FrameRole) -> Iterator[StoredStack]:
        """Yield what is stored of one FOV, timepoint and role: none or one."""
        if role is FrameRole.REF:
            yield from self._refs.stacks(fov, timestep, role)
            return
        stim = role is FrameRole.STIM
        wanted = [
            index
            for index, name in enumerate(self._names)
            if bool(STIM.fullmatch(name)) == stim
        ]
        stored = [i for i in wanted if self._holds(fov, timestep, i)]
        if stored:
            names = tuple(self._names[i] for i in stored)
            read = partial(self._read, fov, timestep, stored)
            yield _stored(SeriesKey(fov, role), timestep, names, read)
        elif not stim:
            # A timepoint with reference frames is not in the store.
            yield from self._refs.stacks(fov, timestep, role)

    def labels(
        self, name: str, fov: int, timestep: int
    ) -> npt.NDArray[np.integer[Any]] | None:
        """Return stored labels (Y, X), None if there are none; empty ones are not."""
        if name not in self.label_names(fov):
            return None
        array = StoredArray.at(self._group(fov) / "labels" / name / "0")
        index = self._index(array, fov, timestep)
        return array.read(*index) if index and array.holds(*index) else None

    def label_names(self, fov: int) -> tuple[str, ...]:
        """Return the names of the label images."""
        if not 0 <= fov < self._n_fovs:
            return ()
        group = self._group(fov) / "labels" / "zarr.json"
        if not group.is_file():
            return ()
        return tuple(read_document(group)["attributes"]["ome"]["labels"])

    @property
    def _n_fovs(self) -> int:
        return self._arrays[0].shape[1] if "p" in self._axes else len(self._groups)

    def _group(self, fov: int) -> Path:
        return self._groups[0 if "p" in self._axes else fov]

    def _array(self, fov: int) -> StoredArray:
        return self._arrays[0 if "p" in self._axes else fov]

    def _index(
        self, array: StoredArray, fov: int, timestep: int
    ) -> tuple[int, ...] | None:
        """Return the leading indices of a place, None if it is outside."""
        index = (timestep, fov) if "p" in self._axes else (timestep,)
        inside = all(0 <= i < n for i, n in zip(index, array.shape, strict=False))
        return index if inside and 0 <= fov < self._n_fovs else None

    def _holds(self, fov: int, timestep: int, channel: int) -> bool:
        if not 0 <= fov < self._n_fovs:
            return False
        array = self._array(fov)
        index = self._index(array, fov, timestep)
        if index is None:
            return False
        return array.holds(*index, *((channel,) if "c" in self._axes else ()))

    def _read(self, fov: int, timestep: int, channels: list[int]) -> PixelArray:
        """Return planes (C, Y, X), read-only."""
        array = self._array(fov)
        index = self._index(array, fov, timestep) or ()
        found = array.read(*index)
        pixels: PixelArray = found[channels] if "c" in self._axes else found[None]
        pixels.setflags(write=False)
        return pixels


def _fields(path: Path, plate: Mapping[str, Any]) -> list[Path]:
    """Return the fields of a plate, in the order of the wells: that of the FOVs."""
    found = []
    for well in plate["wells"]:
        group = path / well["path"]
        said = read_document(group / "zarr.json")["attributes"]["ome"]["well"]
        found += [group / image["path"] for image in said["images"]]
    return found


def _stored(
    key: SeriesKey, timestep: int, channels: tuple[str, ...], read: partial[PixelArray]
) -> StoredStack:
    def channel(index: int) -> PixelArray:
        plane: PixelArray = read()[index]
        return plane

    return StoredStack(key, key.stem, timestep, channels, read, channel)


def _numbered(word: str, n_names: int) -> tuple[str, ...]:
    return tuple(f"{word}_{number}" for number in range(n_names))


def _planes(pages: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return pages as (C, Y, X)."""
    return pages.reshape(-1, *pages.shape[-2:])


def _first(path: Path, n_planes: int) -> PixelArray:
    pixels: PixelArray = _planes(read_tiff(path))[:n_planes]
    pixels.setflags(write=False)
    return pixels


def _rest(path: Path, n_before: int) -> PixelArray:
    pixels: PixelArray = _planes(read_tiff(path))[n_before:]
    pixels.setflags(write=False)
    return pixels
