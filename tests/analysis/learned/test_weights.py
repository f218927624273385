"""Weights that are missing are said before the run, with the remedy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.analysis import (
    CellposeSegmenter,
    ConvPaintSegmenter,
    MissingWeightsError,
    OnnxSegmenter,
    StarDistSegmenter,
    TorchScriptSegmenter,
)
from faro.analysis.learned import find_weights
from faro.analysis.learned.weights import weights_sha256
from faro.errors import MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path

    from faro.protocols import Segmenter

IMAGE = np.zeros((32, 32), np.uint16)
MISSING = [
    (OnnxSegmenter("none.onnx"), "Put them at 'none.onnx' or '.*none.onnx'"),
    (TorchScriptSegmenter("none.pt"), "Put them at"),
    (CellposeSegmenter(), "faro models fetch cellpose/cpsam_v2"),
    (CellposeSegmenter("my/cells"), "Put them at 'my/cells'"),
    (StarDistSegmenter(), "faro models fetch stardist/2D_versatile_fluo"),
    (ConvPaintSegmenter("painted.pkl"), "Put them at"),
]
LIBRARIES = [
    (OnnxSegmenter, "x.onnx", "onnxruntime", "onnx"),
    (TorchScriptSegmenter, "x.pt", "torch", "torch"),
    (CellposeSegmenter, "x.pt", "torch", "cellpose"),
    (StarDistSegmenter, "folder", "tensorflow", "stardist"),
    (ConvPaintSegmenter, "x.pkl", "torch", "convpaint"),
]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FARO_MODELS", "CELLPOSE_LOCAL_MODELS_PATH", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))


@pytest.mark.parametrize(("segmenter", "remedy"), MISSING, ids=str)
def test_missing_weights_are_named_with_the_remedy(
    segmenter: Segmenter, remedy: str
) -> None:
    with pytest.raises(
        MissingWeightsError, match=f"(?s)There are no weights.*{remedy}"
    ):
        segmenter.segment(IMAGE)


@pytest.mark.parametrize(("kind", "name", "library", "extra"), LIBRARIES)
def test_a_missing_library_is_named_with_its_extra(
    kind: type[OnnxSegmenter],
    name: str,
    library: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / name
    place.mkdir()
    (tmp_path / "x.yml").write_text("fe_name: gaussian_features\n", encoding="utf-8")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"faro-microscopy\[{extra}\]"):
        kind(str(place)).segment(IMAGE)


def test_features_of_convpaint_that_are_missing_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    model = tmp_path / "painted.pkl"
    model.touch()
    segmenter = ConvPaintSegmenter(str(model))
    with pytest.raises(MissingWeightsError, match=r"'painted.yml'.*Save it beside"):
        segmenter.segment(IMAGE)
    model.with_suffix(".yml").write_text("fe_name: vgg16\n", encoding="utf-8")
    with pytest.raises(MissingWeightsError, match="models fetch convpaint/vgg16"):
        segmenter.segment(IMAGE)


def test_a_bare_name_is_found_in_the_folder_of_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARO_MODELS", str(tmp_path))
    (tmp_path / "nuclei.onnx").write_bytes(b"weights")
    assert find_weights("nuclei.onnx") == tmp_path / "nuclei.onnx"
    assert OnnxSegmenter("nuclei.onnx").weights_path() == tmp_path / "nuclei.onnx"


def test_the_record_says_which_weights_they_were(tmp_path: Path) -> None:
    file = tmp_path / "nuclei.onnx"
    file.write_bytes(b"abc")
    told = OnnxSegmenter(str(file)).describe()
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert told["weights_sha256"] == abc
    assert told["component"] == "faro.analysis.learned.network:OnnxSegmenter"
    assert told["parameters"]["percentiles"] == (1.0, 99.8)
    assert weights_sha256(tmp_path) == abc
    file.write_bytes(b"abcd")
    assert OnnxSegmenter(str(file)).describe()["weights_sha256"] != abc
    assert CellposeSegmenter().describe()["weights_sha256"] is None
