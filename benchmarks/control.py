"""What a control step costs: python benchmarks/control.py [--cells N].

CPU milliseconds of the calling thread, best of several steps. Every frame one cell in
a hundred is new and as many are gone, so the states are matched anew each time.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from faro.control import MPC, PID, FeedForward, Relay, ResponseModel, fit_response
from faro.model import TrackValues
from faro.protocols import ControlInput

if TYPE_CHECKING:
    from faro.protocols import FeedbackController

STEPS = 12


def controllers() -> dict[str, FeedbackController]:
    first = ResponseModel(2.0, (120.0,), baseline=1.0)
    second = ResponseModel(2.0, (180.0, 60.0), baseline=1.0)
    return {
        "relay": Relay(band=0.1),
        "PID": PID(0.5, 200.0, 20.0, 30.0),
        "feed-forward": FeedForward(2.0, 1.0),
        "MPC, first order": MPC(first, 60.0),
        "MPC, second order": MPC(second, 60.0),
    }


def milliseconds(controller: FeedbackController, n_cells: int) -> float:
    """Return the best CPU time of a step."""
    rng, best, state = np.random.default_rng(0), float("inf"), TrackValues()
    aims = rng.uniform(1.5, 2.5, n_cells)
    change = max(1, n_cells // 100)
    for step in range(STEPS):
        tracks = np.arange(1, n_cells + 1) + step * change
        measured = rng.uniform(1.0, 3.0, n_cells)
        parents = np.zeros(n_cells, np.int64)
        now = ControlInput(60.0 * step, tracks, measured, lambda _: aims, parents)
        start = time.thread_time()
        _, state = controller.step(now, state)
        if step > 0:
            best = min(best, time.thread_time() - start)
    return best * 1e3


def fit_seconds(n_tracks: int, n_frames: int) -> float:
    """Return the CPU time of fitting a second-order model."""
    rng = np.random.default_rng(1)
    model = ResponseModel(1.5, (240.0, 60.0), baseline=1.0)
    forward, kick = model.matrices(60.0)
    lags = np.zeros((n_tracks, 2))
    dose = np.zeros(n_tracks)
    table: dict[str, list[np.ndarray]] = {}
    for t in range(n_frames):
        value = model.baseline + model.gain * lags[:, 1]
        value += 0.1 * rng.standard_normal(n_tracks)
        if t % 5 == 0:
            dose = rng.integers(0, 2, n_tracks).astype(float)
        row = {"track_id": np.arange(1, n_tracks + 1), "dose": dose, "cnr": value}
        row["time_s"] = np.full(n_tracks, 60.0 * t)
        for name, values in row.items():
            table.setdefault(name, []).append(values)
        lags = lags @ forward.T + dose[:, None] * kick
    columns = {name: np.concatenate(parts) for name, parts in table.items()}
    start = time.thread_time()
    fit_response(columns, "cnr", order=2)
    return time.thread_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    asked = parser.parse_args()
    print(f"{asked.cells} cells, CPU ms per step, best of {STEPS - 1}")
    for name, controller in controllers().items():
        print(f"{name:20}{milliseconds(controller, asked.cells):>8.2f} ms")
    print(f"fit, second order, 500 tracks x 100 frames: {fit_seconds(500, 100):.1f} s")


if __name__ == "__main__":
    main()
