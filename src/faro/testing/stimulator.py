"""The contract of a stimulator, as a function that its author can run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from faro.analysis import PixelCells
from faro.model import Stack, StimChannel
from faro.protocols import StimulationContext, Waits, columns_needed, waits_for
from faro.run.answers import lights_of
from faro.stimulation import as_stimulator
from faro.testing.movie import synthetic_stack
from faro.testing.promises import Promises

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faro.model import Stimulus
    from faro.protocols import Stimulator
    from faro.protocols.analysis import Labels

Lights: TypeAlias = "dict[str, Stimulus | None]"
_SHAPE = (128, 144)
_N_CELLS = 12
_CHANNELS = ("miRFP", "mScarlet3")


def check_stimulator(
    stimulator: object,
    *,
    metadata: Mapping[str, Any] | None = None,
    stim_channels: Sequence[str] = ("CyanStim",),
) -> None:
    """Raise ContractError where a stimulator breaks its promises; all are listed.

    Checked on many cells, one cell and none: the answer is None, True, a mask (Y, X)
    of bool or uint8 in the shape of the camera image, a Stimulus, or a mapping from
    names of the stimulation channels to such answers; the same frame gives the same
    answer, so that a run can be replayed; labels and image, which are
    read-only, are left alone; it gets by with what its ``needs`` name; ``needs`` and
    ``required_metadata`` are names.

    Parameters
    ----------
    stimulator
        Object with ``stimulate(context)``, or a function.
    metadata
        What the stimulation events carry, where it requires something.
    stim_channels
        Names of the channels that give light, where it has an answer for each.
    """
    component = as_stimulator(stimulator)
    promises = Promises(stimulator, "faro.protocols.Stimulator")
    for attribute in ("needs", "required_metadata"):
        names = getattr(component, attribute, ())
        listed = isinstance(names, tuple | list | set | frozenset)
        good = listed and all(isinstance(name, str) for name in names)
        promises.keep(good, f"`{attribute}` is a tuple of names.", names)
    facts = dict(metadata or {})
    lacking = set(getattr(component, "required_metadata", ())) - set(facts)
    promises.keep(not lacking, "metadata= holds what it requires.", sorted(lacking))
    pixels, labels = synthetic_stack(_SHAPE, _N_CELLS, seed=4)
    pixels.setflags(write=False)
    stack = Stack(
        pixels, _CHANNELS, fov=0, timestep=0, pixel_size_um=0.65, metadata=facts
    )
    one = np.where(labels == 1, labels, 0).astype(np.int32)
    frames = {
        "many cells": labels,
        "one cell": one,
        "no cell": np.zeros_like(labels),
    }
    for name, image in frames.items():
        make = partial(_answer, component, stack=stack, channels=stim_channels)
        _same_answer_twice(make, image, name, promises)
    promises.settle()


def _same_answer_twice(
    make: Callable[[Labels], Lights], labels: Labels, where: str, promises: Promises
) -> None:
    """Ask twice about equal frames and compare the checked answers."""
    try:
        first, again = (make(labels.copy()) for _ in range(2))
    except Exception as error:  # noqa: BLE001  a plug-in may raise anything
        promises.broke(error, where)
        return
    equal = first.keys() == again.keys()
    equal = equal and all(_equal(first[name], again[name]) for name in first)
    promises.keep(equal, f"{where}: equal frames, equal answers")


def _answer(
    stimulator: Stimulator, labels: Labels, stack: Stack, channels: Sequence[str]
) -> Lights:
    """Return the checked answers to a frame with labels (Y, X), by channel.

    It is given what its ``needs`` name and no more: who looks at tracks must say so.
    """
    labels.setflags(write=False)
    waits = waits_for(stimulator)
    cells = PixelCells(labels)
    if waits >= Waits.TRACKS:
        cells.set_tracks(np.arange(1, len(cells) + 1))
        cells.set_features({"parent_id": np.zeros(len(cells), np.int64)})
    area = 1.0 + np.asarray(cells.area) % 7
    cells.set_features(dict.fromkeys(columns_needed(stimulator), area))
    there = waits >= Waits.LABELS
    context = StimulationContext(
        stack=stack,
        cells=cells if there else None,
        labels={"nuclei": labels} if there else {},
        metadata=stack.metadata,
        stim_channels={name: StimChannel(name, 100.0) for name in channels},
    )
    return lights_of(stimulator, context)


def _equal(one: Stimulus | None, other: Stimulus | None) -> bool:
    """Say whether two answers ask for the same light."""
    if one is None or other is None:
        return one is other
    if one.mask is None or other.mask is None:
        return one.mask is other.mask
    return np.array_equal(one.mask, other.mask)
