"""How much faster than life the simulated microscope is.

python benchmarks/simulated.py [--responses all]

A run of the whole loop (real core, engine, stimulation, storage): 16 positions of
512 x 512, two channels and a stimulation, one frame a minute.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from faro import SimulatedMicroscope
from faro.analysis import ErkKtrFeatures
from faro.experiment import Channel, PowerChannel, RTMSequence
from faro.microscope.simulated.behaviour import KINDS, USUAL
from faro.run import Controller, ImageProcessingPipeline
from faro.stimulation import PercentageOfCell
from faro.storage import OmeZarrWriter

POSITIONS, TIMEPOINTS, INTERVAL_S = 16, 6, 60.0
SHAPE = (512, 512)


def run_s(names: tuple[str, ...], pipeline: ImageProcessingPipeline | None) -> float:
    """Return the seconds that a timepoint of 16 positions takes."""
    positions = [(1000.0 * i, 1000.0 * j) for i in range(4) for j in range(4)]
    stim = {"stim_channels": [PowerChannel("CyanStim", 100, power=10)]}
    sequence = RTMSequence(
        time_plan={"interval": 0.001, "loops": TIMEPOINTS},
        stage_positions=positions,
        channels=[Channel("miRFP", 50), Channel("mScarlet3", 50)],
        **(stim if pipeline else {}),
    )
    scale = INTERVAL_S / 0.001
    responses: dict[str, dict[str, float]] = {name: {} for name in names}
    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatedMicroscope(
            image_shape=SHAPE, time_scale=scale, responses=responses
        ) as rig,
    ):
        for x_um, y_um in positions:  # the dish is peopled before it is timed
            rig.truth(x_um, y_um)
        writer = OmeZarrWriter(Path(folder) / "run")
        controller = Controller(rig, pipeline, writer=writer)
        began = time.perf_counter()
        controller.run_experiment(sequence)
        return (time.perf_counter() - began) / TIMEPOINTS


def main() -> None:
    """Print seconds a timepoint, and how often a minute holds them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", choices=["usual", "all"], default="usual")
    names = USUAL if parser.parse_args().responses == "usual" else tuple(KINDS)
    loop = ImageProcessingPipeline(
        features=[ErkKtrFeatures("mScarlet3")], stimulator=PercentageOfCell(0.3)
    )
    for what, pipeline in (("imaging only", None), ("the whole loop", loop)):
        took_s = run_s(names, pipeline)
        print(
            f"{what:16}{took_s:6.2f} s a timepoint, {INTERVAL_S / took_s:6.1f} x life"
        )


if __name__ == "__main__":
    main()
