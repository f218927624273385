"""From cells to a mask: where light goes."""

from __future__ import annotations

from faro.stimulation.field import NoStimulus, WholeField
from faro.stimulation.percentage import PercentageOfCell
from faro.stimulation.plugin import as_stimulator
from faro.stimulation.shifted import ShiftedMask

__all__ = [
    "NoStimulus",
    "PercentageOfCell",
    "ShiftedMask",
    "WholeField",
    "as_stimulator",
]
