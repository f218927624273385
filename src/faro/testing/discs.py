"""Frames of bright discs that move by a known path, and a short experiment on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from faro.experiment import PowerChannel, RTMSequence

SHAPE = (64, 80)
CENTRES = ((16, 16), (16, 60), (44, 36))
RADIUS_PX = 6
NUCLEI, REPORTER, LIGHT = "miRFP", "mScarlet3", "CyanStim"


def disc_frame(fov: int, timestep: int, channel: str) -> npt.NDArray[np.uint16]:
    """Return a frame (Y, X) uint16 of three discs.

    They move down by a pixel a timepoint, and lie ``fov`` pixels further right.
    """
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.full(SHAPE, 100, np.uint16)
    for row, column in CENTRES:
        squared = (y - row - timestep) ** 2 + (x - column - fov) ** 2
        image[squared < RADIUS_PX**2] = 2000 if channel == NUCLEI else 900
    return image


def segment_discs(pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
    """Return what is bright in ``pixels`` (Y, X)."""
    return pixels > 500


def disc_sequence(timepoints: int = 4, fovs: int = 2, **changes: Any) -> RTMSequence:
    """Return an experiment: two channels, light from the second timepoint on."""
    settings: dict[str, Any] = {
        "stage_positions": [(100.0 * i, 0.0) for i in range(fovs)],
        "time_plan": {"interval": 0.0, "loops": timepoints},
        "channels": [
            {"config": NUCLEI, "exposure": 10},
            {"config": REPORTER, "exposure": 20},
        ],
        "stim_channels": [PowerChannel(LIGHT, exposure=100, power=10)],
        "stim_frames": range(1, timepoints),
    }
    return RTMSequence(**(settings | changes))
