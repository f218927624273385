"""ERK clamp, each cell held at a value of its own: python erk_clamp.py."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import faro
from faro.control import MPC, PID, CellTargets, Relay
from faro.run import fit_run, simulated_run
from faro.stimulation import ControlledLight, RandomCells

RIG = {"seed": 2, "time_scale": 600}  # a minute of the cells is 0.1 s
RIG["responses"] = {"erk_ktr": {"drift_per_h": 0.1, "mood_spread": 0.01}}
DYES = [faro.Channel(dye, 200) for dye in ("miRFP", "mScarlet3")]
CYAN = [faro.PowerChannel("CyanStim", 100, power=5)]


def main(output: str, n: int = 60, relay: float = 0.15) -> None:
    """Fit a model to random light, then control; the figure is ``output``.png."""
    plan = {"time_plan": {"interval": 0.1, "loops": n}, "stim_frames": range(n)}
    events = faro.RTMSequence(channels=DYES, stim_channels=CYAN, **plan)
    ratio = faro.analysis.ErkKtrFeatures("mScarlet3")
    loop = faro.ImageProcessingPipeline(None, ratio, None, RandomCells(0.5, seed=1))
    run = simulated_run(f"{output}/random", events, loop, **RIG)
    c = run.cells.query("timestep == 0").columns
    aims = CellTargets({**c, "value": c["cnr"] * (1.2 + 0.1 * (c["label"] % 3))})
    axes = plt.figure().subplots()
    for way in (Relay(0, relay), PID(2, 0.6), MPC(fit_run(run, "cnr"), 0.1)):
        name, light = type(way).__name__, ControlledLight(way, "cnr", aims)
        loop = faro.ImageProcessingPipeline(None, ratio, None, light)
        now = simulated_run(f"{output}/{name}", events, loop, **RIG).cells.pivot("cnr")
        error = now.values - aims.at(0.0, 0, now.track_id)[:, None]
        axes.plot(np.sqrt(np.nanmean(error**2, axis=0)), label=name)
    axes.legend(title="RMS distance from the goals of the cells")
    axes.figure.savefig(f"{output}.png")


if __name__ == "__main__":
    main("erk_clamp")
