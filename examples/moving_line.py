"""A stripe that wanders over the field; moving_line.toml names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.protocols import StimulationContext


@dataclass
class MovingLine:
    """Lights a stripe, ``width_px`` wide, once over the field in ``n_timesteps``."""

    width_px: int = 32
    first_timestep: int = 0
    n_timesteps: int = 100

    def stimulate(self, context: StimulationContext) -> npt.NDArray[np.bool_]:
        """Return a mask (Y, X)."""
        part = (context.timestep - self.first_timestep) % self.n_timesteps
        left_px = round(part * context.shape[1] / self.n_timesteps)
        mask = np.zeros(context.shape, bool)
        mask[:, left_px : left_px + self.width_px] = True
        return mask
