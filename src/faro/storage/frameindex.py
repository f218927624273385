"""The frame index: one row per stored frame, from the journal."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from faro.errors import StorageError
from faro.storage import disk
from faro.storage.layout import SCHEMA_VERSION
from faro.system.disk import sync_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

UNITS: Final = {
    "planned_s": "s",
    "started_s": "s",
    "lateness_s": "s",
    "acquired_s": "s",
    "exposure_ms": "ms",
    "x_um": "um",
    "y_um": "um",
    "z_um": "um",
}


def _field(name: str, kind: pa.DataType) -> pa.Field:
    metadata = {"unit": UNITS[name]} if name in UNITS else None
    return pa.field(name, kind, metadata=metadata)


SCHEMA: Final = pa.schema(
    [
        _field("fov", pa.int32()),
        _field("timestep", pa.int32()),
        _field("role", pa.string()),
        _field("channel", pa.string()),
        _field("z", pa.int32()),
        _field("series", pa.string()),
        _field("channel_index", pa.int32()),
        _field("planned_s", pa.float64()),
        _field("started_s", pa.float64()),
        _field("lateness_s", pa.float64()),
        _field("acquired_s", pa.float64()),
        _field("acquired_at", pa.timestamp("ns", "UTC")),
        _field("exposure_ms", pa.float64()),
        _field("x_um", pa.float64()),
        _field("y_um", pa.float64()),
        _field("z_um", pa.float64()),
    ],
    metadata={b"faro": f'{{"schema_version":"{SCHEMA_VERSION}"}}'.encode()},
)
"""Columns, their types and units. A frame is one exposure: one channel, one plane."""


def frame_table(journal: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return one row per stored frame, in the order in which they were stored.

    Frames that were given up since, to be taken again, have none.
    """
    kept: dict[tuple[object, ...], Mapping[str, Any]] = {}
    for line in journal:
        key = line.get("series"), line.get("fov"), line.get("timestep")
        if line.get("kind") == "frame":
            kept[*key, line.get("role")] = line
        elif line.get("again"):
            kept.pop((*key, line.get("role")), None)
    rows = [row for line in kept.values() for row in _rows(line)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write_frame_index(path: Path, journal: Iterable[Mapping[str, Any]]) -> None:
    """Write the index as Parquet; it appears whole or not at all.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    hidden = path.with_name(f".{path.name}.tmp")
    try:
        disk.make_folder(path.parent)
        pq.write_table(frame_table(journal), hidden, compression="zstd")
        with hidden.open("rb+") as file:
            sync_file(file.fileno())
        disk.replace(hidden, path)
    except (OSError, pa.ArrowException) as error:
        with suppress(OSError):
            hidden.unlink()
        problem = f"{path} cannot be written: {error}."
        raise StorageError(problem, remedy="Free space, or check the disk.") from error


def _rows(line: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the frames of one stack."""
    x_um, y_um, z_um = line.get("position_um") or (None, None, None)
    channels = line.get("channels") or ()
    indices = line.get("channel_indices") or range(len(channels))
    exposures = line.get("exposures_ms") or [None] * len(channels)
    planes_um = line.get("z_um") or [z_um]
    same = {
        name: line.get(name)
        for name in ("fov", "timestep", "role", "series", "planned_s", "started_s")
    }
    same |= {name: line.get(name) for name in ("lateness_s", "acquired_s")}
    same |= {"acquired_at": line.get("wall_ns"), "x_um": x_um, "y_um": y_um}
    offsets = line.get("z_offsets_um") or [0.0] * len(channels)
    frames = zip(channels, indices, exposures, offsets, strict=False)
    for channel, index, exposure_ms, offset_um in frames:
        for z, plane_um in enumerate(planes_um):
            yield {
                **same,
                "channel": channel,
                "channel_index": index,
                "exposure_ms": exposure_ms,
                "z": z,
                "z_um": None if plane_um is None else plane_um + offset_um,
            }
