"""The cell table: appended per frame as an Arrow stream, one Parquet when finished.

Each FOV has its own stream; a frame is one record batch, appended by one write. A
frame with new columns starts a new file, called a segment.
"""

from __future__ import annotations

import os
import threading
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from faro.errors import StorageError
from faro.model.cells import FIRST_COLUMNS
from faro.storage import disk
from faro.storage.cellread import compacted_segments, schema_of
from faro.storage.jsontext import one_line
from faro.storage.layout import SCHEMA_VERSION, segment_key
from faro.system.disk import sync_data, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from faro.model import CellTable
    from faro.model.cells import Column
    from faro.storage.disk import Durability
    from faro.storage.layout import RunLayout


@dataclass(frozen=True, slots=True)
class Appended:
    """Where the rows of a frame went.

    Attributes
    ----------
    rows
        Number of rows.
    file
        Name of the segment, empty where nothing was written.
    offset, n_bytes
        Place in it.
    crc32
        Checksum of these bytes.
    """

    rows: int = 0
    file: str = ""
    offset: int = 0
    n_bytes: int = 0
    crc32: int = 0


@dataclass(slots=True)
class _Segment:
    """The file that a FOV's frames go to now."""

    path: Path
    schema: pa.Schema


class CellWriter:
    """Appends the cells of frames; thread-safe. The cost does not grow with the run.

    Parameters
    ----------
    layout
        Of the run; its folder exists.
    facts
        What goes into the metadata of the schema, such as the pixel size; JSON-able.
    """

    def __init__(
        self, layout: RunLayout, facts: Mapping[str, Any], durability: Durability
    ) -> None:
        self._layout, self._durability = layout, durability
        about = one_line({"schema_version": SCHEMA_VERSION, **facts}).strip()
        self._metadata = {b"faro": about}
        self._lock = threading.Lock()
        self._segments: dict[int, _Segment] = {}
        self._used = _numbers_in_use(layout)
        disk.make_folder(layout.segments)

    def restore(self, files: Iterable[str]) -> None:
        """Go on with the segments ``files`` of a run that was ended, in their order."""
        with self._lock:
            for name in files:
                key, path = segment_key(name), self._layout.segments / name
                schema = schema_of(path)
                if key is not None and schema is not None:
                    self._segments[key[0]] = _Segment(path, schema)

    def append(self, fov: int, timestep: int, cells: CellTable) -> Appended:
        """Append the cells of one frame. Readable when this returns.

        ``fov`` and ``timestep`` are added where the table lacks them. A frame without
        cells leaves an empty batch once the columns are known.

        Raises
        ------
        StorageError
            If a column cannot be stored, or the disk is full.
        """
        columns = _ordered(fov, timestep, cells)
        with self._lock:
            segment = self._segments.get(fov)
            if segment is None and not len(cells):
                return Appended()
            if segment is not None and not len(cells):
                done = self._write(segment.path, _empty(segment.schema), None)
            elif segment and (batch := _fitted(columns, segment.schema)) is not None:
                done = self._write(segment.path, batch, None)
            else:
                done = self._start(fov, _batch(columns, cells.units, self._metadata))
        if self._durability == "power-loss":
            _sync(self._layout.segments / done.file)
        return done

    def _start(self, fov: int, batch: pa.RecordBatch) -> Appended:
        """Begin a new segment with ``batch``."""
        number = self._used.get(fov, -1) + 1
        path = self._layout.segment(fov, number)
        done = self._write(path, batch, batch.schema)
        if self._durability == "power-loss":
            sync_folder(path.parent)
        self._used[fov] = number
        self._segments[fov] = _Segment(path, batch.schema)
        return done

    def _write(
        self, path: Path, batch: pa.RecordBatch, header: pa.Schema | None
    ) -> Appended:
        message = batch.serialize().to_pybytes()
        start = header.serialize().to_pybytes() if header is not None else b""
        data = start + message
        descriptor = disk.open_appending(path)
        try:
            offset = disk.append_all(path, descriptor, data)
        finally:
            os.close(descriptor)
        return Appended(len(batch), path.name, offset, len(data), zlib.crc32(data))


def _sync(path: Path) -> None:
    """Return when what was appended to ``path`` is on the device."""
    descriptor = disk.open_appending(path)
    try:
        sync_data(descriptor)
    except OSError as error:
        problem = f"{path} could not be written to the device: {error}."
        raise StorageError(problem, remedy="Free space, or check the disk.") from error
    finally:
        os.close(descriptor)


def _numbers_in_use(layout: RunLayout) -> dict[int, int]:
    """Return the last segment number of each FOV, also of compacted ones."""
    names = set(compacted_segments(layout.cells))
    if layout.segments.is_dir():
        names |= {path.name for path in layout.segments.iterdir()}
    used: dict[int, int] = {}
    for key in filter(None, map(segment_key, names)):
        used[key[0]] = max(key[1], used.get(key[0], 0))
    return used


def _ordered(fov: int, timestep: int, cells: CellTable) -> dict[str, Column]:
    """Return the columns, the known ones first."""
    n_cells = len(cells)
    given: dict[str, Column] = {
        "fov": np.full(n_cells, fov, np.int32),
        "timestep": np.full(n_cells, timestep, np.int32),
        **{name: np.asarray(cells[name]) for name in cells.names},
    }
    first = {name: given[name] for name in FIRST_COLUMNS if name in given}
    return first | given


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.nulls(0, field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _batch(
    columns: Mapping[str, Column],
    units: Mapping[str, str],
    metadata: Mapping[bytes, bytes],
) -> pa.RecordBatch:
    """Return the columns as a batch whose schema carries their units."""
    arrays = [_array(name, values) for name, values in columns.items()]
    fields = [
        pa.field(
            name, array.type, metadata={"unit": units[name]} if name in units else None
        )
        for name, array in zip(columns, arrays, strict=True)
    ]
    schema = pa.schema(fields, metadata=metadata)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _fitted(columns: Mapping[str, Column], schema: pa.Schema) -> pa.RecordBatch | None:
    """Return the columns as a batch of ``schema``; None if they do not fit in it.

    A column that is not there is null; one that is new, or whose values the stored
    type cannot hold, does not fit.
    """
    if set(columns) - set(schema.names):
        return None
    n_rows = len(next(iter(columns.values())))
    arrays = []
    for field in schema:
        if field.name not in columns:
            arrays.append(pa.nulls(n_rows, field.type))
            continue
        try:
            arrays.append(_array(field.name, columns[field.name]).cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(name: str, values: Column) -> pa.Array:
    """Return a column; of numbers and texts without a detour over pandas.

    ``pyarrow.array`` loads pandas where it is installed, which takes a second or two
    and would fall into the first frame of a run.
    """
    try:
        kind = values.dtype.kind
        if kind in "iuf":
            buffer = pa.py_buffer(np.ascontiguousarray(values))
            arrow_type = pa.from_numpy_dtype(values.dtype)
            return pa.Array.from_buffers(arrow_type, len(values), [None, buffer])
        if kind == "b":
            bits = pa.py_buffer(np.packbits(values.astype(np.bool_), bitorder="little"))
            return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])
        if kind == "U":
            return _texts(values.tolist())
        return pa.array(values.tolist())
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        problem = f"The column {name!r} ({values.dtype}) cannot be stored: {error}."
        remedy = "Return numbers, booleans or texts, one per cell."
        raise StorageError(problem, remedy=remedy) from error


def _texts(values: list[str]) -> pa.Array:
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)
