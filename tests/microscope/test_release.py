"""Where one device hangs, its library is locked: the others do not wait in turn."""

from __future__ import annotations

import threading
import time

from faro.microscope import MMDemo
from faro.microscope.release import release_devices
from faro.microscope.steps import Outcome, StepRunner

WITHIN_S = 0.3
WAITING = ("LED", "XY", "Z")


def test_what_waits_for_the_camera_is_tried_at_once() -> None:
    with MMDemo() as microscope:
        core, free = microscope.mmc, threading.Event()
        real = core.unloadDevice

        def unload(label: str) -> None:
            if label in WAITING:
                free.wait()
            real(label)

        setattr(core, "unloadDevice", unload)  # noqa: B010  for mypy
        runner = StepRunner()
        runner.hurry(WITHIN_S)
        began_s = time.monotonic()
        steps, left = release_devices(core, runner, in_use=True, last=WAITING)
        took_s = time.monotonic() - began_s
        free.set()
        runner.close()
    assert set(left) == set(WAITING)
    hung = [step.name for step in steps if step.outcome is Outcome.HUNG]
    assert len(hung) == 2
    assert {name for step in hung for name in step[7:].split(", ")} == set(WAITING)
    assert took_s < 5 * (WITHIN_S + 0.1)
