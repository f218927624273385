"""The cells of a frame agree with numpy and skimage, bit for bit where sums are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import regionprops
from skimage.segmentation import expand_labels

from faro.analysis import NotTrackedError, PixelCells, UnknownFeatureError
from faro.errors import ContractError
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from faro.protocols.analysis import Labels

Image = npt.NDArray[np.uint16]


def label_images(top: int = 6) -> st.SearchStrategy[Labels]:
    return hnp.arrays(
        np.int32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.integers(0, top),
    )


@pytest.fixture(scope="module")
def stack() -> tuple[npt.NDArray[np.uint16], Labels]:
    return synthetic_stack((160, 200), n_cells=30, seed=2)


def test_statistics_equal_those_of_numpy(stack: tuple[Image, Labels]) -> None:
    pixels, labels = stack
    cells, plane = PixelCells(labels), pixels[0]
    inside = [plane[labels == label] for label in cells.label]
    assert cells.mean(plane).tolist() == [v.mean() for v in inside]
    assert cells.median(plane).tolist() == [np.median(v) for v in inside]
    assert cells.std(plane).tolist() == [v.std() for v in inside]
    assert cells.mean(plane > 500).tolist() == [(v > 500).mean() for v in inside]
    floats = plane / np.float32(7)
    inside = [floats[labels == label].astype(np.float64) for label in cells.label]
    assert cells.median(floats).tolist() == [np.median(v) for v in inside]


@given(
    labels=label_images(top=3),
    pixels_per_label=st.integers(1, 40),
    seed=st.integers(0, 99),
    dtype=st.sampled_from(["uint16", "float32", "float64"]),
)
def test_sums_are_added_in_the_order_of_numpy(
    labels: Labels, pixels_per_label: int, seed: int, dtype: str
) -> None:
    labels = labels.repeat(pixels_per_label, axis=1)  # numpy adds 8 and 128 at once
    image = (np.random.default_rng(seed).random(labels.shape) * 9e4 - 1e4).astype(dtype)
    cells = PixelCells(labels)
    kind = np.uint16 if dtype == "uint16" else np.float64
    inside = [image[labels == label].astype(kind) for label in cells.label]
    assert cells.sum(image).tolist() == [v.sum() for v in inside]
    assert cells.mean(image).tolist() == [v.mean() for v in inside]
    assert cells.std(image).tolist() == [v.std() for v in inside]


def test_positions_equal_those_of_skimage(stack: tuple[Image, Labels]) -> None:
    labels = stack[1]
    cells = PixelCells(labels)
    regions = regionprops(labels)  # type: ignore[no-untyped-call]  # untyped library
    assert cells.label.tolist() == [r.label for r in regions]
    assert cells.area.tolist() == [r.area for r in regions]
    assert cells.bbox.tolist() == [list(r.bbox) for r in regions]
    centres = [tuple(r.centroid) for r in regions]
    assert list(zip(cells.y.tolist(), cells.x.tolist(), strict=True)) == centres


@given(labels=label_images(), seed=st.integers(0, 99))
def test_any_labels_are_measured_like_numpy_does(labels: Labels, seed: int) -> None:
    labels = labels * np.int32(30_001)  # not consecutive, more than 16 bits
    image = np.random.default_rng(seed).integers(0, 2**16, labels.shape, np.uint16)
    cells = PixelCells(labels)
    expected = [np.median(image[labels == label]) for label in cells.label]
    assert cells.label.tolist() == np.unique(labels[labels > 0]).tolist()
    assert cells.median(image).tolist() == expected
    assert cells.area.sum() == np.count_nonzero(labels)


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (40, 30)])
def test_a_frame_without_cells_works(shape: tuple[int, int]) -> None:
    cells = PixelCells(np.zeros(shape, np.int32))
    image = np.zeros(shape, np.uint16)
    cells.set_tracks(np.empty(0, np.int64))
    assert len(cells) == len(cells.ring()) == 0
    assert [len(f(image)) for f in (cells.mean, cells.median, cells.std)] == [0, 0, 0]
    assert cells.bbox.shape == (0, 4)
    assert not cells.half((0, 1)).any()
    assert not cells.select(np.empty(0, np.bool_)).any()
    assert not cells.track_image().any()


def test_there_may_be_more_than_65535_cells() -> None:
    labels = np.arange(1, 70_001, dtype=np.int32).reshape(250, 280)
    cells = PixelCells(labels)
    image = (labels % 60_000).astype(np.uint16)
    cells.set_tracks(np.arange(70_000, 0, -1))
    assert len(cells) == 70_000
    assert cells.median(image).tolist() == image.ravel().tolist()
    assert cells.track_image()[0, 0] == 70_000
    assert np.count_nonzero(cells.half((1, 0), 0.5)) == 70_000


@pytest.mark.parametrize(("margin", "distance"), [(2, 4), (0, 3), (1, 6), (3, 14)])
def test_a_ring_is_the_difference_of_two_expansions(margin: int, distance: int) -> None:
    rng = np.random.default_rng(5)
    labels = np.zeros((90, 120), np.int32)
    places = rng.choice(labels.size, 200, replace=False)
    labels.ravel()[places] = 100 + 7 * np.arange(200)
    plain = expand_labels(labels, distance)  # type: ignore[no-untyped-call]  # untyped library
    plain[expand_labels(labels, margin) > 0] = 0  # type: ignore[no-untyped-call]  # untyped library
    assert np.array_equal(PixelCells(labels).ring(margin, distance).labels, plain)


@given(labels=label_images(), big=st.booleans())
def test_ties_of_rings_are_settled_as_skimage_does(
    labels: Labels,
    big: bool,  # noqa: FBT001  hypothesis gives it by name
) -> None:
    labels = labels * np.int32(20_000 if big else 1)
    plain = expand_labels(labels, 4)  # type: ignore[no-untyped-call]  # untyped library
    plain[expand_labels(labels, 1) > 0] = 0  # type: ignore[no-untyped-call]  # untyped library
    if labels.any():  # scipy's distance to nothing is not defined
        assert np.array_equal(PixelCells(labels).ring(1, 4).labels, plain)


def test_a_ring_lists_all_cells_even_where_it_has_no_room() -> None:
    labels = np.full((3, 9), 5, np.int32)
    labels[1, 4] = 2
    ring = PixelCells(labels).ring(0, 1)
    assert ring.label.tolist() == [2, 5]
    assert ring.area.tolist() == [0, 0]
    assert np.isnan(ring.mean(np.ones((3, 9), np.uint16))).all()
    assert np.isnan(ring.median(np.ones((3, 9), np.uint16))).all()
    assert np.isnan(ring.y).all()
    assert ring.bbox.tolist() == [[0, 0, 0, 0]] * 2


def test_a_ring_knows_the_tracks_and_features_of_its_cells() -> None:
    cells = PixelCells(np.eye(3, dtype=np.int32) * 4)
    ring = cells.ring(0, 1)
    cells.set_tracks(np.array([12]))
    cells.set_features({"cnr": np.array([0.5])})
    assert ring.track_id.tolist() == [12]
    assert ring["cnr"].tolist() == [0.5]
    assert cells.ring(0, 1) is ring


@pytest.mark.parametrize(
    ("direction", "row", "column"),
    [((-1, 0), 2, None), ((2, 0), 7, None), ((0, -0.1), None, 4), ((0, 9), None, 9)],
)
def test_the_half_furthest_along_is_chosen(
    direction: tuple[float, float], row: int | None, column: int | None
) -> None:
    labels = np.zeros((12, 14), np.int32)
    labels[2:8, 4:10] = 3
    half = PixelCells(labels).half(direction, 1 / 6)
    expected = np.zeros_like(half)
    expected[slice(None) if row is None else row, :][..., :] = row is not None
    if column is not None:
        expected[:, column] = True
    assert np.array_equal(half, expected & (labels > 0))


@given(
    labels=label_images(),
    dy=st.floats(-5, 5),
    dx=st.floats(-5, 5),
    fraction=st.floats(0, 1),
)
def test_at_least_the_fraction_is_lit_and_the_rest_lies_behind(
    labels: Labels, dy: float, dx: float, fraction: float
) -> None:
    if np.hypot(dy, dx) < 1e-3:
        return
    cells = PixelCells(labels)
    half = cells.half((dy, dx), fraction)
    rows, columns = np.indices(labels.shape)
    along = (rows * dy + columns * dx) / np.hypot(dy, dx)
    assert not half[labels == 0].any()
    for label in cells.label:
        inside = labels == label
        lit = np.count_nonzero(half & inside)
        wanted = fraction * np.count_nonzero(inside)
        assert lit >= wanted - 1e-3
        if lit and lit < np.count_nonzero(inside):
            assert along[half & inside].min() > along[~half & inside].max() - 1e-6


def test_selected_cells_become_a_mask() -> None:
    labels = np.array([[1, 0, 8], [1, 4, 8]], np.int32)
    mask = PixelCells(labels).select(np.array([True, False, True]))
    assert mask.tolist() == [[True, False, True], [True, False, True]]


def test_tracks_are_painted_over_the_cells() -> None:
    cells = PixelCells(np.array([[7, 0, 3]], np.int32))
    cells.set_tracks(np.array([90_000, 2]))
    image = cells.track_image()
    assert image.tolist() == [[2, 0, 90_000]]
    assert image.dtype == np.uint32


def test_features_are_found_by_name() -> None:
    cells = PixelCells(np.array([[7, 0, 3]], np.int32))
    cells.set_features({"cnr": np.array([1.0, 2.0])})
    assert cells["cnr"].tolist() == [1.0, 2.0]
    assert cells["label"].tolist() == [3, 7]
    assert "cnr" in cells
    assert "area" in cells
    assert "speed" not in cells
    with pytest.raises(UnknownFeatureError, match="no feature 'speed'; they have: la"):
        cells["speed"]


def test_labels_are_read_only() -> None:
    cells = PixelCells(np.zeros((2, 2), np.int32))
    with pytest.raises(ValueError, match="read-only"):
        cells.labels[0, 0] = 1


def test_track_ids_are_there_only_after_tracking() -> None:
    cells = PixelCells(np.ones((2, 2), np.int32))
    with pytest.raises(
        NotTrackedError, match=r"no track ids yet\. Give the pipeline a"
    ):
        _ = cells.track_id


@pytest.mark.parametrize("ids", [[0, 1], [1], [1, 1], [1.0, 2.0], [[1, 2]]])
def test_track_ids_that_break_the_contract_are_refused(ids: list[Any]) -> None:
    cells = PixelCells(np.array([[1, 2]], np.int32))
    with pytest.raises(ContractError, match=r"2 cells.*one integer >= 1 per cell"):
        cells.set_tracks(np.array(ids))


def test_requests_that_mean_nothing_are_refused() -> None:
    cells = PixelCells(np.array([[1, 2]], np.int32))
    with pytest.raises(ContractError, match=r"'cnr' has shape \(3,\).*2 cells"):
        cells.set_features({"cnr": np.ones(3)})
    with pytest.raises(ContractError, match=r"shape \(3, 3\).*labels have \(1, 2\)"):
        cells.mean(np.ones((3, 3), np.uint16))
    with pytest.raises(ContractError, match="Give one bool per cell"):
        cells.select(np.array([1, 0]))
    with pytest.raises(ContractError, match="from 4 to 4 px has no width"):
        cells.ring(4, 4)
    for direction, fraction in (((0.0, 0.0), 0.5), ((1.0, 0.0), 1.5)):
        with pytest.raises(ContractError, match="There is no fraction"):
            cells.half(direction, fraction)
