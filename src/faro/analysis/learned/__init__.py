"""Learned segmenters: each needs an extra, imported on use; weights are files."""

from __future__ import annotations

from faro.analysis.learned.cellpose import CellposeSegmenter
from faro.analysis.learned.convpaint import ConvPaintSegmenter
from faro.analysis.learned.network import (
    NetworkSegmenter,
    OnnxSegmenter,
    TorchScriptSegmenter,
)
from faro.analysis.learned.stardist import StarDistSegmenter
from faro.analysis.learned.weights import MissingWeightsError, find_weights

__all__ = [
    "CellposeSegmenter",
    "ConvPaintSegmenter",
    "MissingWeightsError",
    "NetworkSegmenter",
    "OnnxSegmenter",
    "StarDistSegmenter",
    "TorchScriptSegmenter",
    "find_weights",
]
