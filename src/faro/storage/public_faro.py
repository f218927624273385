"""Reads recordings of the public FARO project: one OME-Zarr (t, p, c, y, x)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from faro.errors import MissingFrameError, StorageError
from faro.experiment import load_events
from faro.model import CellTable
from faro.storage.cellread import as_cell_table, joined
from faro.storage.chunks import StoredArray
from faro.storage.jsontext import read_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from faro.experiment import RTMEvent
    from faro.model.cells import Column
    from faro.model.frame import PixelArray

logger = logging.getLogger(__name__)

IMAGES: Final = "acquisition.ome.zarr"
EVENTS: Final = "events.json"
TABLE: Final = "exp_data.parquet"
AXES: Final = ["t", "p", "c", "y", "x"]

RENAMED: Final = {"x": "y", "y": "x", "particle": "track_id"}
"""Their ``x`` is the row and their ``y`` the column; ours are x and y."""

ROW_KEY: Final = ("fov", "timestep", "label")


def is_public_run(path: Path) -> bool:
    """Return whether ``path`` holds a recording of the public project."""
    return (path / IMAGES / "0" / "zarr.json").is_file()


class PublicFaroRun:
    """A recording of the public FARO project; a `faro.protocols.FrameSource`.

    Parameters
    ----------
    path
        The folder that holds ``acquisition.ome.zarr``.

    Raises
    ------
    StorageError
        If it holds none, or its axes are not (t, p, c, y, x).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        if not is_public_run(self.path):
            problem = f"{self.path} is no public FARO recording: it holds no {IMAGES}."
            raise StorageError(problem, remedy=f"Give the folder that holds {IMAGES}.")
        store = self.path / IMAGES
        self._images = StoredArray.at(store / "0")
        ome = read_document(store / "zarr.json")["attributes"]["ome"]
        axes = [axis["name"] for axis in ome["multiscales"][0]["axes"]]
        if axes != AXES:
            problem = f"{store} has axes {axes}; only {AXES} are understood."
            raise StorageError(problem, remedy="Convert it with the public project.")
        self._ome: Mapping[str, Any] = ome

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Names of the imaging channels."""
        return tuple(c["label"] for c in self._ome["omero"]["channels"])

    @property
    def fovs(self) -> tuple[int, ...]:
        """Position indices."""
        return tuple(range(self._images.shape[1]))

    @property
    def n_timepoints(self) -> int:
        """Number of timepoints."""
        return self._images.shape[0]

    @property
    def image_shape(self) -> tuple[int, int]:
        """(Y, X) in pixels."""
        height, width = self._images.shape[-2:]
        return height, width

    @property
    def image_dtype(self) -> str:
        """``"uint8"`` or ``"uint16"``."""
        return self._images.dtype

    @property
    def pixel_size_um(self) -> float | None:
        """Edge of a pixel; None, because the layout stores 1 for every run."""
        return None

    def has(self, fov: int, timestep: int, channel: str | None = None) -> bool:
        """Return whether a frame is stored, of ``channel`` or of any."""
        names = self.channels if channel is None else (channel,)
        return any(self._index(fov, timestep, name) is not None for name in names)

    def frame(self, fov: int, timestep: int, channel: str) -> PixelArray:
        """Return one stored frame (Y, X).

        Raises
        ------
        MissingFrameError
            If it was not acquired.
        """
        index = self._index(fov, timestep, channel)
        if index is None:
            problem = f"{self.path} holds no frame of fov {fov}, timepoint {timestep}, "
            problem += f"channel {channel!r}."
            remedy = f"It has fovs {self.fovs}, {self.n_timepoints} timepoints, "
            remedy += f"channels {self.channels}."
            raise MissingFrameError(problem, remedy=remedy)
        plane: PixelArray = self._images.read(*index)
        return plane

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """Names of the label images."""
        group = self.path / IMAGES / "labels" / "zarr.json"
        if not group.is_file():
            return ()
        return tuple(read_document(group)["attributes"]["ome"]["labels"])

    def labels(
        self, name: str, fov: int, timestep: int
    ) -> npt.NDArray[np.integer[Any]]:
        """Return one stored label image (Y, X).

        Raises
        ------
        MissingFrameError
            If it was not stored. The public project does not store empty ones.
        """
        if name in self.label_names:
            array = StoredArray.at(self.path / IMAGES / "labels" / name / "0")
            inside = 0 <= timestep < array.shape[0] and 0 <= fov < array.shape[1]
            if inside and array.holds(timestep, fov):
                return array.read(timestep, fov)
        problem = f"{self.path} holds no labels {name!r} of fov {fov}, "
        problem += f"timepoint {timestep}."
        names = ", ".join(self.label_names) or "none"
        raise MissingFrameError(problem, remedy=f"Label images there: {names}.")

    def events(self) -> list[RTMEvent]:
        """Return the planned events.

        Raises
        ------
        StorageError
            If there is no ``events.json``.
        """
        path = self.path / EVENTS
        if not path.is_file():
            problem = f"{self.path} holds no {EVENTS}."
            raise StorageError(problem, remedy="Copy it from where it was recorded.")
        return list(load_events(path))

    @property
    def cells(self) -> CellTable:
        """The recorded cells in our terms: x and y swapped, track ids from 1 on.

        Rows that come twice for one (fov, timestep, label) are given once; see
        `n_duplicates`. Columns that hold lists (one per frame, not per cell) are left
        out. Empty if nothing was recorded.
        """
        return self._table.cells

    @property
    def n_duplicates(self) -> int:
        """Rows of the recording that repeat one before, and are left out."""
        return self._table.n_duplicates

    @cached_property
    def _table(self) -> _Recorded:
        path = self.path / TABLE
        parts = [path] if path.is_file() else sorted(self.path.glob("tracks/*.parquet"))
        found = _recorded(joined([pq.read_table(part) for part in parts]))
        if found.n_duplicates:
            logger.warning("%s: %d rows come twice.", self.path, found.n_duplicates)
        return found

    def _index(
        self, fov: int, timestep: int, channel: str
    ) -> tuple[int, int, int] | None:
        """Return where a frame is, None if it is not stored."""
        inside = 0 <= timestep < self.n_timepoints and fov in self.fovs
        if not inside or channel not in self.channels:
            return None
        index = (timestep, fov, self.channels.index(channel))
        return index if self._images.holds(*index) else None


@dataclass(frozen=True, slots=True, eq=False)
class _Recorded:
    cells: CellTable
    n_duplicates: int


def _recorded(table: pa.Table) -> _Recorded:
    """Return a recorded table in our terms."""
    flat = [
        field.name
        for field in table.schema
        if not pa.types.is_nested(field.type) and not field.name.startswith("__")
    ]
    given = as_cell_table(table.select(flat))
    columns: dict[str, Column] = {
        RENAMED.get(name, name): given[name] for name in given.names
    }
    if "track_id" in columns:
        columns["track_id"] = columns["track_id"].astype(np.int64) + 1
    keys = [columns[name] for name in ROW_KEY if name in columns]
    if len(keys) < len(ROW_KEY):
        return _Recorded(CellTable(columns), 0)
    _, first = np.unique(np.stack(keys, axis=1), axis=0, return_index=True)
    kept = np.sort(first)
    once = {name: values[kept] for name, values in columns.items()}
    return _Recorded(CellTable(once), len(given) - len(kept))
