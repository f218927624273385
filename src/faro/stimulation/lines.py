"""Lines of light that sweep over the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from faro.errors import ContractError
from faro.stimulation.settings import checked_positive, pixel_size_of
from faro.stimulation.shapes import unit_vector

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.protocols import StimulationContext


@dataclass(frozen=True, slots=True)
class MovingLine:
    """Lights one or more lines that move at a steady speed and come again.

    A line enters the window at one side, leaves it at the other and begins anew. The
    place follows the planned times, so a replay gives the same lines.

    Parameters
    ----------
    speed_um_s
        How fast; 0 stands still.
    width_um
        Width of a line along its way.
    angle_deg
        Where it moves to: 0 is to the right, 90 is down in the image. The line itself
        is at right angles to that.
    n_lines
        Lines at the same time, evenly apart.
    window_px
        (y0, x0, y1, x1), half-open, of the part of the image where it is; None for
        all of it.
    start_s
        Time at which the first line is at the edge, about to enter; before, there is
        no light.

    Raises
    ------
    ContractError
        If a value makes no line.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    required_metadata: ClassVar[tuple[str, ...]] = ()
    speed_um_s: float
    width_um: float
    angle_deg: float = 0.0
    n_lines: int = 1
    window_px: tuple[int, int, int, int] | None = None
    start_s: float = 0.0

    def __post_init__(self) -> None:
        checked_positive(self.speed_um_s, "MovingLine(speed_um_s=...)", zero=True)
        checked_positive(self.width_um, "MovingLine(width_um=...)")
        checked_positive(self.n_lines, "MovingLine(n_lines=...)")
        y0, x0, y1, x1 = self.window_px or (0, 0, 1, 1)
        if not (0 <= y0 < y1 and 0 <= x0 < x1):
            problem = f"MovingLine(window_px=...) is {self.window_px}."
            raise ContractError(
                problem, remedy="Give y0, x0, y1, x1; y0 < y1, x0 < x1."
            )

    def stimulate(self, context: StimulationContext) -> npt.NDArray[np.bool_] | None:
        """Return the mask (Y, X) of the lines, None before ``start_s``."""
        size_um = pixel_size_of(context, self)
        travelled_um = self.speed_um_s * (context.time_s - self.start_s)
        if context.time_s < self.start_s:
            return None
        height, width = context.shape
        y0, x0, y1, x1 = self.window_px or (0, 0, height, width)
        y1, x1 = min(y1, height), min(x1, width)
        mask = np.zeros(context.shape, np.bool_)
        if y0 >= y1 or x0 >= x1:
            return mask
        dy, dx = unit_vector(self.angle_deg)
        y, x = np.arange(y0, y1) * dy, np.arange(x0, x1) * dx
        along_px = (y - y.min())[:, None] + (x - x.min())[None, :]
        wide_px = self.width_um / size_um
        path_px = float(np.ptp(y) + np.ptp(x)) + 1.0
        period_px = (path_px + wide_px) / self.n_lines
        # how far behind the front of the nearest line ahead, in periods
        front_px = (travelled_um / size_um) % period_px - 0.5
        behind = (front_px - along_px) / period_px
        behind -= np.floor(behind)
        mask[y0:y1, x0:x1] = behind < wide_px / period_px
        return mask
