"""Closed-loop round trip of a hosted and an in-process microscope, interleaved.

Run ``python benchmarks/host.py [rounds]``. One round takes 40 frames with each
microscope, one after the other; printed are medians of all frames in ms, from
"the iterator gives an event" to "the listener has the frame", their ratio, and the
lowest and the highest ratio of a round. The log goes to a file, as it does in a run;
the host writes one of its own besides. The demo camera needs no time but its exposure:
10 ms is what a large sCMOS camera needs for a frame, 1 ms shows the host's own cost.

``python benchmarks/host.py [rounds] --steps`` shows where the time goes, step by step,
for 2048 x 2048 at 1 ms, on a system with one clock for all processes (Linux, Windows).
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import useq

from faro.logs import log_to_file
from faro.microscope import MMDemo
from faro.microscope.engine import FaroEngine
from faro.microscope.host import host
from faro.microscope.host.ring import WrittenRing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faro.microscope import AbstractMicroscope
    from faro.microscope.mmcore import CMMCorePlus
    from faro.model.frame import PixelArray

FRAMES = 40
PROMISE = 1.5

STEPS = (
    "event given to engine",
    "engine to exposure",
    "exposure (snapImage)",
    "shutter closed, getImage called",
    "getImage",
    "image to ring",
    "copy into the ring",
    "head sent, ring to listener",
)
IN_PROCESS = 5
"""Marks of a frame without a ring: engine, snap, snapped, image asked for, had."""

Marks = list[list[float]]


@dataclass(frozen=True)
class Case:
    """Edge of the image and exposure."""

    size_px: int
    exposure_ms: float


STEPS_CASE = Case(2048, 1.0)
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


def times_of(
    microscope: AbstractMicroscope, case: Case
) -> tuple[list[float], list[float]]:
    """Return when each event of one run was given, and when its frame was taken."""
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
    return given_s, taken_s


def round_trips_ms(microscope: AbstractMicroscope, case: Case) -> list[float]:
    """Return the round trip of each frame of one run."""
    pairs = zip(*times_of(microscope, case), strict=True)
    return [(after - before) * 1e3 for before, after in pairs][1:]


def compared(
    here: AbstractMicroscope, there: AbstractMicroscope, case: Case, rounds: int
) -> str:
    """Return medians and ratio of both microscopes, which take turns."""
    pairs = [
        (round_trips_ms(here, case), round_trips_ms(there, case)) for _ in range(rounds)
    ]
    each = [statistics.median(b) / statistics.median(a) for a, b in pairs]
    a_ms, b_ms = (
        statistics.median(itertools.chain.from_iterable(trips))
        for trips in zip(*pairs, strict=True)
    )
    return (
        f"in process {a_ms:.2f} ms, hosted {b_ms:.2f} ms,"
        f" ratio {b_ms / a_ms:.2f} ({min(each):.2f} to {max(each):.2f})"
    )


class _SteppedEngine(FaroEngine):
    """Notes when an event arrives."""

    marks: Marks

    def before_event(self, event: useq.MDAEvent) -> None:  # noqa: ARG002  a hook
        self.marks.append([time.perf_counter()])


class SteppedDemo(MMDemo):
    """The demo microscope; notes when each step of a frame begins and ends.

    Parameters
    ----------
    marks_path
        File that `post_experiment` writes the marks to.
    """

    def __init__(self, marks_path: str) -> None:
        self._marks_path = Path(marks_path)
        self.marks: Marks = []
        super().__init__()
        core = self.mmc
        for name in ("snapImage", "getImage"):
            setattr(core, name, self._marked(getattr(core, name)))
        marked = _marked_write(self.marks, WrittenRing.write)
        setattr(WrittenRing, "write", marked)  # noqa: B010  for mypy

    def make_engine(self, core: CMMCorePlus) -> FaroEngine:
        """Return an engine that notes when an event arrives."""
        engine = _SteppedEngine(core, self.POLICY)
        engine.marks = self.marks
        return engine

    def _marked(self, call: Callable[[], object]) -> Callable[[], object]:
        def marked() -> object:
            self.marks[-1].append(time.perf_counter())
            result = call()
            self.marks[-1].append(time.perf_counter())
            return result

        return marked

    def post_experiment(self) -> None:
        """Write the marks, and begin anew."""
        self._marks_path.write_text(json.dumps(self.marks), encoding="utf-8")
        self.marks.clear()


def _marked_write(
    marks: Marks, write: Callable[[WrittenRing, int, PixelArray], None]
) -> Callable[[WrittenRing, int, PixelArray], None]:
    def marked(ring: WrittenRing, slot: int, pixels: PixelArray) -> None:
        marks[-1].append(time.perf_counter())
        write(ring, slot, pixels)
        marks[-1].append(time.perf_counter())

    return marked


def steps_us(microscope: AbstractMicroscope, marks_path: Path) -> list[list[float]]:
    """Return the length of every step of each frame of one run."""
    given_s, taken_s = times_of(microscope, STEPS_CASE)
    microscope.post_experiment()
    marks: Marks = json.loads(marks_path.read_text(encoding="utf-8"))
    rows = zip(given_s, marks, taken_s, strict=True)
    whole = [[given, *between, taken] for given, between, taken in rows]
    return [[(b - a) * 1e6 for a, b in pairwise(row)] for row in whole][1:]


def shown(rows: dict[str, list[list[float]]]) -> str:
    """Return the table, as Markdown."""
    here, there = (
        [statistics.median(column) for column in zip(*rows[name], strict=True)]
        for name in ("in process", "hosted")
    )
    handed = here.pop()
    here += [0.0] * (len(there) - len(here) - 1) + [handed]
    lines = ["| step | in process, us | hosted, us |", "| --- | ---: | ---: |"]
    for step, a, b in zip(STEPS, here, there, strict=True):
        lines.append(f"| {step} | {a:.0f} | {b:.0f} |")
    total = [statistics.median(map(sum, frames)) for frames in rows.values()]
    lines.append(f"| the whole round trip | {total[0]:.0f} | {total[1]:.0f} |")
    return "\n".join(lines)


def step_table(rounds: int) -> str:
    """Return the median length of each step, both microscopes taking turns."""
    rows: dict[str, list[list[float]]] = {"in process": [], "hosted": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        a, b = folder / "here.json", folder / "there.json"
        with (
            log_to_file(folder / "run.log"),
            host("host:SteppedDemo", str(b)) as there,
            SteppedDemo(str(a)) as here,
        ):
            for _ in range(rounds):
                rows["in process"] += steps_us(here, a)
                rows["hosted"] += steps_us(there, b)
    return shown(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=5)
    parser.add_argument("--steps", action="store_true", help="show each step")
    asked = parser.parse_args()
    if asked.steps:
        print(step_table(asked.rounds))
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        log_to_file(Path(folder) / "run.log"),
        MMDemo() as here,
        host(MMDemo) as there,
    ):
        for case in CASES:
            print(f"{case}: {compared(here, there, case, asked.rounds)}")
        print(f"promised: at most {PROMISE} at 2048 x 2048")


if __name__ == "__main__":
    main()
