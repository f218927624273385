"""A line of light sweeps over the field: python line_sweep.py."""

from __future__ import annotations

import matplotlib.pyplot as plt

import faro
from faro.analysis import ErkKtrFeatures
from faro.run import simulated_run
from faro.stimulation import MovingLine


def main(output: str, n: int = 40) -> None:
    """Run on the simulated microscope; the figure is ``output``.png."""
    events = faro.RTMSequence(
        time_plan={"interval": 0.2, "loops": n},
        channels=[faro.Channel("miRFP", 50), faro.Channel("mScarlet3", 50)],
        stim_channels=[faro.PowerChannel("CyanStim", 100, power=10)],
        stim_frames=range(n),
    )
    line = MovingLine(speed_um_s=166 / (0.2 * n), width_um=15)
    ratio = ErkKtrFeatures("mScarlet3")
    loop = faro.ImageProcessingPipeline(features=ratio, stimulator=line)
    cells = simulated_run(output, events, loop, seed=6, time_scale=300).cells
    figure, axes = plt.subplots(figsize=(5, 4))
    dots = axes.scatter(cells["x"], cells["timestep"], c=cells["cnr"], s=12)
    axes.plot([0, 256], [0, n], "k:", label="the line")
    axes.set(xlabel="x, px", ylabel="timepoint", title="activity behind the line")
    axes.legend(loc="lower right")
    figure.colorbar(dots, label="cytoplasm over nucleus")
    figure.savefig(f"{output}.png", bbox_inches="tight")


if __name__ == "__main__":
    main("line_sweep")
