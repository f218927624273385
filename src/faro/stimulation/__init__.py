"""From cells to a mask: where light goes."""

from __future__ import annotations

from faro.stimulation.colony import PercentageOfColony
from faro.stimulation.controlled import ControlledLight
from faro.stimulation.field import NoStimulus, WholeField
from faro.stimulation.lines import MovingLine
from faro.stimulation.percentage import EdgeOfCell, PercentageOfCell
from faro.stimulation.plugin import as_stimulator
from faro.stimulation.rings import RingAroundNucleus
from faro.stimulation.schedule import Lit, ScheduledCells
from faro.stimulation.selection import (
    CellsByFeature,
    CellsByRank,
    RandomCells,
)
from faro.stimulation.shapes import Checkerboard, Circle, Gradient, Rectangle
from faro.stimulation.shifted import ShiftedMask
from faro.stimulation.stored import StoredImage

__all__ = [
    "CellsByFeature",
    "CellsByRank",
    "Checkerboard",
    "Circle",
    "ControlledLight",
    "EdgeOfCell",
    "Gradient",
    "Lit",
    "MovingLine",
    "NoStimulus",
    "PercentageOfCell",
    "PercentageOfColony",
    "RandomCells",
    "Rectangle",
    "RingAroundNucleus",
    "ScheduledCells",
    "ShiftedMask",
    "StoredImage",
    "WholeField",
    "as_stimulator",
]
