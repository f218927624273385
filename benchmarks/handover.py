"""What a frame costs the camera's thread, and a burst at full speed.

Run ``python benchmarks/handover.py [--frames N]``.

Hand-over: a run over ready-made 1024 x 1024 frames, two channels, analysed and kept in
memory; per frame, the CPU time of the camera's thread from "the microscope has the
frame" to "the next event may come", against a copy of the same frame into memory that
is in use, interleaved in the same thread. Promised is at most 3 copies.

Burst: N frames of 64 x 64 (100,000) as fast as they come, two channels, every frame
with a number in it; each must arrive once, at its place, in order.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faro import Controller, ImageProcessingPipeline, RTMSequence
from faro.testing.canned import CannedMicroscope
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model import Stack
    from faro.model.frame import PixelArray

PROMISE = 3.0
CHANNELS = ("miRFP", "mScarlet3")


def sequence(timepoints: int) -> RTMSequence:
    """Return one position, two channels, no pause."""
    return RTMSequence.model_validate(
        {
            "time_plan": {"interval": 0, "loops": timepoints},
            "channels": [{"config": name, "exposure": 1.0} for name in CHANNELS],
            "stage_positions": [(0.0, 0.0)],
        }
    )


class Stopwatch:
    """Wraps the listener of a microscope; one copy is timed with every hand-over."""

    def __init__(self, microscope: CannedMicroscope, shape: tuple[int, int]) -> None:
        self.handed_s: list[float] = []
        self.copied_s: list[float] = []
        self._place = np.ones(shape, np.uint16)
        self._deliver = microscope.listeners.deliver
        microscope.listeners.deliver = self.deliver  # type: ignore[method-assign]  # a stopwatch around it

    def deliver(
        self, pixels: PixelArray, event: Any, metadata: Mapping[str, Any]
    ) -> None:
        """Copy a frame, then hand it over; time both."""
        began_s = time.thread_time()
        np.copyto(self._place, pixels)
        copied_s = time.thread_time()
        self._deliver(pixels, event, metadata)
        self.handed_s.append(time.thread_time() - copied_s)
        self.copied_s.append(copied_s - began_s)


def handover(timepoints: int = 150, edge_px: int = 1024) -> None:
    """Print what a frame costs the camera's thread."""
    rng = np.random.default_rng(1)
    shape = (edge_px, edge_px)
    frames = [rng.integers(0, 4000, shape).astype(np.uint16) for _ in range(4)]

    def make(_fov: int, timestep: int, channel: str) -> PixelArray:
        return frames[(2 * timestep + CHANNELS.index(channel)) % len(frames)]

    microscope = CannedMicroscope(make, shape)
    watch = Stopwatch(microscope, shape)
    pipeline = ImageProcessingPipeline(segmenters=lambda pixels: pixels > 5000)
    Controller(microscope, pipeline).run_experiment(sequence(timepoints))
    handed, copied = watch.handed_s[4:], watch.copied_s[4:]
    ratio = statistics.median(handed) / statistics.median(copied)
    slow = np.percentile(handed, 95) * 1e3
    print(
        f"hand-over, {edge_px} x {edge_px}: {statistics.median(handed) * 1e3:.3f} ms a "
        f"frame (p95 {slow:.3f}), a copy {statistics.median(copied) * 1e3:.3f} ms, "
        f"ratio {ratio:.2f} (promised: at most {PROMISE:g})"
    )


def numbered(number: int) -> PixelArray:
    """Return a small frame with a number written into it."""
    frame = np.full((64, 64), 7, np.uint16)
    frame[0, :2] = divmod(number, 65_536)
    return frame


def number_in(plane: PixelArray) -> int:
    return int(plane[0, 0]) * 65_536 + int(plane[0, 1])


@dataclass
class CountingSink(MemorySink):
    """Looks at the number in every frame and keeps none."""

    next_number: int = 0
    wrong: list[str] = field(default_factory=list)

    def store_stack(self, stack: Stack, times: Mapping[str, float]) -> None:
        """Compare the numbers in a stack with those that are due."""
        del times
        for channel in range(len(stack.channels)):
            found, due = number_in(stack.plane(channel)), self.next_number
            place = 2 * stack.timestep + channel
            if not found == due == place:
                self.wrong.append(f"{found} at place {place}, {due} was due")
            self.next_number += 1


def burst(n_frames: int) -> None:
    """Print what became of many frames at full speed."""

    def make(_fov: int, timestep: int, channel: str) -> PixelArray:
        return numbered(2 * timestep + CHANNELS.index(channel))

    with tempfile.TemporaryDirectory(prefix="faro-burst-") as folder:
        sink = CountingSink(Path(folder))
        controller = Controller(CannedMicroscope(make, (64, 64)), writer=sink)
        began_s = time.perf_counter()
        summary = controller.run_experiment(sequence(n_frames // 2))
        seconds = time.perf_counter() - began_s
    print(
        f"burst: {n_frames:,} frames of 64 x 64 at {n_frames / seconds:,.0f} frames/s; "
        f"{sink.next_number:,} arrived, {len(sink.wrong)} out of place, run "
        f"{summary.reason}"
    )
    if sink.wrong or sink.next_number != n_frames or not summary.completed:
        message = f"frames were lost, doubled or misplaced: {sink.wrong[:5]}"
        raise SystemExit(message)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    given = parser.parse_args()
    handover()
    burst(given.frames)


if __name__ == "__main__":
    main()
