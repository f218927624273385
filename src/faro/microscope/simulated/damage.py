"""What light does besides: it bleaches, and it harms."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from faro.microscope.simulated.responses import CYAN

if TYPE_CHECKING:
    from faro.microscope.simulated.population import Numbers
    from faro.microscope.simulated.responses import CellLight

RED, GREEN = "Red", "Green"
LINES = (RED, GREEN, CYAN)
BLEACHED = {RED: "marker_kept", GREEN: "reporter_kept"}


@dataclass(frozen=True, slots=True)
class Photobleaching:
    """Imaging light destroys its dye, cells renew it.

    Adds ``marker_kept`` and ``reporter_kept``, the part that is not bleached.

    Attributes
    ----------
    marker_ms, reporter_ms
        Full light of its line that leaves 1/e of a dye.
    renewal_s
        How long cells take to renew a dye.
    """

    lines: ClassVar[tuple[str, ...]] = (RED, GREEN)
    marker_ms: float = 20_000.0
    reporter_ms: float = 10_000.0
    renewal_s: float = 30_000.0

    def start(self, cells: Numbers, random: np.random.Generator) -> None:
        """Add dyes that are whole."""
        del random
        for name in BLEACHED.values():
            cells[name] = np.ones(cells["x"].size)

    def expose(self, cells: Numbers, light: CellLight) -> None:
        """Bleach."""
        lasts_ms = self.marker_ms if light.line == RED else self.reporter_ms
        name = BLEACHED[light.line]
        cells[name] = cells[name] * np.exp(-light.dose / lasts_ms)

    def step(self, cells: Numbers, step_s: float, random: np.random.Generator) -> None:
        """Renew."""
        del random
        left = exp(-step_s / self.renewal_s)
        for name in BLEACHED.values():
            cells[name] = 1.0 - left * (1.0 - cells[name])


@dataclass(frozen=True, slots=True)
class Phototoxicity:
    """Light harms, the more the shorter its wavelength; cells repair the harm.

    Adds ``damage``: 1 halves the speed of the cell cycle (`Division`) and gives half
    of the highest death rate (`Death`). Facts in Icha et al., BioEssays 39, 1700003,
    2017.

    Attributes
    ----------
    cyan_ms, green_ms, red_ms
        Full light of each line that gives a damage of 1.
    repair_s
        How long the damage lasts.
    """

    lines: ClassVar[tuple[str, ...]] = LINES
    cyan_ms: float = 2_000.0
    green_ms: float = 20_000.0
    red_ms: float = 100_000.0
    repair_s: float = 14_400.0

    def start(self, cells: Numbers, random: np.random.Generator) -> None:
        """Add healthy cells."""
        del random
        cells["damage"] = np.zeros(cells["x"].size)

    def expose(self, cells: Numbers, light: CellLight) -> None:
        """Harm."""
        doses_ms = {RED: self.red_ms, GREEN: self.green_ms, CYAN: self.cyan_ms}
        cells["damage"] = cells["damage"] + light.dose / doses_ms[light.line]

    def step(self, cells: Numbers, step_s: float, random: np.random.Generator) -> None:
        """Repair."""
        del random
        cells["damage"] = exp(-step_s / self.repair_s) * cells["damage"]
