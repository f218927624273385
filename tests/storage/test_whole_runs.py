"""Whole runs with each writer: a real engine, a plate plan, what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import useq
import yaozarrs

import faro
from faro.analysis import LocalThresholdSegmenter
from faro.storage import open_run

if TYPE_CHECKING:
    from pathlib import Path

    from faro.storage.writer import RunWriter

KINDS: dict[str, type[RunWriter]] = {
    "collection": faro.OmeZarrWriter,
    "plate": faro.OmeZarrWriterPlate,
    "tiff": faro.TiffWriter,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_over_a_plate_is_stored_and_read_in_every_layout(
    kind: str, tmp_path: Path
) -> None:
    plan: Any = {
        "plate": "96-well",
        "a1_center_xy": (0, 0),
        "selected_wells": ([0, 2], [1, 4]),
        "well_points_plan": {"mode": "random", "num_points": 2, "random_seed": 1},
    }
    sequence = faro.RTMSequence(
        stage_positions=useq.WellPlatePlan(**plan),
        time_plan={"interval": 0.02, "loops": 3},
        channels=[
            faro.Channel("miRFP", exposure=1),
            faro.Channel("mScarlet3", exposure=1),
        ],
    )
    writer = KINDS[kind](tmp_path / "run")
    pipeline = faro.ImageProcessingPipeline(segmenters=LocalThresholdSegmenter())
    with faro.SimulatedMicroscope(image_shape=(64, 64)) as mic:
        controller = faro.Controller(mic, pipeline, writer=writer)
        summary = controller.run_experiment(sequence)
    assert (summary.reason, summary.n_stacks, summary.n_errors) == ("completed", 12, 0)
    run = open_run(writer.path)
    assert run.fovs == (0, 1, 2, 3)
    assert {"nuclei", "tracks"} <= set(run.label_names)
    for fov in run.fovs:
        for timestep in range(3):
            stack = run.stack(fov, timestep)
            assert (stack.channels, stack.pixels.shape) == (run.channels, (2, 64, 64))
            assert stack.acquired_s > 0
            assert run.labels("tracks", fov, timestep).shape == (64, 64)
    assert len(run.frames["channel"]) == 24
    assert np.all(np.isfinite(run.frames["acquired_s"]))
    if kind == "plate":
        images = run.path / "images.ome.zarr"
        yaozarrs.validate_zarr_store(str(images))
        assert (images / "A" / "2" / "1" / "labels" / "tracks").is_dir()
        assert (images / "C" / "5" / "0").is_dir()
