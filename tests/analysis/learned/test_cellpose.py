"""Cellpose 4 with random weights: the real network on one tile, and a short one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.analysis import CellposeSegmenter, MissingWeightsError
from faro.testing.segmenter import check_segmenter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.library("cellpose", "cellpose"),
    pytest.mark.filterwarnings("ignore"),  # torch's own
]
BFLOAT16_BYTES, N_PARAMETERS = 2, 300_000_000
ABOVE_NOTHING = 5.0


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of the whole network, never trained."""
    torch: Any = import_module("torch")
    vit: Any = import_module("cellpose.vit")
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("cellpose") / "random"
    vit.CPSAM(dtype=torch.bfloat16).save_model(str(file))
    assert file.stat().st_size > BFLOAT16_BYTES * N_PARAMETERS
    return file


@pytest.fixture(scope="module")
def short(weights: Path) -> CellposeSegmenter:
    """Return Cellpose with the first of its 24 blocks only, which is quick."""
    segmenter = CellposeSegmenter(
        str(weights), gpu=False, cellprob_threshold=ABOVE_NOTHING, n_threads=2
    )
    encoder = segmenter.load().net.encoder
    encoder.blocks = encoder.blocks[:1]
    return segmenter


def test_one_tile_goes_through_the_whole_network(weights: Path) -> None:
    segmenter = CellposeSegmenter(
        str(weights), gpu=False, cellprob_threshold=-100.0, n_steps=20, n_threads=2
    )
    image = np.random.default_rng(0).poisson(300, (256, 256)).astype(np.uint16)
    labels = segmenter.segment(image)
    assert labels.dtype == np.int32
    assert labels.shape == (256, 256)
    assert len(segmenter.load().net.encoder.blocks) == 24


def test_a_short_one_keeps_the_contract_of_a_segmenter(
    short: CellposeSegmenter,
) -> None:
    check_segmenter(short)


def test_its_masks_become_labels_and_its_parameters_arrive(
    short: CellposeSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).poisson(300, (3, 96, 80)).astype(np.uint16)
    model, given = short.load(), dict[str, Any]()
    evaluate = model.eval

    def eval_(x: Any, **options: Any) -> Any:
        given.update(options, shape=x.shape)
        masks, *rest = evaluate(x, **options)
        masks[3:9, 4:9] = 7
        return (masks, *rest)

    monkeypatch.setattr(model, "eval", eval_)
    labels = short.segment(image)
    assert labels.dtype == np.int32
    assert np.count_nonzero(labels == 7) == 30
    assert given["flow_threshold"] == 0
    assert given["channel_axis"] == 0
    assert given["shape"] == (3, 96, 80)


def test_a_name_that_is_nowhere_is_never_fetched(tmp_path: Path) -> None:
    # Cellpose itself would fetch its default model for it.
    with pytest.raises(MissingWeightsError):
        CellposeSegmenter(str(tmp_path / "none"), gpu=False).segment(
            np.zeros((32, 32), np.uint16)
        )
