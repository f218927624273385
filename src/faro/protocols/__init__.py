"""The seams: one small Protocol each; a plug-in is a function or has one method."""

from __future__ import annotations

from faro.protocols.analysis import (
    CellPixels,
    Cells,
    FeatureExtractor,
    Segmenter,
    Tracker,
)
from faro.protocols.control import ControlInput, FeedbackController, Reference
from faro.protocols.microscope import (
    FrameCallback,
    MaskWarp,
    Microscope,
    MissingCallback,
)
from faro.protocols.stimulation import (
    StimulationContext,
    Stimulator,
    Waits,
    columns_needed,
    needs_of,
    waits_for,
)
from faro.protocols.storage import FrameSource, Sink

__all__ = [
    "CellPixels",
    "Cells",
    "ControlInput",
    "FeatureExtractor",
    "FeedbackController",
    "FrameCallback",
    "FrameSource",
    "MaskWarp",
    "Microscope",
    "MissingCallback",
    "Reference",
    "Segmenter",
    "Sink",
    "StimulationContext",
    "Stimulator",
    "Tracker",
    "Waits",
    "columns_needed",
    "needs_of",
    "waits_for",
]
