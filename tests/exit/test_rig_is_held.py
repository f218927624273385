"""A rig that one process holds, and another one asks for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from faro.errors import HardwareError
from faro.testing.exclusive_dmd import ControllerProcess, write_config
from faro.testing.exit_scene import ExclusiveRig

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from faro.testing.exit_scene import ExclusiveRig
rig = ExclusiveRig(sys.argv[1])
sys.stdout.write("held\\n"); sys.stdout.flush()
sys.stdin.readline()
"""


def holder(config: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_holds_the_rig(tmp_path: Path) -> None:
    with ControllerProcess(tmp_path) as controller:
        config = write_config(tmp_path / "rig.cfg", controller.port)
        with holder(config) as process:
            said = f"rig.cfg is held by process {process.pid} on .* since "
            with pytest.raises(HardwareError, match=said):
                ExclusiveRig(str(config))
            process.communicate("go\n", timeout=60)
        with ExclusiveRig(str(config)):
            claims = [e.detail for e in controller.entries() if e.what == "CLAIM"]
        assert claims == [str(process.pid), str(os.getpid())]


def test_an_owner_that_is_ending_is_waited_for(tmp_path: Path) -> None:
    with ControllerProcess(tmp_path) as controller:
        config = write_config(tmp_path / "rig.cfg", controller.port)
        with holder(config) as process:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            start = time.monotonic()
            with ExclusiveRig(str(config)):
                assert time.monotonic() - start < 25
            assert process.wait(60) == 0
        assert "BUSY" not in [entry.what for entry in controller.entries()]


def test_the_same_rig_made_again_in_one_process_releases_the_one_before(
    tmp_path: Path,
) -> None:
    with ControllerProcess(tmp_path) as controller:
        config = write_config(tmp_path / "rig.cfg", controller.port)
        first = ExclusiveRig(str(config))
        with ExclusiveRig(str(config)):
            assert first.shutdown().reason == "the rig was opened again"
        said = [e.what for e in controller.entries() if e.what in {"CLAIM", "RELEASE"}]
    assert said == ["CLAIM", "RELEASE"] * 2


def test_a_device_that_is_in_use_is_named_and_nothing_stays_loaded(
    tmp_path: Path,
) -> None:
    with ControllerProcess(tmp_path, "tcp") as controller:
        config = write_config(tmp_path / "rig.cfg", controller.port)
        elsewhere = write_config(tmp_path / "elsewhere.cfg", controller.port)
        with (
            ExclusiveRig(str(elsewhere)),
            pytest.raises(HardwareError, match="'DMD'"),
        ):
            ExclusiveRig(str(config))
        with ExclusiveRig(str(config)):
            assert [e.what for e in controller.entries()].count("BUSY") == 2
