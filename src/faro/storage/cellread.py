"""Reads the cell table of a run that goes on, was killed, or is finished."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from faro.errors import StorageError
from faro.model import CellTable
from faro.storage.layout import segment_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from faro.model.cells import Column
    from faro.storage.layout import RunLayout

SEGMENTS_KEY: Final = b"faro.segments"
"""Metadata of the Parquet file: name to rows of the segments that it contains."""

_TORN = (pa.ArrowInvalid, OSError, EOFError)


def read_segment(path: Path) -> pa.Table | None:
    """Return the complete frames of one segment, None if there is not even a schema.

    What a kill left behind the last complete frame is ignored.
    """
    try:
        data = path.read_bytes()
        stream = pa.ipc.open_stream(data)
    except _TORN:
        return None
    return pa.Table.from_batches(_batches(stream), schema=stream.schema)


def schema_of(path: Path) -> pa.Schema | None:
    """Return the columns of a segment, None if they are not complete."""
    try:
        with path.open("rb") as file:
            return pa.ipc.open_stream(file).schema
    except _TORN:
        return None


def compacted_segments(path: Path) -> dict[str, int]:
    """Return name to rows of the segments that a Parquet file contains."""
    if not path.exists():
        return {}
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except _TORN as error:
        problem = f"{path} is damaged: {error}."
        raise StorageError(problem, remedy="Restore it from a copy.") from error
    found: dict[str, int] = json.loads(metadata.get(SEGMENTS_KEY, b"{}"))
    return found


def open_segments(layout: RunLayout) -> list[Path]:
    """Return the segments that are not in the Parquet file, by FOV and number."""
    if not layout.segments.is_dir():
        return []
    done = compacted_segments(layout.cells)
    keyed = [(segment_key(path.name), path) for path in layout.segments.iterdir()]
    ours = sorted((key, path) for key, path in keyed if key is not None)
    return [path for _, path in ours if path.name not in done]


def read_cells(layout: RunLayout) -> pa.Table:
    """Return all rows stored so far; columns that a part lacks are null there.

    A run that is being finished meanwhile is read again, so that no row is missed.
    """
    while True:
        before = compacted_segments(layout.cells)
        parts = [pq.read_table(layout.cells)] if before else []
        parts += [t for t in map(read_segment, open_segments(layout)) if t is not None]
        if compacted_segments(layout.cells) == before:
            return joined(parts)


def joined(parts: Sequence[pa.Table]) -> pa.Table:
    """Return tables below each other; types widen, missing columns are null."""
    if not parts:
        return pa.table({})
    schema = common_schema([part.schema for part in parts])
    return pa.concat_tables([conformed(part, schema) for part in parts])


def common_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return a schema with the columns of all, in the order of their first.

    Types widen: integer and float become float; what has nothing in common is text.
    """
    fields: dict[str, pa.Field] = {}
    for field in (field for schema in schemas for field in schema):
        known = fields.get(field.name)
        fields[field.name] = field if known is None else _wider(known, field)
    metadata = schemas[0].metadata if schemas else None
    return pa.schema(list(fields.values()), metadata=metadata)


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return ``table`` with the columns of ``schema``; missing ones are null."""
    columns = [
        table[field.name].cast(field.type, safe=False)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def as_cell_table(table: pa.Table) -> CellTable:
    """Return an Arrow table as numpy columns: null is NaN, 0, False or ``""``."""
    units = {
        field.name: field.metadata[b"unit"].decode()
        for field in table.schema
        if field.metadata and b"unit" in field.metadata
    }
    columns = {name: _numpy(table[name]) for name in table.column_names}
    return CellTable(columns, units)


def _batches(stream: Any) -> Iterator[pa.RecordBatch]:
    """Yield batches up to the first that is not complete."""
    while True:
        try:
            yield stream.read_next_batch()
        except (StopIteration, *_TORN):
            return


def _numpy(column: pa.ChunkedArray) -> Column:
    kind = column.type
    if column.null_count and not pa.types.is_floating(kind):
        empty: object = "" if pa.types.is_string(kind) else 0
        empty = False if pa.types.is_boolean(kind) else empty
        column = column.fill_null(empty)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(column.to_pylist(), dtype=np.str_)
    values: Column = column.to_numpy()
    return values


def _wider(one: pa.Field, other: pa.Field) -> pa.Field:
    """Return a field that holds the values of both."""
    if one.type == other.type:
        return one
    try:
        schemas = [pa.schema([one]), pa.schema([other])]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0)
    except pa.ArrowTypeError:
        return one.with_type(pa.string())
