"""Shipped segmenters find the cells they are meant for, and nothing in the dark."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage.measure import label as skimage_label
from skimage.segmentation import watershed
from threadpoolctl import threadpool_info

from faro.analysis import (
    BinarySegmenter,
    BlobSegmenter,
    LocalThresholdSegmenter,
    OtsuSegmenter,
    SeededSegmenter,
    ThresholdSegmenter,
    match_labels,
    warm_up,
)
from faro.analysis.clumps import compacted, connected, divided, peaks, split_clumps
from faro.errors import ContractError
from faro.testing.movie import synthetic_stack
from faro.testing.segmenter import check_segmenter


@pytest.mark.parametrize(
    "segmenter",
    [
        BinarySegmenter(),
        BlobSegmenter(),
        LocalThresholdSegmenter(),
        OtsuSegmenter(),
        ThresholdSegmenter(500),
    ],
    ids=lambda s: type(s).__name__,
)
def test_every_segmenter_keeps_the_contract(segmenter: object) -> None:
    check_segmenter(segmenter)


@pytest.mark.parametrize("seed", [11, 12])
def test_cells_in_uneven_light_are_found_one_by_one(seed: int) -> None:
    pixels, labels = synthetic_stack((512, 512), n_cells=75, seed=seed)
    local = match_labels(labels, LocalThresholdSegmenter().segment(pixels[0]))
    otsu = match_labels(labels, OtsuSegmenter().segment(pixels[0]))
    assert local.f1 >= 0.98
    assert otsu.f1 < local.f1


def test_the_size_of_cells_can_be_said() -> None:
    pixels, labels = synthetic_stack((512, 512), n_cells=30, seed=7, radius_px=22.0)
    found = LocalThresholdSegmenter(diameter_px=44.0).segment(pixels[0])
    assert match_labels(labels, found).f1 >= 0.95


@pytest.mark.parametrize("shape", [(3, 5), (64, 64), (100, 333)])
@pytest.mark.parametrize("level", [0, 300, 65_535])
def test_an_even_image_holds_nothing(shape: tuple[int, int], level: int) -> None:
    image = np.full(shape, level, np.uint16)
    for segmenter in (LocalThresholdSegmenter(), OtsuSegmenter()):
        labels = segmenter.segment(image)
        assert labels.shape == shape
        assert labels.dtype == np.int32
        assert not labels.any()


def test_noise_alone_holds_nothing() -> None:
    noise = np.random.default_rng(0).poisson(200, (512, 512)).astype(np.uint16)
    assert not LocalThresholdSegmenter().segment(noise).any()


def test_a_threshold_is_exclusive_and_small_objects_are_dropped() -> None:
    image = np.array([[6, 6, 5, 9], [6, 6, 5, 5]], np.uint8)
    assert ThresholdSegmenter(5, min_area_px=4).segment(image).tolist() == [
        [1, 1, 0, 0],
        [1, 1, 0, 0],
    ]


def test_a_segmenter_of_one_channel_refuses_several() -> None:
    image = np.zeros((2, 8, 8), np.uint16)
    with pytest.raises(ContractError, match=r"OtsuSegmenter.*\(2, 8, 8\).*use_channel"):
        OtsuSegmenter().segment(image)
    assert OtsuSegmenter().segment(image[:1]).shape == (8, 8)


def disc_pair(distance: int) -> npt.NDArray[np.uint8]:
    """Return a mask (Y, X) of two discs whose centres are ``distance`` apart."""
    y, x = np.mgrid[:40, :80]
    first = (y - 20) ** 2 + (x - 25) ** 2 < 12**2
    second = (y - 20) ** 2 + (x - 25 - distance) ** 2 < 12**2
    return np.asarray(first | second, np.uint8)


@pytest.mark.parametrize(("distance", "n_cells"), [(20, 2), (3, 1), (30, 2)])
def test_touching_discs_are_split_and_one_stays_one(
    distance: int, n_cells: int
) -> None:
    labels = split_clumps(disc_pair(distance), smoothing_px=2.0, reach_px=4)
    assert labels.max() == n_cells
    assert np.array_equal(labels > 0, disc_pair(distance) > 0)
    if distance == 20:
        assert np.unique(labels[:, 30]).tolist() == [0, 1]
        assert np.unique(labels[:, 40]).tolist() == [0, 2]


def test_components_are_numbered_as_skimage_does() -> None:
    mask = (np.random.default_rng(3).random((60, 70)) < 0.4).astype(np.uint8)
    for connectivity, order in ((4, 1), (8, 2)):
        expected = skimage_label(mask, connectivity=order)  # type: ignore[no-untyped-call]  # untyped library
        n, labels = connected(mask, connectivity)
        assert n == expected.max() + 1
        assert np.array_equal(labels, expected)


def test_labels_are_compacted_in_order_without_the_unfit() -> None:
    labels = np.array([[9, 9, 4, 0, 7, 7, 7]], np.int32)
    assert compacted(labels, 2, 2).tolist() == [[1, 1, 0, 0, 0, 0, 0]]
    assert compacted(labels, 1).tolist() == [[3, 3, 1, 0, 2, 2, 2]]


def test_warm_up_limits_the_threads_of_libraries() -> None:
    warm_up(n_threads=1)
    assert cv2.getNumThreads() == 1
    assert {pool["num_threads"] for pool in threadpool_info()} == {1}


@pytest.mark.parametrize("n_cells", [75, 300])
def test_clumps_are_split_as_a_watershed_of_the_whole_image_splits_them(
    n_cells: int,
) -> None:
    truth = synthetic_stack((512, 512), n_cells, seed=13)[1]
    mask = (truth > 0).view(np.uint8)
    rng = np.random.default_rng(1)
    depth = rng.integers(0, 30, mask.shape).astype(np.float32)  # many ties
    seeds = peaks(depth + rng.random(mask.shape, np.float32), 6)
    marks = connected((seeds & (mask > 0)).view(np.uint8), 8)[1]
    plain = watershed(-depth, marks, mask=mask > 0)  # type: ignore[no-untyped-call]  # untyped library
    n, alone = connected(mask)
    plain = np.where(plain > 0, plain + n, alone)  # what holds no seed stays whole
    ours = divided(mask, depth, seeds)
    assert match_labels(plain, ours, 0.999).f1 == 1
    assert ours.max() == len(np.unique(plain)) - 1 > 75


def test_spots_are_found_at_their_size() -> None:
    pixels, labels = synthetic_stack((512, 512), n_cells=150, seed=2, radius_px=5.0)
    match = match_labels(labels, BlobSegmenter(diameter_px=10.0).segment(pixels[0]))
    assert match.f1 >= 0.95
    noise = np.random.default_rng(0).poisson(200, (512, 512)).astype(np.uint16)
    assert not BlobSegmenter().segment(noise).any()


def test_a_mask_is_labelled_as_it_is() -> None:
    image = np.array([[0, 7, 0, 9], [0, 7, 0, 0]], np.uint8)
    assert BinarySegmenter().segment(image).tolist() == [[0, 1, 0, 2], [0, 1, 0, 0]]


def test_a_seeded_segmenter_keeps_the_contract() -> None:
    check_segmenter(SeededSegmenter(), seeded=True)
    with pytest.raises(ContractError, match="object of the same number"):
        check_segmenter(lambda _pixels, seeds: seeds // 4, seeded=True)


def test_cells_are_found_around_their_nuclei() -> None:
    pixels, nuclei = synthetic_stack((256, 256), n_cells=20, seed=5)
    shuffled = np.where(nuclei > 0, 7 * (50 - nuclei), 0).astype(np.int32)
    cells = SeededSegmenter(sigma_px=1.0).segment(pixels[1], shuffled)
    assert np.array_equal(cells[nuclei > 0], shuffled[nuclei > 0])
    assert np.unique(cells).tolist() == np.unique(shuffled).tolist()
    assert np.count_nonzero(cells) > 1.5 * np.count_nonzero(nuclei)
    near = SeededSegmenter(max_distance_px=2.0).segment(pixels[1], shuffled)
    assert np.count_nonzero(near) < 0.7 * np.count_nonzero(cells)
    bright = SeededSegmenter(threshold=60_000).segment(pixels[1], shuffled)
    assert np.array_equal(bright, shuffled)
