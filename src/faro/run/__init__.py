"""The loop: scheduling, order per FOV, deadlines, records; the one that knows all."""

from __future__ import annotations

from faro.run.controller import Controller
from faro.run.fit_run import fit_run
from faro.run.handle import RunHandle
from faro.run.jobs import BackgroundError
from faro.run.late import LateMask
from faro.run.limits import RunLimits
from faro.run.measured import time_per_fov_s
from faro.run.notices import Notices
from faro.run.pipeline import ImageProcessingPipeline
from faro.run.simulated import simulated_run
from faro.run.state import RunState
from faro.run.summary import RunProgress, RunSummary

__all__ = [
    "BackgroundError",
    "Controller",
    "ImageProcessingPipeline",
    "LateMask",
    "Notices",
    "RunHandle",
    "RunLimits",
    "RunProgress",
    "RunState",
    "RunSummary",
    "fit_run",
    "simulated_run",
    "time_per_fov_s",
]
