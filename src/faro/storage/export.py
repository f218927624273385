"""Writes a stored run as OME-TIFF, one file per series: the way into Fiji."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tifffile

from faro.errors import StorageError
from faro.model import FrameRole
from faro.storage import disk
from faro.storage.layout import SeriesKey
from faro.storage.ngff import N_PLANE_AXES, Place, SeriesFormat
from faro.storage.omexml import SeriesFacts, frames_by_series, ome_xml_of_planes
from faro.storage.series import label_dtype
from faro.storage.tifftree import compression_problems, page_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from faro.storage.frames import StoredStack
    from faro.storage.reader import Run
    from faro.storage.tifftree import Compression

BIG_BYTES: Final = 3_900_000_000
"""Pixels from which a file has 64-bit offsets (BigTIFF)."""


@dataclass(frozen=True, slots=True)
class _Image:
    """One image to write: what is in it, and where its planes come from.

    ``times`` are the timepoints with pixels; ``read`` returns (C, Y, X) or
    (C, Z, Y, X) of the planes that ``channels_at`` names.
    """

    facts: SeriesFacts
    times: Sequence[int]
    channels_at: Callable[[int], Sequence[int]]
    read: Callable[[int], npt.NDArray[Any]]

    @property
    def planes(self) -> list[tuple[int, int, int]]:
        """(t, c, z) of each plane, in the order of the file."""
        n_z = self.facts.format.n_z or 1
        return [
            (t, c, z)
            for t in self.times
            for c in self.channels_at(t)
            for z in range(n_z)
        ]

    def pages(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the planes (Y, X), read one timepoint at a time."""
        for timestep in self.times:
            pixels = self.read(timestep)
            yield from pixels.reshape(-1, *pixels.shape[-N_PLANE_AXES:])


def export_ome_tiff(
    run: Run,
    folder: str | Path,
    *,
    fovs: Sequence[int] | None = None,
    compression: Compression = "zlib",
) -> list[Path]:
    """Write the images and labels of a run as OME-TIFF; return the files.

    One file per series: ``p000.ome.tif`` (t, c[, z], y, x), ``p000_stim.ome.tif``, and
    per label image ``p000_nuclei.ome.tif``. What was not acquired is not in the file,
    and its OME-XML says so. Memory holds one timepoint.

    Parameters
    ----------
    run
        The run; it may still go on.
    folder
        Where the files go; created if absent. No file is replaced.
    fovs
        Position indices, None for all.
    compression
        ``"zlib"``, which Fiji reads with and without Bio-Formats, ``"none"`` or
        ``"zstd"``.

    Raises
    ------
    StorageError
        If a position is not there, or a file cannot be written.
    """
    for problem in compression_problems(compression):
        raise StorageError(problem.what, remedy=problem.remedy)
    chosen = list(run.fovs) if fovs is None else list(fovs)
    absent = [fov for fov in chosen if fov not in run.fovs]
    if absent:
        what = f"{run.path} holds no positions {absent}."
        raise StorageError(what, remedy=f"It has {list(run.fovs)}.")
    into = Path(folder)
    disk.make_folder(into)
    lines = frames_by_series(run.journal)
    return [
        _write(run, image, into / f"{name}.ome.tif", compression)
        for key in run.images.series()
        if key.fov in chosen
        for name, image in _images(run, key, lines)
    ]


def _images(
    run: Run, key: SeriesKey, lines: Mapping[str, list[Mapping[str, Any]]]
) -> Iterator[tuple[str, _Image]]:
    """Yield the name and content of each file of a series."""
    n_timepoints = run.images.n_timepoints(key)
    stored = {
        timestep: stack
        for timestep in range(n_timepoints)
        for stack in run.images.stacks(key.fov, timestep, key.role)
        if stack.series == key
    }
    if stored:
        yield key.stem, _image(run, key, stored, lines)
    if key == SeriesKey(key.fov):
        for name in run.images.label_names(key.fov):
            times = range(max(n_timepoints, run.n_timepoints))
            image = _label_image(run, key.fov, name, times)
            if image is not None:
                yield f"{key.stem}_{name}", image


