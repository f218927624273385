"""Every measure of a cell, against numpy, scipy or skimage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import regionprops_table

from faro.analysis import (
    IntensityFeatures,
    MovementFeatures,
    NeighbourFeatures,
    PixelCells,
    PositionFeatures,
    RegionFeatures,
    ShapeFeatures,
    UnknownFeatureError,
    background_level,
)
from faro.errors import ContractError
from faro.model import Stack
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from faro.protocols.analysis import Labels

CHANNELS = ("miRFP", "mScarlet3")


def scene(n_cells: int = 30, **facts: Any) -> tuple[PixelCells, Stack]:
    pixels, labels = synthetic_stack((160, 200), n_cells, seed=4)
    return PixelCells(labels), Stack(pixels, CHANNELS, 0, 0, **facts)


@given(
    labels=hnp.arrays(np.int32, (9, 11), elements=st.integers(0, 5)),
    seed=st.integers(0, 99),
    percent=st.floats(0, 100),
    dtype=st.sampled_from(["uint8", "uint16"]),
)
def test_percentiles_are_those_of_numpy_bit_for_bit(
    labels: Labels, seed: int, percent: float, dtype: str
) -> None:
    top = np.iinfo(dtype).max
    image = np.random.default_rng(seed).integers(0, top, (9, 11), dtype)
    cells = PixelCells(labels)
    found = cells.percentiles(image, (percent, 0, 100))
    inside = [image[labels == label] for label in cells.label]
    assert found[0].tolist() == [np.percentile(v, percent) for v in inside]
    assert found[1].tolist() == [v.min() for v in inside]
    assert found[2].tolist() == [v.max() for v in inside]
    assert cells.sum(image).tolist() == [v.sum() for v in inside]


def test_every_statistic_is_that_of_numpy() -> None:
    cells, stack = scene()
    names = ("mean", "median", "std", "sum", "min", "max", "p5", "p100")
    columns = IntensityFeatures(names, ("mScarlet3",)).features(cells, stack)
    plane = stack["mScarlet3"]
    inside = [plane[cells.labels == label] for label in cells.label]
    plain = {
        "mean": np.mean,
        "median": np.median,
        "sum": np.sum,
        "min": np.min,
        "max": np.max,
        "p5": lambda v: np.percentile(v, 5),
        "p100": np.max,
    }
    for name, measure in plain.items():
        found = columns[f"{name}_mScarlet3_nuc"].tolist()
        assert found == [measure(v) for v in inside], name  # type: ignore[operator]  # mixed overloads


def test_the_background_is_what_is_far_from_all_cells() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[28:32, 28:32] = 1
    plane = np.full((60, 60), 90, np.uint16)
    plane[18:42, 18:42] = 400  # the cell's own glow, 10 px around it
    plane[labels > 0] = 1000
    cells = PixelCells(labels)
    assert background_level(cells, plane, 10) == 90
    assert background_level(cells, plane, 100) == 90  # nothing is that far away
    stack = Stack(plane[None], ("miRFP",), 0, 0)
    names = ("corrected_mean", "corrected_sum", "corrected_std", "mean")
    columns = IntensityFeatures(names).features(cells, stack)
    assert {k.removesuffix("_miRFP_nuc"): v.tolist() for k, v in columns.items()} == {
        "corrected_mean": [910],
        "corrected_sum": [16 * 910],
        "corrected_std": [0],
        "mean": [1000],
    }


def test_parts_of_cells_are_measured_under_the_cells_numbers() -> None:
    labels = np.zeros((20, 40), np.int32)
    labels[8:10, 8:10], labels[8:10, 28:30] = 7, 3
    whole = np.zeros_like(labels)
    whole[6:12, 6:12], whole[0, 0] = 7, 9  # 3 has no cell, 9 no nucleus
    stack = Stack(np.full((1, 20, 40), 5, np.uint16), ("miRFP",), 0, 0)
    cells = PixelCells(labels)
    cells.set_label_images({"cells": whole})
    cells.set_tracks(np.array([11, 12]))
    body = cells.compartment("cells", without_self=True)
    assert body.label.tolist() == [3, 7]
    assert body.area.tolist() == [0, 32]
    assert cells.compartment("cells").area.tolist() == [0, 36]
    assert body.track_id.tolist() == [11, 12]
    extractor = IntensityFeatures(region="cyt", compartment="cells", without_self=True)
    found = extractor.features(cells, stack)["mean_miRFP_cyt"]
    assert found.tolist() == pytest.approx([np.nan, 5], nan_ok=True)
    with pytest.raises(UnknownFeatureError, match=r"no labels 'membrane'.*cells"):
        cells.compartment("membrane")


def test_a_ring_and_a_compartment_are_two_things() -> None:
    with pytest.raises(ContractError, match="Use two IntensityFeatures"):
        IntensityFeatures(ring=(2, 4), compartment="cells")


SHAPES = [name for name in ShapeFeatures.provides if name != "roundness"]


def assert_shapes_are_those_of_skimage(labels: Labels) -> dict[str, Any]:
    stack = Stack(np.zeros((1, *labels.shape), np.uint16), ("miRFP",), 0, 0)
    columns = dict(ShapeFeatures().features(PixelCells(labels), stack))
    plain = regionprops_table(labels, properties=SHAPES)  # type: ignore[no-untyped-call]  # untyped library
    for name in SHAPES:
        assert columns[name].tolist() == plain[name].tolist(), name
    return columns


@pytest.mark.parametrize("seed", range(3))
def test_shapes_are_those_of_skimage_bit_for_bit(seed: int) -> None:
    labels = synthetic_stack((300, 400), 60, seed=seed)[1]
    labels[0, 0] = labels[5, 390:395] = 0
    labels[0, 0], labels[2, 390:395] = 80, 81  # a pixel, a line
    columns = assert_shapes_are_those_of_skimage(labels)
    assert columns["roundness"][:-2].max() <= 1.05
    assert np.isnan(columns["roundness"][-2])


@given(
    labels=hnp.arrays(
        np.int32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=14),
        elements=st.integers(0, 4),
    ),
    scale=st.integers(1, 9),
)
def test_shapes_of_any_labels_are_those_of_skimage_bit_for_bit(
    labels: Labels, scale: int
) -> None:
    if labels.any():  # skimage's table of nothing has other dtypes
        grown = labels.repeat(scale, axis=0).repeat(scale, axis=1) * np.int32(20_001)
        assert_shapes_are_those_of_skimage(grown)


def test_a_cell_without_a_pixel_has_no_shape() -> None:
    labels = np.full((3, 9), 5, np.int32)
    labels[1, 4] = 2
    ring = PixelCells(labels).ring(0, 1)
    stack = Stack(np.zeros((1, 3, 9), np.uint16), ("miRFP",), 0, 0)
    columns = ShapeFeatures().features(ring, stack)
    table = np.array([columns[name] for name in ShapeFeatures.provides], np.float64)
    assert np.isnan(table).all()


def test_positions_are_in_um_where_the_pixel_size_is_known() -> None:
    cells, stack = scene(pixel_size_um=0.5)
    columns = PositionFeatures().features(cells, stack)
    assert columns["y_um"].tolist() == (cells.y / 2).tolist()
    assert columns["area_um2"].tolist() == (cells.area / 4).tolist()
    assert columns["bbox-3"].tolist() == cells.bbox[:, 3].tolist()
    unknown = PositionFeatures().features(cells, replace(stack, pixel_size_um=None))
    assert np.isnan(np.asarray(unknown["x_um"], float)).all()


def test_any_property_of_skimage_is_measured_by_its_name() -> None:
    cells, stack = scene(pixel_size_um=0.5)
    names = ("area", "solidity", "intensity_mean", "moments_hu")
    both = RegionFeatures(names).features(cells, stack)
    assert "intensity_mean-1" in both
    assert "moments_hu-6" in both
    one = RegionFeatures(names[:3], ("mScarlet3",), in_um=True).features(cells, stack)
    assert one["intensity_mean"].tolist() == cells.mean(stack["mScarlet3"]).tolist()
    assert one["area"].tolist() == (cells.area / 4).tolist()


def test_neighbours_are_counted_as_one_would_by_hand() -> None:
    cells, stack = scene(60)
    columns = NeighbourFeatures(30.0).features(cells, stack)
    yx = np.stack([cells.y, cells.x], axis=1)
    apart = np.linalg.norm(yx[:, None] - yx[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert columns["n_neighbours"].tolist() == (apart <= 30).sum(axis=1).tolist()
    assert columns["nearest_px"] == pytest.approx(apart.min(axis=1))
    touching = []
    for label in cells.label:
        grown = ndimage.binary_dilation(cells.labels == label, np.ones((3, 3), bool))
        touching.append(len(set(cells.labels[grown].tolist()) - {0, int(label)}))
    assert columns["n_touching"].tolist() == touching
    assert max(touching) >= 1
    alone, _ = scene(1)
    assert np.isnan(
        np.asarray(NeighbourFeatures().features(alone, stack)["nearest_px"])
    )


def moving(places: dict[int, tuple[int, int]], t: int, fov: int = 0) -> dict[str, Any]:
    """Return cells (one pixel) with these track ids, as a frame for `measure`."""
    labels = np.zeros((50, 50), np.int32)
    ids = sorted(places, key=lambda i: places[i])
    for label, number in enumerate(ids, start=1):
        labels[places[number]] = label
    cells = PixelCells(labels)
    cells.set_tracks(np.asarray(ids, np.int64))
    stack = Stack(
        np.zeros((1, 50, 50), np.uint16),
        ("a",),
        fov,
        t,
        acquired_s=30.0 * t,
        pixel_size_um=2.0,
    )
    return {"cells": cells, "stack": stack}


def test_movement_is_measured_along_the_track() -> None:
    extractor = MovementFeatures(memory=3)
    first = extractor.features(**moving({4: (10, 10), 2: (30, 30)}, 0))
    assert np.isnan(first["step_px"].astype(float)).all()
    assert first["displacement_px"].tolist() == [0, 0]
    extractor.features(**moving({4: (40, 40)}, 0, fov=1))
    extractor.features(**moving({4: (13, 14)}, 1))
    third = extractor.features(**moving({2: (30, 36), 4: (13, 10), 9: (1, 1)}, 2))
    table = {name: values.tolist() for name, values in third.items()}
    assert table["step_px"] == pytest.approx([np.nan, 4, 6], nan_ok=True)
    assert table["speed_px_per_frame"] == pytest.approx([np.nan, 4, 3], nan_ok=True)
    assert table["speed_um_per_min"] == pytest.approx([np.nan, 16, 12], nan_ok=True)
    assert table["direction_deg"] == pytest.approx([np.nan, 180, 0], nan_ok=True)
    assert table["displacement_px"] == pytest.approx([0, 3, 6])
    assert table["path_px"] == pytest.approx([0, 9, 6])
    other = extractor.features(**moving({4: (40, 43)}, 5, fov=1))
    assert other["step_px"].tolist() == [3]


def test_movement_forgets_what_is_long_gone_and_other_runs() -> None:
    extractor = MovementFeatures(memory=2)
    extractor.features(**moving({1: (5, 5), 2: (9, 9)}, 0))
    for t in range(1, 4):
        extractor.features(**moving({2: (9, 9)}, t))
    back = extractor.features(**moving({1: (5, 6), 2: (9, 9)}, 4))
    assert np.isnan(back["step_px"].astype(float)).tolist() == [True, False]
    again = extractor.features(**moving({2: (20, 20)}, 0))
    assert again["displacement_px"].tolist() == [0]
