"""Steer cells up: each is lit at its upper end: python steer_cells_up.py."""

from __future__ import annotations

import matplotlib.pyplot as plt

import faro
from faro.run import simulated_run
from faro.stimulation import PercentageOfCell


def main(output: str, n: int = 20) -> None:
    """Run on the simulated microscope; the figure is ``output``.png."""
    events = faro.RTMSequence(
        time_plan={"interval": 0.2, "loops": n},
        channels=[faro.Channel("miRFP", 50)],
        stim_channels=[faro.PowerChannel("CyanStim", 100, power=10)],
        stim_frames=range(n),
    )
    light = PercentageOfCell(fraction=0.3, direction=(-1, 0))
    loop = faro.ImageProcessingPipeline(stimulator=light)
    cells = simulated_run(output, events, loop, seed=3, time_scale=600).cells
    y, x = cells.pivot("y").values, cells.pivot("x").values
    figure, axes = plt.subplots(figsize=(4, 4))
    axes.plot((x - x[:, :1]).T, (y[:, :1] - y).T, lw=0.8)
    axes.set(xlabel="moved right, px", ylabel="moved up, px", aspect="equal")
    figure.savefig(f"{output}.png", bbox_inches="tight")


if __name__ == "__main__":
    main("steer_cells_up")
