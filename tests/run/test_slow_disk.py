"""A disk that cannot keep up: nothing is lost, and the run does what was declared."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.model import FrameRole, Stack
from faro.run import Controller, ImageProcessingPipeline, RunLimits
from faro.run.clock import RunClock
from faro.run.files import examine
from faro.run.recorder import Recorder
from faro.run.writing import WritingPolicy
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faro.protocols import StimulationContext
    from faro.testing.canned import CannedMicroscope

STACK_BYTES = 2 * 2 * SHAPE[0] * SHAPE[1]


@dataclass
class SlowSink(MemorySink):
    """Takes ``seconds`` for every stack, until ``fast`` is set."""

    seconds: float = 0.02
    fast: threading.Event = field(default_factory=threading.Event)

    def store_stack(self, stack: Stack, times: Mapping[str, float]) -> None:
        self.fast.wait(self.seconds)
        super().store_stack(stack, times)


def light_all(context: StimulationContext) -> Any:
    return np.ones(context.stack.shape, np.bool_)


def run(microscope: CannedMicroscope, sink: MemorySink, **limits: Any) -> Any:
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=light_all)
    bound = {"max_unwritten_mb": 4.5 * STACK_BYTES / 1e6, "settle_s": 0.0, **limits}
    controller = Controller(
        microscope, pipeline, writer=sink, limits=RunLimits(**bound)
    )
    return controller.run_experiment(disc_sequence(30, 1, stim_frames=[29]))


def test_a_disk_that_is_too_slow_makes_the_schedule_slip_and_loses_nothing(
    microscope: CannedMicroscope, tmp_path: Path
) -> None:
    sink = SlowSink(tmp_path)
    summary = run(microscope, sink)
    assert summary.completed
    stored = {s.timestep: s for s, _ in sink.stacks if s.role is FrameRole.IMAGE}
    assert sorted(stored) == list(range(30))
    for timestep, stack in stored.items():
        expected = disc_frame(0, timestep, stack.channels[0])
        np.testing.assert_array_equal(stack.pixels[0], expected)
    assert sink.kinds("writing_behind")
    assert sum(line["waited_s"] for line in sink.kinds("writing_caught_up")) > 0.05


def test_a_disk_throttled_for_a_while_loses_nothing_and_nobody_waits(
    microscope: CannedMicroscope, tmp_path: Path
) -> None:
    sink = SlowSink(tmp_path, seconds=0.2)
    threading.Timer(0.5, sink.fast.set).start()
    summary = run(microscope, sink, max_unwritten_mb=512.0)
    assert summary.completed
    assert sorted({s.timestep for s, _ in sink.stacks}) == [*range(30)]
    assert not sink.kinds("writing_behind")


def test_a_run_that_is_to_stop_ends_dark_with_all_it_acquired(
    microscope: CannedMicroscope, tmp_path: Path
) -> None:
    sink = SlowSink(tmp_path)
    summary = run(microscope, sink, when_disk_is_slow="stop")
    assert "The disk is too slow" in summary.reason
    assert microscope.dark
    assert len(sink.stacks) == summary.n_stacks < 30
    assert sink.closed is not None


def test_a_run_that_may_compress_less_does_so_and_returns(
    microscope: CannedMicroscope, tmp_path: Path
) -> None:
    sink = SlowSink(tmp_path)
    assert run(microscope, sink, when_disk_is_slow="compress less").completed
    switched = [line["on"] for line in sink.kinds("compress_less")]
    assert switched
    assert switched == [bool((n + 1) % 2) for n in range(len(switched))]
    assert [line["on"] for line in sink.kinds("compressing_less")] == switched


def test_pixels_are_written_after_the_mask_of_their_frame(tmp_path: Path) -> None:
    sink, undecided = MemorySink(tmp_path), threading.Event()
    undecided.set()
    recorder = Recorder(
        sink,
        RunClock(),
        lambda _: None,
        WritingPolicy(),
        lambda fov, timestep: (fov, timestep) == (0, 1) and undecided.is_set(),
    )
    pixels = np.zeros((1, 8, 8), np.uint16)
    for timestep in (1, 2):
        recorder.stack(Stack(pixels, ("a",), 0, timestep), {})
    recorder.stack(Stack(pixels, ("a",), 0, 1, FrameRole.REF), {})
    while len(sink.stacks) < 2:
        time.sleep(0.001)
    assert {(s.timestep, s.role) for s, _ in sink.stacks} == {(2, "image"), (1, "ref")}
    undecided.clear()
    assert recorder.finish({}, 30.0)
    assert (sink.stacks[-1][0].timestep, sink.stacks[-1][0].role) == (1, "image")


@pytest.mark.parametrize(
    ("limits", "where", "hint"),
    [
        ({"when_disk_is_slow": "panic"}, "limits.when_disk_is_slow", "compress less"),
        ({"max_unwritten_mb": 0}, "limits.max_unwritten_mb", "more than 0"),
    ],
)
def test_a_file_declares_what_happens(
    tmp_path: Path, limits: dict[str, Any], where: str, hint: str
) -> None:
    _, problems = examine({"limits": limits}, tmp_path / "experiment.toml")
    (problem,) = [p for p in problems if p.where == where]
    assert hint in str(problem)
    good = {"limits": {"when_disk_is_slow": "stop", "max_unwritten_mb": 64}}
    _, problems = examine(good, tmp_path / "experiment.toml")
    assert not [p for p in problems if p.where.startswith("limits")]


def test_a_position_waits_for_the_pixels_of_the_one_before(
    microscope: CannedMicroscope, tmp_path: Path
) -> None:
    sink, unstored = SlowSink(tmp_path, seconds=0.01), []
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=light_all)
    controller = Controller(
        microscope, pipeline, writer=sink, limits=RunLimits(settle_s=5.0)
    )
    taken = 0

    def count(_pixels: object, event: Any, _metadata: object) -> None:
        nonlocal taken
        facts = event.metadata["faro"]
        if (facts["role"], facts["channel"]) == ("image", "miRFP"):
            stored = sum(s.role is FrameRole.IMAGE for s, _ in sink.stacks)
            unstored.append(taken - stored)
            taken += 1

    microscope.connect_frame(count)
    assert controller.run_experiment(disc_sequence(12, 2)).completed
    assert set(unstored) == {0}
