"""On and off, with hysteresis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from faro.control.checks import checked_number, checked_range
from faro.control.memory import finished, recalled

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.model import TrackValues
    from faro.protocols import ControlInput


@dataclass(frozen=True, slots=True)
class Relay:
    """Lights a cell below its set-point and leaves it dark above.

    Within the band around the set-point a cell keeps what it has, so that noise does
    not switch it. A cell that begins inside the band begins dark.

    Parameters
    ----------
    band
        Width of the band, in the unit of the feature.
    highest, lowest
        Doses when on and when off, 0 to 1.
    light_raises
        Whether light makes the feature larger; otherwise cells above are lit.

    Raises
    ------
    ContractError
        If a value means nothing.
    """

    band: float = 0.0
    highest: float = 1.0
    lowest: float = 0.0
    light_raises: bool = True

    def __post_init__(self) -> None:
        checked_number(self.band, "Relay(band=...)", least=0.0)
        checked_range(self.lowest, self.highest, "Relay")

    def step(
        self, now: ControlInput, state: TrackValues
    ) -> tuple[npt.NDArray[np.float64], TrackValues]:
        """Return doses (n,), 0 to 1, and the new state."""
        old = recalled(now, state, ("on",))
        error = now.reference(now.time_s) - now.measured
        error = error if self.light_raises else -error
        on = np.nan_to_num(old["on"])
        on = np.where(error > self.band / 2, 1.0, on)
        on = np.where(error < -self.band / 2, 0.0, on)
        wanted = np.where(on > 0, self.highest, self.lowest)
        return finished(now, state, old, {"on": on}, wanted)
