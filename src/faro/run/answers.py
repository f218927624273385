"""What components answer, checked: labels, columns, light."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis import as_segmenter, checked_columns, normalise_labels
from faro.model import stimulus_from

if TYPE_CHECKING:
    from faro.analysis import PixelCells, SegmentationMethod
    from faro.model import Stack, Stimulus
    from faro.model.cells import Column
    from faro.protocols import FeatureExtractor, StimulationContext, Stimulator


def labels_of(method: SegmentationMethod, stack: Stack) -> Any:
    """Return the checked labels (Y, X) int32 of one segmenter."""
    chosen = method.use_channel
    if isinstance(chosen, list | tuple):
        pixels = np.stack([stack.plane(channel) for channel in chosen])
    else:
        pixels = stack.plane(chosen)
    result = as_segmenter(method.segmenter).segment(pixels)
    return normalise_labels(result, stack.shape, method.name)


def answer_of(
    stimulator: Stimulator, context: StimulationContext, stack: Stack
) -> tuple[Stimulus | None]:
    """Return the checked answer of a stimulator, in a tuple: None is an answer."""
    return (stimulus_from(stimulator.stimulate(context), stack.shape),)


def columns_of(
    extractor: FeatureExtractor, cells: PixelCells, stack: Stack
) -> dict[str, Column]:
    """Return columns as arrays with one value per cell, or raise ContractError."""
    name = type(extractor).__name__
    return checked_columns(extractor.features(cells, stack), len(cells), name)
