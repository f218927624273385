"""The reader: what it gives back, what it refuses, while the run goes on."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from faro.errors import MissingExtraError, StorageError
from faro.model import FrameRole
from faro.storage import open_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.model import CellTable, Stack
    from faro.protocols import FrameSource
    from faro.storage import OmeZarrWriter


def test_a_run_is_a_frame_source(writer: OmeZarrWriter) -> None:
    source: FrameSource = open_run(writer.path)
    assert source.channels == ("mCherry", "GFP")
    assert source.fovs == (0, 1)
    assert source.n_timepoints == 4
    assert source.image_shape == (24, 40)
    assert source.image_dtype == "uint16"
    assert source.pixel_size_um == 0.325


def test_a_stack_comes_back_with_everything_it_had(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    given = make_stack(1, 2, exposures_ms=(50.0, None))
    writer.store_stack(given, {})
    found = open_run(writer.path).stack(1, 2)
    np.testing.assert_array_equal(found.pixels, given.pixels)
    assert not found.pixels.flags.writeable
    for name in (
        "channels",
        "fov",
        "timestep",
        "role",
        "planned_s",
        "acquired_s",
        "wall_ns",
        "exposures_ms",
        "pixel_size_um",
        "position_um",
        "metadata",
    ):
        assert getattr(found, name) == getattr(given, name), name


def test_a_reader_opened_before_sees_what_comes_after(
    writer: OmeZarrWriter,
    make_stack: Callable[..., Stack],
    make_cells: Callable[..., CellTable],
) -> None:
    run = open_run(writer.path)
    assert (run.journal, len(run.cells), run.summary) == ([], 0, None)
    for timestep in range(6):
        writer.store_stack(make_stack(0, timestep), {})
        writer.store_cells(0, timestep, make_cells(0, timestep))
        assert run.stack(0, timestep).metadata == {"arm": "loop"}
        assert len(run.cells) == 3 * (timestep + 1)
        assert len(run.journal) == 2 * (timestep + 1)
    writer.close({"reason": "completed"})
    assert run.summary == {"reason": "completed"}
    assert len(run.cells) == 18


def test_a_frame_that_was_stored_but_not_yet_told_is_readable(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    writer.store_stack(make_stack(0, 0), {})
    (writer.path / "journal.jsonl").write_bytes(b"")
    stack = open_run(writer.path).stack(0, 0)
    assert stack.channels == ("mCherry", "GFP")
    assert stack.metadata == {}


def test_cells_become_a_pandas_table(
    writer: OmeZarrWriter, make_cells: Callable[..., CellTable]
) -> None:
    writer.store_cells(0, 0, make_cells(0, 0))
    writer.store_cells(1, 0, make_cells(1, 0, cnr=[1.0, 2.0, 3.0]))
    table = open_run(writer.path).to_pandas()
    assert isinstance(table, pd.DataFrame)
    assert table.groupby("fov")["cnr"].count().to_dict() == {0: 0, 1: 3}


def test_without_pandas_the_extra_is_named(
    writer: OmeZarrWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"faro-microscopy\[pandas\]"):
        open_run(writer.path).to_pandas()


def test_damaged_pixels_are_reported_and_never_returned(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    writer.store_stack(make_stack(0, 0), {})
    chunk = writer.path / "images.ome.zarr" / "p000.ome.zarr" / "0" / "c.0.0.0.0"
    data = bytearray(chunk.read_bytes())
    data[100] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(StorageError, match=r"c\.0\.0\.0\.0 is damaged"):
        open_run(writer.path).frame(0, 0, "mCherry")


@pytest.mark.parametrize("n_bytes", [0, 10])
def test_a_chunk_without_content_counts_as_missing(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack], n_bytes: int
) -> None:
    writer.store_stack(make_stack(0, 0), {})
    chunk = writer.path / "images.ome.zarr" / "p000.ome.zarr" / "0" / "c.0.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:n_bytes])
    assert not open_run(writer.path).has(0, 0)


def test_a_negative_timepoint_is_missing(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    writer.store_stack(make_stack(0, 3), {})
    run = open_run(writer.path)
    assert not run.has(0, -1)
    assert not run.has(0, 3, role=FrameRole.STIM)


def test_a_newer_layout_is_refused_and_a_newer_minor_is_not(
    writer: OmeZarrWriter,
) -> None:
    path = writer.path / "run.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "schema_version": "1.7"}))
    open_run(writer.path)
    path.write_text(json.dumps({**info, "schema_version": "2.0"}))
    with pytest.raises(StorageError, match=r"has layout 2\.0; .* up to 1\.2.*Update"):
        open_run(writer.path)


def test_what_is_no_run_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    looked_for = r"neither run\.json nor acquisition\.ome\.zarr nor raw/"
    with pytest.raises(StorageError, match=looked_for):
        open_run(tmp_path)
    with pytest.raises(StorageError, match="is no folder"):
        open_run(tmp_path / "absent")
    (tmp_path / "run.json").write_text('{"format": "marathon"}')
    with pytest.raises(StorageError, match="not of a FARO run: 'marathon'"):
        open_run(tmp_path)
