"""Trackastra links labels; with random weights, by what its graph says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml

from faro.analysis import MissingWeightsError, TrackastraLinker
from faro.errors import ContractError
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from pathlib import Path

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

trackastra = pytest.mark.library("trackastra", "trackastra")


def movie(n_frames: int = 4) -> tuple[list[PixelArray], list[Labels]]:
    """Return images and labels (Y, X) of cells that move; labels are no rows."""
    pixels, labels = synthetic_stack((96, 128), n_cells=9, seed=5)
    shifts = range(n_frames)
    images = [np.roll(pixels[0], t, axis=1) for t in shifts]
    found = [np.roll(labels, t, axis=1) * np.int32(3) for t in shifts]
    return images, found


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """Return a folder with a small network that has learned nothing."""
    torch = pytest.importorskip("torch")
    from trackastra.model import TrackingTransformer

    torch.manual_seed(0)
    network = TrackingTransformer(
        coord_dim=2, feat_dim=7, d_model=32, num_encoder_layers=1, num_decoder_layers=1
    )
    network.save(tmp_path)
    said = yaml.safe_dump({"features": "wrfeat"})
    (tmp_path / "train_config.yaml").write_text(said, encoding="utf-8")
    return str(tmp_path)


# the library leaves the files of a model open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@trackastra
def test_every_cell_has_a_track_and_links_go_forward(weights: str) -> None:
    images, labels = movie()
    linker = TrackastraLinker(weights, gpu=False, max_distance_px=40)
    found = linker.link(images, labels)
    for ids, parents, plane in zip(*found, labels, strict=True):
        assert len(ids) == len(parents) == len(np.unique(plane)) - 1
        assert (ids >= 1).all()
        assert len(set(ids.tolist())) == len(ids)
    assert 1 <= max(ids.max() for ids in found.track_ids) <= sum(map(len, found[0]))
    alone = TrackastraLinker(weights, divisions=False, gpu=False).link(images, labels)
    assert not any(parents.any() for parents in alone.parents)


def test_images_and_labels_must_fit() -> None:
    images, labels = movie()
    with pytest.raises(ContractError, match="4 images and 3 label images"):
        TrackastraLinker().link(images, labels[:3])


def test_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARO_MODELS", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=r"no weights 'general_2d'.*Put"):
        TrackastraLinker().link(*movie())
    (tmp_path / "general_2d").mkdir()
    with pytest.raises(MissingWeightsError, match=r"config\.yaml.*Unpack a"):
        TrackastraLinker().link(*movie())


def test_frames_without_cells_have_no_tracks() -> None:
    empty = [np.zeros((8, 8), np.int32)] * 2
    assert [ids.tolist() for ids in TrackastraLinker().link(empty, empty)[0]] == [
        [],
        [],
    ]
