"""Turns the segments of the cell table into one Parquet file, atomically."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from faro.errors import StorageError
from faro.storage import disk
from faro.storage.cellread import (
    SEGMENTS_KEY,
    common_schema,
    compacted_segments,
    conformed,
    open_segments,
    read_segment,
    schema_of,
)
from faro.storage.references import read_references, with_references
from faro.system.disk import sync_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faro.storage.layout import RunLayout
    from faro.storage.references import References

ROW_GROUP: Final = 200_000


def compact(layout: RunLayout) -> int:
    """Write all rows to ``tables/cells.parquet``, then remove the segments.

    The file appears whole or not at all, and names the segments in it, so that a kill
    at any moment neither loses a row nor shows one twice. Memory holds one FOV.

    Returns
    -------
    int
        Rows in the table.

    Raises
    ------
    StorageError
        If it cannot be written; the segments are untouched then.
    """
    segments = open_segments(layout)
    schemas = [s for s in map(schema_of, segments) if s is not None]
    if schemas:
        if layout.cells.exists():
            schemas.insert(0, pq.read_schema(layout.cells))
        found = read_references(layout)
        known = with_references(common_schema(schemas).empty_table(), found)
        _write(layout, segments, known.schema, found)
    for name in compacted_segments(layout.cells):
        # One that a reader holds open on Windows stays; it is known to be compacted.
        with suppress(PermissionError):
            (layout.segments / name).unlink(missing_ok=True)
    return pq.read_metadata(layout.cells).num_rows if layout.cells.exists() else 0


def _write(
    layout: RunLayout, segments: list[Path], schema: pa.Schema, told: References
) -> None:
    hidden = layout.cells.with_name(f".{layout.cells.name}.tmp")
    rows = compacted_segments(layout.cells)
    try:
        with pq.ParquetWriter(
            hidden, schema, compression="zstd", write_page_checksum=True
        ) as writer:
            for name, table in _parts(layout, segments):
                if name:
                    rows[name] = len(table)
                table = conformed(with_references(table, told), schema)
                writer.write_table(table, row_group_size=ROW_GROUP)
            writer.add_key_value_metadata({SEGMENTS_KEY: json.dumps(rows).encode()})
        with hidden.open("rb+") as file:
            sync_file(file.fileno())
        found, expected = pq.read_metadata(hidden).num_rows, sum(rows.values())
        if found != expected:
            problem = f"{hidden} holds {found} rows instead of {expected}."
            raise StorageError(problem, remedy="Check the disk; nothing was removed.")
        disk.replace(hidden, layout.cells)
    except (OSError, pa.ArrowException) as error:
        with suppress(OSError):
            hidden.unlink()
        if isinstance(error, StorageError):
            raise
        problem = f"{layout.cells} cannot be written: {error}."
        raise StorageError(problem, remedy="Free space, or check the disk.") from error


def _parts(layout: RunLayout, segments: list[Path]) -> Iterator[tuple[str, pa.Table]]:
    """Yield (name of the segment, rows); no name for rows compacted before."""
    if layout.cells.exists():
        with pq.ParquetFile(layout.cells) as before:
            for index in range(before.num_row_groups):
                yield "", before.read_row_group(index)
    for path in segments:
        table = read_segment(path)
        if table is not None:
            yield path.name, table
