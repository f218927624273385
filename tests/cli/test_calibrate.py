"""``faro calibrate`` writes a file and a picture, and tries a file with one spot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from faro.cli import app

if TYPE_CHECKING:
    from pathlib import Path

WIDE = {"COLUMNS": "400"}


def calibrate(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["calibrate", *arguments], env=WIDE)
    return result.exit_code, " ".join(result.output.split())


def test_it_writes_a_file_and_a_picture_that_hold(tmp_path: Path) -> None:
    file = tmp_path / "dmd.json"
    code, output = calibrate(str(file), "--rig", "simulated", "--spots", "12")
    assert code == 0, output
    assert "spots agree: median 0." in output
    assert json.loads(file.read_text(encoding="utf-8"))["kind"] == "affine"
    picture = imread(tmp_path / "dmd.png")
    assert picture.shape[:2] == (540, 1080)
    assert picture[..., :3].min() < 0.5 < picture[..., :3].mean()
    code, output = calibrate(str(file), "--rig", "simulated", "--check")
    assert code == 0
    assert "holds: a spot is 0." in output


def test_a_file_for_another_camera_image_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dmd.json"
    options = ("--rig", "simulated", "--spots", "12", "--projective")
    assert calibrate(str(file), *options)[0] == 0
    words = json.loads(file.read_text(encoding="utf-8"))
    assert words["kind"] == "projective"
    words["conditions"]["optics"]["roi"] = "0, 0, 100, 100"
    file.write_text(json.dumps(words), encoding="utf-8")
    code, output = calibrate(str(file), "--rig", "simulated", "--check")
    assert code == 2
    assert "roi was 0, 0, 100, 100 and is 0, 0, 256, 256" in output


@pytest.mark.parametrize(
    ("rig", "said"), [("demo", "A calibration needs both"), ("nobody", "nobody")]
)
def test_a_rig_without_a_dmd_is_refused(rig: str, said: str, tmp_path: Path) -> None:
    code, output = calibrate(str(tmp_path / "x.json"), "--rig", rig)
    assert code == 2
    assert said in output
    assert not list(tmp_path.iterdir())
