"""The writer: what is refused, what is written, what close leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr

from faro.errors import RunStateError, StorageError
from faro.model import FrameRole
from faro.storage import OmeZarrWriter, open_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.model import CellTable, RunNeeds, Stack
    from faro.protocols import Sink


def test_it_is_a_sink(tmp_path: Path) -> None:
    sink: Sink = OmeZarrWriter(tmp_path / "run")
    assert sink.path == tmp_path / "run"


def test_asking_for_problems_creates_nothing(tmp_path: Path, needs: RunNeeds) -> None:
    assert not OmeZarrWriter(tmp_path / "a" / "run").problems(needs)
    assert list(tmp_path.iterdir()) == []


def test_a_used_folder_is_refused_and_a_free_one_is_named(
    writer: OmeZarrWriter, needs: RunNeeds
) -> None:
    again = OmeZarrWriter(writer.path)
    (problem,) = again.problems(needs)
    assert "already holds a run" in problem.what
    assert str(writer.path.with_name("run_002")) in problem.remedy
    before = sorted(writer.path.rglob("*"))
    with pytest.raises(StorageError, match=r"already holds a run.*run_002"):
        again.open(needs, {})
    assert sorted(writer.path.rglob("*")) == before


def test_a_folder_with_other_things_is_refused(tmp_path: Path, needs: RunNeeds) -> None:
    (tmp_path / "thesis.docx").touch()
    (problem,) = OmeZarrWriter(tmp_path).problems(needs)
    assert "already holds something" in problem.what


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path, needs: RunNeeds) -> None:
    (tmp_path / "file").touch()
    (problem,) = OmeZarrWriter(tmp_path / "file" / "run").problems(needs)
    assert "is a file" in problem.what


def test_a_full_disk_is_refused_with_the_numbers(
    tmp_path: Path, needs: RunNeeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARO_DISK_RESERVE_MB", "2000")
    needs = replace(needs, n_bytes=5_000_000_000)
    path = tmp_path / "run"
    free = OmeZarrWriter(path, free_bytes=lambda _: 7_000_000_000)
    assert not free.problems(needs)
    full = OmeZarrWriter(path, free_bytes=lambda _: 6_500_000_000)
    (problem,) = full.problems(needs)
    for number in ("5.00 GB", "2.00 GB", "6.50 GB"):
        assert number in problem.what
    assert "Free 0.50 GB" in problem.remedy


def test_while_it_is_open_only_the_space_is_asked(
    writer: OmeZarrWriter, needs: RunNeeds
) -> None:
    assert not writer.problems(needs)
    assert writer.problems(replace(needs, n_bytes=10**18))[0].where == "writer/space"
    writer.close({})
    assert writer.problems(needs)[0].where == "writer/path"


def test_run_json_says_what_this_is(writer: OmeZarrWriter) -> None:
    info = json.loads((writer.path / "run.json").read_text())
    assert (info["format"], info["schema_version"]) == ("faro-run", "1.2")
    assert UUID(info["uuid"]).version == 4
    assert info["description"] == {"stim_mode": "current"}
    assert info["needs"]["channels"] == ["mCherry", "GFP"]
    assert info["versions"]["tensorstore"]
    told = json.loads((writer.path / "provenance" / "environment.json").read_text())
    assert told["versions"]["tensorstore"] == info["versions"]["tensorstore"]


def test_the_journal_tells_what_was_stored(
    writer: OmeZarrWriter,
    make_stack: Callable[..., Stack],
    make_cells: Callable[..., CellTable],
) -> None:
    writer.store_stack(make_stack(1, 2), {"lateness_s": 0.5, "started_s": 60.0})
    writer.store_labels("nuclei", 1, 2, np.zeros((24, 40), np.int32))
    writer.store_cells(1, 2, make_cells(1, 2))
    writer.record("stim_skipped", run_s=61.0, fov=1, timestep=2, reason="late")
    frame, labels, cells, skipped = open_run(writer.path).journal
    assert (
        frame.items()
        >= {
            "kind": "frame",
            "fov": 1,
            "timestep": 2,
            "role": "image",
            "channels": ["mCherry", "GFP"],
            "planned_s": 60.0,
            "acquired_s": 60.25,
            "lateness_s": 0.5,
            "exposures_ms": [50.0, 50.0],
            "position_um": [100.0, -20.0, 3.5],
            "metadata": {"arm": "loop"},
            "series": "p001.ome.zarr",
        }.items()
    )
    assert labels["name"] == "nuclei"
    assert cells["rows"] == 3
    assert (skipped["kind"], skipped["run_s"]) == ("stim_skipped", 61.0)


def test_closing_twice_is_closing_once(
    writer: OmeZarrWriter, make_cells: Callable[..., CellTable]
) -> None:
    writer.store_cells(0, 0, make_cells(0, 0))
    writer.close({"reason": "completed"})
    writer.close({"reason": "again"})
    assert open_run(writer.path).summary == {"reason": "completed"}
    assert pq.read_metadata(writer.path / "tables" / "cells.parquet").num_rows == 3


def test_closing_what_was_never_opened_does_nothing(tmp_path: Path) -> None:
    OmeZarrWriter(tmp_path / "run").close({})
    assert list(tmp_path.iterdir()) == []


def test_nothing_can_be_stored_before_opening_or_after_closing(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    writer = OmeZarrWriter(tmp_path / "run")
    with pytest.raises(RunStateError, match=r"Cannot store a stack: .* is not open"):
        writer.store_stack(make_stack(0, 0), {})
    with pytest.raises(RunStateError, match="Cannot record 'error'"):
        writer.record("error")
    writer.open(needs, {})
    writer.close({})
    with pytest.raises(RunStateError, match=r"Cannot extend: .* is closed"):
        writer.extend(needs)
    writer.record("late")
    assert open_run(writer.path).journal[-1]["kind"] == "late"


def test_closing_finishes_the_rest_when_one_part_fails(
    writer: OmeZarrWriter,
    make_stack: Callable[..., Stack],
    make_cells: Callable[..., CellTable],
) -> None:
    writer.store_stack(make_stack(0, 0), {})
    writer.store_cells(0, 0, make_cells(0, 0))
    (writer.path / "tables" / ".cells.parquet.tmp").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        writer.close({"reason": "completed"})
    run = open_run(writer.path)
    assert run.summary == {"reason": "completed"}
    assert len(run.cells) == 3
    xml = (writer.path / "images.ome.zarr" / "OME" / "METADATA.ome.xml").read_text()
    assert "<Plane" in xml


def test_two_writers_cannot_share_a_folder(tmp_path: Path, needs: RunNeeds) -> None:
    writers = [OmeZarrWriter(tmp_path / "run") for _ in range(4)]
    outcomes: list[str] = []
    barrier = threading.Barrier(len(writers))

    def work(writer: OmeZarrWriter) -> None:
        barrier.wait()
        try:
            writer.open(needs, {})
            outcomes.append("open")
        except StorageError:
            outcomes.append("refused")

    threads = [threading.Thread(target=work, args=(w,)) for w in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["open", "refused", "refused", "refused"]


def test_power_loss_durability_writes_the_same_run(
    tmp_path: Path,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    make_cells: Callable[..., CellTable],
) -> None:
    writer = OmeZarrWriter(tmp_path / "run", durability="power-loss")
    writer.open(needs, {})
    writer.store_stack(make_stack(0, 5), {})
    writer.store_cells(0, 5, make_cells(0, 5))
    writer.close({})
    run = open_run(writer.path)
    np.testing.assert_array_equal(run.stack(0, 5).pixels, make_stack(0, 5).pixels)
    assert len(run.cells) == 3
    assert run.info["durability"] == "power-loss"


FULL_DISK = """
import resource, sys
import numpy as np
from faro.errors import StorageError
from faro.model import RunNeeds, Stack
from faro.storage import OmeZarrWriter

