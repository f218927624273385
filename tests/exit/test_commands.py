"""Commands that load the devices in their own process release them when interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from faro.testing.exclusive_dmd import ControllerProcess, write_config
from faro.testing.exit_scene import ExclusiveRig
from faro.testing.posix import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

SLACK = 5
DARK_S, EXIT_S = 0.2, 3.0

RIG = """
import time
from faro.testing.exit_scene import ExclusiveRig

class Held(ExclusiveRig):
    def __init__(self):
        super().__init__({config!r})

    def facts(self):
        self.mmc.setSLMPixelsTo("DMD", 255)
        self.mmc.displaySLMImage("DMD")
        time.sleep(60)
"""
EXPERIMENT = """
[microscope]
rig = "held_rig:Held"

[sequence]
channels = [{ config = "Dim", exposure = 10 }]
time_plan = { interval = 1.0, loops = 2 }
"""


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[ControllerProcess]:
    with ControllerProcess(tmp_path) as one:
        yield one


def waits_lit(
    folder: Path, controller: ControllerProcess, words: list[str]
) -> subprocess.Popen[str]:
    """Start a command; return it when the rig has lit the DMD, and waits."""
    config = write_config(folder / "rig.cfg", controller.port)
    text = RIG.format(config=str(config))
    (folder / "held_rig.py").write_text(text, encoding="utf-8")
    (folder / "experiment.toml").write_text(EXPERIMENT, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "faro", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},  # noqa: TID251  its own
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    until(lambda: "SHOW" in said(controller) or process.poll() is not None)
    assert process.poll() is None, process.communicate()[0]
    return process


def said(controller: ControllerProcess) -> list[str]:
    return [entry.what for entry in controller.entries()]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
@pytest.mark.parametrize(
    "words", [["devices", "--rig", "held_rig:Held"], ["check", "experiment.toml"]]
)
def test_an_interrupted_command_releases(
    tmp_path: Path,
    controller: ControllerProcess,
    words: list[str],
    number: signal.Signals,
    code: int,
) -> None:
    process = waits_lit(tmp_path, controller, words)
    asked_s = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    took_s = time.monotonic() - asked_s
    assert process.returncode == code, output
    assert took_s < SLACK * EXIT_S
    off_s = [entry.t for entry in controller.entries() if entry.what == "OFF"]
    assert off_s[-1] - asked_s < SLACK * DARK_S
    assert said(controller)[-1] == "RELEASE"
    with ExclusiveRig(str(tmp_path / "rig.cfg")):
        assert "BUSY" not in said(controller)
