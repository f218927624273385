"""A response model is found from a run, and answers as the lags it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.integrate import solve_ivp

from faro.control import ResponseModel, fit_response
from faro.errors import ContractError

Floats = npt.NDArray[np.float64]


def recorded(
    model: ResponseModel, *, noise: float, cells: int = 24, n: int = 60, seed: int = 0
) -> dict[str, Any]:
    """Return a cell table of cells with their own baselines, lit in random pulses."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, float, float, float]] = []
    forward, kick = model.matrices(30.0)
    for track in range(1, cells + 1):
        lags, dose = np.zeros(model.order), 0.0
        own = model.baseline + 0.3 * rng.standard_normal()
        begin, end = (0, n) if track % 3 else (5, n - rng.integers(0, 20))
        for t in range(n):
            if t % 6 == 0 and t >= 6:
                dose = float(rng.uniform() < 0.5) * float(rng.uniform(0.5, 1.0))
            value = own + model.gain * lags[-1] + noise * rng.standard_normal()
            if begin <= t < end:
                rows.append((track % 2, track, 30.0 * t, dose, value))
            lags = forward @ lags + kick * dose
    order = rng.permutation(len(rows))
    columns = list(zip(*(rows[i] for i in order), strict=True))
    names = ("fov", "track_id", "time_s", "dose", "cnr")
    return dict(zip(names, map(np.array, columns), strict=True))


@pytest.mark.parametrize(
    ("constants", "noise"),
    [((150.0,), 0.0), ((150.0,), 0.2), ((240.0, 60.0), 0.0), ((240.0, 60.0), 0.1)],
    ids=["1", "1 noisy", "2", "2 noisy"],
)
def test_the_model_is_found_in_one_call(
    constants: tuple[float, ...], noise: float
) -> None:
    truth = ResponseModel(1.5, constants, baseline=0.8)
    table = recorded(truth, noise=noise)
    found = fit_response(table, "cnr", order=len(constants))
    assert found.gain == pytest.approx(1.5, rel=0.001 if noise == 0 else 0.05)
    loose = 0.01 if noise == 0 else 0.15
    assert found.time_constants_s == pytest.approx(constants, rel=loose)
    assert found.baseline == pytest.approx(0.8, abs=0.2)
    assert found.rms == pytest.approx(noise, rel=0.05, abs=1e-3)


def test_a_data_frame_will_do() -> None:
    table = pd.DataFrame(recorded(ResponseModel(-0.7, (90.0,)), noise=0.05))
    found = fit_response(table.rename(columns={"dose": "light"}), "cnr", "light")
    assert found.gain == pytest.approx(-0.7, rel=0.05)


def test_lags_are_those_of_the_differential_equations() -> None:
    model = ResponseModel(2.0, (70.0, 25.0), baseline=0.5)

    def slope(_time: float, x: Floats) -> list[float]:
        return [(1.0 - x[0]) / 70.0, (x[0] - x[1]) / 25.0]

    times = np.array([10.0, 50.0, 200.0])
    exact = solve_ivp(slope, (0, 200), [0, 0], t_eval=times, rtol=1e-9, atol=1e-12)
    assert model.step_response(times) == pytest.approx(0.5 + 2.0 * exact.y[1])
    assert ResponseModel(1.0, (50.0, 50.0)).step_response(times)[-1] < 1.0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"track_id": [1], "time_s": [0]}, r"no \['cnr', 'dose'\]; it has"),
        (
            {
                "track_id": [1] * 4,
                "time_s": [0, 1, 2, 3],
                "dose": [1] * 4,
                "cnr": [1] * 4,
            },
            "dose that changes. Fit a run in which light was switched",
        ),
        (
            {"track_id": [1, 2], "time_s": [0, 1], "dose": [0, 1], "cnr": [1, 2]},
            "No track has 3 rows",
        ),
    ],
    ids=["columns", "constant", "short"],
)
def test_a_run_that_says_nothing_is_refused(
    table: dict[str, Any], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        fit_response(table, "cnr")
    with pytest.raises(ContractError, match=r"order=.* is 3. Use 1 or 2"):
        fit_response(table, "cnr", order=3)
