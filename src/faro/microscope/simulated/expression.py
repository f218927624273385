"""Gene expression that light switches on: slow, because proteins must mature."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from faro.microscope.simulated.responses import CYAN

if TYPE_CHECKING:
    from faro.microscope.simulated.population import Numbers
    from faro.microscope.simulated.responses import CellLight


@dataclass(frozen=True, slots=True)
class GeneExpression:
    """A fluorescent protein whose gene a photoswitch turns on.

    Switch, transcript, immature and mature protein follow each other by mass action
    (Alon, An Introduction to Systems Biology, 2019, chapter 1). Adds ``switch`` (0 to
    1), ``transcript``, ``immature`` and ``mature``, each 1 where the switch stays on
    for ever, ``yield``, and ``reporter_expressed``, the factor of the reporter's
    brightness.

    Attributes
    ----------
    half_dose_ms
        Dose that switches half of what is still off.
    memory_s
        How long the switch stays on.
    transcript_s, maturation_s, protein_s
        Lifetime of the transcript, time to mature, lifetime of the protein.
    leak
        Brightness without light, relative to the usual.
    fold
        Brightness of a cell that is always on, relative to the usual.
    spread
        Log spread of ``fold`` between cells.
    """

    lines: ClassVar[tuple[str, ...]] = (CYAN,)
    half_dose_ms: float = 2.0
    memory_s: float = 900.0
    transcript_s: float = 1500.0
    maturation_s: float = 2400.0
    protein_s: float = 36_000.0
    leak: float = 0.1
    fold: float = 8.0
    spread: float = 0.25

    def start(self, cells: Numbers, random: np.random.Generator) -> None:
        """Add cells that are off."""
        count = cells["x"].size
        for name in ("switch", "transcript", "immature", "mature"):
            cells[name] = np.zeros(count)
        cells["yield"] = self.fold * random.lognormal(0.0, self.spread, count)
        cells["reporter_expressed"] = np.full(count, self.leak)

    def expose(self, cells: Numbers, light: CellLight) -> None:
        """Switch on a part of what is off."""
        grip = light.dose / (light.dose + self.half_dose_ms)
        cells["switch"] = cells["switch"] + grip * (1.0 - cells["switch"])

    def step(self, cells: Numbers, step_s: float, random: np.random.Generator) -> None:
        """Transcribe, translate, mature and degrade."""
        del random
        switch, transcript = cells["switch"], cells["transcript"]
        immature, mature = cells["immature"], cells["mature"]
        turned = 1.0 - exp(-step_s / self.transcript_s)
        cells["transcript"] = transcript + turned * (switch - transcript)
        made = transcript * (1.0 - exp(-step_s / self.protein_s))
        matured = immature * (1.0 - exp(-step_s / self.maturation_s))
        kept = exp(-step_s / self.protein_s)
        cells["immature"] = kept * (immature - matured) + made
        cells["mature"] = kept * mature + matured
        cells["switch"] = exp(-step_s / self.memory_s) * switch
        cells["reporter_expressed"] = self.leak + cells["yield"] * cells["mature"]
