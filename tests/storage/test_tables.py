"""The cell table: appended, torn, compacted; judged by plain Arrow readers."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.errors import StorageError
from faro.model import CellTable
from faro.storage.cellread import (
    as_cell_table,
    compacted_segments,
    read_cells,
    read_segment,
)
from faro.storage.compaction import compact
from faro.storage.layout import RunLayout
from faro.storage.tables import CellWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FACTS = {"pixel_size_um": 0.325}


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    return RunLayout(tmp_path)


@pytest.fixture
def cells(layout: RunLayout) -> CellWriter:
    return CellWriter(layout, FACTS, "process")


def stored(layout: RunLayout) -> CellTable:
    return as_cell_table(read_cells(layout))


def test_one_line_of_polars_reads_a_table_that_grows(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    path = layout.segments / "p007.arrows"
    for timestep in range(3):
        assert cells.append(7, timestep, make_cells(7, timestep)).rows == 3
        times = pl.read_ipc_stream(path)["timestep"].unique().to_list()
        assert times == list(range(timestep + 1))
    frame = pl.read_ipc_stream(path)
    assert frame.columns[:4] == ["fov", "timestep", "label", "track_id"]
    assert frame["x"].to_list()[:3] == [2.5, 5.0, 7.5]


def test_the_schema_carries_units_and_pixel_size(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    cells.append(0, 0, make_cells(0, 0))
    schema = pa.ipc.open_stream((layout.segments / "p000.arrows").read_bytes()).schema
    assert schema.field("area").metadata == {b"unit": b"px^2"}
    assert schema.field("label").metadata is None
    assert b'"pixel_size_um":0.325' in schema.metadata[b"faro"]
    compact(layout)
    finished = pq.read_schema(layout.cells)
    assert finished.field("area").metadata[b"unit"] == b"px^2"
    assert stored(layout).units["x"] == "px"


def test_new_columns_start_a_new_file_and_older_rows_lack_them(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    cells.append(0, 0, make_cells(0, 0))
    more = {"cnr": [0.5, 1.5, 2.5], "hit": [True, False, True], "arm": ["a", "b", "ä"]}
    cells.append(0, 1, make_cells(0, 1, **more, generation=[4, 5, 6]))
    cells.append(0, 2, make_cells(0, 2))
    names = sorted(path.name for path in layout.segments.iterdir())
    assert names == ["p000.arrows", "p000_01.arrows"]
    table = stored(layout)
    np.testing.assert_array_equal(table["cnr"][:3], [np.nan] * 3)
    np.testing.assert_array_equal(table["cnr"][3:6], [0.5, 1.5, 2.5])
    assert table["hit"].tolist() == [False] * 3 + [True, False, True] + [False] * 3
    assert table["arm"].tolist() == [""] * 3 + ["a", "b", "ä"] + [""] * 3
    assert table["generation"].tolist() == [0] * 3 + [4, 5, 6] + [0] * 3
    assert table["generation"].dtype == np.int64
    assert table["timestep"].tolist() == [0] * 3 + [1] * 3 + [2] * 3


def test_a_column_that_widens_keeps_all_values(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    for timestep, values in enumerate(([1, 2, 3], [1.5, np.nan, 2.0], [7, 8, 9])):
        cells.append(0, timestep, make_cells(0, timestep, score=values))
    expected = [1, 2, 3, 1.5, np.nan, 2, 7, 8, 9]
    np.testing.assert_array_equal(stored(layout)["score"], expected)
    compact(layout)
    np.testing.assert_array_equal(stored(layout)["score"], expected)


def test_a_column_that_becomes_text_is_text(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    cells.append(0, 0, make_cells(0, 0, state=[True, False, True]))
    cells.append(1, 0, make_cells(1, 0, state=["G1", "S", "M"]))
    assert stored(layout)["state"].tolist() == ["true", "false", "true", "G1", "S", "M"]


def test_an_empty_frame_leaves_an_empty_batch_once_columns_are_known(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    nothing = CellTable({"label": np.zeros(0), "odd": np.zeros(0, np.str_)})
    assert cells.append(0, 0, nothing).rows == 0
    assert list(layout.segments.iterdir()) == []
    cells.append(0, 1, make_cells(0, 1))
    cells.append(0, 2, nothing)
    stream = pa.ipc.open_stream((layout.segments / "p000.arrows").read_bytes())
    assert [len(batch) for batch in stream] == [3, 0]


def test_a_column_of_things_is_refused_by_name(
    cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    things = np.array([{}, 1, "a"], dtype=object)
    with pytest.raises(StorageError, match=r"'thing' \(object\) cannot be stored"):
        cells.append(0, 0, make_cells(0, 0, thing=things))


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(0, 4000), n_frames=st.integers(1, 4))
def test_a_torn_tail_costs_only_the_torn_frame(cut: int, n_frames: int) -> None:
    with TemporaryDirectory() as folder:
        layout = RunLayout(Path(folder))
        cells, sizes = CellWriter(layout, FACTS, "process"), []
        path = layout.segments / "p000.arrows"
        for timestep in range(n_frames):
            values = np.arange(timestep, timestep + 5)
            cells.append(0, timestep, CellTable({"label": values}))
            sizes.append(path.stat().st_size)
        data = path.read_bytes()
        path.write_bytes(data[: max(0, len(data) - cut)])
        whole = sum(size <= path.stat().st_size for size in sizes)
        table = read_segment(path)
        assert (0 if table is None else len(table)) == 5 * whole
        if whole:
            assert compact(layout) == 5 * whole


def test_zeros_behind_the_last_frame_are_ignored(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    cells.append(0, 0, make_cells(0, 0))
    path = layout.segments / "p000.arrows"
    path.write_bytes(path.read_bytes() + bytes(100))
    assert len(stored(layout)) == 3


def test_compaction_keeps_every_row_and_its_place(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    for fov in (0, 3):
        for timestep in range(4):
            cells.append(fov, timestep, make_cells(fov, timestep, n_cells=fov + 1))
    before = stored(layout)
    assert compact(layout) == len(before) == 4 + 16
    after = stored(layout)
    assert after.names == before.names
    for name in before.names:
        np.testing.assert_array_equal(after[name], before[name])
        assert after[name].dtype == before[name].dtype
    assert sorted(p.name for p in (layout.path / "tables").rglob("*")) == [
        "cells",
        "cells.parquet",
    ]
    assert len(pl.read_parquet(layout.cells)) == 20


def test_a_kill_between_the_steps_of_compaction_shows_no_row_twice(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    cells.append(0, 0, make_cells(0, 0))
    segment = layout.segments / "p000.arrows"
    data = segment.read_bytes()
    compact(layout)
    segment.write_bytes(data)
    assert len(stored(layout)) == 3
    assert compacted_segments(layout.cells) == {"p000.arrows": 3}
    assert compact(layout) == 3
    assert not segment.exists()


def test_rows_appended_after_compaction_are_added_by_the_next(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    cells.append(0, 0, make_cells(0, 0))
    compact(layout)
    again = CellWriter(layout, FACTS, "power-loss")
    again.append(0, 1, make_cells(0, 1, cnr=[1.0, 2.0, 3.0]))
    assert [p.name for p in layout.segments.iterdir()] == ["p000_01.arrows"]
    assert len(stored(layout)) == 6
    assert compact(layout) == 6
    np.testing.assert_array_equal(stored(layout)["cnr"], [np.nan] * 3 + [1, 2, 3])


def test_a_run_without_cells_has_no_table(layout: RunLayout, cells: CellWriter) -> None:
    assert cells.append(0, 0, CellTable({})).rows == 0
    assert compact(layout) == 0
    assert not layout.cells.exists()
    assert len(stored(layout)) == 0


def test_a_damaged_parquet_file_is_reported(layout: RunLayout) -> None:
    layout.cells.parent.mkdir()
    layout.cells.write_bytes(b"PAR1 no")
    with pytest.raises(StorageError, match=r"cells\.parquet is damaged"):
        read_cells(layout)


def test_a_parquet_that_cannot_be_written_leaves_the_segments(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    cells.append(0, 0, make_cells(0, 0))
    (layout.path / "tables" / ".cells.parquet.tmp").mkdir()
    with pytest.raises(StorageError, match=r"cells\.parquet cannot be written"):
        compact(layout)
    assert len(stored(layout)) == 3


@dataclass(frozen=True)
class Case:
    name: str
    values: Any


CASES = [
    Case("float32", np.array([1.5, np.nan], np.float32)),
    Case("uint8", np.array([0, 255], np.uint8)),
    Case("uint64", np.array([0, 2**64 - 1], np.uint64)),
    Case("int64", np.array([-(2**63), 2**63 - 1], np.int64)),
    Case("bool", np.array([True, False])),
    Case("text", np.array(["", "\N{MICRO SIGN}m"])),
    Case("strided", np.arange(4.0)[::2]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_values_and_types_come_back(
    case: Case, layout: RunLayout, cells: CellWriter
) -> None:
    cells.append(0, 0, CellTable({"label": np.array([1, 2]), "value": case.values}))
    for _ in range(2):
        found = stored(layout)["value"]
        np.testing.assert_array_equal(found, case.values)
        assert found.dtype.kind == case.values.dtype.kind
        assert found.dtype.itemsize == case.values.dtype.itemsize
        compact(layout)


def test_an_append_costs_the_same_however_long_the_table_is(
    layout: RunLayout, cells: CellWriter, make_cells: Callable[..., CellTable]
) -> None:
    # Work is counted, not time: bytes written and read, and files opened.
    columns = {f"f{number:02d}": np.zeros(300) for number in range(25)}
    work: set[tuple[int, int, int]] = set()
    opened: list[str] = []
    with auditing(opened):
        for timestep in range(400):
            before = len(opened)
            done = cells.append(0, timestep, make_cells(0, timestep, 300, **columns))
            mine = [path for path in opened[before:] if "arrows" in path]
            if timestep:
                work.add((done.rows, done.n_bytes, len(mine)))
    assert len(work) == 1
    assert len(list(layout.segments.iterdir())) == 1


@contextmanager
def auditing(opened: list[str]) -> Iterator[None]:
    """Note every file that is opened inside the block."""
    active = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event == "open":
            opened.append(str(arguments[0]))

    sys.addaudithook(hook)
    try:
        yield
    finally:
        active = False


COMPACTING = """
import os, sys
from pathlib import Path
from faro.storage import compaction, disk
from faro.storage.layout import RunLayout

