"""How cells answer to light: they migrate towards it, and their reporter moves."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from faro.microscope.simulated.geometry import Floats
    from faro.microscope.simulated.population import Numbers


@dataclass(frozen=True, slots=True, eq=False)
class CellLight:
    """The light of one exposure on each cell.

    Attributes
    ----------
    dose
        (n,) ms of full light, mean over the cell.
    toward_x, toward_y
        (n,) centre of the light relative to the cell's centre, in cell radii; 0 where
        there is none.
    """

    dose: Floats
    toward_x: Floats
    toward_y: Floats


class Response(Protocol):
    """One thing that cells do; its state is columns of the cells.

    Times are seconds of cell life. Random numbers come from ``random`` only, the same
    number of draws at every call, so that a dish can be lived again.
    """

    def start(self, cells: Numbers, random: np.random.Generator) -> None:
        """Add the columns of this response."""
        ...

    def expose(self, cells: Numbers, light: CellLight) -> None:
        """Take up the light of one exposure."""
        ...

    def step(self, cells: Numbers, step_s: float, random: np.random.Generator) -> None:
        """Live on for ``step_s``."""
        ...


@dataclass(frozen=True, slots=True)
class Migration:
    """A persistent random walk that light on one side of the cell directs.

    Adds ``vx``, ``vy`` (um/s), ``polarity_x``, ``polarity_y`` (0 to 1 of the guided
    speed) and ``sight`` (how much a cell feels of its light).

    Attributes
    ----------
    wander_um_per_min
        Standard deviation of the undirected velocity, per axis.
    persistence_s
        How long a cell keeps its undirected velocity.
    guided_um_per_min
        Speed of a fully polarised cell.
    memory_s
        How long polarity lasts without light.
    half_dose_ms
        Dose that polarises a cell half-way.
    full_reach
        Offset of the light, in cell radii, that directs fully.
    """

    wander_um_per_min: float = 0.24
    persistence_s: float = 300.0
    guided_um_per_min: float = 0.44
    memory_s: float = 240.0
    half_dose_ms: float = 0.5
    full_reach: float = 0.35

    def start(self, cells: Numbers, random: np.random.Generator) -> None:
        """Add undirected velocities, no polarity."""
        count = cells["x"].size
        wander = self.wander_um_per_min / 60
        cells["vx"] = wander * random.standard_normal(count)
        cells["vy"] = wander * random.standard_normal(count)
        cells["polarity_x"] = np.zeros(count)
        cells["polarity_y"] = np.zeros(count)
        cells["sight"] = random.lognormal(0.0, 0.2, count)

    def expose(self, cells: Numbers, light: CellLight) -> None:
        """Turn the polarity towards the light, the more the higher the dose."""
        felt = light.dose * cells["sight"]
        grip = felt / (felt + self.half_dose_ms)
        offset = np.hypot(light.toward_x, light.toward_y)
        scale = 1.0 / np.maximum(offset, self.full_reach)
        for name, toward in (
            ("polarity_x", light.toward_x),
            ("polarity_y", light.toward_y),
        ):
            cells[name] = cells[name] + grip * (toward * scale - cells[name])

    def step(self, cells: Numbers, step_s: float, random: np.random.Generator) -> None:
        """Move every cell."""
        keep = exp(-step_s / self.persistence_s)
        kick = self.wander_um_per_min / 60 * sqrt(1 - keep * keep)
        noise = random.standard_normal((2, cells["x"].size))
        guided = self.guided_um_per_min / 60
        fade = exp(-step_s / self.memory_s)
        for axis, own in zip("xy", noise, strict=True):
            velocity = keep * cells[f"v{axis}"] + kick * own
            polarity = cells[f"polarity_{axis}"]
            cells[axis] = cells[axis] + step_s * (velocity + guided * polarity)
            cells[f"v{axis}"] = velocity
            cells[f"polarity_{axis}"] = fade * polarity


@dataclass(frozen=True, slots=True)
class ErkKtr:
    """A translocation reporter: the active kinase drives it out of the nucleus.

    Adds ``kinase`` (0 to 1), ``translocated`` (0 to 1, follows the kinase), ``rest``
    (ratio without light), ``gain`` (highest relative rise), ``mood`` (slow noise) and
    ``ratio``, what a perfect measurement of cytoplasm over nucleus intensity gives.

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
    """

    half_dose_ms: float = 0.5
    memory_s: float = 300.0
    lag_s: float = 120.0
    rest_ratio: float = 0.6
    rest_spread: float = 0.12
    rise: float = 1.15
    rise_spread: float = 0.15
    mood_spread: float = 0.05
    mood_s: float = 600.0

    def start(self, cells: Numbers, random: np.random.Generator) -> None:
        """Add resting cells that differ from each other."""
        count = cells["x"].size
        cells["kinase"] = np.zeros(count)
        cells["translocated"] = np.zeros(count)
        cells["rest"] = self.rest_ratio * random.lognormal(0, self.rest_spread, count)
        cells["gain"] = self.rise * random.lognormal(0, self.rise_spread, count)
        cells["mood"] = self.mood_spread * random.standard_normal(count)
        self._measure(cells)

    def expose(self, cells: Numbers, light: CellLight) -> None:
        """Activate a part of the inactive kinase."""
        grip = light.dose / (light.dose + self.half_dose_ms)
        cells["kinase"] = cells["kinase"] + grip * (1.0 - cells["kinase"])

    def step(self, cells: Numbers, step_s: float, random: np.random.Generator) -> None:
        """Let the kinase fade and the reporter follow."""
        follow = 1.0 - exp(-step_s / self.lag_s)
        kinase, out = cells["kinase"], cells["translocated"]
        cells["translocated"] = out + follow * (kinase - out)
        cells["kinase"] = exp(-step_s / self.memory_s) * kinase
        keep = exp(-step_s / self.mood_s)
        kick = self.mood_spread * sqrt(1 - keep * keep)
        noise = random.standard_normal(kinase.size)
        cells["mood"] = keep * cells["mood"] + kick * noise
        self._measure(cells)

    @staticmethod
    def _measure(cells: Numbers) -> None:
        """Set ``ratio``."""
        rise = 1.0 + cells["gain"] * cells["translocated"]
        cells["ratio"] = cells["rest"] * np.exp(cells["mood"]) * rise
