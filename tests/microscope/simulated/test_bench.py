"""The light path: what reaches the dish, what the camera sees, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.microscope.dmd import DMD
from faro.microscope.simulated import saved
from faro.microscope.simulated.bench import (
    Bench,
    BenchSettings,
    SettingsError,
    checked_settings,
)
from faro.microscope.simulated.world import WorldStateError

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = checked_settings(image_shape=(128, 160), world={"seed": 4})


def lit_bench(**changes: Any) -> Bench:
    """Return a bench on which stimulation light gets through."""
    bench = Bench(SETTINGS)
    bench.clock.set(0.0)
    light = bench.light
    light.line, light.filter, light.shutter_open = "Cyan", "CyanStim", True
    light.levels_percent = dict.fromkeys(light.levels_percent, 10.0)
    light.pattern = np.full(SETTINGS.slm_shape, 255, np.uint8)
    for name, value in changes.items():
        setattr(light, name, value)
    return bench


def dose_ms(bench: Bench) -> float:
    return float(bench.truth().dose_ms.mean())


def test_dose_is_level_times_exposure_times_pattern() -> None:
    bench = lit_bench()
    bench.expose(100.0)
    assert bench.truth().dose_ms == pytest.approx(10.0)
    bench.light.pattern = np.full(SETTINGS.slm_shape, 51, np.uint8)
    bench.expose(100.0)
    assert bench.truth().dose_ms == pytest.approx(12.0)


@dataclass(frozen=True)
class Dark:
    """One thing without which no light reaches the cells."""

    name: str
    changes: dict[str, Any]


NEEDED = [
    Dark("shutter", {"shutter_open": False}),
    Dark("level", {"levels_percent": {"Cyan": 0.0, "Red": 50.0, "Green": 50.0}}),
    Dark("pattern", {"pattern": np.zeros(SETTINGS.slm_shape, np.uint8)}),
    Dark("nuclear preset", {"line": "Red", "filter": "miRFP"}),
    Dark("reporter preset", {"line": "Green", "filter": "mScarlet3"}),
    Dark("line off", {"line": "Off"}),
]


@pytest.mark.parametrize("missing", NEEDED, ids=lambda dark: dark.name)
def test_light_needs_shutter_level_pattern_and_preset(missing: Dark) -> None:
    bench = lit_bench(**missing.changes)
    bench.expose(100.0)
    assert dose_ms(bench) == 0.0


def test_the_slm_exposure_ends_the_light() -> None:
    bench = lit_bench(slm_exposure_ms=20.0)
    bench.expose(100.0)
    assert dose_ms(bench) == pytest.approx(2.0)


def cell_mask(bench: Bench, which: int) -> tuple[np.ndarray, int]:
    """Return a mask (Y, X) of one cell well inside the image, and its place."""
    truth = bench.truth()
    height, width = SETTINGS.image_shape
    inner = (np.abs(truth.y_px - height / 2) < height / 4) & (
        np.abs(truth.x_px - width / 2) < width / 4
    )
    index = int(np.nonzero(inner)[0][which])
    rows, columns = np.indices(SETTINGS.image_shape)
    distance = np.hypot(rows - truth.y_px[index], columns - truth.x_px[index])
    return np.where(distance < 8, np.uint8(255), np.uint8(0)), index


def test_a_warped_mask_hits_its_cell_and_an_unwarped_one_misses() -> None:
    bench = lit_bench()
    mask, index = cell_mask(bench, 0)
    square = np.vstack([bench.projector.camera_to_slm, [0, 0, 1]])
    warped = DMD(SETTINGS.slm_shape, square).warp(mask)
    unwarped = np.zeros(SETTINGS.slm_shape, np.uint8)
    unwarped[: mask.shape[0], : mask.shape[1]] = mask
    doses = {}
    for name, pattern in (("warped", warped), ("unwarped", unwarped)):
        bench = lit_bench(pattern=pattern)
        bench.expose(100.0)
        doses[name] = bench.truth().dose_ms
    others = np.delete(doses["warped"], index)
    assert doses["warped"][index] > 2.0
    assert others.max() < 0.5 * doses["warped"][index]
    assert doses["unwarped"][index] == 0.0


def test_the_stimulation_frame_shows_the_pattern_where_the_mask_was() -> None:
    bench = lit_bench()
    mask, _ = cell_mask(bench, 0)
    square = np.vstack([bench.projector.camera_to_slm, [0, 0, 1]])
    bench.light.pattern = DMD(SETTINGS.slm_shape, square).warp(mask)
    frame = bench.expose(100.0).astype(float) - 100
    inside = frame[mask > 0].mean()
    assert inside > 20 * max(1.0, frame[mask == 0].mean())


def test_red_light_is_seen_where_its_mask_is_and_cells_do_not_answer() -> None:
    bench = lit_bench(line="Red", filter="RedStim")
    bench.light.levels_percent["Red"] = 10.0
    mask, _ = cell_mask(bench, 0)
    square = np.vstack([bench.projector.camera_to_slm, [0, 0, 1]])
    bench.light.pattern = DMD(SETTINGS.slm_shape, square).warp(mask)
    frame = bench.expose(100.0).astype(float) - 100
    assert frame[mask > 0].mean() > 20 * max(1.0, frame[mask == 0].mean())
    assert bench.truth().dose_ms.max() == 0.0


def test_light_falls_where_the_stage_is() -> None:
    bench = lit_bench(x_um=700.0)
    bench.expose(100.0)
    assert float(bench.truth(700.0, 0.0).dose_ms.mean()) == pytest.approx(10.0)
    assert float(bench.truth(0.0, 0.0).dose_ms.mean()) == 0.0


def image_bench(line: str = "Red", filter_: str = "miRFP") -> Bench:
    return lit_bench(line=line, filter=filter_)


def test_each_channel_needs_its_light_its_filter_and_an_open_shutter() -> None:
    bright = image_bench().expose(200.0)
    assert bright.max() > 500
    for line, filter_ in (("Red", "mScarlet3"), ("Green", "miRFP"), ("Off", "miRFP")):
        assert image_bench(line, filter_).expose(200.0).max() < 250
    bench = image_bench()
    bench.light.shutter_open = False
    assert bench.expose(200.0).mean() == pytest.approx(100, abs=1)


def test_frames_do_not_depend_on_the_order_of_looking_or_on_the_machine() -> None:
    steady, hasty = image_bench(), image_bench()
    places = [(0.0, 0.0), (300.0, 40.0), (2_000.0, -900.0)]

    def frame(bench: Bench, place: tuple[float, float]) -> np.ndarray:
        bench.light.x_um, bench.light.y_um = place
        return bench.expose(50.0)

    for step in range(4):
        steady.clock.set(2.5 * step)
        for place in places:
            frame(steady, place)
    hasty.clock.set(7.5)
    for place in reversed(places):
        hasty.truth(*places[0])
        assert np.array_equal(frame(hasty, place), frame(steady, place))


def test_a_saved_bench_gives_the_same_frames_afterwards(tmp_path: Path) -> None:
    first = lit_bench()
    for step in range(3):
        first.clock.set(1.5 * step)
        first.expose(100.0)
    saved.save(first.state(), tmp_path / "dish.npz")
    second = lit_bench()
    second.restore(saved.load(tmp_path / "dish.npz"))
    assert second.clock.now_s == 3.0
    frames = []
    for bench in (first, second):
        bench.light.pattern = np.zeros(SETTINGS.slm_shape, np.uint8)
        bench.clock.begin()
        bench.clock.set(4.5)
        bench.light.line, bench.light.filter = "Green", "mScarlet3"
        frames.append(bench.expose(50.0))
    assert np.array_equal(frames[0], frames[1])
    assert np.array_equal(first.truth().ratio, second.truth().ratio)


def test_a_file_that_holds_no_dish_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dish.npz"
    path.write_text("no dish", encoding="utf-8")
    with pytest.raises(WorldStateError, match=r"dish\.npz holds no saved dish"):
        saved.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(WorldStateError, match="written by SimulatedMicroscope"):
        saved.load(path)
    with pytest.raises(WorldStateError, match="holds no saved dish"):
        saved.load(tmp_path / "missing.npz")


def test_impossible_settings_are_refused_all_at_once() -> None:
    with pytest.raises(SettingsError, match=r"image_shape\.1=0.*pixel_size_um=-1"):
        checked_settings(image_shape=(256, 0), pixel_size_um=-1)


def test_other_settings_make_a_fresh_dish() -> None:
    bench = lit_bench()
    bench.expose(100.0)
    bench.configure(BenchSettings(image_shape=(64, 64)))
    assert bench.expose(10.0).shape == (64, 64)
    assert dose_ms(bench) == 0.0


def test_truth_names_the_cells_that_the_image_shows() -> None:
    bench = image_bench()
    truth, frame = bench.truth(), bench.expose(100.0)
    height, width = frame.shape
    y, x = np.rint(truth.y_px).astype(int), np.rint(truth.x_px).astype(int)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    assert inside.sum() > 3
    assert (frame[y[inside], x[inside]] > 250).all()
    assert len(set(truth.ids.tolist())) == truth.ids.size
