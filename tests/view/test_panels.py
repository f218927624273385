"""Images with outlines and fired light."""

from __future__ import annotations

import numpy as np

from faro.view.look import CONTROL, LIT, OUTLINE, TREATED, colours_of
from faro.view.panels import contrast, edges, enlarged, nearest, overlay, png_of, scaled
from faro.view.response import Arm

LABELS = np.zeros((8, 8), np.int32)
LABELS[1:5, 1:4] = 1
LABELS[1:5, 4:7] = 2


def test_edges_part_touching_cells_and_leave_their_inside() -> None:
    found = edges(LABELS)
    assert found[2, 3]
    assert found[2, 4]
    assert not found[2, 2]
    assert not found[0].any()


def test_a_cell_at_the_border_of_the_image_is_open_there() -> None:
    assert not edges(np.ones((3, 3), np.int32)).any()


def test_outlines_lie_over_light() -> None:
    grey = np.full((8, 8), 50, np.uint8)
    mask = np.zeros((8, 8), np.uint8)
    mask[0:3] = 255
    rgb = overlay(grey, LABELS, [(mask, LIT["blue"])])
    assert tuple(rgb[1, 1]) == OUTLINE
    assert tuple(rgb[2, 0]) == LIT["blue"]
    assert tuple(rgb[7, 7]) == (50, 50, 50)
    assert rgb[0, 0, 2] > rgb[0, 0, 0]


def test_two_lights_have_two_colours_and_mix_where_both_are() -> None:
    grey = np.full((8, 8), 52, np.uint8)
    upper, left = np.zeros((2, 8, 8), np.uint8)
    upper[0:6], left[:, 0:6] = 255, 1
    rgb = overlay(grey, None, [(upper, LIT["blue"]), (left, LIT["orange"])])
    only_upper, only_left, both = rgb[1, 7], rgb[7, 1], rgb[1, 1]
    assert only_upper[2] > only_upper[0]
    assert only_left[0] > only_left[2]
    assert len({tuple(only_upper), tuple(only_left), tuple(both)}) == 3
    assert tuple(rgb[5, 7]) == LIT["blue"]
    assert tuple(rgb[7, 5]) == LIT["orange"]
    assert tuple(rgb[7, 7]) == (52, 52, 52)


def test_an_image_without_cells_and_light_stays_grey() -> None:
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert (overlay(grey, None) == grey[:, :, None]).all()


def test_large_images_shrink_and_small_ones_grow_by_a_whole_number() -> None:
    large = np.zeros((300, 600), np.uint16)
    assert scaled(large, (0.0, 1.0), 200).shape == (100, 200)
    small = np.zeros((10, 30, 3), np.uint8)
    assert enlarged(small, 100).shape == (30, 90, 3)


def test_labels_keep_their_values_at_another_size() -> None:
    assert set(np.unique(nearest(LABELS, (20, 20)))) == {0, 1, 2}
    assert nearest(LABELS, (4, 4)).shape == (4, 4)


def test_contrast_of_a_flat_image_has_a_width() -> None:
    low, high = contrast([np.full((4, 4), 7, np.uint8)])
    assert (low, high) == (7.0, 8.0)
    assert contrast([]) == (0.0, 1.0)


def test_png_has_the_size_of_the_image() -> None:
    png = png_of(np.zeros((5, 9, 3), np.uint8))
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (9, 5)


def test_every_arm_has_a_colour_of_its_own() -> None:
    arms = [Arm(name, (i,)) for i, name in enumerate(["control", "a", "loop", "b"])]
    colours = colours_of(arms, ("loop", "control"))
    assert len(set(colours.values())) == 4
    assert (colours["loop"], colours["control"]) == (TREATED, CONTROL)
