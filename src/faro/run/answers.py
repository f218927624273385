"""What components answer, checked: columns, light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from faro.analysis import checked_columns
from faro.errors import ContractError
from faro.experiment.refusal import nearest
from faro.model import stimulus_from

if TYPE_CHECKING:
    from faro.analysis import PixelCells
    from faro.model import Stack, StimChannel, Stimulus
    from faro.model.cells import Column
    from faro.protocols import FeatureExtractor, StimulationContext, Stimulator


def lights_of(
    stimulator: Stimulator, context: StimulationContext
) -> dict[str, Stimulus | None]:
    """Return the checked answers of a stimulator by channel.

    One answer holds for every channel. In a mapping each has its own, and a channel
    that is left out is left out here.

    Raises
    ------
    ContractError
        If an answer is none, or is for a channel that gives no light at this event.
    """
    answer, channels = stimulator.stimulate(context), context.stim_channels
    if not isinstance(answer, Mapping):
        stimulus = stimulus_from(answer, context.shape)
        return dict.fromkeys(channels, stimulus)
    for name in answer:
        if name not in channels:
            raise _no_such_channel(name, context)
    return {
        name: _stimulus_of(name, answer[name], context)
        for name in channels
        if name in answer
    }


def columns_of(
    extractor: FeatureExtractor, cells: PixelCells, stack: Stack
) -> dict[str, Column]:
    """Return columns as arrays with one value per cell, or raise ContractError."""
    name = type(extractor).__name__
    return checked_columns(extractor.features(cells, stack), len(cells), name)


def _stimulus_of(
    name: str, answer: object, context: StimulationContext
) -> Stimulus | None:
    """Return the checked answer for one channel, or raise ContractError."""
    try:
        return stimulus_from(answer, context.shape)
    except ContractError as error:
        problem = f"Channel {name!r}: {error.problem}"
        raise ContractError(problem, remedy=error.remedy) from error


def _no_such_channel(name: object, context: StimulationContext) -> ContractError:
    """Return the error of an answer for a channel that gives no light."""
    channels: Mapping[str, StimChannel] = context.stim_channels
    there = ", ".join(map(repr, channels)) or "none"
    problem = f"A stimulator answers for the channel {name!r}; those that give light "
    problem += f"at fov {context.fov}, t {context.timestep} are {there}."
    remedy = f"Use the names in context.stim_channels. {nearest(str(name), channels)}"
    return ContractError(problem, remedy=remedy)
