"""Segmenters in a process of their own, so that none of them can hurt the loop."""

from __future__ import annotations

from faro.analysis.worker.pool import WorkerProcesses
from faro.analysis.worker.process import WorkerError
from faro.analysis.worker.segmenter import InWorkerProcess
from faro.analysis.worker.spec import NotMovableError, SegmenterSpec, spec_of

__all__ = [
    "InWorkerProcess",
    "NotMovableError",
    "SegmenterSpec",
    "WorkerError",
    "WorkerProcesses",
    "spec_of",
]
