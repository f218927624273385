"""Proportional, integral, derivative; with anti-windup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from faro.control.checks import checked_number, checked_range
from faro.control.feedforward import FeedForward, at_rest
from faro.control.memory import finished, recalled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model import TrackValues
    from faro.protocols import ControlInput

Floats = npt.NDArray[np.float64]
SAME_MOMENT_S = 1e-3
"""Frames closer together say nothing about a slope."""


@dataclass(frozen=True, slots=True)
class PID:
    """Steers every cell by its error, the sum of its errors, and its slope.

    ``dose = kp * (error + integral(error) / ti - td * slope)``, limited to what the
    light can do. While the dose is at a limit, the integral does not run further
    towards it (conditional integration; Astrom and Hagglund, Advanced PID Control,
    2006, section 3.5). The slope is that of the measurement, so that a step of the
    set-point gives no kick, and is smoothed. Intervals may differ.

    Parameters
    ----------
    kp
        Dose per unit of the feature; negative where light lowers the feature.
    ti_s
        Integral time; None for no integral.
    td_s
        Derivative time; 0 for none.
    smoothing_s
        Time constant by which the slope is smoothed.
    lowest, highest
        Limits of the dose, 0 to 1.
    feed_forward
        A dose that is added, from the set-point alone.

    Raises
    ------
    ContractError
        If a value means nothing.
    """

    kp: float
    ti_s: float | None = None
    td_s: float = 0.0
    smoothing_s: float = 0.0
    lowest: float = 0.0
    highest: float = 1.0
    feed_forward: FeedForward | None = None

    def __post_init__(self) -> None:
        checked_number(self.kp, "PID(kp=...)")
        for name in ("td_s", "smoothing_s"):
            checked_number(getattr(self, name), f"PID({name}=...)", least=0.0)
        if self.ti_s is not None:
            checked_number(self.ti_s, "PID(ti_s=...)", least=1e-9)
        checked_range(self.lowest, self.highest, "PID")

    def step(self, now: ControlInput, state: TrackValues) -> tuple[Floats, TrackValues]:
        """Return doses (n,), 0 to 1, and the new state."""
        old = recalled(now, state, ("integral", "slope", "measured", "seen_s"))
        aim = now.reference(now.time_s)
        error = aim - now.measured
        past_s = now.time_s - old["seen_s"]
        fresh = ~(past_s >= SAME_MOMENT_S)  # NaN for a new track
        dt_s = np.where(fresh, 0.0, past_s)
        slope = self._slope(now, old, dt_s)
        before = np.nan_to_num(old["integral"])
        known = at_rest(self.feed_forward, aim)
        fixed = known + self.kp * (error - self.td_s * slope)
        gain = 0.0 if self.ti_s is None else self.kp / self.ti_s
        after = before + error * dt_s
        raw = fixed + gain * after
        pushed = gain * (after - before)
        stuck = ((raw > self.highest) & (pushed > 0)) | (
            (raw < self.lowest) & (pushed < 0)
        )
        integral = np.where(stuck, before, after)
        wanted = np.clip(fixed + gain * integral, self.lowest, self.highest)
        columns = {
            "integral": integral,
            "slope": slope,
            "measured": now.measured,
            "seen_s": np.full(len(wanted), now.time_s),
        }
        return finished(now, state, old, columns, wanted)

    def _slope(
        self, now: ControlInput, old: Mapping[str, Floats], dt_s: Floats
    ) -> Floats:
        """Return the smoothed slope (n,) of the feature, per second; 0 where new."""
        moved = dt_s > 0
        raw = np.zeros(len(dt_s))
        np.divide(now.measured - old["measured"], dt_s, out=raw, where=moved)
        last = np.nan_to_num(old["slope"])
        share = np.where(moved, dt_s / (dt_s + self.smoothing_s + 1e-12), 0.0)
        slope: Floats = last + share * (raw - last)
        return slope
