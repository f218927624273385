"""A run that was killed is gone on with: nothing lost, doubled or out of place."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaozarrs

from faro.errors import StorageError
from faro.model import FrameRole, RunNeeds
from faro.storage import OmeZarrWriter, OmeZarrWriterPlate, open_run, verify, writer_of
from faro.storage.told import needs_from, told_by
from faro.testing.killing import killed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.model import CellTable, Stack


def errors_of(path: Path) -> list[str]:
    """Return what is wrong with a run; what is unfinished is not."""
    return [str(p) for p in verify(path) if p.severity == "error"]


@pytest.mark.parametrize("layout", ["collection", "plate", "tiff"])
def test_a_run_killed_twice_and_gone_on_with_is_whole(
    tmp_path: Path, layout: str
) -> None:
    path = tmp_path / "run"
    told = killed(path, layout, 0.11).acknowledged.get("frame", 0)
    again = killed(path, layout, 0.23)
    assert again.lost == []
    last = killed(path, layout, 30.0, close_at=40, ends=True)
    assert last.lost == []
    assert last.acknowledged["closed"] == 1
    run = open_run(path)
    kinds = Counter(
        (x["kind"], x["fov"], x["timestep"], x.get("name"))
        for x in run.journal
        if x["kind"] in ("frame", "labels", "cells")
    )
    assert set(kinds.values()) == {1}
    frames = sum(kind == "frame" for kind, *_ in kinds)
    assert frames >= told + again.acknowledged.get("frame", 0)
    assert run.summary is not None
    assert verify(path) == []
    if layout != "tiff":
        yaozarrs.validate_zarr_store(str(path / "images.ome.zarr"))


class Writing:
    """A run as the writer under test sees it, with helpers to fill it."""

    def __init__(self, path: Path, kind: type[Any] = OmeZarrWriter) -> None:
        self.path, self.writer = path, kind(path)

    def abandon(self) -> None:
        """Leave the run as a kill does: nothing is closed, the lock goes."""
        self.writer.let_go()
        self.writer = writer_of(self.path)


def test_series_rows_labels_and_contrast_go_on_where_they_were(
    tmp_path: Path,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    make_cells: Callable[..., CellTable],
) -> None:
    run = Writing(tmp_path / "run")
    run.writer.open(needs, {"stim_mode": "current"})
    for timestep in range(2):
        run.writer.store_stack(make_stack(0, timestep), {})
        run.writer.store_cells(0, timestep, make_cells(0, timestep))
    run.writer.store_stack(
        make_stack(0, 1, channels=("Cyan",), role=FrameRole.STIM), {}
    )
    run.writer.store_stack(make_stack(0, 1, channels=("odd",)), {})
    run.writer.store_labels("nuclei", 0, 0, np.eye(24, 40, dtype=np.uint8))
    run.writer.extend(
        needs_from({**_words(needs), "n_timepoints": 6, "fovs": [0, 1, 5]})
    )
    group = tmp_path / "run/images.ome.zarr/p000.ome.zarr/zarr.json"
    shown = group.read_text()
    run.abandon()

    assert run.writer.reopen() == []
    assert group.read_text() == shown
    run.writer.store_stack(make_stack(0, 2), {})
    run.writer.store_stack(make_stack(5, 5), {})
    run.writer.store_stack(make_stack(0, 2, channels=("odd",)), {})
    run.writer.store_labels("nuclei", 0, 2, np.eye(24, 40, dtype=np.uint8))
    run.writer.store_cells(0, 2, make_cells(0, 2))
    run.writer.close({"reason": "completed"})
    stored = open_run(run.path)
    assert [k.stem for k in stored.images.series()] == [
        "p000",
        "p000_1",
        "p000_stim",
        "p001",
        "p005",
    ]
    assert (stored.stack(0, 0).pixels == make_stack(0, 0).pixels).all()
    assert (stored.stack(0, 2).pixels == make_stack(0, 2).pixels).all()
    assert stored.n_timepoints == 6
    assert stored.cells["timestep"].tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert (run.path / "tables").is_dir()
    assert verify(run.path) == []


def _words(needs: RunNeeds) -> dict[str, Any]:
    from faro.storage.jsontext import plain

    words: dict[str, Any] = plain(needs)
    return words


def test_what_nobody_was_told_of_is_set_aside(
    tmp_path: Path,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    make_cells: Callable[..., CellTable],
) -> None:
    run = Writing(tmp_path / "run")
    run.writer.open(needs, {})
    for timestep in range(2):
        run.writer.store_stack(make_stack(0, timestep), {})
        run.writer.store_cells(0, timestep, make_cells(0, timestep))
    run.writer.store_cells(1, 0, make_cells(1, 0))
    run.abandon()
    journal = run.path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:30])

    done = run.writer.reopen()
    assert sum("set aside" in words for words in done) == 2
    assert sum("bytes off p000.arrows" in words for words in done) == 1
    run.writer.store_stack(make_stack(0, 1), {})
    run.writer.store_cells(0, 1, make_cells(0, 1))
    run.writer.store_cells(1, 0, make_cells(1, 0))
    run.writer.close({})
    assert len(open_run(run.path).cells) == 9
    assert verify(run.path) == []


def test_what_was_told_of_and_is_missing_is_an_error(
    tmp_path: Path,
    needs: RunNeeds,
    make_cells: Callable[..., CellTable],
) -> None:
    run = Writing(tmp_path / "run")
    run.writer.open(needs, {})
    run.writer.store_cells(0, 0, make_cells(0, 0))
    run.abandon()
    segment = run.path / "tables/cells/p000.arrows"
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(StorageError, match=r"p000\.arrows has .* were acknowledged"):
        run.writer.reopen()
    segment.write_bytes(segment.read_bytes() + b"x")
    run.writer.reopen()  # the lock was let go


def test_a_run_that_is_being_written_is_left_alone(
    tmp_path: Path, needs: RunNeeds
) -> None:
    run = Writing(tmp_path / "run")
    run.writer.open(needs, {})
    with pytest.raises(StorageError, match="being written"):
        writer_of(run.path).reopen()
    run.writer.close({})


def test_a_closed_run_is_opened_again(
    tmp_path: Path,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    make_cells: Callable[..., CellTable],
) -> None:
    run = Writing(tmp_path / "run")
    run.writer.open(needs, {})
    run.writer.store_stack(make_stack(0, 0), {})
    run.writer.store_cells(0, 0, make_cells(0, 0))
    run.writer.close({"reason": "stopped by the user"})
    again = writer_of(run.path)
    again.reopen()
    assert open_run(run.path).summary is None
    again.store_stack(make_stack(0, 1), {})
    again.store_cells(0, 1, make_cells(0, 1))
    again.close({"reason": "completed"})
    assert len(open_run(run.path).cells) == 6
    assert verify(run.path) == []


def test_fields_of_a_plate_keep_their_places(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    named = needs_from(
        {**_words(needs), "fovs": [0, 2], "fov_names": {0: "B3", 2: "B3"}}
    )
    path = tmp_path / "run"
    writer = OmeZarrWriterPlate(path, wells={1: "B3"})
    writer.open(named, {})
    more = {**_words(named), "fovs": [0, 1, 2]}
    writer.extend(needs_from(more))
    for fov in (0, 1, 2):
        writer.store_stack(make_stack(fov, 40), {})
    writer.let_go()
    again = writer_of(path)
    again.reopen()
    for fov in (0, 1, 2):
        again.store_stack(make_stack(fov, 41), {})
        frames = [x for x in open_run(path).journal if x["kind"] == "frame"]
        series = {x["series"] for x in frames if x["fov"] == fov}
        assert series == {f"B/3/{(0, 2, 1)[fov]}"}
    again.close({})
    assert verify(path) == []


def test_needs_come_back_as_they_were(needs: RunNeeds) -> None:
    assert needs_from(_words(needs)) == needs


def test_a_lost_frame_frees_its_place() -> None:
    line = {
        "kind": "frame",
        "series": "p000.ome.zarr",
        "fov": 0,
        "timestep": 3,
        "role": "image",
        "channels": ["a"],
        "shape": [1, 4, 4],
        "n_bytes": 32,
    }
    lost = {**line, "kind": "frame_lost"}
    assert told_by([line]).frames["p000.ome.zarr"] == [line]
    assert told_by([line, lost]).frames == {}
    assert told_by([line, lost]).n_timepoints == 4
