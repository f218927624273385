"""Segmenters that ask for a process of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from faro.analysis import InWorkerProcess

if TYPE_CHECKING:
    from faro.analysis import SegmentationMethod


def apart(method: SegmentationMethod) -> SegmentationMethod:
    """Return a segmenter that asks for a worker process in one."""
    if not getattr(method.segmenter, "in_worker", False):
        return method
    n_threads = getattr(method.segmenter, "n_threads", 1)
    worker = InWorkerProcess(method.segmenter, n_threads=n_threads)
    return replace(method, segmenter=worker)
