"""ERK clamp: each cell is held at a value of its own, by relay, PID and MPC.

python erk_clamp.py FOLDER
"""

from __future__ import annotations

import numpy as np

import faro
from faro.analysis import ErkKtrFeatures

EVERY_S, TRACKS = 0.1, np.arange(1, 400)
GOALS = 0.66 + 0.05 * (TRACKS % 3)
CELLS = {"migration": {}, "erk_ktr": {"drift_per_h": 0.1, "mood_spread": 0.01}}


def run(folder, light, n):
    pipeline = faro.ImageProcessingPipeline(
        features=ErkKtrFeatures("mScarlet3"), stimulator=light
    )
    events = faro.RTMSequence(
        time_plan={"interval": EVERY_S, "loops": n},
        channels=[faro.Channel("miRFP", 200), faro.Channel("mScarlet3", 200)],
        stim_channels=[faro.PowerChannel("CyanStim", 100, power=2)],
        stim_frames=range(n),
    )
    with faro.SimulatedMicroscope(
        seed=2, time_scale=60 / EVERY_S, responses=CELLS
    ) as microscope:
        faro.Controller(
            microscope, pipeline, writer=faro.OmeZarrWriter(folder)
        ).run_experiment(events)
    return faro.open_run(folder)
