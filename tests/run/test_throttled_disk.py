"""A disk that the kernel slows down below every library; frames as in a real run.

The control is the queue: it must have filled, or nothing was slowed.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.run import Controller, RunLimits
from faro.storage import OmeZarrWriter, open_run, verify
from faro.testing.discs import NUCLEI, SHAPE, disc_frame, disc_sequence
from faro.testing.killing import fragile_disk
from faro.testing.slow_disk_trial import FRAMES_PER_S, N_FRAMES, SIZE, half_speed
from faro.testing.throttling import SlowDisk, can_slow

if TYPE_CHECKING:
    from faro.testing.canned import CannedMicroscope

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not can_slow(), reason="needs root and a loop device"),
]

STACK_BYTES = 2 * 2 * SIZE * SIZE
P99_MS = 1.0
"""Promised for handing over a stack; asserted five times as wide."""


def test_ten_seconds_at_half_the_speed_lose_nothing_and_nobody_waits() -> None:
    outcome = half_speed(bound=FRAMES_PER_S * 10 * STACK_BYTES)
    assert outcome.lost == []
    assert len(outcome.taken_ms) == N_FRAMES
    # About half of the frames of ten seconds had to wait, and all of them may.
    assert 0.3 < outcome.greatest_queue / outcome.bound < 0.9
    assert "writing_behind" not in outcome.kinds
    assert np.percentile(outcome.taken_ms, 99) < 5 * P99_MS


def test_where_the_bound_is_reached_the_schedule_slips_says_so_and_loses_nothing(
    microscope: CannedMicroscope,
) -> None:
    frames, bound = 60, 4.5 * 2 * 2 * SHAPE[0] * SHAPE[1]
    with fragile_disk(megabytes=1500) as disk, SlowDisk(disk.path) as slow:
        path = disk.path / "run"
        writer = OmeZarrWriter(path, durability="power-loss")
        limits = RunLimits(max_unwritten_mb=bound / 1e6)
        controller = Controller(microscope, writer=writer, limits=limits)
        again = threading.Timer(10.0, slow.limit, [None])

        def slowed(timestep: int, _fov: int) -> None:
            if timestep == frames // 6:
                slow.limit(100_000)
                again.start()

        controller.notices.acquiring.connect(slowed)
        plan = {"interval": 0.04, "loops": frames}
        summary = controller.run_experiment(
            disc_sequence(frames, 1, time_plan=plan, stim_frames=[])
        )
        assert controller.notices.flush(30.0)
        again.cancel()
        again.join()
        assert summary.completed
        run = open_run(path)
        lines = run.journal
        behind = [line for line in lines if line["kind"] == "writing_behind"]
        caught_up = [line for line in lines if line["kind"] == "writing_caught_up"]
        assert behind
        waited_s = sum(line["waited_s"] for line in caught_up)
        assert waited_s > 1.0
        late_s = max(line["lateness_s"] for line in lines if line["kind"] == "frame")
        assert late_s > 1.0
        assert verify(path) == []
        for timestep in range(frames):
            plane = run.frame(0, timestep, NUCLEI)
            np.testing.assert_array_equal(plane, disc_frame(0, timestep, NUCLEI))
