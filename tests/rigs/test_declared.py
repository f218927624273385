"""Rigs as declarations: ten lines, any configuration, honest set-up."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from faro.errors import HardwareError
from faro.microscope.calibration import Calibration
from faro.microscope.calibration_run import conditions_of
from faro.microscope.dmd import DMD
from faro.microscope.policy import EnginePolicy, RetryPolicy, Wait, WaitPolicy
from faro.rigs.declared import DeclaredRig
from faro.testing.microscope import event_of
from faro.testing.quirks import quirky_devices, write_configuration

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rigs.conftest import Workshop

QUICK = EnginePolicy(settings=RetryPolicy(tries=3, delay_s=0.001))


def test_ten_lines_make_a_rig(tmp_path: Path) -> None:
    file = write_configuration(tmp_path)

    class Bench(DeclaredRig):
        """A rig."""

        CONFIG = file
        CHANNEL_GROUP = "TTL_ERK"
        POWER_PROPERTIES: ClassVar = {"CyanStim": ("LED", "Cyan_Level")}
        STARTUP_PRESETS = (("System", "Startup"),)

    with quirky_devices() as devices, Bench(roi=(0, 0, 40, 30)) as bench:
        assert bench.facts().image_shape == (30, 40)
    assert devices.diary.of("release")
    assert "Cyan_Level 0" in devices.diary.lines


def test_any_configuration_is_a_rig(workshop: Workshop) -> None:
    rig, bench = workshop.make(DeclaredRig)
    assert rig.facts().image_shape == (1024, 1024)
    assert rig.validate_hardware() == ()
    assert rig.session.levels().stimulation == ()
    rig.init_scope()
    assert bench.diary.of("binning") == ["binning 2"]


def test_a_cpp_configuration_needs_no_python_core() -> None:
    with DeclaredRig(config="MMConfig_demo.cfg") as rig:
        assert type(rig.mmc).__name__ == "CMMCorePlus"
        assert rig.facts().image_shape == (512, 512)


def test_what_is_declared_for_a_device_that_is_not_there_is_said(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    class Wrong(DeclaredRig):
        """Waits for nobody."""

        POLICY = EnginePolicy(
            waits={"Stage": WaitPolicy(), "StuckStage": WaitPolicy()}, drives_z=False
        )

    with caplog.at_level(logging.INFO, "faro"):
        workshop.make(Wrong)
    said = [record.getMessage() for record in caplog.records]
    assert "Wrong: no device 'Stage' to wait for" in said
    assert "Wrong: z positions are left to the autofocus" in said
    assert not [text for text in said if "StuckStage" in text]


def test_a_device_is_waited_for_by_its_label_or_its_name(workshop: Workshop) -> None:
    class ByName(DeclaredRig):
        """Its stage is busy for ever."""

        POLICY = EnginePolicy(
            wait=WaitPolicy(deadline_s=0.05),
            waits={"StuckStage": WaitPolicy(Wait.POSITION)},
        )

    rig, _ = workshop.make(ByName)
    thread = rig.run_mda(iter([event_of(exposure=1, x_pos=3)]))
    thread.join(20)
    assert thread.error is None
    assert rig.mmc.deviceBusy("TIXYDrive")


@pytest.mark.parametrize(
    ("attributes", "settings", "message"),
    [
        ({"STARTUP_PRESETS": (("System", "Strtup"),)}, {}, r"'Strtup'\) failed 3"),
        ({}, {"binning": "many"}, "binning 'many' failed 3"),
        ({}, {"roi": (0, 0, 5000, 10)}, r"ROI \(0, 0, 5000, 10\) failed 3"),
        ({"CHANNEL_GROUP": "Channel"}, {}, "no group 'Channel'"),
        (
            {"labels": {"dmd": None}},
            {"affine_calibration_matrix": np.eye(3)},
            "a calibration for a DMD, but no SLM",
        ),
    ],
    ids=["preset", "binning", "roi", "group", "dmd"],
)
def test_what_cannot_be_set_up_is_an_error_and_releases_everything(
    workshop: Workshop,
    attributes: dict[str, object],
    settings: dict[str, object],
    message: str,
) -> None:
    labels = attributes.pop("labels", {})
    assert isinstance(labels, dict)
    kind = type("Wrong", (DeclaredRig,), {"POLICY": QUICK, **attributes})
    with quirky_devices() as bench, pytest.raises(HardwareError, match=message):
        workshop.make(kind, bench=bench, labels=labels, **settings)
    assert len(bench.diary.of("release")) == 6 - ("dmd" in labels)


def test_a_camera_that_takes_another_crop_is_caught(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rounds(DeclaredRig):
        """A rig whose camera rounds."""

    rig, _ = workshop.make(Rounds, roi=(0, 0, 40, 30))
    monkeypatch.setattr(rig.mmc, "getROI", lambda *_: [0, 0, 48, 32])
    with pytest.raises(HardwareError, match=r"took the ROI \(0, 0, 48, 32\) where"):
        rig.set_roi()


COMMA = """
import locale, sys
locale.setlocale(locale.LC_ALL, "")
assert locale.localeconv()["decimal_point"] == ","
from faro.errors import HardwareError
from faro.rigs.declared import DeclaredRig
with DeclaredRig(config="MMConfig_demo.cfg") as rig:
    rig.mmc.setProperty("Camera", "Exposure", 7.5)
    print(float(rig.mmc.getProperty("Camera", "Exposure")))
    locale.setlocale(locale.LC_NUMERIC, "")
    try:
        rig.run_mda(iter([]))
    except HardwareError as error:
        print(error)
