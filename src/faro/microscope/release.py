"""Unload every device of a core, whatever some of them do meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from faro.microscope.mmcore import (
    DeviceType,
    device_labels,
    keep_for_ever,
    silence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from faro.microscope.mmcore import CMMCorePlus
    from faro.microscope.steps import StepResult, StepRunner

logger = logging.getLogger(__name__)

STEP_BUDGET_S = 1.0
UNLOAD_BUDGET_S = 2.0


def release_devices(
    core: CMMCorePlus,
    runner: StepRunner,
    *,
    in_use: bool = False,
    last: Collection[str] = (),
) -> tuple[list[StepResult], tuple[str, ...]]:
    """Stop cameras, apply the shutdown preset, unload, and silence the core.

    Parameters
    ----------
    core
        The core that holds the devices.
    runner
        Takes the steps.
    in_use
        Whether another thread may be inside of a device. The devices are then
        unloaded one by one, which waits for such a thread; unloading all at once
        would delete a device under it.
    last
        Labels of devices that may wait for a camera which exposes: unloaded last.

    Returns
    -------
    steps
        What became of each step.
    left
        Labels of devices that are still loaded. The core is then kept for ever,
        because destroying it would hang or end the process.
    """
    steps = [runner.run(name, step, STEP_BUDGET_S) for name, step in _before(core)]
    unloaded = False
    if not in_use:
        unload = runner.run("unloadAllDevices", core.unloadAllDevices, UNLOAD_BUDGET_S)
        logger.info("unloadAllDevices: %s, %.3f s", unload.outcome, unload.seconds)
        steps.append(unload)
        unloaded = unload.ok
    left: tuple[str, ...] = ()
    if not unloaded:
        steps += _unload_one_by_one(core, runner, last)
        left = _still_loaded(core, runner)
    steps.append(runner.run("silence the core", lambda: silence(core), STEP_BUDGET_S))
    if in_use or left or any(step.outcome == "hung" for step in steps):
        keep_for_ever(core)
    if left:
        logger.error("These devices could not be released: %s", ", ".join(left))
    return steps, left


def _before(core: CMMCorePlus) -> list[tuple[str, Callable[[], object]]]:
    def stop_cameras() -> None:
        for label in core.getLoadedDevicesOfType(DeviceType.CameraDevice):
            if core.isSequenceRunning(label):
                core.stopSequenceAcquisition(label)

    def shutdown_preset() -> None:
        if "Shutdown" in core.getAvailableConfigs("System"):
            core.setConfig("System", "Shutdown")

    return [
        ("stop the cameras", stop_cameras),
        ("preset System/Shutdown", shutdown_preset),
    ]


def _unload_one_by_one(
    core: CMMCorePlus, runner: StepRunner, last: Collection[str]
) -> list[StepResult]:
    """Unload in the reverse order of loading, what may have to wait at the end.

    Where one of ``last`` hangs, the library of the camera is locked: the others of it
    are tried as one step, for each would only wait as well.
    """
    labels = _still_loaded(core, runner)[::-1]
    beside = [label for label in labels if label in last]
    steps = [_unload(core, runner, [label]) for label in labels if label not in last]
    while beside:
        first, *rest = beside
        steps.append(_unload(core, runner, [first]))
        hung = steps[-1].outcome == "hung"
        if hung and rest:
            steps.append(_unload(core, runner, rest))
        beside = [] if hung else rest
    return steps


def _unload(core: CMMCorePlus, runner: StepRunner, labels: list[str]) -> StepResult:
    """Unload devices one after the other, each whatever became of the one before."""

    def unload() -> None:
        errors = []
        for label in labels:
            try:
                core.unloadDevice(label)
            except Exception as error:  # noqa: BLE001  reported, whatever it is
                errors.append(error)
        if errors:
            raise errors[0]

    return runner.run(f"unload {', '.join(labels)}", unload, STEP_BUDGET_S)


def _still_loaded(core: CMMCorePlus, runner: StepRunner) -> tuple[str, ...]:
    found: list[str] = []
    runner.run(
        "list the devices", lambda: found.extend(device_labels(core)), STEP_BUDGET_S
    )
    return tuple(found)
