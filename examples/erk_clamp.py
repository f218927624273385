"""ERK clamp: each cell is held at a value of its own, by relay, PID and MPC.

python erk_clamp.py FOLDER
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import faro
from faro.analysis import ErkKtrFeatures
from faro.control import MPC, PID, CellTargets, Relay
from faro.run.fit_run import fit_run
from faro.stimulation import ControlledLight, RandomCells

EVERY_S, TRACKS = 0.1, np.arange(1, 400)
GOALS = 0.66 + 0.05 * (TRACKS % 3)
CELLS = {"migration": {}, "erk_ktr": {"drift_per_h": 0.1, "mood_spread": 0.01}}


def run(folder, light, n):
    pipeline = faro.ImageProcessingPipeline(features=ErkKtrFeatures("mScarlet3"), stimulator=light)
    events = faro.RTMSequence(
        time_plan={"interval": EVERY_S, "loops": n},
        channels=[faro.Channel("miRFP", 200), faro.Channel("mScarlet3", 200)],
        stim_channels=[faro.PowerChannel("CyanStim", 100, power=2)],
        stim_frames=range(n),
    )
    with faro.SimulatedMicroscope(seed=2, time_scale=120 / EVERY_S, responses=CELLS) as microscope:
        faro.Controller(microscope, pipeline, writer=faro.OmeZarrWriter(folder)).run_experiment(events)
    return faro.open_run(folder)
