"""Movement along tracks over pauses of a run, and not from one run to the next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro import Controller, ImageProcessingPipeline
from faro.analysis import MovementFeatures
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path

SIZE_UM = CannedMicroscope(disc_frame, SHAPE).facts().pixel_size_um
PAUSE_S = 0.3


def test_the_speed_after_a_pause_is_that_over_the_time_that_passed(
    tmp_path: Path,
) -> None:
    sink = MemorySink(tmp_path)
    pipeline = ImageProcessingPipeline(segment_discs, features=MovementFeatures())
    controller = Controller(CannedMicroscope(disc_frame, SHAPE), pipeline, writer=sink)
    events = disc_sequence(2, 1, stim_frames=())
    controller.run_experiment(events, finish=False)
    time.sleep(PAUSE_S)
    controller.continue_experiment(events, finish=True)
    acquired_s = {s.timestep: s.acquired_s for s, _ in sink.stacks}
    for _, timestep, table in sink.tables:
        columns = table.columns
        assert columns["displacement_px"].tolist() == [timestep] * 3
        if timestep:
            minutes = (acquired_s[timestep] - acquired_s[timestep - 1]) / 60
            assert columns["step_px"].tolist() == [1.0] * 3
            assert SIZE_UM is not None
            speeds = [SIZE_UM / minutes] * 3
            assert columns["speed_um_per_min"].tolist() == pytest.approx(speeds)
    assert acquired_s[2] - acquired_s[1] >= PAUSE_S


def test_the_next_run_knows_nothing_of_the_tracks_of_the_last(tmp_path: Path) -> None:
    extractor = MovementFeatures()
    pipeline = ImageProcessingPipeline(segment_discs, features=extractor)
    microscope = CannedMicroscope(disc_frame, SHAPE)
    first = MemorySink(tmp_path)
    Controller(microscope, pipeline, writer=first).run_experiment(
        disc_sequence(2, 1, stim_frames=())
    )
    second = MemorySink(tmp_path)
    late = [
        event.replace(index={"t": 7, "p": 0})
        for event in disc_sequence(1, 1, stim_frames=())
    ]
    Controller(microscope, pipeline, writer=second).run_experiment(late)
    (_, timestep, table) = second.tables[0]
    assert timestep == 7
    assert np.isnan(table.columns["step_px"]).all()
    assert table.columns["displacement_px"].tolist() == [0, 0, 0]
