"""Reads a run: finished, still going on, or killed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from faro.errors import MissingFrameError, StorageError
from faro.model import FrameRole, Stack, projected
from faro.storage import views
from faro.storage.cellsource import CellSource, OwnCells
from faro.storage.frameindex import frame_table
from faro.storage.frames import CollectionPaths, FrameReader, PlatePaths
from faro.storage.journal import JournalReader
from faro.storage.jsontext import read_document
from faro.storage.layout import FORMAT, SCHEMA_VERSION, RunLayout, is_newer
from faro.storage.ngff import N_PLANE_AXES
from faro.storage.shown import ShownRun
from faro.storage.tiffread import TiffReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import dask.array
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from faro.experiment import RTMEvent
    from faro.model import CellTable
    from faro.model.cells import Column
    from faro.model.frame import PixelArray
    from faro.storage.frames import StoredImages, StoredStack

NOTHING: Final[Mapping[str, Any]] = {}


def open_own_run(path: Path) -> Run:
    """Open a run folder of ours; it may still be written, or its writer was killed.

    Raises
    ------
    StorageError
        If it is no run, or was written by a newer version of the layout.
    """
    layout = RunLayout(path)
    info = read_document(layout.run_json)
    if info.get("format") != FORMAT:
        problem = f"{layout.run_json} is not of a FARO run: {info.get('format')!r}."
        raise StorageError(problem, remedy="Give the folder that the writer was given.")
    if is_newer(found := str(info.get("schema_version"))):
        problem = f"{layout.path} has layout {found}; "
        problem += f"this version reads up to {SCHEMA_VERSION}."
        remedy = "Update: pip install --upgrade faro-microscopy"
        raise StorageError(problem, remedy=remedy)
    return Run(layout, info, _images(layout, info), OwnCells(layout))


class Run(ShownRun):
    """A stored run; a `faro.protocols.FrameSource`. Thread-safe.

    Everything is read when asked for, so that a run that goes on shows what it holds
    by then.

    Parameters
    ----------
    layout
        Of the run.
    info
        What ``run.json`` says; of a run of the public FARO project the same, as far as
        it can be told.
    images
        Reads frames and labels, series by series.
    cells
        Reads the cell table.
    """

    def __init__(
        self,
        layout: RunLayout,
        info: dict[str, Any],
        images: StoredImages,
        cells: CellSource,
    ) -> None:
        self._layout, self.info = layout, info
        self._needs: dict[str, Any] = info.get("needs") or {}
        self._journal = JournalReader(layout.journal)
        self.images, self._cell_source = images, cells
        self._lock = threading.Lock()
        self._lines: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._n_lines = 0
        self._cells: tuple[object, CellTable] | None = None

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._layout.path

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the imaging channels."""
        return tuple(self._grown().get("channels", ()))

    @property
    def ref_channels(self) -> tuple[str, ...]:
        """Names of the reference channels."""
        return tuple(self._grown().get("ref_channels", ()))

    @property
    def stim_channels(self) -> tuple[str, ...]:
        """Names of the channels that give light."""
        return tuple(self._grown().get("stim_channels", ()))

    @property
    def fovs(self) -> tuple[int, ...]:
        """Position indices, ascending, planned or stored."""
        return tuple(sorted({key.fov for key in self.images.series()}))

    @property
    def fov_names(self) -> dict[int, str]:
        """Names of the positions that have one, as planned."""
        names = self._grown().get("fov_names") or {}
        return {int(fov): str(name) for fov, name in names.items()}

    @property
    def n_timepoints(self) -> int:
        """Length of the time axis: planned timepoints, or more where it grew."""
        keys = [k for k in self.images.series() if k.role is FrameRole.IMAGE]
        planned = int(self._needs.get("n_timepoints", 0))
        return max(planned, *map(self.images.n_timepoints, keys), 0)

    @property
    def image_shape(self) -> tuple[int, int]:
        """(Y, X) in pixels, as planned."""
        height, width = self._needs["image_shape"]
        return int(height), int(width)

    @property
    def image_dtype(self) -> str:
        """``"uint8"`` or ``"uint16"``, as planned."""
        return str(self._needs["image_dtype"])

    @property
    def pixel_size_um(self) -> float | None:
        """Edge of a pixel in the sample, None if unknown."""
        size: float | None = self._needs.get("pixel_size_um")
        return size

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the label images that some FOV has."""
        names = (self.images.label_names(fov) for fov in self.fovs)
        found = dict.fromkeys(name for several in names for name in several)
        return tuple(found)

    @property
    def journal(self) -> list[dict[str, Any]]:
        """What happened so far, in order; a line torn by a kill is left out."""
        return self._journal.lines()

    @property
    def events(self) -> tuple[RTMEvent, ...]:
        """What was to be done, as recorded; with what was added later."""
        return views.recorded_events(self.info, self.journal)

    @property
    def summary(self) -> dict[str, Any] | None:
        """How the run ended, None if it was not closed."""
        path = self._layout.summary
        return read_document(path) if path.is_file() else None

    def provenance(self, name: str) -> dict[str, Any]:
        """Return a document of the run's provenance, empty where there is none."""
        path = self._layout.path / "provenance" / f"{name}.json"
        return read_document(path) if path.is_file() else {}

    @property
    def frames(self) -> dict[str, Column]:
        """The frame index so far: column to (n,) array, one value per stored frame.

        A frame is one exposure, of one channel and plane. `pandas.DataFrame` takes it.
        The columns are those of ``tables/frames.parquet``, which is there when the run
        was closed; until then they come from the journal.
        """
        table = frame_table(self.journal)
        return {
            name: table[name].to_numpy(zero_copy_only=False)
            for name in table.column_names
        }

    @property
    def cells(self) -> CellTable:
        """All rows of all FOVs so far; where a column is missing, NaN, 0 or empty."""
        with self._lock:
            state = self._cell_source.state()
            if self._cells is None or self._cells[0] != state:
                self._cells = (state, self._cell_source.read())
            return self._cells[1]

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows of `cells` as a pandas table; needs the extra ``pandas``."""
        return self.cells.to_pandas()

    def lazy(
        self, fov: int, labels: str | None = None, *, role: FrameRole = FrameRole.IMAGE
    ) -> dask.array.Array:
        """Return images or labels of a position; needs the extra ``dask``.

        (T, C, Y, X), with planes (T, C, Z, Y, X); labels (T, Y, X). See
        `faro.storage.views`.
        """
        if labels is not None:
            return views.lazy_labels(self, labels, fov)
        return views.lazy_images(self, fov, role)

    def napari_tracks(self, fov: int) -> views.NapariTracks:
        """Return data, graph and properties for a tracks layer of napari.

        ``data`` is (N, 4): track id, t, y, x.
        """
        return views.napari_tracks(self, fov)

    def has(
        self,
        fov: int,
        timestep: int,
        channel: str | None = None,
        *,
        role: FrameRole = FrameRole.IMAGE,
    ) -> bool:
        """Return whether a frame is stored, of ``channel`` or of any."""
        stacks = self.images.stacks(fov, timestep, role)
        return any(channel is None or channel in s.channels for s in stacks)

    def frame(
        self,
        fov: int,
        timestep: int,
        channel: str,
        *,
        role: FrameRole = FrameRole.IMAGE,
        z: int | None = None,
    ) -> PixelArray:
        """Return one stored frame (Y, X), uint8 or uint16.

        Parameters
        ----------
        z
            Index of the plane of a channel that has several; None for the maximum of
            all of them, as `Stack.plane` gives it.

        Raises
        ------
        MissingFrameError
            If it was not acquired.
        """
        planes = self.volume(fov, timestep, channel, role=role)
        if z is None and len(planes) > 1:
            return projected(planes, "max")
        if z is not None and not -len(planes) <= z < len(planes):
            raise self._missing(fov, timestep, role, f"{channel}, plane {z}")
        plane: PixelArray = planes[z or 0]
        return plane

    def volume(
        self,
        fov: int,
        timestep: int,
        channel: str,
        *,
        role: FrameRole = FrameRole.IMAGE,
    ) -> PixelArray:
        """Return the stored planes of one channel (Z, Y, X), one where it has no z.

        Raises
        ------
        MissingFrameError
            If it was not acquired.
        """
        for stored in self.images.stacks(fov, timestep, role):
            if channel in stored.channels:
                planes = stored.plane(channel)
                return planes if planes.ndim > N_PLANE_AXES else planes[None]
        raise self._missing(fov, timestep, role, channel)

    def stack(
        self, fov: int, timestep: int, *, role: FrameRole = FrameRole.IMAGE
    ) -> Stack:
        """Return the stored frames of one FOV and timepoint, with times.

        (C, Y, X) or (C, Z, Y, X); where there are several, see `stacks`, the first.

        Raises
        ------
        MissingFrameError
            If none was acquired.
        """
        for stored in self.images.stacks(fov, timestep, role):
            return self._stack(stored, role)
        raise self._missing(fov, timestep, role)

    def stacks(
        self, fov: int, timestep: int, *, role: FrameRole = FrameRole.IMAGE
    ) -> list[Stack]:
        """Return all stacks of one FOV and timepoint; none if none was acquired.

        There are several where channels differ in their planes, or where shape, type
        or channels changed.
        """
        found = self.images.stacks(fov, timestep, role)
        return [self._stack(stored, role) for stored in found]

    def _stack(self, stored: StoredStack, role: FrameRole) -> Stack:
        line = self._line(stored.name, stored.timestep)
        x, y, z = line.get("position_um") or (None, None, None)
        return Stack(
            pixels=stored.read(),
            channels=stored.channels,
            fov=stored.series.fov,
            timestep=stored.timestep,
            role=role,
            planned_s=line.get("planned_s") or 0.0,
            acquired_s=line.get("acquired_s") or 0.0,
            wall_ns=line.get("wall_ns") or 0,
            exposures_ms=tuple(line.get("exposures_ms") or ()),
            pixel_size_um=self.pixel_size_um,
            position_um=(x, y, z),
            metadata=line.get("metadata") or NOTHING,
            z_um=tuple(line.get("z_um") or ()),
            z_offsets_um=tuple(line.get("z_offsets_um") or ()),
        )

    def labels(
        self, name: str, fov: int, timestep: int
    ) -> npt.NDArray[np.integer[Any]]:
        """Return one stored label image (Y, X), with the type it is stored in.

        (Z, Y, X) if it was stored for each plane of a stack.

        Raises
        ------
        MissingFrameError
            If it was not stored.
        """
        labels = self.images.labels(name, fov, timestep)
        if labels is not None:
            return labels
        known = ", ".join(self.label_names) or "none"
        problem = f"{self.path} holds no labels {name!r} of fov {fov}, "
        problem += f"timepoint {timestep}."
        raise MissingFrameError(problem, remedy=f"Label images of this run: {known}.")

    def _grown(self) -> Mapping[str, Any]:
        """Return what the run needs, with what was added later."""
        return views.grown_needs(self._needs, self.journal)

    def _line(self, series: str, timestep: int) -> Mapping[str, Any]:
        """Return the journal's record of a stored stack, empty if there is none."""
        with self._lock:
            if (series, timestep) not in self._lines:
                lines = self._journal.lines()
                for line in lines[self._n_lines :]:
                    if line["kind"] == "frame":
                        self._lines[line["series"], line["timestep"]] = line
                self._n_lines = len(lines)
            return self._lines.get((series, timestep), NOTHING)

    def _missing(
        self, fov: int, timestep: int, role: FrameRole, channel: str = ""
    ) -> MissingFrameError:
        named = f", channel {channel!r}" if channel else ""
        kind = "" if role is FrameRole.IMAGE else f" {role}"
        problem = f"{self.path} holds no{kind} frame of fov {fov}, "
        problem += f"timepoint {timestep}{named}."
        remedy = f"It has fovs {_few(self.fovs)}, {self.n_timepoints} timepoints, "
        remedy += f"channels {_few(self.channels)}; some may not have been acquired."
        return MissingFrameError(problem, remedy=remedy)


def _images(layout: RunLayout, info: Mapping[str, Any]) -> StoredImages:
    """Return what reads the images, by how they lie on disk."""
    images = layout.images
    if info.get("layout") == "tiff":
        return TiffReader(layout.tiffs)
    if info.get("layout") == "plate":
        return FrameReader(images, PlatePaths(images))
    return FrameReader(images, CollectionPaths(images))


def _few(items: tuple[object, ...]) -> str:
    """Return at most six items as text."""
    shown = ", ".join(str(item) for item in items[:6])
    return f"{shown}, ... ({len(items)})" if len(items) > len(items[:6]) else shown
