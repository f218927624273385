"""Pictures of cells: where they are, how sharp, how noisy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.microscope.simulated.geometry import Field
from faro.microscope.simulated.optics import NoiseKey, Optics, OpticsSettings

FIELD = Field(0.0, 0.0, (96, 128), 0.65)
KEY = NoiseKey(seed=1, time_s=1.5, x_um=10.0, y_um=-20.0, z_um=0.0, channel="Red")


def cells_at(*places: tuple[float, float]) -> dict[str, np.ndarray]:
    count = len(places)
    x, y = np.array(places, float).reshape(count, 2).T
    columns = {
        "radius": 8.6,
        "nucleus": 5.0,
        "stretch": 1.2,
        "angle": 0.4,
        "marker": 1.0,
        "reporter": 1.0,
        "ratio": 0.5,
    }
    return {"x": x, "y": y} | {n: np.full(count, v) for n, v in columns.items()}


def centre(picture: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(picture.shape)
    total = picture.sum()
    return (rows * picture).sum() / total, (columns * picture).sum() / total


@given(st.floats(-8, 8), st.floats(-8, 8))
def test_a_nucleus_is_where_its_cell_is_to_a_tenth_of_a_pixel(
    x_um: float, y_um: float
) -> None:
    picture = Optics().stained("marker", cells_at((x_um, y_um)), FIELD)
    y_px, x_px = FIELD.to_px(np.array([x_um]), np.array([y_um]))
    assert centre(picture) == pytest.approx((y_px[0], x_px[0]), abs=0.1)


def test_the_reporter_shows_the_ratio_of_cytoplasm_and_nucleus() -> None:
    cells = cells_at((0.0, 0.0))
    pictures = {}
    for ratio in (0.5, 1.5):
        cells["ratio"][:] = ratio
        pictures[ratio] = Optics().stained("reporter", cells, FIELD)
    middle, side = (48, 64), (48, 74)
    assert pictures[0.5][middle] > 1.5 * pictures[0.5][side]
    assert pictures[1.5][middle] < pictures[1.5][side]


def test_cells_at_the_edge_are_cut_and_those_outside_not_drawn() -> None:
    optics = Optics()
    edge = optics.stained("marker", cells_at((-41.0, 0.0)), FIELD)
    whole = optics.stained("marker", cells_at((0.0, 0.0)), FIELD)
    assert 0.2 < edge.sum() / whole.sum() < 0.8
    assert not optics.stained("marker", cells_at((-70.0, 0.0), (0, 900)), FIELD).any()
    assert not optics.stained("marker", cells_at(), FIELD).any()


def test_out_of_focus_is_blurred_and_keeps_its_light() -> None:
    optics = Optics()
    sharp = optics.stained("marker", cells_at((0.0, 0.0)), FIELD)
    peaks, sums = [], []
    for z_um in (0.0, 10.0, -20.0):
        seen = optics.blurred(sharp, z_um, 0.65)
        peaks.append(float(seen.max()))
        sums.append(float(seen.sum()))
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[2] < 0.8 * peaks[0]
    assert sums == pytest.approx([float(sharp.sum())] * 3, rel=0.01)


def test_a_frame_has_offset_and_the_noise_of_its_photons() -> None:
    optics = Optics(OpticsSettings(offset=100, read_noise=3))
    photons = np.full((256, 256), 400.0, np.float32)
    frame = optics.counted(photons, KEY)
    assert frame.dtype == np.uint16
    assert frame.mean() == pytest.approx(500, abs=0.5)
    assert frame.std() == pytest.approx(np.sqrt(409), rel=0.02)


def test_a_frame_saturates_instead_of_turning_over() -> None:
    frame = Optics().counted(np.full((8, 8), 1e6, np.float32), KEY)
    assert (frame == 65535).all()


def test_noise_depends_on_its_key_and_on_nothing_else() -> None:
    optics, photons = Optics(), np.full((32, 32), 50.0, np.float32)
    first = optics.counted(photons, KEY)
    optics.counted(photons, NoiseKey(9, 9.0, 9.0, 9.0, 9.0, "other"))
    same = NoiseKey(1, 1.5, 10.0, -20.0, 0.0, "Red")
    assert np.array_equal(Optics().counted(photons, same), first)


@pytest.mark.parametrize(
    "other",
    [
        NoiseKey(2, 1.5, 10.0, -20.0, 0.0, "Red"),
        NoiseKey(1, 1.501, 10.0, -20.0, 0.0, "Red"),
        NoiseKey(1, 1.5, 10.01, -20.0, 0.0, "Red"),
        NoiseKey(1, 1.5, 10.0, 20.0, 0.0, "Red"),
        NoiseKey(1, 1.5, 10.0, -20.0, 0.01, "Red"),
        NoiseKey(1, 1.5, 10.0, -20.0, 0.0, "Green"),
    ],
    ids=["seed", "time", "x", "y", "z", "channel"],
)
def test_every_part_of_the_key_counts(other: NoiseKey) -> None:
    photons = np.full((32, 32), 50.0, np.float32)
    counted = Optics().counted
    assert not np.array_equal(counted(photons, KEY), counted(photons, other))


def test_background_has_a_slight_gradient() -> None:
    optics = Optics(OpticsSettings(tilt_fraction=0.2))
    dark = np.zeros((100, 100), np.float32)
    photons = optics.exposed(dark, 25.0)
    assert photons[0].mean() != pytest.approx(photons[-1].mean(), rel=0.02)
    assert 0.7 < photons.min() / photons.max() < 0.95
