"""``faro demo``: a whole feedback experiment, from install to result.

Three arms, the same cells in each: stimulated by the loop, not stimulated, and
stimulated with a mask that is deliberately wrong (shifted). Only the first should
move, which shows that the loop, and not the light alone, does it.
"""

from __future__ import annotations

from math import cos, radians, sin
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faro.analysis import ErkKtrFeatures, LocalThresholdSegmenter, StreamingTracker
from faro.cli.reporting import tell_what_there_is
from faro.experiment import PowerChannel, RTMSequence, combine
from faro.microscope.host import host
from faro.microscope.simulated import SimulatedMicroscope
from faro.run import Controller, ImageProcessingPipeline
from faro.stimulation import PercentageOfCell, ShiftedMask
from faro.storage import OmeZarrWriter, open_run
from faro.storage.layout import next_free

if TYPE_CHECKING:
    from rich.console import Console

    from faro.experiment import RTMEvent
    from faro.microscope import AbstractMicroscope
    from faro.protocols import StimulationContext
    from faro.run import RunSummary
    from faro.run.gate import ClockPolicy
    from faro.storage import Run

NAME = "faro demo"
ARMS = ("loop", "control", "shifted")
FOVS_PER_ARM = 4
TIMEPOINTS = 24
FIRST_STIMULATED = 4
INTERVAL_S = 1.5
FOV_DISTANCE_UM = 1_000.0
IMAGE_SHAPE = (256, 256)
CELL_SECONDS = 60.0
"""Seconds that the cells live in one second of the demo."""
UP = (-1.0, 0.0)
SHIFT_PX, SHIFT_TURN_DEG = 97.0, 137.5
"""How far the wrong masks are from the right ones, and how their direction turns from
one timepoint to the next. One shift for the whole run would steer each cell by the
same neighbour all the time, which makes fields of view differ by chance."""


def demo_events(
    fovs_per_arm: int = FOVS_PER_ARM,
    timepoints: int = TIMEPOINTS,
    interval_s: float = INTERVAL_S,
) -> tuple[RTMEvent, ...]:
    """Return the events of the demo: three arms side by side."""
    arms = []
    for row, arm in enumerate(ARMS):
        stimulated = arm != "control"
        places = [
            {"x": i * FOV_DISTANCE_UM, "y": row * FOV_DISTANCE_UM, "name": f"{arm}-{i}"}
            for i in range(fovs_per_arm)
        ]
        light = PowerChannel("CyanStim", exposure=100, power=10)
        sequence = RTMSequence(
            stage_positions=places,
            time_plan={"interval": interval_s, "loops": timepoints},
            channels=[
                {"config": "miRFP", "exposure": 50},
                {"config": "mScarlet3", "exposure": 50},
            ],
            stim_channels=[light] if stimulated else [],
            stim_frames=range(FIRST_STIMULATED, timepoints) if stimulated else [],
            rtm_metadata={"arm": arm},
        )
        arms.append(sequence)
    return combine(*arms, axis="p")


def shift_at(timestep: int) -> tuple[int, int]:
    """Return how far (dy, dx) in px the wrong mask of a timepoint is from its place."""
    angle = radians(SHIFT_TURN_DEG * timestep)
    return round(SHIFT_PX * sin(angle)), round(SHIFT_PX * cos(angle))


class ByArm:
    """Lights the upper end of every cell; in the arm "shifted", the wrong place."""

    required_metadata = ("arm",)

    def __init__(self) -> None:
        self._right = PercentageOfCell(fraction=0.3, direction=UP)

    def stimulate(self, context: StimulationContext) -> object:
        """Return the mask (Y, X) of the arm that the frame belongs to."""
        if context.metadata["arm"] == "shifted":
            wrong = ShiftedMask(self._right, shift_at(context.timestep))
            return wrong.stimulate(context)
        return self._right.stimulate(context)


def demo_pipeline() -> ImageProcessingPipeline:
    """Return the pipeline of the demo."""
    return ImageProcessingPipeline(
        segmenters=LocalThresholdSegmenter(),
        features=ErkKtrFeatures(channel="mScarlet3"),
        tracker=StreamingTracker(),
        stimulator=ByArm(),
    )


def run_demo(
    console: Console, output: Path | None, seed: int, *, hosted: bool = True
) -> int:
    """Run the demo, write its report, print a summary; return the exit code.

    The microscope runs in a device host, so that it goes dark and is released even
    if this process is killed; with ``hosted`` false it runs in this process.
    """
    path = output or next_free(Path("faro-demo"))
    console.print(
        f"A simulated microscope: {len(ARMS)} arms x {FOVS_PER_ARM} fields of view, "
        f"{TIMEPOINTS} timepoints every {INTERVAL_S:g} s."
    )
    made = simulated(seed, hosted=hosted)
    summary = carry_out(path, seed, demo_events(), microscope=made, progress=True)
    tell_what_there_is(console, path)
    return 0 if summary.completed and not summary.n_errors else 1


def simulated(seed: int, *, speed: int = 1, hosted: bool = False) -> AbstractMicroscope:
    """Return the demo's microscope.

    Parameters
    ----------
    seed
        Seed of the sample.
    speed
        How much faster the cells live; events ``speed`` times closer in time then
        give the same experiment.
    hosted
        Run it in a process of its own.
    """
    settings: dict[str, Any] = {
        "seed": seed,
        "image_shape": IMAGE_SHAPE,
        "time_scale": CELL_SECONDS * speed,
    }
    if hosted:
        return host(SimulatedMicroscope, **settings)
    return SimulatedMicroscope(**settings)


def carry_out(
    path: Path,
    seed: int,
    events: tuple[RTMEvent, ...],
    *,
    microscope: AbstractMicroscope | None = None,
    progress: bool = False,
) -> RunSummary:
    """Run the demo's loop on a new simulated microscope; return what became of it.

    Parameters
    ----------
    path
        Folder of the run.
    seed
        Seed of the sample.
    events
        Of `demo_events`.
    microscope
        Shut down at the end; `simulated` by default.
    progress
        Show a live line.
    """
    notes = {"name": NAME, "seed": seed, "stim_direction": list(UP)}
    with microscope or simulated(seed) as microscope:
        controller = Controller(microscope, demo_pipeline(), writer=OmeZarrWriter(path))
        return controller.run_experiment(
            events, stim_mode="current", progress=progress, notes=notes
        )


def is_demo(run: Run) -> bool:
    """Return whether a stored run is one of ``faro demo``."""
    return bool(run.info.get("description", {}).get("name") == NAME)


def resume_demo(
    folder: Path, *, clock: ClockPolicy = "shift", progress: bool, hosted: bool
) -> RunSummary:
    """Go on with a run of the demo; return what became of it."""
    seed = open_run(folder).info["description"]["seed"]
    with simulated(seed, hosted=hosted) as microscope:
        controller = Controller(microscope, demo_pipeline())
        return controller.resume(folder, clock=clock, progress=progress)
