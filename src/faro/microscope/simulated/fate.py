"""Cells divide and die."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.microscope.simulated.geometry import Floats
    from faro.microscope.simulated.population import Numbers
    from faro.microscope.simulated.responses import CellLight

CONDENSED = 0.8
"""How much brighter a nucleus becomes that condenses."""
SHRINKS = 0.45
"""By how much of its radius a dying cell shrinks."""
MIDDLE = 1.5
"""Area in the middle of the cell cycle, relative to the begin."""


@dataclass(frozen=True, slots=True)
class Division:
    """Cells grow to twice their area, condense their nucleus, and divide.

    Adds ``phase`` of the cell cycle (0 to 1), ``cycle_s``, ``divides``, and the factors
    ``radius_growth``, ``nucleus_growth`` and ``marker_mitosis``.

    Attributes
    ----------
    cycle_s, spread
        Median and log spread of the cell cycle.
    mitosis_s
        How long the nucleus is condensed before the division.
    """

    lines: ClassVar[tuple[str, ...]] = ()
    cycle_s: float = 64_800.0
    spread: float = 0.15
    mitosis_s: float = 2_400.0

    def start(self, cells: Numbers, random: np.random.Generator) -> None:
        """Add cells anywhere in their cycle; the young are more, as when they grow."""
        count = cells["x"].size
        cells["phase"] = 1.0 - np.log2(1.0 + random.random(count))
        cells["cycle_s"] = self.cycle_s * random.lognormal(0.0, self.spread, count)
        cells["divides"] = np.zeros(count)
        self._grown(cells)

    def expose(self, cells: Numbers, light: CellLight) -> None:
        """Take up nothing."""

    def step(self, cells: Numbers, step_s: float, random: np.random.Generator) -> None:
        """Go on in the cycle, more slowly where harmed; the dying do not."""
        del random
        speed = step_s / cells["cycle_s"] / (1.0 + _of(cells, "damage"))
        speed = np.where(_of(cells, "dying_s") > 0, 0.0, speed)
        cells["phase"] = cells["phase"] + speed
        cells["divides"] = (cells["phase"] >= 1.0).astype(float)
        self._grown(cells)

    def divided(
        self,
        cells: Numbers,
        daughters: npt.NDArray[np.intp],
        random: np.random.Generator,
    ) -> None:
        """Begin anew at ``daughters`` (n,), each with a cycle of its own."""
        cells["phase"][daughters] = 0.0
        spread = random.lognormal(0.0, self.spread, daughters.size)
        cells["cycle_s"][daughters] = self.cycle_s * spread
        cells["divides"][daughters] = 0.0
        self._grown(cells)

    def _grown(self, cells: Numbers) -> None:
        """Set size and brightness by the phase."""
        growth = np.sqrt((1.0 + np.clip(cells["phase"], 0.0, 1.0)) / MIDDLE)
        left_s = (1.0 - cells["phase"]) * cells["cycle_s"]
        condensed = np.clip(1.0 - left_s / self.mitosis_s, 0.0, 1.0)
        cells["radius_growth"] = growth
        cells["nucleus_growth"] = growth * (1.0 - 0.2 * condensed)
        cells["marker_mitosis"] = 1.0 + CONDENSED * condensed


@dataclass(frozen=True, slots=True)
class Death:
    """Cells die by chance, more of them where light has harmed them.

    A dying cell stops, shrinks and condenses, then it is gone. Adds ``dying_s`` (since
    it began to die, 0 while it lives), ``gone``, and the factors ``radius_dying``,
    ``nucleus_dying`` and ``marker_dying``.

    Attributes
    ----------
    per_h
        Part of the cells that die in an hour.
    harmed_per_h
        Highest rate by damage, see `Phototoxicity`.
    lasts_s
        From the begin of death until nothing is left.
    """

    lines: ClassVar[tuple[str, ...]] = ()
    per_h: float = 0.002
    harmed_per_h: float = 1.0
    lasts_s: float = 3_600.0

    def start(self, cells: Numbers, random: np.random.Generator) -> None:
        """Add living cells."""
        del random
        count = cells["x"].size
        cells["dying_s"], cells["gone"] = np.zeros(count), np.zeros(count)
        self._shrunk(cells)

    def expose(self, cells: Numbers, light: CellLight) -> None:
        """Take up nothing."""

    def step(self, cells: Numbers, step_s: float, random: np.random.Generator) -> None:
        """Let some begin to die, and those that die go on."""
        harm = _of(cells, "damage") ** 2
        per_h = self.per_h + self.harmed_per_h * harm / (1.0 + harm)
        begins = random.random(harm.size) < -np.expm1(-per_h * step_s / 3600)
        dying = (cells["dying_s"] > 0) | begins
        cells["dying_s"] = np.where(dying, cells["dying_s"] + step_s, 0.0)
        for name in ("vx", "vy", "polarity_x", "polarity_y"):
            if name in cells:
                cells[name] = np.where(dying, 0.0, cells[name])
        cells["gone"] = (cells["dying_s"] >= self.lasts_s).astype(float)
        self._shrunk(cells)

    def _shrunk(self, cells: Numbers) -> None:
        part = np.clip(cells["dying_s"] / self.lasts_s, 0.0, 1.0)
        cells["radius_dying"] = 1.0 - SHRINKS * part
        cells["nucleus_dying"] = 1.0 - SHRINKS * part
        cells["marker_dying"] = 1.0 + CONDENSED * part


def _of(cells: Numbers, name: str) -> Floats:
    """Return a column (n,), 0 where no response adds it."""
    found = cells.get(name)
    return np.zeros(cells["x"].size) if found is None else found
