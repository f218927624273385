"""How a feature answers to light: one or two lags in a row, with a gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import expm

from faro.control.checks import checked_number, checked_positive
from faro.errors import ContractError

Floats = npt.NDArray[np.float64]
MOST_LAGS = 2


@dataclass(frozen=True, slots=True)
class ResponseModel:
    """A linear response: the dose passes one or two first-order lags.

    Parameters
    ----------
    gain
        By how much full light changes the feature in the end.
    time_constants_s
        Of one lag (first order) or two (second order).
    baseline
        The feature without light; the mean of the cells.
    rms
        Residual of the fit, in the unit of the feature; None if it was not fitted.

    Raises
    ------
    ContractError
        If a value makes no response.

    Examples
    --------
    >>> model = ResponseModel(gain=2.0, time_constants_s=(60.0,))
    >>> round(float(model.step_response(np.array([60.0]))[0]), 3)
    1.264
    """

    gain: float
    time_constants_s: tuple[float, ...]
    baseline: float = 0.0
    rms: float | None = None

    def __post_init__(self) -> None:
        checked_number(self.gain, "ResponseModel(gain=...)")
        checked_number(self.baseline, "ResponseModel(baseline=...)")
        if not 1 <= len(self.time_constants_s) <= MOST_LAGS:
            problem = f"ResponseModel has time constants {self.time_constants_s}."
            raise ContractError(problem, remedy="Give one or two, in seconds.")
        for value in self.time_constants_s:
            checked_positive(value, "ResponseModel(time_constants_s=...)")

    @property
    def order(self) -> int:
        """Number of lags, 1 or 2."""
        return len(self.time_constants_s)

    def matrices(self, interval_s: float) -> tuple[Floats, Floats]:
        """Return ``A`` (order, order) and ``B`` (order,) of one interval.

        ``x[k+1] = A @ x[k] + B * dose[k]``, exact for a dose that is constant during
        the interval. The feature is ``baseline + gain * x[-1]``.
        """
        rates = 1.0 / np.asarray(self.time_constants_s)
        n = self.order
        system = np.zeros((n + 1, n + 1))
        system[:n, :n] = -np.diag(rates) + np.diag(rates[1:], -1)
        system[0, n] = rates[0]
        whole = np.asarray(expm(system * interval_s), np.float64)
        return whole[:n, :n], whole[:n, n]

    def step_response(self, times_s: Floats) -> Floats:
        """Return the feature (t,) at times (t,) after full light was switched on."""
        states = [self.matrices(float(t))[1][-1] for t in times_s]
        answer: Floats = self.baseline + self.gain * np.array(states)
        return answer
