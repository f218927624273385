"""ConvPaint, from a small model that is painted and saved here."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.analysis import ConvPaintSegmenter, InWorkerProcess, match_labels
from faro.testing.movie import synthetic_stack
from faro.testing.segmenter import check_segmenter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.library("convpaint", "napari_convpaint"),
    pytest.mark.filterwarnings("ignore"),  # napari's own
]


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved model on Gaussian features, which need no weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        convpaint: Any = import_module("napari_convpaint.convpaint_model")
        stack, truth = synthetic_stack((96, 120), n_cells=10, seed=3)
        model = convpaint.ConvpaintModel(fe_name="gaussian_features", normalize=1)
        model.train(stack[0], np.where(truth > 0, 2, 1))
        file = tmp_path_factory.mktemp("convpaint") / "painted.pkl"
        model.save(str(file))
    return file


def test_it_keeps_the_contract_of_a_segmenter(painted: Path) -> None:
    check_segmenter(ConvPaintSegmenter(str(painted)))


def test_it_finds_the_cells_of_an_image_that_it_has_not_seen(painted: Path) -> None:
    stack, truth = synthetic_stack((96, 120), n_cells=8, seed=4, spacing_px=30)
    labels = ConvPaintSegmenter(str(painted), diameter_px=20).segment(stack[0])
    assert match_labels(labels, truth).f1 >= 0.8


def test_it_gives_the_same_in_a_worker_process(painted: Path) -> None:
    image = np.ascontiguousarray(synthetic_stack((96, 120), n_cells=8, seed=4)[0][0])
    segmenter = ConvPaintSegmenter(str(painted))
    worker = InWorkerProcess(segmenter, deadline_s=60)
    np.testing.assert_array_equal(worker.segment(image), segmenter.segment(image))
    worker.close()
