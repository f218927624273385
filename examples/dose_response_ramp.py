"""Three arms, dark, one dose, rising doses: python dose_response_ramp.py."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import faro
from faro.model import Stimulus
from faro.run import simulated_run

CELLS = {"erk_ktr": {"adaptation": 4}}
DYES = [faro.Channel(dye, 50) for dye in ("miRFP", "mScarlet3")]
CYAN = [faro.PowerChannel("CyanStim", 100, power=5)]


def main(output: str, n: int = 30) -> None:
    """Run on the simulated microscope; the figure is ``output``.png."""
    parts = {1: np.full(n, 0.2), 2: np.geomspace(0.005, 1, n)}

    def dose(context: faro.protocols.StimulationContext) -> Stimulus | None:
        part = parts.get(context.fov)
        return None if part is None else Stimulus(None, {}, part[context.timestep])

    ratio = faro.analysis.ErkKtrFeatures("mScarlet3")
    loop = faro.ImageProcessingPipeline(features=ratio, stimulator=dose)
    plan = {"time_plan": {"interval": 0.3, "loops": n}, "stim_frames": range(n)}
    plan |= {"channels": DYES, "stim_channels": CYAN}
    events = faro.RTMSequence(**plan, stage_positions=[(0, 0), (1000, 0), (2000, 0)])
    axes = plt.figure().subplots()
    run = simulated_run(output, events, loop, time_scale=200, responses=CELLS)
    for fov, arm in enumerate(("dark", "constant", "ramp")):
        cells = run.cells.query(f"fov == {fov}").pivot("cnr").values
        axes.plot(np.nanmean(cells, axis=0), label=arm)
    axes.legend(title="mean cytoplasm over nucleus")
    axes.figure.savefig(f"{output}.png")


if __name__ == "__main__":
    main("dose_response_ramp")
