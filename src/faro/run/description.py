"""What a run is, in plain words: the part of ``run.json`` that the controller knows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from faro.experiment.waiting import WAIT
from faro.run.gate import CLOCK_POLICY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.experiment import RTMEvent
    from faro.protocols import Microscope
    from faro.protocols.microscope import MaskWarp
    from faro.run.limits import RunLimits
    from faro.run.pipeline import ImageProcessingPipeline


def described(
    events: Iterable[RTMEvent],
    microscope: Microscope,
    pipeline: ImageProcessingPipeline | None,
    limits: RunLimits,
) -> dict[str, Any]:
    """Return everything that says what a run is, JSON-able."""
    listed = list(events)
    first: dict[int, RTMEvent] = {}
    for event in listed:
        first.setdefault(event.fov, event)
    return {
        "experiment": [event.words() for event in listed],
        "clock_policy": CLOCK_POLICY,
        "fov_metadata": {str(p): _lasting(e.metadata) for p, e in first.items()},
        "pipeline": pipeline.describe() if pipeline else None,
        "microscope": microscope.describe(),
        "dmd_calibration": _calibration(microscope.dmd),
        "limits": dataclasses.asdict(limits),
    }


def _lasting(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a position and not of one moment."""
    return {name: value for name, value in metadata.items() if name != WAIT}


def _calibration(dmd: MaskWarp | None) -> dict[str, Any] | None:
    """Return how masks are carried from camera to mirrors, None if they are not."""
    if dmd is None:
        return None
    affine = getattr(dmd, "affine", None)
    said = {"shape": dmd.shape, "camera_shape": getattr(dmd, "camera_shape", None)}
    return {**said, "affine": None if affine is None else affine.tolist()}
