"""The right pattern in the wrong place: a control for the loop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from faro.model import Stimulus, stimulus_from
from faro.protocols import needs_of
from faro.stimulation.plugin import as_stimulator

if TYPE_CHECKING:
    from faro.protocols import StimulationContext


class ShiftedMask:
    """Moves the mask of another stimulator; what leaves the field comes in opposite.

    As much light as in the experiment falls, of the same pattern, but not where the
    loop wanted it. The whole field and no light stay what they are.

    Parameters
    ----------
    stimulator
        Object with ``stimulate(context)``, or a function.
    shift_px
        (dy, dx) in camera pixels.
    """

    def __init__(self, stimulator: object, shift_px: tuple[int, int]) -> None:
        self.stimulator = as_stimulator(stimulator)
        self.shift_px = (int(shift_px[0]), int(shift_px[1]))

    @property
    def needs(self) -> tuple[str, ...]:
        """What the other stimulator builds on."""
        return needs_of(self.stimulator)

    @property
    def required_metadata(self) -> tuple[str, ...]:
        """Metadata that the other stimulator needs."""
        return tuple(getattr(self.stimulator, "required_metadata", ()) or ())

    def stimulate(self, context: StimulationContext) -> Stimulus | None:
        """Return the moved mask (Y, X) as a stimulus, None for no light."""
        stimulus = stimulus_from(self.stimulator.stimulate(context), context.shape)
        if stimulus is None or stimulus.mask is None:
            return stimulus
        moved = np.roll(stimulus.mask, self.shift_px, axis=(0, 1))
        note = {**stimulus.note, "shift_px": list(self.shift_px)}
        return replace(stimulus, mask=moved, note=note)
