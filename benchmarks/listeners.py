"""What a listener costs the loop: one that is quick, one that blocks, one that raises.

Run ``python benchmarks/listeners.py [--frames 2000] [--rounds 3]``. The ordinary
Controller over ready-made frames of 64 x 64, two channels, with light, kept in memory;
each kind of listener is attached to all signals of a run. Told are milliseconds of
processor time of the camera's thread for a position and timepoint, against a run in
the same round to which nobody listens; the least of the rounds. Promised is that a
listener that raises, blocks or floods changes no latency.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faro import Controller, ImageProcessingPipeline
from faro.microscope.dmd import DMD
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from useq import MDAEvent

FOVS = 2


class Timed(CannedMicroscope):
    """Measures the processor time of the thread that takes the frames."""

    taken_s = 0.0

    def _acquire(self, events: Iterator[MDAEvent]) -> None:
        began_s = time.thread_time()
        super()._acquire(events)
        self.taken_s = time.thread_time() - began_s


def quick(*_: object) -> None:
    """Return at once."""


def blocks(*_: object) -> None:
    """Take longer than a frame."""
    time.sleep(0.05)


def raises(*_: object) -> None:
    """Fail every time."""
    raise ZeroDivisionError


LISTENERS: dict[str, Callable[..., None] | None] = {
    "none": None,
    "quick": quick,
    "blocks for 50 ms": blocks,
    "raises": raises,
}


def cost_ms(listener: Callable[..., None] | None, n_frames: int) -> float:
    """Return the processor time of the camera's thread for a frame."""
    microscope: Any = Timed(disc_frame, SHAPE, dmd=DMD(SHAPE, affine=np.eye(3)))
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=lambda _: True)
    with tempfile.TemporaryDirectory(prefix="faro-listeners-") as folder:
        sink = MemorySink(Path(folder))
        controller = Controller(microscope, pipeline, writer=sink)
        if listener is not None:
            signals = ("acquiring", "analysed", "stimulated", "waiting", "failed")
            for name in signals:
                getattr(controller.notices, name).connect(listener)
        done = controller.run_experiment(disc_sequence(n_frames // FOVS, FOVS))
    if not done.completed:
        raise SystemExit(str(done))
    return float(microscope.taken_s / n_frames * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    costs: dict[str, list[float]] = {name: [] for name in LISTENERS}
    for _ in range(given.rounds):
        for name, listener in LISTENERS.items():
            costs[name].append(cost_ms(listener, given.frames))
    base_ms = min(costs["none"])
    print("| listener | ms a frame of the camera's thread | more than without |")
    print("| --- | --: | --: |")
    for name, found in costs.items():
        print(f"| {name} | {min(found):.3f} | {min(found) / base_ms - 1:+.1%} |")


if __name__ == "__main__":
    main()