def _image(
    run: Run,
    key: SeriesKey,
    stored: Mapping[int, StoredStack],
    lines: Mapping[str, list[Mapping[str, Any]]],
) -> _Image:
    channels: list[str] = []
    for stack in stored.values():
        for name in set(stack.channels):
            missing = stack.channels.count(name) - channels.count(name)
            channels += [name] * missing
    first = next(iter(stored.values()))
    order = {name: i for i, name in enumerate(first.channels)}
    channels.sort(key=lambda name: order.get(name, len(order)))
    pixels = first.read()
    form = SeriesFormat(tuple(channels), pixels.shape[1:], str(pixels.dtype))

    def channels_at(timestep: int) -> list[int]:
        return _places(channels, stored[timestep].channels)

    told = [
        {**line, "channel_indices": channels_at(line["timestep"])}
        for line in lines.get(first.name, ())
        if line["timestep"] in stored
    ]
    place = replace(_place(run), z_step_um=_z_step_um(told))
    title = run.fov_names.get(key.fov, key.stem)
    title = title if key.role is FrameRole.IMAGE else f"{title} {key.role}"
    facts = SeriesFacts(key.stem, title, form, place, max(stored) + 1, told)
    return _Image(facts, sorted(stored), channels_at, lambda t: stored[t].read())


def _label_image(run: Run, fov: int, name: str, times: Sequence[int]) -> _Image | None:
    """Return a label image, None if none of that name was stored."""
    stored = [t for t in times if run.images.labels(name, fov, t) is not None]
    if not stored:
        return None

    def read(timestep: int) -> npt.NDArray[np.integer[Any]]:
        found = run.labels(name, fov, timestep)
        dtype = np.dtype(label_dtype(found))  # OME has no integers of 64 bits
        if found.max(initial=0) > np.iinfo(dtype).max or found.min(initial=0) < 0:
            problem = f"Labels {name!r} of fov {fov}, timepoint {timestep} reach from "
            problem += f"{found.min()} to {found.max()}."
            raise StorageError(problem, remedy=f"OME-TIFF takes them as {dtype}.")
        return found.astype(dtype, copy=False)[None]

    first = read(stored[0])
    form = SeriesFormat((name,), first.shape[1:], str(first.dtype))
    facts = SeriesFacts(name, name, form, _place(run), stored[-1] + 1)
    return _Image(facts, stored, lambda _: (0,), read)


def _write(run: Run, image: _Image, path: Path, compression: Compression) -> Path:
    """Write one file; it is under its name only when it is complete."""
    if path.exists():
        problem = f"{path} is there already; it is not replaced."
        raise StorageError(problem, remedy="Give another folder.")
    form, planes = image.facts.format, image.planes
    created, uuid = str(run.info.get("created", "")), str(run.info.get("uuid", ""))
    xml = ome_xml_of_planes(image.facts, planes, uuid=uuid, created=created)
    shape = (len(planes), *form.shape[-N_PLANE_AXES:])
    n_bytes = (
        len(planes) * form.shape[-1] * form.shape[-2] * np.dtype(form.dtype).itemsize
    )
    options = page_options(compression, image.facts.place.pixel_size_um)
    hidden = path.with_name(f".{path.name}.tmp")
    try:
        with tifffile.TiffWriter(hidden, bigtiff=n_bytes > BIG_BYTES) as file:
            file.write(
                image.pages(), shape=shape, dtype=form.dtype, description=xml, **options
            )
        disk.replace(hidden, path)
    except OSError as error:
        with suppress(OSError):
            hidden.unlink()
        problem = f"{path} cannot be written: {error}."
        raise StorageError(problem, remedy="Free space, or check the disk.") from error
    return path


def _place(run: Run) -> Place:
    needs = run.info.get("needs") or {}
    return Place(run.pixel_size_um, needs.get("interval_s"))


def _places(known: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return where ``names`` are in ``known``; a name that comes twice has two."""
    left: list[str | None] = list(known)
    found = []
    for name in names:
        index = left.index(name)
        left[index] = None
        found.append(index)
    return found


def _z_step_um(lines: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the distance between the planes of the first stack that has some."""
    z_um = next((line["z_um"] for line in lines if line.get("z_um")), ())
    steps = {round(abs(b - a), 6) for a, b in pairwise(z_um)}
    return steps.pop() if len(steps) == 1 else None
