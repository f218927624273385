"""The hardware autofocus: which device, how far it moved, and where it failed."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from useq import HardwareAutofocus

from faro.errors import HardwareError
from faro.microscope.demands import needed
from faro.microscope.missed import MissedFrame
from faro.microscope.mmcore import DeviceType, device_labels
from faro.microscope.policy import EnginePolicy, RetryPolicy
from faro.microscope.waiting import Touched

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from useq import MDAEvent

    from faro.microscope.mmcore import CMMCorePlus
    from faro.microscope.waiting import DeviceWaiter

logger = logging.getLogger(__name__)


class Autofocus:
    """Focuses one position after the other, and knows which is out of focus.

    Where the autofocus fails at every try, nothing is exposed at that position until
    it succeeds: it is tried again when the position is visited next. Used by the
    acquisition's thread only.

    Parameters
    ----------
    core
        The core to drive.
    policy
        The rig's quirks.
    cancelled
        Set when the run is to end.
    waiter
        Waits for devices.
    """

    def __init__(
        self,
        core: CMMCorePlus,
        policy: EnginePolicy,
        cancelled: threading.Event,
        waiter: DeviceWaiter,
    ) -> None:
        self._core, self._policy = core, policy
        self._cancelled, self._waiter = cancelled, waiter
        self.forget()

    def forget(self) -> None:
        """Forget how far each position was moved, and where it failed."""
        self._shift_um: dict[int | None, float] = {}
        self._failed: dict[int | None, tuple[MDAEvent, HardwareError]] = {}

    def shift_um(self, event: MDAEvent) -> float:
        """Return how far the autofocus has moved the position of ``event``, um."""
        return self._shift_um.get(event.index.get("p"), 0.0)

    def lost(self, event: MDAEvent) -> HardwareError | None:
        """Return why the position of ``event`` is out of focus; None if it is not."""
        if (failed := self._failed.get(event.index.get("p"))) is None:
            return None
        problem = f"The position is out of focus: {failed[1].problem}"
        return HardwareError(problem, remedy=failed[1].remedy)

    def again(self, event: MDAEvent) -> MDAEvent | None:
        """Return the autofocus that failed at a visit before, to be tried now."""
        failed, time = self._failed.get(event.index.get("p")), event.index.get("t")
        if failed is None or failed[0].index.get("t") == time:
            return None
        return failed[0].model_copy(update={"index": {**failed[0].index, "t": time}})

    def run(self, event: MDAEvent) -> None:
        """Do the autofocus that ``event`` asks for.

        Raises
        ------
        HardwareError
            If there is no such autofocus, or its offset cannot be set.
        MissedFrame
            If it failed at every try.
        """
        core, position, action = self._core, event.index.get("p"), event.action
        if not isinstance(action, HardwareAutofocus):
            return
        with self._chosen(event, action):
            before_um = core.getZPosition()
            retry = RetryPolicy(
                max(1, action.max_retries), self._policy.settings.delay_s
            )
            try:
                retry.attempt("The autofocus", core.fullFocus, self._cancelled.wait)
                self._waiter.wait(Touched({core.getAutoFocusDevice()}))
            except HardwareError as error:
                self._failed[position] = event, error
                raise MissedFrame(error) from error
        self._failed.pop(position, None)
        self._shift_um[position] = (
            self.shift_um(event) + core.getZPosition() - before_um
        )

    @contextmanager
    def _chosen(self, event: MDAEvent, action: HardwareAutofocus) -> Iterator[None]:
        """Have the named autofocus do it, at its offset; then the one before again.

        The name is that of an autofocus, or of the motor of its offset.
        """
        core, name = self._core, action.autofocus_device_name
        offset_um = action.autofocus_motor_offset
        motor = autofocus = ""
        if name is not None:
            autofocus, motor = self._by_name(name)
        before = core.getAutoFocusDevice()
        if autofocus:
            self._set(f"Choosing the autofocus {autofocus!r}", autofocus)
        try:
            needed(core.getAutoFocusDevice(), "autofocus", event)
            if offset_um is not None:
                self._offset(motor, float(offset_um))
            yield
        finally:
            if autofocus and autofocus != before:
                self._set(f"Choosing the autofocus {before!r} again", before)

    def _by_name(self, name: str) -> tuple[str, str]:
        """Return the autofocus or the motor that a plan names, the other one empty."""
        core = self._core
        kinds = {label: core.getDeviceType(label) for label in device_labels(core)}
        if kinds.get(name) == DeviceType.AutoFocusDevice:
            return name, ""
        if kinds.get(name) == DeviceType.StageDevice:
            return "", name
        wanted = DeviceType.AutoFocusDevice, DeviceType.StageDevice
        known = ", ".join(label for label, kind in kinds.items() if kind in wanted)
        problem = f"There is no autofocus and no offset motor {name!r}."
        raise HardwareError(problem, remedy=f"Use one of: {known or '(none)'}.")

    def _offset(self, motor: str, offset_um: float) -> None:
        """Set the offset of the autofocus, by its motor if one is named."""
        core, tries = self._core, self._policy.settings
        if not motor:
            what = f"Setting the autofocus offset {offset_um:g} um"
            tries.attempt(
                what, lambda: core.setAutoFocusOffset(offset_um), self._cancelled.wait
            )
            return
        what = f"Moving the offset motor {motor!r} to {offset_um:g} um"
        tries.attempt(
            what, lambda: core.setPosition(motor, offset_um), self._cancelled.wait
        )
        self._waiter.wait(Touched({motor}, {motor: (offset_um,)}))

    def _set(self, what: str, label: str) -> None:
        core = self._core
        self._policy.settings.attempt(
            what, lambda: core.setAutoFocusDevice(label), self._cancelled.wait
        )
