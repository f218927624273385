"""What a reference frame shows of a cell is known of it at every timepoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faro import Controller, ImageProcessingPipeline, OmeZarrWriter, open_run
from faro.analysis import IntensityFeatures, MovementFeatures, StreamingTracker
from faro.experiment import Channel
from faro.storage.references import references, with_references
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import (
    CENTRES,
    LIGHT,
    NUCLEI,
    SHAPE,
    disc_frame,
    disc_sequence,
    segment_discs,
)

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

REFERENCE = LIGHT  # no light is given in these runs
COLUMN = f"ref_mean_{REFERENCE}_nuc"


def frame(fov: int, timestep: int, channel: str) -> npt.NDArray[np.uint16]:
    """Return the discs; in the reference channel every column has its own level."""
    if channel != REFERENCE:
        return disc_frame(fov, timestep, channel)
    return np.broadcast_to(np.arange(SHAPE[1], dtype=np.uint16), SHAPE).copy()


def run(folder: Path, extractor: object, ref_frames: frozenset[int]) -> Any:
    """Run three timepoints of two fields; return what is stored."""
    pipeline = ImageProcessingPipeline(segment_discs, reference_features=extractor)
    path = folder / "run"
    controller = Controller(
        CannedMicroscope(frame, SHAPE), pipeline, writer=OmeZarrWriter(path)
    )
    plan = disc_sequence(
        3,
        2,
        stim_frames=(),
        ref_channels=(Channel(config=REFERENCE, exposure=5),),
        ref_frames=ref_frames,
    )
    assert controller.run_experiment(plan).completed
    return open_run(path)


def test_the_last_frame_tells_of_all_before_it(tmp_path: Path) -> None:
    stored = run(tmp_path, IntensityFeatures(channels=(REFERENCE,)), frozenset({2}))
    cells = stored.cells
    assert len(cells) == 3 * 2 * len(CENTRES)
    for fov in (0, 1):
        here = cells["fov"] == fov
        # the discs keep their column, and with it their level
        assert cells[COLUMN][here] == pytest.approx(cells["x"][here])
    table = pq.read_table(tmp_path / "run" / "tables" / "cells.parquet")
    assert table[COLUMN].to_pylist() == cells[COLUMN].tolist()


def test_a_reference_that_fails_is_recorded_and_harms_nothing(tmp_path: Path) -> None:
    def broken(_cells: object, _stack: object) -> dict[str, Any]:
        message = "no light"
        raise ValueError(message)

    stored = run(tmp_path, broken, frozenset({0}))
    errors = [line for line in stored.journal if line["kind"] == "error"]
    assert {line["stage"] for line in errors} == {"reference_features/FunctionFeatures"}
    assert not any(name.startswith("ref_") for name in stored.cells.names)
    assert len(stored.cells) == 3 * 2 * len(CENTRES)


def test_the_latest_reference_counts_and_the_unknown_is_null() -> None:
    def line(track_id: list[int], values: list[float | None]) -> dict[str, Any]:
        columns = {"ref_a": values}
        kind = "reference_measured"
        return {"kind": kind, "fov": 0, "track_id": track_id, "columns": columns}

    found = references(
        [line([1, 2], [5.0, 6.0]), {"kind": "latency"}, line([2, 3], [7.0, None])]
    )
    table = pa.table({"fov": [0, 0, 0, 1], "track_id": [1, 2, 3, 1]})
    filled = with_references(table, found)
    assert filled["ref_a"].to_pylist() == [5.0, 7.0, None, None]
    again = with_references(filled, {"ref_a": {(0, 3): 1.0}})
    assert again["ref_a"].to_pylist() == [None, None, 1.0, None]
    assert with_references(pa.table({"other": [1]}), found).column_names == ["other"]


def test_what_the_tracker_compares_is_measured_before_it(tmp_path: Path) -> None:
    pipeline = ImageProcessingPipeline(
        segment_discs,
        features=[MovementFeatures(), IntensityFeatures(channels=(NUCLEI,))],
        tracker=StreamingTracker(features=(f"mean_{NUCLEI}_nuc",)),
    )
    path = tmp_path / "run"
    controller = Controller(
        CannedMicroscope(frame, SHAPE), pipeline, writer=OmeZarrWriter(path)
    )
    summary = controller.run_experiment(disc_sequence(3, 1, stim_frames=()))
    assert summary.completed
    assert not summary.n_errors
    cells = open_run(path).cells
    assert cells["track_id"].tolist() == [1, 2, 3] * 3
    assert cells["step_px"][3:].tolist() == [1.0] * 6
