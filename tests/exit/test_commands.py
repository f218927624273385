"""Commands that load the devices in their own process release them when interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from faro.system import signals
from faro.system.signals import INTERRUPT, TERMINATE
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

class Plain(ExclusiveRig):
    def __init__(self):
        super().__init__({config!r})

class Held(Plain):
    def validate_hardware(self):
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


DEVICES = ("devices", "--rig", "held_rig:Held")
CHECK = ("check", "experiment.toml")
CALIBRATE = ("calibrate", "--rig", "held_rig:Plain", "--exposure", "900")
INT, TERM, KILL = INTERRUPT, TERMINATE, signals.KILL
CODES = {INT: {130}, TERM: {143, -15}, KILL: {-9}}
"""SIGTERM ends a client that holds no devices as it ends any program."""
FIRST = [(DEVICES, KILL), (CHECK, INT), (CALIBRATE, KILL)]
ALL = [
    *((words, n) for words in (DEVICES, CHECK, CALIBRATE) for n in (INT, TERM, KILL)),
    *(
        ((*words, "--in-process"), n)
        for words in (DEVICES, CHECK, CALIBRATE)
        for n in (INT, TERM)
    ),
]


@pytest.mark.parametrize(
    ("words", "number"),
    [
        pytest.param(*case, marks=() if case in FIRST else pytest.mark.long)
        for case in ALL
    ],
    ids=str,
)
def test_a_command_that_is_ended_leaves_nothing_lit_or_held(
    tmp_path: Path,
    controller: ControllerProcess,
    words: tuple[str, ...],
    number: int,
) -> None:
    process = waits_lit(tmp_path, controller, [*words])
    asked_s = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode in CODES[number], output
    until(lambda: said(controller)[-1] == "RELEASE")
    assert time.monotonic() - asked_s < SLACK * EXIT_S
    assert dark_after_s(controller, asked_s) < SLACK * DARK_S
    with ExclusiveRig(str(tmp_path / "rig.cfg")):
        assert "BUSY" not in said(controller)


def dark_after_s(controller: ControllerProcess, asked_s: float) -> float:
    """Return how long after ``asked_s`` the DMD was off, and stayed off."""
    shown = [e for e in controller.entries() if e.what in {"SHOW", "OFF"}]
    lit = [number for number, entry in enumerate(shown) if entry.what == "SHOW"]
    return max(0.0, shown[lit[-1] + 1].t - asked_s)