"""


def test_under_a_decimal_comma_a_rig_reads_and_writes_points(tmp_path: Path) -> None:
    name, localedef = "de_DE.UTF-8", shutil.which("localedef")
    if localedef is None:
        pytest.skip("needs localedef, to make a locale with a decimal comma")
    make = [localedef, "-i", "de_DE", "-f", "UTF-8", str(tmp_path / name)]
    if subprocess.run(make, capture_output=True, check=False).returncode:
        pytest.skip("needs the source of the locale de_DE")
    done = subprocess.run(
        [sys.executable, "-c", COMMA],
        env=dict(os.environ, LOCPATH=str(tmp_path), LC_ALL=name),  # noqa: TID251  handed on
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    exposure, error = done.stdout.splitlines()
    assert exposure == "7.5"
    assert error.startswith("Numbers are written with ','")


def saved_calibration(rig: DeclaredRig, file: Path) -> Calibration:
    """Write a calibration that holds for ``rig`` as it is now."""
    matrix, points = np.diag([0.5, 0.5, 1.0]), np.zeros((4, 2))
    matrix[:2, 2] = 3.0
    used = np.ones(4, np.bool_)
    now = conditions_of(rig)
    made = Calibration(
        matrix, "affine", points, points, used, np.zeros(4), now, "2026-01-01", 255
    )
    made.save(file)
    return made


def test_a_calibration_file_gives_the_dmd_only_where_it_holds(
    workshop: Workshop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, toml = tmp_path / "dmd.json", tmp_path / "rig.toml"
    plain, _ = workshop.make(DeclaredRig)
    made = saved_calibration(plain, file)
    plain.shutdown()
    toml.write_text('dmd_calibration = "dmd.json"\n', encoding="utf-8")
    rig, _ = workshop.make(DeclaredRig, settings=toml)
    assert isinstance(rig.dmd, DMD)
    assert rig.dmd.affine.tolist() == made.matrix.tolist()
    assert rig.facts().dmd_calibrated
    rig.shutdown()
    other, _ = workshop.make(DeclaredRig, settings=toml, roi=(0, 0, 64, 32))
    assert other.dmd is None
    assert not other.facts().dmd_calibrated
    assert "no calibrated DMD: The calibration of 2026-01-01 does not" in caplog.text
    assert "and is 0, 0, 64, 32" in caplog.text
