"""How busy the hardware is in each mode of stimulation.

Run ``python benchmarks/modes.py [--fovs 32] [--timepoints 3] [--workers 16]``. A stage
that needs 100 ms for every move, exposures of 100 ms, and an analysis of 3 s that
releases the GIL (a wait), for every position; every position is stimulated at every
timepoint, with no pause between timepoints. Busy is the time in which the stage moves
or the camera exposes, of the time from the first move to the last exposure. Promised
are 0.95 in previous mode and 0.85 in interleaved mode.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from faro import Controller, ImageProcessingPipeline
from faro.microscope.dmd import DMD
from faro.run import RunLimits
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from useq import MDAEvent

    from faro.microscope.abstract import RunThread
    from faro.model.frame import PixelArray

STAGE_S, EXPOSURE_S, ANALYSIS_S = 0.1, 0.1, 3.0
PROMISED = {"previous": 0.95, "interleaved": 0.85}


class TimedMicroscope(CannedMicroscope):
    """Takes its time for moves and exposures, and adds it up."""

    def __init__(self) -> None:
        super().__init__(disc_frame, SHAPE, dmd=DMD(SHAPE, affine=np.eye(3)))
        self.busy_s, self.n_moves = 0.0, 0
        self.began_s, self.ended_s = 0.0, 0.0
        self._place: tuple[float | None, float | None] | None = None
        make = self._make_frame
        self._make_frame = lambda *place: self._expose(make, *place)

    def _expose(
        self, make: Callable[..., PixelArray], fov: int, timestep: int, channel: str
    ) -> PixelArray:
        self._pass(EXPOSURE_S)
        return make(fov, timestep, channel)

    def run_mda(self, events: Iterator[MDAEvent], /) -> RunThread:
        """Take events, the stage moving where one is elsewhere."""
        return super().run_mda(self._moving(events))

    def _moving(self, events: Iterator[MDAEvent]) -> Iterator[MDAEvent]:
        for event in events:
            place = event.x_pos, event.y_pos
            if None not in place and place != self._place:
                self._place = place
                self.n_moves += 1
                self._pass(STAGE_S)
            yield event

    def _pass(self, seconds: float) -> None:
        self.began_s = self.began_s or time.perf_counter()
        time.sleep(seconds)
        self.busy_s += seconds
        self.ended_s = time.perf_counter()


def slow_segment(pixels: PixelArray) -> Any:
    """Return the cells after a wait, as of a model on another device."""
    time.sleep(ANALYSIS_S)
    return segment_discs(pixels)


def busy(mode: str, fovs: int, timepoints: int, workers: int) -> None:
    """Run the loop in one mode and print how busy the hardware was."""
    microscope = TimedMicroscope()
    pipeline = ImageProcessingPipeline(slow_segment, stimulator=lambda _: True)
    limits = RunLimits(n_workers=workers, max_in_flight=4 * fovs)
    events = disc_sequence(
        timepoints,
        fovs,
        channels=[{"config": "miRFP", "exposure": 100}],
        stim_frames=range(timepoints),
    )
    controller = Controller(microscope, pipeline, limits=limits)
    summary = controller.run_experiment(events, stim_mode=mode)
    share = microscope.busy_s / (microscope.ended_s - microscope.began_s)
    promised = f" (promised {PROMISED[mode]})" if mode in PROMISED else ""
    print(
        f"{mode}: busy {share:.3f}{promised}, {microscope.n_moves} moves, "
        f"{summary.n_stimulated} stimulated, {summary.n_skipped} skipped"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fovs", type=int, default=32)
    parser.add_argument("--timepoints", type=int, default=3)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--modes", nargs="*", default=["current", *PROMISED])
    given = parser.parse_args()
    for mode in given.modes:
        busy(mode, given.fovs, given.timepoints, given.workers)


if __name__ == "__main__":
    main()
