"""The SLM's pixels fall where the affine says."""

from __future__ import annotations

import numpy as np
import pytest

from faro.microscope.simulated.geometry import (
    Box,
    Field,
    Projector,
    mounted_affine,
    pixel_grid,
)

SHAPES = [((256, 256), (300, 400)), ((512, 512), (300, 400)), ((200, 320), (768, 1024))]


@pytest.mark.parametrize(("camera", "slm"), SHAPES)
def test_the_mounted_slm_covers_the_whole_camera_image(
    camera: tuple[int, int], slm: tuple[int, int]
) -> None:
    projector = Projector(slm, mounted_affine(camera, slm))
    indices = projector.indices(*pixel_grid(camera))
    assert indices.max() < slm[0] * slm[1]


def test_the_mounting_mirrors_turns_and_scales() -> None:
    linear = mounted_affine((256, 256), (300, 400))[:, :2]
    scale = np.sqrt(abs(np.linalg.det(linear)))
    assert np.linalg.det(linear) < 0
    assert 0.5 < scale < 1.0
    assert abs(linear[0, 1]) > 0.1 * scale


def test_one_slm_pixel_lights_the_camera_pixels_nearest_to_it() -> None:
    affine = np.array([[-0.5, 0.0, 19.0], [0.0, 0.5, 0.0]])
    projector = Projector((20, 20), affine)
    pattern = np.zeros((20, 20), np.uint8)
    pattern[4, 9] = 255
    light = projector.light(pattern, projector.indices(*pixel_grid((40, 40))))
    assert sorted(set(np.nonzero(light)[0])) == [7, 8]
    assert sorted(set(np.nonzero(light)[1])) == [20, 21]


def test_beyond_the_slm_it_is_dark() -> None:
    projector = Projector((20, 20), np.eye(2, 3))
    points = np.array([-0.6, 19.6, 1e6])
    pattern = np.full((20, 20), 255, np.uint8)
    assert not projector.light(pattern, projector.indices(points, points)).any()


def test_the_reach_of_the_slm_holds_every_point_it_lights() -> None:
    field = Field(500.0, -300.0, (256, 256), 0.65)
    projector = Projector((300, 400), mounted_affine((256, 256), (300, 400)))
    reach = projector.reach(field)
    rows, columns = (grid.ravel() * 3 - 256 for grid in pixel_grid((256, 256)))
    lit = projector.indices(rows, columns) < 300 * 400
    x_um = 500.0 + (columns - 127.5) * 0.65
    y_um = -300.0 + (rows - 127.5) * 0.65
    assert reach.grown(1e-6).holds(x_um[lit], y_um[lit]).all()
    assert 0 < lit.sum() < lit.size


def test_the_stage_position_is_the_middle_of_the_image() -> None:
    field = Field(10.0, 20.0, (101, 201), 0.5)
    y_px, x_px = field.to_px(np.array([10.0, 11.0]), np.array([20.0, 18.0]))
    assert y_px.tolist() == [50.0, 46.0]
    assert x_px.tolist() == [100.0, 102.0]
    assert field.box() == Box(-40.25, -5.25, 60.25, 45.25)
