"""``faro devices`` prints what there is, and lets the devices go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from faro.cli import app
from faro.microscope.session import HardwareSession
from faro.testing.quirks import quirky_devices, write_configuration

if TYPE_CHECKING:
    from pathlib import Path

WIDE = {"COLUMNS": "200"}


def ask(*arguments: str) -> tuple[int, str]:
    return told("--in-process", *arguments)


def told(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["devices", *arguments], env=WIDE)
    return result.exit_code, result.output


def cells(text: str) -> list[list[str]]:
    """Return the cells of the rows of all tables."""
    rows = [line for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[HardwareSession]:
    """Return the owners of all cores that are made."""
    made: list[HardwareSession] = []
    init = HardwareSession.__init__

    def note(self: HardwareSession, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(HardwareSession, "__init__", note)
    return made


def test_the_demo_devices_are_listed_and_released(
    sessions: list[HardwareSession],
) -> None:
    code, text = ask()
    assert code == 0
    assert re.search(r"MMDemo: .*MMConfig_demo\.cfg", text)
    rows = cells(text)
    assert ["Channel (channels)", "Cy5, DAPI, FITC, Rhodamine", "DAPI"] in rows
    assert ["Camera", "Camera", "DemoCamera/DCam", "Demo camera"] in rows
    assert ["-"] * 5 in rows
    assert any(row[:2] == ["autofocus", "Autofocus"] for row in rows)
    assert [tuple(s.core.getLoadedDevices()) for s in sessions] == [("Core",)]


def test_light_levels_and_their_ranges_are_listed(tmp_path: Path) -> None:
    file = write_configuration(tmp_path)
    with quirky_devices() as bench:
        code, text = ask("--rig", "moench", "--config", str(file))
    assert code == 0
    rows = cells(text)
    level = ["CyanStim", "LED.Cyan_Level", "0.0", "0 to 100", "stimulation"]
    assert level in rows
    assert ["Green", "LED.Green_Level", "0.0", "0 to 100", "imaging"] in rows
    assert ["focus", "ZDrive", "at z 0 um; left to the autofocus"] in rows
    assert ["slm", "Mosaic3", "30 x 40 (Y, X), no calibration"] in rows
    assert any(
        row[0] == "camera" and "800 x 800 (Y, X) uint16" in row[2] for row in rows
    )
    assert len(bench.diary.of("release")) == 6


def test_a_bare_configuration_is_enough(tmp_path: Path) -> None:
    file = write_configuration(tmp_path, dmd=None)
    with quirky_devices():
        code, text = ask("--config", str(file))
    assert code == 0
    assert "DeclaredRig" in text
    assert not [row for row in cells(text) if row[0] == "slm"]


def test_what_is_wrong_with_a_rig_is_said(tmp_path: Path) -> None:
    file = write_configuration(tmp_path, light="Lamp")
    with quirky_devices() as bench:
        code, text = ask("--rig", "moench", "--config", str(file))
    assert code == 1
    assert "POWER_PROPERTIES/CyanStim: no device 'LED'. Correct the label." in text
    assert len(bench.diary.of("release")) == 6


def test_an_unknown_rig_is_an_error_of_the_user() -> None:
    code, text = ask("--rig", "monch")
    assert code == 2
    assert "No rig is called 'monch'" in text


def test_a_device_host_says_what_this_process_says(tmp_path: Path) -> None:
    code, text = told("--rig", "simulated")
    assert code == 0
    assert "stimulation" in text
    assert "at x " in text or "at z " in text
    # Where the configuration lies may differ: an installed package, a checkout.
    here_code, here = ask("--rig", "simulated")
    assert code == here_code
    assert text.splitlines()[1:] == here.splitlines()[1:]
    file = write_configuration(tmp_path, light="Lamp")
    code, text = told("--rig", "moench", "--config", str(file))
    assert code == 1
    assert "POWER_PROPERTIES/CyanStim: no device 'LED'. Correct the label." in text
