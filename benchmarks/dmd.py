"""The DMD: what a warp costs, and how exact a calibration is.

    python benchmarks/dmd.py [--mountings 20]

Warps are CPU milliseconds of the calling thread, best of many, of the tops of 300 cells
at 1024 x 1024 (binary) and of a grey level per cell. Calibrations are made on the
simulated microscope with a random flip, rotation, scale and shear each, under noise
and hot pixels, with a false spot in one of five frames; errors are camera pixels all
over the image.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis import PixelCells
from faro.experiment import PowerChannel
from faro.microscope import DMD, SimulatedMicroscope
from faro.microscope.calibration import carried
from faro.microscope.calibration_run import (
    SpotPlan,
    calibrated,
    conditions_of,
    frames_of,
)
from faro.microscope.dmd import inverse_of
from faro.testing.mounting import mounting, spoiled
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

REPEATS = 40
CAMERA, SLM = (256, 256), (300, 400)
LIGHT = PowerChannel("CyanStim", exposure=50, power=20)


def warp_milliseconds(dmd: DMD, mask: Any) -> float:
    """Return the best CPU time of a warp."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.thread_time()
        dmd.warp(mask)
        best = min(best, time.thread_time() - start)
    return best * 1e3


def print_warps() -> None:
    labels = synthetic_stack((1024, 1024), 300, seed=1)[1]
    tops = PixelCells(labels).half((-1.0, 0.0), 0.3)
    masks = {"binary": tops.view(np.uint8) * np.uint8(255)}
    masks["grey"] = (labels * 37 % 256).astype(np.uint8)
    print(f"warp, CPU ms, best of {REPEATS}")
    for shape in ((600, 800), (1080, 1920)):
        scale = 0.9 * shape[0] / 1024
        angle = math.radians(7.0)
        affine = np.eye(3)
        cosine, sine = math.cos(angle), math.sin(angle)
        affine[:2, :2] = scale * np.array([[-cosine, sine], [sine, cosine]])
        middle = np.array([511.5, 511.5])
        centre = np.array([shape[1] - 1, shape[0] - 1]) / 2
        affine[:2, 2] = centre - affine[:2, :2] @ middle
        costs = [warp_milliseconds(DMD(shape, affine), m) for m in masks.values()]
        told = ", ".join(f"{n} {c:.2f}" for n, c in zip(masks, costs, strict=True))
        print(f"  {shape[1]} x {shape[0]}: {told}")


def calibration_errors(seed: int) -> Any:
    """Return how far off camera points land, px, and the part of spots left out."""
    truth, calls = mounting(seed, CAMERA, SLM), [0]
    with SimulatedMicroscope(
        image_shape=CAMERA, slm_shape=SLM, camera_to_slm=truth[:2]
    ) as microscope:

        def look(patterns: Sequence[Any]) -> list[Any]:
            calls[0] += 1
            frames = frames_of(microscope, LIGHT, patterns)
            return list(spoiled(frames, 100 * seed + calls[0]))

        found = calibrated(look, conditions_of(microscope), SpotPlan(seed=seed))
    y, x = np.mgrid[0 : CAMERA[0] : 12, 0 : CAMERA[1] : 12]
    points = np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
    landed = carried(inverse_of(truth), carried(found.matrix, points))
    return np.hypot(*(landed - points).T), 1 - found.used.mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mountings", type=int, default=20)
    asked = parser.parse_args()
    print_warps()
    found = [calibration_errors(seed) for seed in range(asked.mountings)]
    medians = [float(np.median(errors)) for errors, _ in found]
    largest = [float(errors.max()) for errors, _ in found]
    left_out = 100 * float(np.mean([share for _, share in found]))
    print(f"{asked.mountings} mountings, camera px:")
    print(f"  median error {np.median(medians):.2f}, at worst {max(medians):.2f}")
    print(f"  largest error {np.median(largest):.2f}, at worst {max(largest):.2f}")
    print(f"  spots left out {left_out:.0f} %")


if __name__ == "__main__":
    main()
