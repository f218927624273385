"""Where light should go: what a stimulator answers, checked and normalised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from faro.errors import ContractError
from faro.model.frame import no_metadata

Mask: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Stimulus:
    """Light to give: a mask in camera pixels, or the whole field.

    Attributes
    ----------
    mask
        (Y, X) uint8 in camera pixels, 0 dark to 255 full, or None for the whole field.
    note
        Anything worth a line in the journal, JSON-able.
    exposure_fraction
        Part of the event's exposure, more than 0, at most 1: dose for DMDs that know
        only on and off. The camera's shortest exposure is the least there is.
    """

    mask: Mask | None = None
    note: Mapping[str, Any] = field(default_factory=no_metadata)
    exposure_fraction: float = 1.0

    @property
    def whole_field(self) -> bool:
        """Whether the whole field is lit."""
        return self.mask is None

    @property
    def lit_fraction(self) -> float:
        """Mean of the mask, 0 to 1."""
        return 1.0 if self.mask is None else float(self.mask.mean()) / 255.0


@dataclass(frozen=True, slots=True)
class StimChannel:
    """A channel that gives light at one event.

    Attributes
    ----------
    config
        Name of the preset.
    exposure_ms
        How long it is exposed; None leaves the camera as it is.
    power
        Light level in the unit of the device; None leaves it as the preset sets it.
    group
        Config group of the preset; None for the one that holds it.
    """

    config: str
    exposure_ms: float | None = None
    power: float | None = None
    group: str | None = None


NOT_ASKED = "not asked"
"""No light, since the stimulator was not asked at this timepoint."""
NOTHING_TO_LIGHT = "nothing to light"
"""No light, since the stimulator answered so."""
LEFT_OUT = "left out of the answer"
"""No light in one of several channels, since the answer did not name it."""
NO_LIGHT = frozenset({NOT_ASKED, NOTHING_TO_LIGHT, LEFT_OUT})
"""Reasons of a decision for no light."""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What the loop decided for one frame of one FOV, and one stimulation channel.

    Attributes
    ----------
    fov, timestep
        The frame that the decision was computed from.
    stimulus
        What to shine, or None: nothing fires.
    reason
        ``"ok"``, one of `NO_LIGHT`, or what went wrong.
    decided_s
        When it was known, seconds since the run started.
    channel
        Name of the channel that it is for; empty for each that has none of its own.
    """

    fov: int
    timestep: int
    stimulus: Stimulus | None
    reason: str = "ok"
    decided_s: float = 0.0
    channel: str = ""

    @property
    def wanted(self) -> bool:
        """Whether there should be light: it is decided, or was not for a failure."""
        return self.stimulus is not None or self.reason not in NO_LIGHT


def stimulus_from(result: object, shape: tuple[int, int]) -> Stimulus | None:
    """Return what a stimulator answered as a checked `Stimulus`, or None for no light.

    Parameters
    ----------
    result
        None or False (no light), True (whole field), a mask (Y, X) of bool or uint8
        in camera pixels, or a `Stimulus`. An all-dark mask counts as no light.
    shape
        (Y, X) of the camera image.

    Raises
    ------
    ContractError
        If the mask has another shape or dtype, is no mask at all, or the part of the
        exposure means nothing.

    Examples
    --------
    >>> stimulus_from(True, (2, 2)).whole_field
    True
    >>> stimulus_from(np.eye(2, dtype=bool), (2, 2)).mask.tolist()
    [[255, 0], [0, 255]]
    """
    if isinstance(result, Stimulus):
        if not 0 < result.exposure_fraction <= 1:
            problem = f"A stimulus has exposure_fraction {result.exposure_fraction!r}."
            raise ContractError(problem, remedy="Use more than 0, at most 1.")
        if result.mask is None:
            return result
        mask = _checked_mask(result.mask, shape)
        return replace(result, mask=mask) if mask.any() else None
    if result is None or result is False:
        return None
    if result is True:
        return Stimulus()
    mask = _checked_mask(result, shape)
    return Stimulus(mask) if mask.any() else None


def _checked_mask(result: object, shape: tuple[int, int]) -> Mask:
    """Return ``result`` as (Y, X) uint8, or raise ContractError."""
    if isinstance(result, Mapping):
        problem = f"One mask is wanted here, and there is one for each of {[*result]}."
        remedy = "Give each channel a stimulator of its own, with stimulators={...}."
        raise ContractError(problem, remedy=remedy)
    mask = np.asarray(result)
    if mask.dtype == np.bool_:
        mask = mask.view(np.uint8) * np.uint8(255)
    if mask.dtype != np.uint8:
        problem = f"A stimulation mask has dtype {mask.dtype}."
        remedy = "Return None, True, or a mask (Y, X) of bool or uint8."
        raise ContractError(problem, remedy=remedy)
    if mask.shape != shape:
        problem = f"A stimulation mask has shape {mask.shape}, the image {shape}."
        remedy = "Return a mask in camera pixels, (Y, X)."
        raise ContractError(problem, remedy=remedy)
    mask = np.ascontiguousarray(mask)
    mask.setflags(write=False)
    return mask
