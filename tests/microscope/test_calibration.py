"""The DMD is calibrated on the simulated rig, whatever its mounting; files, checks."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from faro.errors import HardwareError
from faro.experiment import PowerChannel
from faro.microscope import MMDemo, SimulatedMicroscope
from faro.microscope.calibration import Calibration, carried, load_calibration
from faro.microscope.calibration_fit import fitted
from faro.microscope.calibration_run import (
    SpotPlan,
    calibrate,
    calibrated,
    check_spot,
    conditions_of,
    frames_of,
)
from faro.microscope.calibration_spots import found_spot, planned_spots, spot_pattern
from faro.microscope.dmd import DMD, CalibrationError, inverse_of
from faro.testing.mounting import mounting, spoiled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Floats = npt.NDArray[np.float64]
LIGHT = PowerChannel("CyanStim", exposure=50, power=20)
CAMERA, SLM = (256, 256), (300, 400)


def camera_points(step_px: int = 15) -> Floats:
    """Return points all over the camera image, (n, 2), (x, y)."""
    y, x = np.mgrid[10 : CAMERA[0] - 10 : step_px, 10 : CAMERA[1] - 10 : step_px]
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(float)


def errors_px(matrix: Floats, truth: Floats) -> Floats:
    """Return how far off camera points land, in camera pixels, (n,)."""
    points = camera_points()
    landed = carried(inverse_of(truth), carried(matrix, points))
    distance: Floats = np.hypot(*(landed - points).T)
    return distance


def rig(truth: Floats) -> SimulatedMicroscope:
    return SimulatedMicroscope(
        image_shape=CAMERA, slm_shape=SLM, camera_to_slm=truth[:2], cells_per_mm2=200
    )


@pytest.fixture
def microscope() -> Iterator[SimulatedMicroscope]:
    with rig(mounting(1, CAMERA, SLM)) as opened:
        yield opened


@pytest.mark.parametrize("seed", range(6))
def test_any_mounting_is_found_among_noise_hot_pixels_and_false_spots(
    seed: int,
) -> None:
    truth = mounting(seed, CAMERA, SLM)
    calls: list[int] = []
    with rig(truth) as microscope:

        def look(patterns: Sequence[Any]) -> list[Any]:
            calls.append(len(patterns))
            frames = frames_of(microscope, LIGHT, patterns)
            return list(spoiled(frames, 100 * seed + len(calls)))

        found = calibrated(look, conditions_of(microscope), SpotPlan(seed=seed))
    off = errors_px(found.matrix, truth)
    assert np.median(off) <= 0.5
    assert off.max() <= 1.0
    assert 0.1 < 1 - found.used.mean() < 0.35, "the false spots are told apart"


def test_calibrating_leaves_the_dmd_dark_and_the_listeners_as_before(
    microscope: SimulatedMicroscope,
) -> None:
    others: list[int] = []

    def listen(*_: object) -> None:
        others.append(1)

    microscope.connect_frame(listen)
    before = microscope.listeners.frame
    old = microscope.dmd
    found = calibrate(microscope, LIGHT, SpotPlan(count=12))
    assert microscope.listeners.frame == before
    assert not microscope.bench.light.pattern.any()
    assert not microscope.bench.light.shutter_open
    assert microscope.bench.light.levels_percent["Cyan"] == 0
    assert microscope.dmd is old
    truth = np.vstack([microscope.bench.projector.camera_to_slm, [0, 0, 1]])
    assert errors_px(found.matrix, truth).max() < 0.3
    assert found.median_px < 0.3
    assert found.conditions.device == "DMD"
    assert found.conditions.optics["objective"] == "Sample"
    again = calibrate(microscope, LIGHT, SpotPlan(count=12))
    assert (again.shown[:8] == found.shown[:8]).all(), "the spots are planned by seed"


def test_a_calibration_that_fails_leaves_the_sample_dark(
    microscope: SimulatedMicroscope,
) -> None:
    unseen = PowerChannel("CyanStim", exposure=0.1, power=0.1)
    before = microscope.listeners.frame
    with pytest.raises(
        CalibrationError, match=r"0 spots were seen.*7 are needed.*more power"
    ):
        calibrate(microscope, unseen, SpotPlan(count=9))
    assert microscope.listeners.frame == before
    assert not microscope.bench.light.pattern.any()
    assert not microscope.bench.light.shutter_open

    def broken(*_: object) -> None:
        message = "a listener fails"
        raise ValueError(message)

    microscope.connect_frame(broken)
    with pytest.raises(
        HardwareError, match="of 10 calibration frames came: a listener"
    ):
        calibrate(microscope, LIGHT, SpotPlan(count=9))
    assert microscope.listeners.frame == (*before, broken)
    assert not microscope.bench.light.pattern.any()


def test_a_file_gives_back_the_calibration_and_its_dmd(
    microscope: SimulatedMicroscope, tmp_path: Path
) -> None:
    found = calibrate(microscope, LIGHT, SpotPlan(count=12))
    path = found.save(tmp_path / "dmd.json")
    now = conditions_of(microscope)
    loaded = load_calibration(path, now)
    assert loaded.conditions == found.conditions
    assert (loaded.kind, loaded.date) == (found.kind, found.date)
    for name in ("matrix", "shown", "seen", "used", "residuals_px"):
        assert (getattr(loaded, name) == getattr(found, name)).all()
    microscope.dmd = loaded.dmd()
    assert microscope.dmd.optics == dict(microscope.facts().optics)
    assert check_spot(microscope, LIGHT, loaded) < 0.5
    assert not microscope.bench.light.pattern.any()


def test_a_calibration_for_something_else_is_not_loaded(
    microscope: SimulatedMicroscope, tmp_path: Path
) -> None:
    found = calibrate(microscope, LIGHT, SpotPlan(count=12))
    path = found.save(tmp_path / "dmd.json")
    now = conditions_of(microscope)
    other = replace(now, device="Mosaic", optics={**now.optics, "objective": "40x"})
    with pytest.raises(CalibrationError) as caught:
        load_calibration(path, other)
    told = str(caught.value)
    assert "device was DMD and is Mosaic" in told
    assert "objective was Sample and is 40x" in told
    assert found.date in told
    for content in ("{", "{}", '{"format": "x"}'):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(CalibrationError, match=r"holds no calibration.*faro cal"):
            load_calibration(path, now)
    with pytest.raises(CalibrationError, match="holds no calibration: FileNotFound"):
        load_calibration(tmp_path / "none.json", now)


def test_one_spot_tells_that_a_calibration_is_off(
    microscope: SimulatedMicroscope,
) -> None:
    found = calibrate(microscope, LIGHT, SpotPlan(count=12))
    moved = found.matrix.copy()
    moved[:2, 2] += 4.0 * math.sqrt(abs(np.linalg.det(moved[:2, :2])))
    with pytest.raises(
        CalibrationError, match=r"A spot is \d\.\d px off; 2 px.*not fire"
    ):
        check_spot(microscope, LIGHT, replace(found, matrix=moved))
    with pytest.raises(CalibrationError, match=r"was not seen. Do not fire"):
        check_spot(microscope, PowerChannel("CyanStim", exposure=0.1, power=0.1), found)
    elsewhere = replace(found.conditions, image_shape=(9, 9))
    with pytest.raises(CalibrationError, match=r"image_shape was .9, 9. and is"):
        check_spot(microscope, LIGHT, replace(found, conditions=elsewhere))
    assert not microscope.bench.light.pattern.any()


def test_a_microscope_without_a_dmd_is_refused() -> None:
    with (
        MMDemo() as microscope,
        pytest.raises(HardwareError, match=r"SLM ''.*needs both"),
    ):
        conditions_of(microscope)


def test_spots_are_spread_seeded_and_inside() -> None:
    spots = planned_spots((300, 400), 25, seed=4, margin_px=6)
    assert len(spots) >= 25
    assert (spots == np.rint(spots)).all()
    assert (spots.min(axis=0) >= 6).all()
    assert (spots.max(axis=0) <= [393, 293]).all()
    for quarter in ((0, 0), (0, 1), (1, 0), (1, 1)):
        inside = (spots[:, 0] > 200) == quarter[0]
        inside &= (spots[:, 1] > 150) == quarter[1]
        assert inside.sum() >= 4
    assert (planned_spots((300, 400), 25, 4, 6) == spots).all()
    assert (planned_spots((300, 400), 25, 5, 6) != spots).any()


def test_a_spot_is_found_to_a_part_of_a_pixel() -> None:
    rng = np.random.default_rng(2)
    dark = rng.normal(100, 5, (80, 90)).astype(np.uint16)
    y, x = np.mgrid[:80, :90]
    for _ in range(20):
        at = rng.uniform(20, 60, 2)
        shape = np.clip(5.5 - np.hypot(x - at[0], y - at[1]), 0, 1)
        frame = (shape * 400 + rng.normal(100, 5, shape.shape)).astype(np.uint16)
        found = found_spot(frame, dark)
        assert found is not None
        assert np.hypot(*(found - at)) < 0.15


def test_what_is_no_spot_is_not_taken_for_one() -> None:
    rng = np.random.default_rng(3)
    dark = rng.normal(100, 5, (80, 90)).astype(np.uint16)
    noise = rng.normal(100, 5, (80, 90)).astype(np.uint16)
    assert found_spot(noise, dark) is None
    hot = noise.copy()
    hot[40, 40] = 60_000
    assert found_spot(hot, dark) is None, "a hot pixel"
    edge = noise.copy()
    edge[30:40, :6] += 500
    assert found_spot(edge, dark) is None, "cut off by the border"
    flood = noise + np.uint16(0)
    flood[10:70, 10:80] += 500
    assert found_spot(flood, dark) is None, "half of the image"
    debris = spot_pattern((80, 90), np.array([30.0, 50.0]), 5)
    lit = dark + debris.astype(np.uint16) * np.uint16(900)
    assert found_spot(lit, lit) is None, "what is bright in the dark too"


@pytest.mark.parametrize("kind", ["affine", "projective"])
def test_a_fit_is_robust_and_says_what_it_left_out(kind: Any) -> None:
    truth = mounting(9, CAMERA, SLM)
    if kind == "projective":
        truth = truth.copy()
        truth[2, :2] = 4e-4, -3e-4
    rng = np.random.default_rng(4)
    seen = rng.uniform(10, 240, (40, 2))
    shown = carried(truth, seen)
    wrong = rng.permutation(40)[:8]
    seen = seen + rng.normal(0, 0.1, seen.shape)
    seen[wrong] += rng.uniform(5, 80, (8, 2))
    matrix, used, residuals_px = fitted(shown, seen, kind)
    assert np.flatnonzero(~used).tolist() == sorted(wrong.tolist())
    assert residuals_px[used].max() < 0.5
    assert errors_px(matrix, truth).max() < 0.3
    with pytest.raises(CalibrationError, match="agree on one"):
        fitted(shown[:20], rng.uniform(0, 250, (20, 2)), kind)
    with pytest.raises(CalibrationError, match=r"5 spots were seen"):
        fitted(shown[:5], seen[:5], kind)


def test_a_projective_dmd_lands_masks_where_it_says() -> None:
    matrix = mounting(2, CAMERA, SLM)
    matrix[2, :2] = 6e-4, -4e-4
    dmd = DMD(SLM, matrix, projective=True)
    mask = np.zeros(CAMERA, np.uint8)
    mask[118:127, 140:149] = 255
    y, x = np.nonzero(dmd.warp(mask))
    expected = carried(matrix, np.array([[144.0, 122.0]]))[0]
    assert (x.mean(), y.mean()) == pytest.approx(tuple(expected), abs=0.5)
    line = np.zeros(CAMERA, np.uint8)
    line[60, 40:200] = 255
    assert np.count_nonzero(dmd.warp(line)) > 40
    plain = DMD(SLM, mounting(2, CAMERA, SLM))
    same = DMD(SLM, mounting(2, CAMERA, SLM), projective=True)
    assert (plain.warp(mask) == same.warp(mask)).all()


def test_a_calibration_says_it_is_made_of_words_only(
    microscope: SimulatedMicroscope, tmp_path: Path
) -> None:
    found: Calibration = calibrate(microscope, LIGHT, SpotPlan(count=12))
    words = json.loads(found.save(tmp_path / "a.json").read_text(encoding="utf-8"))
    assert {"format", "kind", "date", "conditions", "matrix"} <= set(words)
    assert not list(tmp_path.glob("*.part"))
    assert words["conditions"]["optics"].keys() >= {"roi", "binning", "objective"}
