"""The stages of the loop over stored runs: on one machine or on many."""

from __future__ import annotations

from faro.reanalysis.engines import Engine, LocalProcesses, Serial
from faro.reanalysis.reanalysis import (
    Reanalysis,
    ReanalysisProgress,
    ReanalysisSummary,
    reanalyze,
)

__all__ = [
    "Engine",
    "LocalProcesses",
    "Reanalysis",
    "ReanalysisProgress",
    "ReanalysisSummary",
    "Serial",
    "reanalyze",
]
