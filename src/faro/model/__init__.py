"""The nouns: frozen data that crosses a boundary."""

from __future__ import annotations

from faro.model.cells import CELL_UNITS, CellTable
from faro.model.cleaning import LabelCleaning
from faro.model.facts import HardwareFacts, RunNeeds, StackNeeds
from faro.model.frame import Frame, FrameRole, ProjectionError, Stack, projected
from faro.model.schema import Schema
from faro.model.stamps import Latency, Stamps
from faro.model.stimulus import (
    LEFT_OUT,
    NOT_ASKED,
    NOTHING_TO_LIGHT,
    Decision,
    StimChannel,
    Stimulus,
    stimulus_from,
)
from faro.model.tracks import TrackValues

__all__ = [
    "CELL_UNITS",
    "LEFT_OUT",
    "NOTHING_TO_LIGHT",
    "NOT_ASKED",
    "CellTable",
    "Decision",
    "Frame",
    "FrameRole",
    "HardwareFacts",
    "LabelCleaning",
    "Latency",
    "ProjectionError",
    "RunNeeds",
    "Schema",
    "Stack",
    "StackNeeds",
    "Stamps",
    "StimChannel",
    "Stimulus",
    "TrackValues",
    "projected",
    "stimulus_from",
]
