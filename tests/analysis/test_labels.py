"""What a segmenter returns is checked and normalised; errors name what came."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from faro.analysis import SegmentationMethod, as_segmenter, normalise_labels
from faro.errors import ContractError
from faro.testing.segmenter import check_segmenter


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.uint64])
def test_any_whole_numbers_become_int32(dtype: type[np.integer[npt.NBitBase]]) -> None:
    labels = normalise_labels(np.array([[0, 7], [9, 0]], dtype), (2, 2))
    assert labels.dtype == np.int32
    assert labels.tolist() == [[0, 7], [9, 0]]
    assert not labels.flags.writeable


def test_a_mask_is_labelled_and_corners_touch() -> None:
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 1]], np.bool_)
    assert normalise_labels(mask, (2, 4)).tolist() == [[1, 0, 0, 2], [0, 1, 0, 2]]


def test_the_array_of_the_segmenter_stays_writable() -> None:
    labels = np.ones((2, 2), np.int32)
    normalise_labels(labels, (2, 2))
    labels[0, 0] = 5


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros((3, 2), np.int32), r"Mine returned .* \(3, 2\) and dtype int32"),
        (np.zeros((1, 2, 2), np.int32), r"Mine returned .* \(1, 2, 2\)"),
        (np.zeros((2, 2)), r"Mine returned .* \(2, 2\) and dtype float64"),
        (np.full((2, 2), -1), "Mine returned labels from -1 to -1"),
        (np.full((2, 2), 2**31), "labels from 2147483648 to 2147483648"),
        ([[1, 2], [3, 4]], "Mine returned list, not an array"),
        (None, "Mine returned NoneType, not an array"),
    ],
)
def test_what_is_no_label_image_is_refused(result: object, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        normalise_labels(result, (2, 2), "Mine")


def bright(pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
    """Return what is bright in ``pixels`` (Y, X)."""
    return pixels > 400


def test_a_function_is_a_segmenter() -> None:
    method = SegmentationMethod("cells", bright, use_channel="DAPI")
    found = as_segmenter(method.segmenter).segment(np.array([[9, 900]], np.uint16))
    assert found.tolist() == [[False, True]]
    assert method.use_channel == "DAPI"
    check_segmenter(bright)


class Wrong:
    """Has no method that segments."""


@pytest.mark.parametrize("component", [Wrong(), Wrong, 7, None])
def test_what_cannot_segment_is_refused(component: object) -> None:
    with pytest.raises(
        ContractError, match=r"a method segment\(pixels\), or a function"
    ):
        as_segmenter(component)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "..", "ä"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(ContractError, match="no name for a label image"):
        SegmentationMethod(name, bright)


class Restless:
    """Breaks every promise of a segmenter."""

    def __init__(self) -> None:
        self.calls = 0

    def segment(self, pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
        """Return other labels (Y, X) every time."""
        self.calls += 1
        if pixels.shape[0] < 50:
            return np.zeros((1, 1), np.int64)
        return np.full(pixels.shape, self.calls)


def test_the_contract_lists_every_broken_promise() -> None:
    with pytest.raises(ContractError) as caught:
        check_segmenter(Restless())
    for promise in (
        "Restless breaks its contract",
        "cells, uint16: equal images, equal labels",
        "A dark image holds no cell. (seen: '1 cells')",
        "small: ContractError: the segmenter returned an array of shape (1, 1)",
        "Several threads may ask at once",
        "See faro.protocols.Segmenter.",
    ):
        assert promise in str(caught.value)
