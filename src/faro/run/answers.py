"""What components answer, checked: columns, light."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.analysis import checked_columns
from faro.model import stimulus_from

if TYPE_CHECKING:
    from faro.analysis import PixelCells
    from faro.model import Stack, Stimulus
    from faro.model.cells import Column
    from faro.protocols import FeatureExtractor, StimulationContext, Stimulator


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
