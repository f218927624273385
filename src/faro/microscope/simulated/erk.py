"""A reporter of kinase activity that leaves the nucleus when light activates it."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from faro.microscope.simulated.responses import CYAN

if TYPE_CHECKING:
    from faro.microscope.simulated.population import Numbers
    from faro.microscope.simulated.responses import CellLight


@dataclass(frozen=True, slots=True)
class ErkKtr:
    """A translocation reporter: the active kinase drives it out of the nucleus.

    The kinase adapts by a delayed negative feedback, as that of ERK on its activators
    (Ryu et al., Mol. Syst. Biol. 11, 838, 2015).

    Adds ``kinase`` (0 to 1), ``feedback`` (0 to 1), ``trend`` (drift of the log ratio
    per second) and ``drift`` so far, ``translocated`` (0 to 1, follows the kinase),
    ``rest`` (ratio without light), ``gain`` (highest relative rise), ``mood`` (slow
    noise) and ``ratio``, what a perfect measurement of cytoplasm over nucleus
    intensity gives.

    Attributes
    ----------
    half_dose_ms
        Dose that activates half of the kinase that is still inactive.
    memory_s
        How long the kinase stays active.
    lag_s
        How slowly the reporter follows.
    rest_ratio, rest_spread
        Median and log spread of the ratio without light.
    rise, rise_spread
        Median and log spread of the highest relative rise.
    mood_spread, mood_s
        Size and duration of spontaneous fluctuations of the log ratio.
    adaptation, adaptation_s
        Strength and delay of the negative feedback on the kinase; 0 for none. With 8,
        lasting light gives a pulse that settles at six tenths of its height, and light
        that rises slowly gives a lower peak than the same light at once.
    drift_per_h
        Standard deviation, between cells, of the drift of the log ratio.
    """

    lines: ClassVar[tuple[str, ...]] = (CYAN,)

    half_dose_ms: float = 0.5
    memory_s: float = 300.0
    lag_s: float = 120.0
    rest_ratio: float = 0.6
    rest_spread: float = 0.12
    rise: float = 1.15
    rise_spread: float = 0.15
    mood_spread: float = 0.05
    mood_s: float = 600.0
    adaptation: float = 0.0
    adaptation_s: float = 1200.0
    drift_per_h: float = 0.0

    def start(self, cells: Numbers, random: np.random.Generator) -> None:
        """Add resting cells that differ from each other."""
        count = cells["x"].size
        cells["kinase"] = np.zeros(count)
        cells["translocated"] = np.zeros(count)
        cells["rest"] = self.rest_ratio * random.lognormal(0, self.rest_spread, count)
        cells["gain"] = self.rise * random.lognormal(0, self.rise_spread, count)
        cells["mood"] = self.mood_spread * random.standard_normal(count)
        cells["feedback"] = np.zeros(count)
        cells["trend"] = self.drift_per_h / 3600 * random.standard_normal(count)
        cells["drift"] = np.zeros(count)
        self._measure(cells)

    def expose(self, cells: Numbers, light: CellLight) -> None:
        """Activate a part of the inactive kinase."""
        grip = light.dose / (light.dose + self.half_dose_ms)
        cells["kinase"] = cells["kinase"] + grip * (1.0 - cells["kinase"])

    def step(self, cells: Numbers, step_s: float, random: np.random.Generator) -> None:
        """Let the kinase fade and the reporter follow."""
        follow = 1.0 - exp(-step_s / self.lag_s)
        kinase, out = cells["kinase"], cells["translocated"]
        feedback = cells["feedback"]
        active = kinase / (1.0 + self.adaptation * feedback)
        cells["translocated"] = out + follow * (active - out)
        delayed = 1.0 - exp(-step_s / self.adaptation_s)
        cells["feedback"] = feedback + delayed * (active - feedback)
        cells["kinase"] = exp(-step_s / self.memory_s) * kinase
        cells["drift"] = cells["drift"] + step_s * cells["trend"]
        keep = exp(-step_s / self.mood_s)
        kick = self.mood_spread * sqrt(1 - keep * keep)
        noise = random.standard_normal(kinase.size)
        cells["mood"] = keep * cells["mood"] + kick * noise
        self._measure(cells)

    @staticmethod
    def _measure(cells: Numbers) -> None:
        """Set ``ratio``."""
        rise = 1.0 + cells["gain"] * cells["translocated"]
        cells["ratio"] = cells["rest"] * np.exp(cells["mood"] + cells["drift"]) * rise
