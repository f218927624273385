"""Light at front or rear of moving cells, and none: python front_and_rear.py."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import faro
from faro.run import simulated_run
from faro.stimulation import EdgeOfCell, NoStimulus

FRONT = EdgeOfCell(width_px=5, direction="movement", end="front")
REAR = EdgeOfCell(width_px=5, direction="movement", end="rear")
ARMS = {"front": FRONT, "rear": REAR, "control": NoStimulus()}


def main(output: str, n: int = 40) -> None:
    """Run each arm on equal simulated cells; the figure is ``output``.png."""
    events = faro.RTMSequence(
        time_plan={"interval": 0.2, "loops": n},
        channels=[faro.Channel("miRFP", 50)],
        stim_channels=[faro.PowerChannel("CyanStim", 100, power=10)],
        stim_frames=range(n),
    )
    figure, axes = plt.subplots(figsize=(4, 3))
    for arm, light in ARMS.items():
        loop, folder = faro.ImageProcessingPipeline(stimulator=light), f"{output}/{arm}"
        cells = simulated_run(folder, events, loop, seed=5, time_scale=600).cells
        place = np.stack([cells.pivot(axis).values for axis in ("y", "x")])
        far = np.hypot(*(place - place[..., :1]))
        axes.plot(np.nanmean(far, axis=0), label=arm)
    axes.set(xlabel="timepoint", ylabel="mean distance from start, px")
    axes.legend(frameon=False)
    figure.savefig(f"{output}.png", bbox_inches="tight")


if __name__ == "__main__":
    main("front_and_rear")
