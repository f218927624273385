"""From a measured feature to a dose, for every cell: pure and vectorised."""

from __future__ import annotations

from faro.control.feedforward import FeedForward
from faro.control.fitting import fit_response
from faro.control.mpc import MPC
from faro.control.pid import PID
from faro.control.references import CellTargets, SetPoint, TimeCourse
from faro.control.relay import Relay
from faro.control.response import ResponseModel

__all__ = [
    "MPC",
    "PID",
    "CellTargets",
    "FeedForward",
    "Relay",
    "ResponseModel",
    "SetPoint",
    "TimeCourse",
    "fit_response",
]
