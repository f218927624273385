"""Opens recordings of the public FARO project as runs: tables, events, channels."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from faro.experiment import load_events
from faro.model import CellTable
from faro.storage.cellread import as_cell_table, joined
from faro.storage.layout import RunLayout
from faro.storage.public_images import PublicTiffs, PublicZarr
from faro.storage.reader import Run

if TYPE_CHECKING:
    from pathlib import Path

    from faro.model.cells import Column

logger = logging.getLogger(__name__)

IMAGES: Final = "acquisition.ome.zarr"
RAW: Final = "raw"
EVENTS: Final = "events.json"
TABLE: Final = "exp_data.parquet"
FORMAT: Final = "public-faro"
"""What `Run.info` says the format of such a run is."""

RENAMED: Final = {"x": "y", "y": "x", "particle": "track_id"}
"""Their ``x`` is the row and their ``y`` the column; ours are x and y."""

ROW_KEY: Final = ("fov", "timestep", "label")


def is_public_run(path: Path) -> bool:
    """Return whether ``path`` holds a recording of the public project."""
    if (path / IMAGES / "zarr.json").is_file():
        return True
    return any((path / name).is_dir() for name in (RAW, "ref")) and _has_tiffs(path)


def open_public_run(path: Path) -> Run:
    """Open a recording of the public FARO project.

    Its three writers are understood: one OME-Zarr image (t[, p][, c], y, x), a plate,
    and folders of TIFF files. Reference frames are TIFF files with each of them.

    Raises
    ------
    StorageError
        If its axes are others.
    """
    experiment = _experiment(path)
    channels, refs = (_channels(experiment, k) for k in ("channels", "ref_channels"))
    images: PublicZarr | PublicTiffs = PublicTiffs(path, channels, refs)
    if (path / IMAGES).is_dir():
        images = PublicZarr(path / IMAGES, refs)
    first = images.first_image()
    info: dict[str, Any] = {
        "format": FORMAT,
        "needs": {
            "channels": list(images.channels),
            "ref_channels": list(refs),
            "image_shape": list(first.shape),
            "image_dtype": str(first.dtype),
            "pixel_size_um": None,
        },
        "description": {"experiment": experiment} if experiment else {},
    }
    return Run(RunLayout(path), info, images, PublicCells(path))


class PublicCells:
    """The recorded cells in our terms: x and y swapped, track ids from 1 on.

    Rows that come twice for one (fov, timestep, label) are given once, and the log says
    how many. Columns that hold lists (one per frame, not per cell) are left out. Empty
    if nothing was recorded.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def state(self) -> object:
        """Return something that differs when the table does."""
        return [(part.name, part.stat().st_mtime_ns) for part in self._parts()]

    def read(self) -> CellTable:
        """Return all rows so far."""
        tables = [pq.read_table(part) for part in self._parts()]
        given, columns = _recorded(joined(tables))
        once = CellTable(columns)
        if len(once) < given:
            logger.warning("%s: %d rows come twice.", self._path, given - len(once))
        return once

    def _parts(self) -> list[Path]:
        whole = self._path / TABLE
        return (
            [whole] if whole.is_file() else sorted(self._path.glob("tracks/*.parquet"))
        )


def _has_tiffs(path: Path) -> bool:
    return any(
        next((path / name).glob("*.tif*"), None) is not None for name in (RAW, "ref")
    )


def _experiment(path: Path) -> list[dict[str, Any]]:
    """Return the planned events as `Run.info` says them, empty if not recorded."""
    events = path / EVENTS
    if not events.is_file():
        return []
    return [event.words() for event in load_events(events)]


def _channels(experiment: list[dict[str, Any]], kind: str) -> tuple[str, ...]:
    """Return the channels of one kind, in the order of their first event."""
    said = (channel for event in experiment for channel in event.get(kind) or ())
    return tuple(dict.fromkeys(str(channel["config"]) for channel in said))


def _recorded(table: pa.Table) -> tuple[int, dict[str, Column]]:
    """Return the rows that were recorded, and the columns in our terms, rows once."""
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
        return len(given), columns
    _, first = np.unique(np.stack(keys, axis=1), axis=0, return_index=True)
    kept = np.sort(first)
    return len(given), {name: values[kept] for name, values in columns.items()}
