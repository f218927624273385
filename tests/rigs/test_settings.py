"""Settings of rigs: defaults, files, changes, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faro.rigs.pertzlab import Moench
from faro.rigs.pertzlab.moench import MoenchSettings
from faro.rigs.settings import RigSettings, RigSettingsError, read_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rig.toml"


def test_a_change_wins_over_the_file_and_the_file_over_the_default(file: Path) -> None:
    file.write_text("keep_awake_interval_s = 30\nroi = [0, 0, 5, 6]\n")
    changes = {"roi": (1, 2, 3, 4)}
    settings = read_settings(MoenchSettings, file, changes)
    assert settings == MoenchSettings(keep_awake_interval_s=30, roi=(1, 2, 3, 4))
    assert settings.keep_awake_exposure_ms == 100.0
    assert read_settings(MoenchSettings, None, {}).roi == (0, 60, 800, 800)


def test_a_configuration_beside_the_file_is_found(file: Path) -> None:
    (file.parent / "own.cfg").touch()
    file.write_text('config = "own.cfg"\n')
    assert read_settings(RigSettings, file, {}).config == str(file.parent / "own.cfg")
    file.write_text('config = "of_micromanager.cfg"\n')
    assert read_settings(RigSettings, file, {}).config == "of_micromanager.cfg"


def test_everything_that_is_wrong_is_listed_with_the_nearest_name(file: Path) -> None:
    file.write_text('confg = "a.cfg"\nkeep_awake_interval_s = -1\n')
    with pytest.raises(RigSettingsError, match="make no Moench") as caught:
        Moench(settings=file, roi=(0, 0, 0, 4), keep_awake=True)
    assert [(p.where, p.remedy) for p in caught.value.problems] == [
        ("confg", "The nearest one is 'config'."),
        ("keep_awake", "The nearest one is 'keep_awake_pulse'."),
        ("roi/2", "Input should be greater than 0."),
        ("keep_awake_interval_s", "Input should be greater than or equal to 0."),
    ]


@pytest.mark.parametrize("content", ["a = ", "\xff", None], ids=["toml", "utf8", "no"])
def test_a_file_that_cannot_be_read_is_named(file: Path, content: str | None) -> None:
    if content is not None:
        file.write_text(content, encoding="latin-1")
    with pytest.raises(RigSettingsError, match=r"rig\.toml.*Give a TOML file"):
        Moench.from_toml(file)