writer = OmeZarrWriter(sys.argv[1])
writer.open(RunNeeds(3, (0,), ("GFP",), (256, 256)), {})
rng = np.random.default_rng(0)
noise = rng.integers(0, 65536, (1, 256, 256), dtype=np.uint16)
writer.store_stack(Stack(noise, ("GFP",), 0, 0), {})
size = (writer.path / "journal.jsonl").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300, size + 300))
for attempt in (
    lambda: writer.store_stack(Stack(noise, ("GFP",), 0, 1), {}),
    lambda: writer.record("long", text="x" * 1000),
):
    try:
        attempt()
    except StorageError as error:
        sys.stdout.write(f"refused: {error}\\n")
writer.record("short")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_write_that_does_not_fit_is_told_and_leaves_no_half(tmp_path: Path) -> None:
    path = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused:") == 2
    assert "Cannot write timepoint 1" in done.stdout
    assert "could be appended" in done.stdout
    run = open_run(path)
    assert [line["kind"] for line in run.journal] == ["frame", "short"]
    assert run.has(0, 0)
    assert not run.has(0, 1)
    assert run.frame(0, 0, "GFP").std() > 1000


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"pixels": np.zeros((2, 24, 40), np.float32)}, "has type float32"),
        ({"pixels": np.zeros((1, 24, 40), np.uint16)}, r"shape \(1, 24, 40\)"),
        ({"pixels": np.zeros((24, 40), np.uint16)}, r"Give \(C, Y, X\)"),
    ],
)
def test_a_stack_that_is_none_is_refused(
    writer: OmeZarrWriter,
    make_stack: Callable[..., Stack],
    changes: dict[str, Any],
    match: str,
) -> None:
    with pytest.raises(StorageError, match=match):
        writer.store_stack(make_stack(0, 0, **changes), {})
    assert open_run(writer.path).journal == []


