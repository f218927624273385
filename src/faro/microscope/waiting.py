"""Wait until the devices are ready: per device, under a deadline of our own."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faro.microscope.missed import DeviceFailedError
from faro.microscope.mmcore import DeviceType, device_labels
from faro.microscope.policy import EnginePolicy, Wait, WaitPolicy

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from faro.microscope.mmcore import CMMCorePlus

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Touched:
    """What one event set: devices, and where stages were sent.

    Attributes
    ----------
    devices
        Labels of devices that were set or moved.
    targets_um
        Stage label to the position it was sent to: (x, y) or (z,).
    """

    devices: set[str] = field(default_factory=set)
    targets_um: dict[str, tuple[float, ...]] = field(default_factory=dict)


class DeviceWaiter:
    """Waits for devices as the policy of the rig says.

    Parameters
    ----------
    core
        The core that holds the devices.
    policy
        Which device to wait for, how, and how long.
    cancelled
        Set when the run is to end: waiting ends then too.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        core: CMMCorePlus,
        policy: EnginePolicy,
        cancelled: threading.Event,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._core, self._policy = core, policy
        self._cancelled, self._clock = cancelled, clock
        self._rules: dict[str, WaitPolicy] = {}

    def prepare(self) -> None:
        """Look up which devices there are; before a run."""
        self._rules = {label: self._rule(label) for label in device_labels(self._core)}

    def _rule(self, label: str) -> WaitPolicy:
        waits, name = self._policy.waits, self._core.getDeviceName(label)
        return waits.get(label, waits.get(name, self._policy.wait))

    def wait(self, touched: Touched) -> None:
        """Return when every device is ready, or the run was cancelled.

        Raises
        ------
        DeviceFailedError
            If a device is not ready at its deadline.
        """
        for label, rule in self._rules.items():
            self._wait_for(label, rule, touched)

    def wait_for(self, label: str) -> None:
        """Return when one device is ready; raises as `wait` does."""
        self._wait_for(label, self._rule(label), Touched({label}))

    def _wait_for(self, label: str, rule: WaitPolicy, touched: Touched) -> None:
        if rule.how is Wait.BUSY:
            self._until(lambda: not self._core.deviceBusy(label), label, rule)
        elif rule.how is Wait.POSITION and label in touched.targets_um:
            target = touched.targets_um[label]
            near = rule.tolerance_um
            self._until(lambda: self._distance_um(label, target) <= near, label, rule)
        if rule.how is not Wait.SKIP and label in touched.devices and rule.settle_s:
            self._cancelled.wait(rule.settle_s)

    def _until(self, ready: Callable[[], bool], label: str, rule: WaitPolicy) -> None:
        start = self._clock()
        while True:
            seen = _look(ready)
            if seen is True or self._cancelled.is_set():
                return
            if self._clock() - start > rule.deadline_s:
                problem = (
                    f"{label!r} was not ready after {rule.deadline_s:g} s"
                    f" (waited for: {rule.how}{f', {seen}' if seen else ''})."
                )
                remedy = "Check the device, or give it a WaitPolicy of its own."
                raise DeviceFailedError(problem, remedy=remedy)
            self._cancelled.wait(rule.poll_s)

    def _distance_um(self, label: str, target_um: tuple[float, ...]) -> float:
        return math.dist(position_um(self._core, label), target_um)


def position_um(core: CMMCorePlus, label: str) -> tuple[float, ...]:
    """Return where a stage is, in um: (x, y) of an XY stage, (z,) of another."""
    if core.getDeviceType(label) == DeviceType.XYStageDevice:
        x_um, y_um = core.getXYPosition(label)
        return float(x_um), float(y_um)
    return (float(core.getPosition(label)),)


def whereabouts_um(core: CMMCorePlus) -> tuple[float | None, ...]:
    """Return stage (x, y, z), um; None for a stage that is not there, or cannot say."""
    x_um = y_um = z_um = None
    try:
        if core.getXYStageDevice():
            x_um, y_um = core.getXYPosition()
        if core.getFocusDevice():
            z_um = core.getPosition()
    except Exception as error:  # noqa: BLE001  a stage that cannot say where it is
        logger.warning("The position could not be read: %s", error)
    return x_um, y_um, z_um


def _look(ready: Callable[[], bool]) -> bool | str:
    """Return what ``ready`` says, or the error it raised, as text."""
    try:
        return ready()
    except Exception as error:  # noqa: BLE001  a device that cannot say is not ready
        return str(error)
