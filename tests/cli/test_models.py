"""``faro models``: what is known, what is here, and what cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from faro.analysis.learned import models
from faro.analysis.learned.models import KnownModel, fetch, segmenter_of
from faro.cli import app

if TYPE_CHECKING:
    from pathlib import Path

RUN = CliRunner()


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FARO_MODELS", str(tmp_path / "own"))
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "cellpose"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("own", "cellpose"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_the_list_says_what_is_here_and_what_is_not(folders: Path) -> None:
    (folders / "cellpose" / "cpsam_v2").touch()
    (folders / "own" / "nuclei.onnx").touch()
    done = RUN.invoke(app, ["models"])
    assert done.exit_code == 0, done.output
    lines = {line.split()[1]: line for line in done.output.splitlines() if "/" in line}
    assert "not here" in lines["stardist/2D_versatile_fluo"]
    assert "not here" not in lines["cellpose/cpsam_v2"]
    assert "OnnxSegmenter" in lines["nuclei.onnx"]


def test_what_is_here_is_not_fetched_again(folders: Path) -> None:
    file = folders / "cellpose" / "cpsam_v2"
    file.touch()
    assert fetch("cellpose/cpsam_v2") == file


def test_fetching_asks_the_library_and_says_where_it_lies(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[KnownModel] = []

    def library(model: KnownModel) -> None:
        asked.append(model)
        (folders / "cellpose" / model.key).touch()

    monkeypatch.setattr(models, "_fetch", library)
    done = RUN.invoke(app, ["models", "fetch", "cellpose/cpdino"])
    assert done.exit_code == 0, done.output
    assert [model.name for model in asked] == ["cellpose/cpdino"]
    assert "cpdino" in done.output


def test_what_cannot_be_fetched_is_said_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def library(model: KnownModel) -> None:
        message = f"no way to {model.name}"
        raise OSError(message)

    monkeypatch.setattr(models, "_fetch", library)
    done = RUN.invoke(app, ["models", "fetch", "stardist/2D_versatile_fluo"])
    assert done.exit_code == 2
    assert "no way to stardist/2D_versatile_fluo" in done.output


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    done = RUN.invoke(app, ["models", "fetch", "cellpose/nuclei"])
    assert done.exit_code == 2
    assert "There is no model 'cellpose/nuclei'. Use one of: cellpose/" in done.output
    done = RUN.invoke(app, ["models", "warm-up", "convpaint/vgg16"])
    assert "convpaint/vgg16 are features" in done.output


def test_a_model_that_is_missing_cannot_be_warmed_up() -> None:
    done = RUN.invoke(app, ["models", "warm-up", "none.onnx"])
    assert done.exit_code == 2
    assert "There are no weights 'none.onnx'" in done.output
    assert (
        type(segmenter_of("stardist/2D_versatile_he")).__name__ == "StarDistSegmenter"
    )
