"""The dose that a model says is right, without looking at the cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from faro.control.checks import checked_number
from faro.control.memory import finished, recalled
from faro.errors import ContractError

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.model import TrackValues
    from faro.protocols import ControlInput


@dataclass(frozen=True, slots=True)
class FeedForward:
    """Gives the dose at which a cell of known gain comes to rest at its set-point.

    Parameters
    ----------
    gain
        By how much full light changes the feature in the end; not 0.
    baseline
        The feature without light.

    Raises
    ------
    ContractError
        If the gain is 0.
    """

    gain: float
    baseline: float = 0.0

    def __post_init__(self) -> None:
        checked_number(self.baseline, "FeedForward(baseline=...)")
        if not (np.isfinite(self.gain) and self.gain):
            problem = f"FeedForward(gain=...) is {self.gain}."
            raise ContractError(problem, remedy="Fit a response, or give its gain.")

    def step(
        self, now: ControlInput, state: TrackValues
    ) -> tuple[npt.NDArray[np.float64], TrackValues]:
        """Return doses (n,), 0 to 1, and the new state."""
        old = recalled(now, state, ())
        wanted = np.clip(at_rest(self, now.reference(now.time_s)), 0.0, 1.0)
        return finished(now, state, old, {}, wanted)


def at_rest(
    known: FeedForward | None, aim: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the doses (n,), not limited, that hold set-points (n,); 0 if unknown."""
    if known is None:
        return np.zeros(aim.shape)
    doses: npt.NDArray[np.float64] = (aim - known.baseline) / known.gain
    return doses
