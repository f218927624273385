"""What cells do, and how light directs them: the contract, and migration."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.microscope.simulated.geometry import Floats
    from faro.microscope.simulated.population import Numbers

CYAN = "Cyan"
"""The light line for stimulation."""


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
    line
        The light line.
    """

    dose: Floats
    toward_x: Floats
    toward_y: Floats
    line: str = CYAN


class Response(Protocol):
    """One thing that cells do; its state is columns of the cells.

    Times are seconds of cell life. Random numbers come from ``random`` only, so that a
    dish can be lived again. A column ``marker_*``, ``reporter_*``, ``radius_*`` or
    ``nucleus_*`` is a factor of what its first word names. A cell divides where column
    ``divides`` is not 0, and is taken away where ``gone`` is not 0.

    Attributes
    ----------
    lines
        The light lines that it takes up.
    """

    @property
    def lines(self) -> tuple[str, ...]:
        """The light lines that it takes up."""
        ...

    def start(self, cells: Numbers, random: np.random.Generator) -> None:
        """Add the columns of this response."""
        ...

    def expose(self, cells: Numbers, light: CellLight) -> None:
        """Take up the light of one exposure."""
        ...

    def step(self, cells: Numbers, step_s: float, random: np.random.Generator) -> None:
        """Live on for ``step_s``."""
        ...


@runtime_checkable
class AtDivision(Protocol):
    """A response that does more at a division than to pass its columns on."""

    def divided(
        self,
        cells: Numbers,
        daughters: npt.NDArray[np.intp],
        random: np.random.Generator,
    ) -> None:
        """Change the columns of the cells at ``daughters`` (n,): two, two, two ..."""
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
    lines: ClassVar[tuple[str, ...]] = (CYAN,)
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
