"""The cost of a run, tenth by tenth: the same on its last day as on its first.

Run ``python benchmarks/flat.py [--fovs 30] [--timepoints 1440]``. The ordinary
Controller with the demo's pipeline over ready-made frames, 256 x 256, 300 cells, two
channels, stimulated at every timepoint, stored as OME-Zarr and tables, with no pause.
Cost is CPU time of the whole process per position and timepoint, by tenths of the run;
memory is what is resident; descriptors are open files (handles on Windows). Promised
are a last tenth of at most 1.1 times the first, 3 % of memory from the second tenth
on, and no growth of threads or descriptors.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from faro import Controller, ImageProcessingPipeline, OmeZarrWriter
from faro.analysis import ErkKtrFeatures, OtsuSegmenter
from faro.microscope.dmd import DMD
from faro.stimulation import PercentageOfCell
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import LIGHT, NUCLEI, REPORTER, disc_sequence
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from faro.model.frame import PixelArray

SIZE, CELLS, TENTHS = 256, 300, 10
SHIFTS = (0, 1, 2, 1)
MOST_COST, MOST_MEMORY = 1.1, 1.03


class Forgetful(list[Any]):
    """A list that stays empty."""

    def append(self, _: Any) -> None:
        """Forget it."""


@dataclass
class Reading:
    """What was read at the end of a tenth."""

    n_done: int
    cpu_s: float
    resident_mb: float
    n_threads: int
    n_descriptors: int


@dataclass
class Meter:
    """Reads the process whenever another tenth of the frames has been analysed."""

    n_total: int
    readings: list[Reading] = field(default_factory=list)
    n_done: int = 0

    def __post_init__(self) -> None:
        self._process = psutil.Process()
        self.read()

    def analysed(self, _timestep: int, _fov: int, _n_cells: int) -> None:
        """Count one frame; called on the thread of the notices."""
        self.n_done += 1
        if self.n_done % max(self.n_total // TENTHS, 1) == 0:
            self.read()

    def read(self) -> None:
        """Remember what the process uses now."""
        process = self._process
        posix, windows = "num_fds", "num_handles"
        handles = getattr(process, posix, None) or getattr(process, windows)
        self.readings.append(
            Reading(
                self.n_done,
                time.process_time(),
                process.memory_info().rss / 1e6,
                threading.active_count(),
                handles(),
            )
        )


def run(fovs: int, timepoints: int, folder: Path) -> list[Reading]:
    """Run the loop; return what was read at the start and after each tenth."""
    pixels, _ = synthetic_stack((SIZE, SIZE), CELLS, seed=1)
    moved = [np.roll(pixels, shift, axis=2) for shift in SHIFTS]
    index = {NUCLEI: 0, REPORTER: 1, LIGHT: 1}

    def frame(_fov: int, timestep: int, channel: str) -> PixelArray:
        found: PixelArray = moved[timestep % len(moved)][index[channel]]
        return found

    dmd = DMD((SIZE, SIZE), affine=np.eye(3))
    microscope = CannedMicroscope(frame, (SIZE, SIZE), dmd=dmd)
    # The fake one remembers all that it was told; a real one does not.
    microscope.fired, microscope.seen = Forgetful(), Forgetful()
    pipeline = ImageProcessingPipeline(
        segmenters=OtsuSegmenter(),
        features=ErkKtrFeatures(channel=REPORTER),
        stimulator=PercentageOfCell(fraction=0.3, direction=(-1, 0)),
    )
    # The preflight counts uncompressed bytes; these frames shrink to a fifth.
    writer = OmeZarrWriter(folder / "run", free_bytes=lambda _: 10**15)
    controller = Controller(microscope, pipeline, writer=writer)
    meter = Meter(fovs * timepoints)
    controller.notices.analysed.connect(meter.analysed)
    summary = controller.run_experiment(disc_sequence(timepoints, fovs))
    if not summary.completed or summary.n_errors:
        message = f"the run did not complete cleanly: {summary}"
        raise SystemExit(message)
    return meter.readings


def report(readings: list[Reading]) -> dict[str, float]:
    """Print the tenths; return what is promised."""
    print("| tenth | ms CPU a frame | resident MB | threads | descriptors |")
    print("| --: | --: | --: | --: | --: |")
    costs_ms: list[float] = []
    for number, (old, new) in enumerate(pairwise(readings), 1):
        cost_ms = (new.cpu_s - old.cpu_s) / (new.n_done - old.n_done) * 1e3
        costs_ms.append(cost_ms)
        print(
            f"| {number} | {cost_ms:.2f} | {new.resident_mb:.0f} | {new.n_threads} | "
            f"{new.n_descriptors} |"
        )
    second, last = readings[2], readings[-1]
    found: dict[str, Any] = {
        "cost": costs_ms[-1] / costs_ms[0],
        "memory": last.resident_mb / second.resident_mb,
        "threads": last.n_threads - second.n_threads,
        "descriptors": last.n_descriptors - second.n_descriptors,
    }
    print(
        f"\nlast tenth / first tenth {found['cost']:.3f} (promised {MOST_COST}); "
        f"memory since the second {found['memory']:.3f} (promised {MOST_MEMORY}); "
        f"threads {found['threads']:+d}, descriptors {found['descriptors']:+d}"
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fovs", type=int, default=30)
    parser.add_argument("--timepoints", type=int, default=1440)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="faro-flat-"))
    print(f"{given.fovs} positions x {given.timepoints} timepoints, {SIZE} x {SIZE}")
    try:
        report(run(given.fovs, given.timepoints, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
