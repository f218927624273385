"""What is done to the labels of every segmenter alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError
from scipy import ndimage

from faro.analysis import SeededSegmenter, SegmentationMethod, cleaned
from faro.errors import ContractError, RefusedError
from faro.model import LabelCleaning, Stack
from faro.run import ImageProcessingPipeline
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from faro.protocols.analysis import Labels


def plainly(labels: Labels, cleaning: LabelCleaning) -> Labels:
    """Return what `cleaned` says it does, one object after the other."""
    result = labels.copy()
    for label in np.unique(labels[labels > 0]) if cleaning.fill_holes else []:
        inside = ndimage.binary_fill_holes(labels == label) & (labels != label)
        holes, n = ndimage.label(inside)
        for number in range(1, n + 1):
            if not labels[holes == number].any():
                result[holes == number] = label
    height, width = labels.shape
    for label in np.unique(result[result > 0]):
        y, x = np.nonzero(result == label)
        largest = cleaning.max_area_px or labels.size
        edge = np.isin(y, (0, height - 1)).any() or np.isin(x, (0, width - 1)).any()
        if not cleaning.min_area_px <= len(y) <= largest or (
            cleaning.clear_borders and edge
        ):
            result[result == label] = 0
    return result


@given(
    labels=hnp.arrays(
        np.int32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.sampled_from([0, 0, 2, 2, 90_000]),
    ),
    cleaning=st.builds(
        LabelCleaning,
        min_area_px=st.integers(0, 4),
        max_area_px=st.none() | st.integers(4, 20),
        clear_borders=st.booleans(),
        fill_holes=st.booleans(),
    ),
)
def test_labels_are_cleaned_as_one_would_by_hand(
    labels: Labels, cleaning: LabelCleaning
) -> None:
    before = labels.copy()
    assert np.array_equal(cleaned(labels, cleaning), plainly(labels, cleaning))
    assert np.array_equal(labels, before)


def test_limits_that_nothing_meets_are_refused() -> None:
    with pytest.raises(ValidationError, match="at least 9 and at most 4 px"):
        LabelCleaning(min_area_px=9, max_area_px=4)


def test_a_method_cleans_what_its_segmenter_finds() -> None:
    pixels = np.zeros((1, 20, 20), np.uint16)
    pixels[0, :4, :4] = pixels[0, 8:14, 8:14] = 900
    pixels[0, 10, 10] = 0
    stack = Stack(pixels, ("miRFP",), fov=0, timestep=0)
    cleaning = LabelCleaning(clear_borders=True, fill_holes=True)
    method = SegmentationMethod("nuclei", lambda p: p > 5, cleaning=cleaning)
    labels = method.labels_of(stack, {})
    assert np.count_nonzero(labels) == 36
    assert not labels.flags.writeable


def test_segmenters_are_chained_by_name() -> None:
    pixels, truth = synthetic_stack((128, 128), n_cells=6, seed=1)
    stack = Stack(pixels, ("miRFP", "mScarlet3"), fov=0, timestep=0)
    nuclei = SegmentationMethod("nuclei", lambda _pixels: truth, "miRFP")
    cells = SegmentationMethod("cells", SeededSegmenter(), 1, seeds="nuclei")
    pipeline = ImageProcessingPipeline([nuclei, cells])
    known: dict[str, Any] = {}
    for method in pipeline.segmenters:
        known[method.name] = method.labels_of(stack, known)
    assert np.array_equal(known["cells"][truth > 0], truth[truth > 0])
    with pytest.raises(ContractError, match=r"no labels 'nuclei' to start 'cells'"):
        cells.labels_of(stack, {})


def test_a_segmenter_cannot_start_from_one_after_it() -> None:
    cells = SegmentationMethod("cells", SeededSegmenter(), seeds="nuclei")
    with pytest.raises(RefusedError, match=r"segmenters/0.*no labels 'nuclei'"):
        ImageProcessingPipeline([cells, SegmentationMethod("nuclei", lambda p: p > 5)])
