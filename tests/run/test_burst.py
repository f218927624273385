"""Frames at full speed: none lost, none doubled, none out of place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from faro.run import Controller, ImageProcessingPipeline, RunLimits
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import LIGHT, NUCLEI, REPORTER, disc_sequence

if TYPE_CHECKING:
    import pytest

    from faro.model.frame import PixelArray
    from faro.testing.memory import MemorySink

CHANNELS = (NUCLEI, REPORTER)
N_FOVS = 3


def numbered(fov: int, timestep: int, channel: str) -> PixelArray:
    """Return a frame that says where it belongs."""
    frame = np.zeros((16, 16), np.uint16)
    frame[0, :3] = fov, timestep, CHANNELS.index(channel)
    return frame


def test_a_burst_arrives_whole_and_in_order_though_little_is_in_flight(
    sink: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("ERROR")
    microscope = CannedMicroscope(numbered, (16, 16), (*CHANNELS, LIGHT))
    limits = RunLimits(max_in_flight=3)
    analysed: list[tuple[int, int]] = []

    def features(cells: object, stack: object) -> dict[str, object]:
        del cells
        place = stack["miRFP"][0, :2]  # type: ignore[index]  # a stack
        analysed.append((int(place[0]), int(place[1])))
        return {}

    pipeline = ImageProcessingPipeline(lambda pixels: pixels > 999, features)
    controller = Controller(microscope, pipeline, writer=sink, limits=limits)
    events = disc_sequence(300, N_FOVS, stim_channels=[], stim_frames=[])
    summary = controller.run_experiment(events)
    assert summary.completed
    assert summary.n_errors == 0
    places = [(t, fov) for t in range(300) for fov in range(N_FOVS)]
    assert [(s.timestep, s.fov) for s, _ in sink.stacks] == places
    for stack, _ in sink.stacks:
        for index in range(2):
            said = stack.plane(index)[0, :3].tolist()
            assert said == [stack.fov, stack.timestep, index]
    for fov in range(N_FOVS):
        assert [t for f, t in analysed if f == fov] == list(range(300))
