"""Numbers from pictures: what finds, follows and measures cells."""

from __future__ import annotations

from faro.analysis.adapters import (
    BtrackLinker,
    LapTrackLinker,
    Relinked,
    TrackastraLinker,
    TrackpyTracker,
)
from faro.analysis.blobs import BlobSegmenter
from faro.analysis.cells import NotTrackedError, PixelCells, UnknownFeatureError
from faro.analysis.cleaning import cleaned
from faro.analysis.erk_ktr import ErkKtrFeatures
from faro.analysis.features import (
    FunctionFeatures,
    as_feature_extractor,
    checked_columns,
)
from faro.analysis.intensity import IntensityFeatures, background_level
from faro.analysis.labels import normalise_labels
from faro.analysis.learned import (
    CellposeSegmenter,
    ConvPaintSegmenter,
    MissingWeightsError,
    OnnxSegmenter,
    StarDistSegmenter,
    TorchScriptSegmenter,
)
from faro.analysis.matching import Matching, match_labels
from faro.analysis.method import SegmentationMethod, as_segmenter
from faro.analysis.movement import MovementFeatures
from faro.analysis.neighbours import NeighbourFeatures
from faro.analysis.remote import ImagingServerSegmenter
from faro.analysis.seeded import SeededSegmenter
from faro.analysis.segmentation import (
    BinarySegmenter,
    LocalThresholdSegmenter,
    OtsuSegmenter,
    ThresholdSegmenter,
    warm_up,
)
from faro.analysis.shapes import PositionFeatures, RegionFeatures, ShapeFeatures
from faro.analysis.statistics import hedges_g, permutation_test
from faro.analysis.tracking import StreamingTracker, TrackEvents
from faro.analysis.worker import InWorkerProcess, WorkerError, WorkerProcesses

__all__ = [
    "BinarySegmenter",
    "BlobSegmenter",
    "BtrackLinker",
    "CellposeSegmenter",
    "ConvPaintSegmenter",
    "ErkKtrFeatures",
    "FunctionFeatures",
    "ImagingServerSegmenter",
    "InWorkerProcess",
    "IntensityFeatures",
    "LapTrackLinker",
    "LocalThresholdSegmenter",
    "Matching",
    "MissingWeightsError",
    "MovementFeatures",
    "NeighbourFeatures",
    "NotTrackedError",
    "OnnxSegmenter",
    "OtsuSegmenter",
    "PixelCells",
    "PositionFeatures",
    "RegionFeatures",
    "Relinked",
    "SeededSegmenter",
    "SegmentationMethod",
    "ShapeFeatures",
    "StarDistSegmenter",
    "StreamingTracker",
    "ThresholdSegmenter",
    "TorchScriptSegmenter",
    "TrackEvents",
    "TrackastraLinker",
    "TrackpyTracker",
    "UnknownFeatureError",
    "WorkerError",
    "WorkerProcesses",
    "as_feature_extractor",
    "as_segmenter",
    "background_level",
    "checked_columns",
    "cleaned",
    "hedges_g",
    "match_labels",
    "normalise_labels",
    "permutation_test",
    "warm_up",
]