stop_at, calls, layout = int(sys.argv[2]), 0, RunLayout(Path(sys.argv[1]))

def stepping(function):
    def step(*arguments, **options):
        global calls
        calls += 1
        if calls == stop_at:
            os.kill(os.getpid(), 9)
        return function(*arguments, **options)
    return step

compaction.conformed = stepping(compaction.conformed)
os.fsync = stepping(os.fsync)
disk.replace = stepping(disk.replace)
compaction.compacted_segments = stepping(compaction.compacted_segments)
Path.unlink = stepping(Path.unlink)
compaction.compact(layout)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a rig of POSIX signals")
@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 5, 6, 7])
def test_a_kill_during_compaction_loses_nothing(
    layout: RunLayout,
    cells: CellWriter,
    make_cells: Callable[..., CellTable],
    stop_at: int,
) -> None:
    for fov in range(3):
        for timestep in range(4):
            cells.append(fov, timestep, make_cells(fov, timestep))
    command = [sys.executable, "-c", COMPACTING, str(layout.path), str(stop_at)]
    assert subprocess.run(command, check=False).returncode == -9
    before = stored(layout)
    assert len(before) == 36
    assert compact(layout) == 36
    found = stored(layout)
    for name in ("fov", "timestep", "label", "x"):
        np.testing.assert_array_equal(np.sort(found[name]), np.sort(before[name]))
    assert [p.name for p in layout.segments.iterdir()] == []
