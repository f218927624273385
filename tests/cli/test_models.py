"""``faro models``: what is known, what is here, and what cannot be had."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from faro.analysis.learned import MissingWeightsError, models
from faro.analysis.learned.convpaint import FEATURE_WEIGHTS
from faro.analysis.learned.download import Download
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
        place = folders / "keras" / "models" / "StarDist2D" / model.key
        place.mkdir(parents=True)
        (place / "config.json").touch()

    monkeypatch.setattr(models, "_fetch", library)
    done = RUN.invoke(app, ["models", "fetch", "stardist/2D_versatile_he"])
    assert done.exit_code == 0, done.output
    assert [model.name for model in asked] == ["stardist/2D_versatile_he"]
    assert "2D_versatile_he" in done.output


def test_what_cannot_be_fetched_is_said_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def library(model: KnownModel) -> None:
        message = f"no way to {model.name}"
        raise OSError(message)

    monkeypatch.setattr(models, "_fetch", library)
    with pytest.raises(MissingWeightsError, match="OSError: no way to stardist/2D_"):
        fetch("stardist/2D_versatile_fluo", how=Download(wait_s=0.0))


def test_a_library_that_fails_is_asked_again_and_half_of_a_file_is_not_kept(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = b"weights"
    name = f"vgg16-{hashlib.sha256(whole).hexdigest()[:8]}.pth"
    monkeypatch.setitem(FEATURE_WEIGHTS, "vgg16", name)
    monkeypatch.setattr(models, "feature_folder", lambda: folders)
    answers: list[OSError | bytes] = [OSError("timed out"), whole[:3], whole]

    def library(_model: KnownModel) -> None:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        (folders / name).write_bytes(answer)

    monkeypatch.setattr(models, "_fetch", library)
    place = fetch("convpaint/vgg16", how=Download(wait_s=0.0))
    assert place.read_bytes() == whole
    with pytest.raises(MissingWeightsError, match=r"has the SHA-256.*fetch it again"):
        fetch("convpaint/vgg16", "0" * 64)


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
