"""Going through the door to pymmcore-plus changes nothing else in the process."""

from __future__ import annotations

import json
import locale
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from faro.errors import HardwareError
from faro.microscope.mmcore import (
    UniMMCore,
    check_numeric_locale,
    device_labels,
    load_configuration,
    new_core,
    silence,
)

if TYPE_CHECKING:
    from pathlib import Path

IMPORT = """
import json, logging, os, sys, warnings
import numpy, useq, cv2  # what has filters of its own
root = logging.getLogger()
def state():
    return [root.level, [repr(h) for h in root.handlers], list(os.environ.items()),
            [repr(f) for f in warnings.filters]]
before = state()
import faro, faro.microscope, faro.microscope.abstract, faro.microscope.replay
light = "pymmcore_plus" not in sys.modules
from faro.microscope import MMDemo
theirs = logging.getLogger("pymmcore-plus")
with MMDemo() as demo:
    demo.mmc.snap()
print(json.dumps({"light": light, "same": state() == before,
    "handlers": len(theirs.handlers), "level": theirs.level,
    "propagates": theirs.propagate, "log": demo.mmc.getPrimaryLogFile()}))
"""


def test_importing_and_loading_leaves_the_process_as_it_was() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {
        "light": True,
        "same": True,
        "handlers": 0,
        "level": 30,
        "propagates": True,
        "log": "",
    }
    assert done.stderr == ""


OWN = """
import logging, pymmcore_plus
theirs = logging.getLogger("pymmcore-plus")
before = (theirs.handlers[:], theirs.level, logging.getLogger().level)
import faro.microscope.mmcore
print((theirs.handlers[:], theirs.level, logging.getLogger().level) == before)
"""


def test_the_logging_of_who_imported_it_before_us_is_theirs() -> None:
    command = [sys.executable, "-c", OWN]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_a_decimal_comma_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locale, "localeconv", lambda: {"decimal_point": ","})
    with pytest.raises(HardwareError, match="written with ','"):
        check_numeric_locale()
    with pytest.raises(HardwareError, match="LC_NUMERIC"):
        new_core()


def test_a_core_with_or_without_python_devices() -> None:
    for python_devices in (False, True):
        core = new_core(python_devices=python_devices, parallel_init=False)
        assert isinstance(core, UniMMCore) == python_devices
        assert not core.isFeatureEnabled("ParallelDeviceInitialization")
        load_configuration(core, "MMConfig_demo.cfg")
        assert "Camera" in device_labels(core)
        assert "Core" not in device_labels(core)
        core.unloadAllDevices()
        silence(core)


def test_a_missing_configuration_is_named() -> None:
    with pytest.raises(HardwareError, match=r"no configuration file 'nowhere\.cfg'"):
        load_configuration(new_core(), "nowhere.cfg")


@pytest.mark.parametrize("python_devices", [False, True])
def test_a_device_that_does_not_load_leaves_nothing_loaded(
    python_devices: Any, tmp_path: Path
) -> None:
    cfg = tmp_path / "bad.cfg"
    cfg.write_text(
        "Property,Core,Initialize,0\n"
        "Device,Camera,DemoCamera,DCam\n"
        "Device,Laser,NoSuchLibrary,Laser\n"
        "Property,Core,Initialize,1\n"
    )
    core = new_core(python_devices=python_devices)
    with pytest.raises(HardwareError, match="NoSuchLibrary"):
        load_configuration(core, cfg, again_after_s=0.01)
    assert device_labels(core) == ()


def test_a_python_device_that_refuses_is_named(tmp_path: Path) -> None:
    cfg = tmp_path / "refused.cfg"
    cfg.write_text(
        "#py pyDevice,Lamp,faro.testing.devices,RefusingDevice\n"
        "#py Property,Core,Initialize,1\n"
    )
    core = new_core(python_devices=True)
    with pytest.raises(HardwareError, match="'Lamp' \\(InitializationFailed\\)"):
        load_configuration(core, cfg, again_after_s=0.01)
    assert device_labels(core) == ()


class BusyOnce(UniMMCore):
    """A core whose devices are in use at the first try."""

    tries = 0
    error = "COM3: device in use"

    def loadSystemConfiguration(self, fileName: str | Path = "") -> None:  # noqa: N802, N803  its names
        self.tries += 1
        if self.tries == 1:
            raise RuntimeError(self.error)
        super().loadSystemConfiguration(fileName)


def test_a_device_in_use_is_tried_once_more(caplog: pytest.LogCaptureFixture) -> None:
    core = BusyOnce()
    load_configuration(core, "MMConfig_demo.cfg", again_after_s=0.01)
    assert core.tries == 2
    assert "device in use. Trying once more." in caplog.text
    core.unloadAllDevices()
    silence(core)


def test_a_device_that_is_broken_is_not_tried_again() -> None:
    core = BusyOnce()
    core.error = "COM3: no such port"
    with pytest.raises(HardwareError, match="no such port"):
        load_configuration(core, "MMConfig_demo.cfg")
    assert core.tries == 1
