"""StarDist, from a small model that is trained and saved here."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.analysis import InWorkerProcess, StarDistSegmenter, match_labels
from faro.testing.movie import synthetic_stack
from faro.testing.segmenter import check_segmenter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.long,
    pytest.mark.library("stardist", "stardist"),
    pytest.mark.filterwarnings("ignore"),  # TensorFlow's own
]

N_IMAGES, EPOCHS, STEPS = 6, 6, 40


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a model with 8 rays that has seen six synthetic images."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # noqa: TID251  for its import
    stardist: Any = import_module("stardist.models")
    images, truths = [], []
    for seed in range(N_IMAGES):
        stack, labels = synthetic_stack((96, 96), n_cells=10, seed=seed)
        low, high = np.percentile(stack[0], (1.0, 99.8))
        images.append(((stack[0] - low) / (high - low)).astype(np.float32))
        truths.append(labels)
    config = stardist.Config2D(
        n_rays=8,
        grid=(2, 2),
        unet_n_depth=1,
        unet_n_filter_base=8,
        net_conv_after_unet=16,
        train_patch_size=(64, 64),
        train_batch_size=4,
        train_epochs=EPOCHS,
        train_steps_per_epoch=STEPS,
        train_learning_rate=2e-3,
        train_tensorboard=False,
    )
    folder = tmp_path_factory.mktemp("models")
    network = stardist.StarDist2D(config, name="tiny", basedir=str(folder))
    x, y = np.array(images), np.array(truths)
    network.train(x, y, validation_data=(x[:1], y[:1]), seed=0)
    thresholds = '{"prob": 0.5, "nms": 0.4}'
    (folder / "tiny" / "thresholds.json").write_text(thresholds, encoding="utf-8")
    return folder / "tiny"


def test_it_keeps_the_contract_of_a_segmenter(model: Path) -> None:
    check_segmenter(StarDistSegmenter(str(model), probability_threshold=0.7))


def test_it_finds_the_cells_of_an_image_that_it_has_not_seen(model: Path) -> None:
    stack, truth = synthetic_stack((96, 120), n_cells=10, seed=50)
    labels = StarDistSegmenter(str(model)).segment(stack[0])
    assert labels.dtype == np.int32
    assert match_labels(labels, truth).f1 >= 0.8
    tiled = StarDistSegmenter(str(model), n_tiles=(1, 2)).segment(stack[0])
    assert match_labels(tiled, labels).f1 >= 0.8


def test_it_gives_the_same_in_a_worker_process(model: Path) -> None:
    image = np.ascontiguousarray(synthetic_stack((96, 120), n_cells=10, seed=50)[0][0])
    segmenter = StarDistSegmenter(str(model))
    worker = InWorkerProcess(segmenter, deadline_s=60)
    found = match_labels(worker.segment(image), segmenter.segment(image))
    assert found.f1 == 1
    assert len(segmenter.describe()["weights_sha256"]) == 64
    worker.close()
