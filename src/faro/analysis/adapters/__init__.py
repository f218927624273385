"""Other projects' trackers behind our seams; each is an extra, imported on use."""

from __future__ import annotations

from faro.analysis.adapters.btrack import BtrackLinker
from faro.analysis.adapters.laptrack import LapTrackLinker
from faro.analysis.adapters.relinked import Relinked
from faro.analysis.adapters.trackastra import TrackastraLinker
from faro.analysis.adapters.trackpy import TrackpyTracker

__all__ = [
    "BtrackLinker",
    "LapTrackLinker",
    "Relinked",
    "TrackastraLinker",
    "TrackpyTracker",
]
