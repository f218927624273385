"""Model-predictive control: the doses that a response model says will come closest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from faro.control.checks import checked_number, checked_positive, checked_range
from faro.control.memory import DOSE, finished, recalled
from faro.control.response import MOST_LAGS, ResponseModel
from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model import TrackValues
    from faro.protocols import ControlInput

Floats = npt.NDArray[np.float64]
ROUNDS = 40
LAGS = tuple(f"lag{number}" for number in range(MOST_LAGS))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What follows from model, horizon and weight; the same for all cells.

    Attributes
    ----------
    free
        (H, order): the lags now to the last lag at each step ahead.
    forced
        (H, H): the doses to the last lag at each step ahead.
    curve, largest
        (H, H) of the quadratic cost of the doses, and its largest eigenvalue.
    smooth
        Weight of the squared change of dose, in units of the cost.
    """

    free: Floats
    forced: Floats
    curve: Floats
    largest: float
    smooth: float


@dataclass(frozen=True, slots=True)
class MPC:
    """Steers every cell by what a fitted model says it will do.

    At each frame the doses of the next ``horizon`` intervals are chosen so that the
    predicted squared distance from the set-points, which are looked up ahead, and the
    squared changes of dose are smallest within the limits of the light; the first is
    given. What a cell does beyond the model (its own baseline and gain, drift, cells
    around it) is estimated as a disturbance of its own and followed, so no error
    remains (offset-free MPC; Pannocchia and Rawlings, AIChE J. 49, 426, 2003).

    Parameters
    ----------
    model
        From `fit_response`.
    interval_s
        Time from one dose to the next.
    horizon
        Intervals to look ahead.
    smoothness
        Cost of changing the dose from nothing to full, in units of the squared effect
        of full light.
    trust
        Part of each surprise that is taken for a lasting disturbance, 0 to 1: small
        for noisy features, large for cells that change quickly.
    lowest, highest
        Limits of the dose, 0 to 1.

    Raises
    ------
    ContractError
        If a value means nothing, or the model does not answer to light.
    """

    model: ResponseModel
    interval_s: float
    horizon: int = 8
    smoothness: float = 0.01
    trust: float = 0.4
    lowest: float = 0.0
    highest: float = 1.0
    _plan: _Plan = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        checked_positive(self.interval_s, "MPC(interval_s=...)")
        checked_positive(self.horizon, "MPC(horizon=...)")
        checked_number(self.smoothness, "MPC(smoothness=...)", least=0.0)
        checked_range(self.lowest, self.highest, "MPC")
        if not 0 < self.trust <= 1:
            problem = f"MPC(trust=...) is {self.trust}."
            raise ContractError(problem, remedy="Use more than 0, at most 1.")
        if self.model.gain == 0:
            problem = "The model of MPC does not answer to light: its gain is 0."
            raise ContractError(
                problem, remedy="Fit a run in which light was switched."
            )
        object.__setattr__(self, "_plan", self._planned())

    def step(self, now: ControlInput, state: TrackValues) -> tuple[Floats, TrackValues]:
        """Return doses (n,), 0 to 1, and the new state."""
        names = LAGS[: self.model.order]
        old = recalled(now, state, (*names, "disturbance", "seen_s"))
        lags = self._lags(now, old)
        foreseen = self.model.baseline + self.model.gain * lags[:, -1]
        surprise = now.measured - foreseen - np.nan_to_num(old["disturbance"])
        share = np.where(np.isnan(old["disturbance"]), 1.0, self.trust)
        disturbance = np.nan_to_num(old["disturbance"]) + share * surprise
        wanted = self._doses(now, old, lags, disturbance)
        columns = {name: lags[:, i] for i, name in enumerate(names)}
        columns |= {
            "disturbance": disturbance,
            "seen_s": np.full(len(wanted), now.time_s),
        }
        return finished(now, state, old, columns, wanted)

    def _lags(self, now: ControlInput, old: Mapping[str, Floats]) -> Floats:
        """Return the lags (n, order) now, from those before and the dose since."""
        names = LAGS[: self.model.order]
        lags = np.stack([np.nan_to_num(old[name]) for name in names], axis=1)
        past_s = now.time_s - old["seen_s"]
        dose = np.nan_to_num(old[DOSE])
        for gap_s in np.unique(past_s[past_s > 0]):
            forward, driven = self.model.matrices(float(gap_s))
            those = past_s == gap_s
            lags[those] = lags[those] @ forward.T + dose[those, None] * driven
        return lags

    def _doses(
        self,
        now: ControlInput,
        old: Mapping[str, Floats],
        lags: Floats,
        disturbance: Floats,
    ) -> Floats:
        """Return the first of the best doses ahead, (n,).

        A quadratic program with bounds for every cell, all of one shape: accelerated
        projected gradients (Beck and Teboulle, SIAM J. Imaging Sci. 2, 183, 2009).
        """
        plan, (lowest, highest) = self._plan, (self.lowest, self.highest)
        times_s = now.time_s + self.interval_s * np.arange(1, self.horizon + 1)
        aims = np.stack([now.reference(float(t)) for t in times_s], axis=1)
        level = self.model.baseline + disturbance
        apart = (aims - level[:, None]) / self.model.gain - lags @ plan.free.T
        last = np.clip(np.nan_to_num(old[DOSE]), lowest, highest)
        pull = np.nan_to_num(apart) @ plan.forced
        pull[:, 0] += plan.smooth * last
        doses = ahead = np.repeat(last[:, None], self.horizon, axis=1)
        weight = 1.0
        for _ in range(ROUNDS):
            slope = ahead @ plan.curve - pull
            better = np.clip(ahead - slope / plan.largest, lowest, highest)
            heavier = (1 + np.sqrt(1 + 4 * weight**2)) / 2
            ahead = better + (weight - 1) / heavier * (better - doses)
            doses, weight = better, heavier
        first: Floats = doses[:, 0]
        return np.where(np.isnan(now.measured), np.nan, first)

    def _planned(self) -> _Plan:
        """Return what is the same for all cells and frames."""
        forward, driven = self.model.matrices(self.interval_s)
        n = int(self.horizon)
        powers = [np.eye(self.model.order)]
        for _ in range(n):
            powers.append(forward @ powers[-1])
        kicks = np.array([(power @ driven)[-1] for power in powers[:n]])
        forced = np.zeros((n, n))
        for step in range(n):
            forced[step, : step + 1] = kicks[step::-1]
        change = np.eye(n) - np.eye(n, k=-1)
        curve = forced.T @ forced + self.smoothness * change.T @ change
        largest = float(np.linalg.eigvalsh(curve)[-1])
        free = np.stack([power[-1] for power in powers[1:]])
        return _Plan(free, forced, curve, largest, self.smoothness)