def test_a_run_without_imaging_channels_keeps_its_masks(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    writer = OmeZarrWriter(tmp_path / "run")
    writer.open(replace(needs, channels=()), {})
    mask = np.full((24, 40), 255, np.uint8)
    writer.store_labels("stim_mask", 0, 0, mask)
    stim = make_stack(0, 0, role=FrameRole.STIM, channels=("Cyan",))
    writer.store_stack(stim, {})
    run = open_run(writer.path)
    assert run.channels == ()
    np.testing.assert_array_equal(run.labels("stim_mask", 0, 0), mask)
    assert run.has(0, 0, "Cyan", role=FrameRole.STIM)
    assert not run.has(0, 0)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64])
def test_the_journal_keeps_checksums_of_pixels_and_labels(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack], dtype: type
) -> None:
    stack = make_stack(0, 0)
    labels: Any = (np.arange(24 * 40).reshape(24, 40) % 2).astype(dtype)
    writer.store_stack(stack, {})
    writer.store_labels("nuclei", 0, 0, labels)
    frame, line = open_run(writer.path).journal
    assert frame["crc32"] == zlib.crc32(stack.pixels.tobytes())
    assert line["crc32"] == zlib.crc32(labels.astype(np.uint32).tobytes())


def test_less_is_compressed_on_demand_and_reads_the_same(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    writer = OmeZarrWriter(tmp_path / "run")
    writer.open(replace(needs, image_shape=(256, 256)), {})
    plain = np.tile(np.arange(256, dtype=np.uint16), (2, 256, 1))
    for timestep, less in enumerate((False, True, True, False)):
        writer.compress_less(less)
        writer.store_stack(make_stack(0, timestep, pixels=plain + timestep), {})
    run, array = open_run(writer.path), tmp_path / "run/images.ome.zarr/p000.ome.zarr/0"
    sizes = [(array / f"c.{t}.0.0.0").stat().st_size for t in range(4)]
    assert max(sizes[0], sizes[3]) < plain.nbytes / 4 < plain.nbytes < min(sizes[1:3])
    for timestep in range(4):
        np.testing.assert_array_equal(run.stack(0, timestep).pixels, plain + timestep)
    found = zarr.open_array(array)[2]
    np.testing.assert_array_equal(found, plain + 2)
