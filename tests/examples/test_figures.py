"""The examples that make a figure: what they say is so, on the simulated microscope."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import faro

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "examples"
MAX_LINES = 40
NAMES = (
    "dose_response_ramp",
    "erk_clamp",
    "front_and_rear",
    "line_sweep",
    "steer_cells_up",
)


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def drawn(name: str, folder: Path, **words: Any) -> Path:
    """Run an example; return its folder, beside which its figure must be."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(str(folder / name), **words)
    assert plt.imread(folder / f"{name}.png").std() > 0.05
    return folder / name


def column(path: Path, name: str) -> Any:
    return faro.open_run(path).cells.pivot(name)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_short(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_LINES


def test_cells_are_steered_up(tmp_path: Path) -> None:
    y = column(drawn("steer_cells_up", tmp_path, n=8), "y").values
    moved = y[:, 0] - y[:, -1]
    assert np.nanmedian(moved) > 2.0


@pytest.mark.long
def test_front_light_carries_cells_and_rear_light_holds_them(tmp_path: Path) -> None:
    path = drawn("front_and_rear", tmp_path)
    far = {}
    for arm in ("front", "rear", "control"):
        y, x = (column(path / arm, axis).values for axis in ("y", "x"))
        far[arm] = np.nanmean(np.hypot(y[:, -1] - y[:, 0], x[:, -1] - x[:, 0]))
    assert far["front"] > 1.5 * far["control"] > 1.5 * far["rear"]


@pytest.mark.long
def test_activity_follows_the_line(tmp_path: Path) -> None:
    path = drawn("line_sweep", tmp_path)
    ratio, x = column(path, "cnr"), column(path, "x")
    seen = np.isfinite(ratio.values).all(axis=1)
    peak = ratio.values[seen].argmax(axis=1)
    passed = x.values[seen, 0] / 256 * ratio.values.shape[1]
    assert np.corrcoef(peak, passed)[0, 1] > 0.8


@pytest.mark.long
def test_three_arms_differ_as_their_doses_do(tmp_path: Path) -> None:
    ratio = column(drawn("dose_response_ramp", tmp_path), "cnr")
    arms = [np.nanmean(ratio.values[ratio.fov == fov], axis=0) for fov in range(3)]
    dark, constant, ramp = arms
    assert np.ptp(dark) < 0.05
    assert constant.argmax() < ramp.argmax()
    assert min(constant.max(), ramp.max()) > 1.2 * dark.mean()
    assert constant[-1] < 0.97 * constant.max()  # it adapts


@pytest.mark.long
def test_pid_and_mpc_hold_cells_twice_as_well_as_the_best_relay(tmp_path: Path) -> None:
    settled = slice(20, None)
    errors: dict[str, float] = {}
    for level in (0.1, 0.15, 0.2, 0.3):
        path = drawn("erk_clamp", tmp_path / str(level), relay=level)
        first = column(path / "random", "cnr")
        label = column(path / "random", "label").values[:, 0]
        goal = first.values[:, 0] * (1.2 + 0.1 * (label % 3))
        there = first.track_id[np.isfinite(goal)]
        goals = dict(zip(there.tolist(), goal[np.isfinite(goal)], strict=True))
        for kind in ("Relay", "PID", "MPC"):
            now = column(path / kind, "cnr")
            aim = np.array([goals.get(i, np.nan) for i in now.track_id.tolist()])
            error = (now.values - aim[:, None])[:, settled]
            rms = float(np.sqrt(np.nanmean(error**2)))
            errors[kind] = min(errors.get(kind, np.inf), rms)
    assert max(errors["PID"], errors["MPC"]) <= 0.5 * errors["Relay"], errors
