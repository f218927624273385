"""Closed-loop round trip of a hosted and an in-process microscope, interleaved.

Run ``python benchmarks/host.py [rounds]``. One round takes 40 frames with each
microscope, one after the other; printed are medians of all frames in ms, from
"the iterator gives an event" to "the listener has the frame", and their ratio. The
demo camera needs no time but its exposure: 10 ms is what a large sCMOS camera needs
for a frame, 1 ms shows the host's own cost.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import useq

from faro.microscope import MMDemo
from faro.microscope.host import host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.microscope import AbstractMicroscope

FRAMES = 40
PROMISE = 1.5


@dataclass(frozen=True)
class Case:
    """Edge of the image and exposure."""

    size_px: int
    exposure_ms: float


CASES = [Case(size, exposure) for size in (512, 2048) for exposure in (1.0, 10.0)]


def events(case: Case, given_s: list[float]) -> Iterator[useq.MDAEvent]:
    """Yield events one by one; the first sets the camera, and is not counted."""
    camera = [
        ("Camera", "PixelType", "16bit"),
        ("Camera", "OnCameraCCDXSize", str(case.size_px)),
        ("Camera", "OnCameraCCDYSize", str(case.size_px)),
        ("Camera", "FastImage", "1"),
    ]
    for number in range(FRAMES + 1):
        values = {
            "index": {"t": number},
            "exposure": case.exposure_ms,
            "properties": None if number else camera,
        }
        event = useq.MDAEvent.model_validate(values)
        given_s.append(time.perf_counter())
        yield event


def round_trips_ms(microscope: AbstractMicroscope, case: Case) -> list[float]:
    """Return the round trip of each frame of one run."""
    given_s: list[float] = []
    taken_s: list[float] = []

    def take(*_: object) -> None:
        taken_s.append(time.perf_counter())

    microscope.connect_frame(take)
    thread = microscope.run_mda(events(case, given_s))
    thread.join()
    microscope.disconnect_frame(take)
    if thread.error is not None:
        raise thread.error
    pairs = zip(given_s, taken_s, strict=True)
    return [(after - before) * 1e3 for before, after in pairs][1:]


def main(rounds: int) -> None:
    with MMDemo() as here, host(MMDemo) as there:
        for case in CASES:
            trips: dict[str, list[float]] = {"in process": [], "hosted": []}
            for _ in range(rounds):
                trips["in process"] += round_trips_ms(here, case)
                trips["hosted"] += round_trips_ms(there, case)
            medians = {name: statistics.median(ms) for name, ms in trips.items()}
            ratio = medians["hosted"] / medians["in process"]
            shown = ", ".join(f"{name} {ms:.2f} ms" for name, ms in medians.items())
            print(f"{case}: {shown}, ratio {ratio:.2f}")
        print(f"promised: at most {PROMISE} at 2048 x 2048")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
