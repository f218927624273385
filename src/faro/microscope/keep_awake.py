"""An SLM that falls asleep is shown something now and then, and the sample nothing."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from faro.errors import HardwareError
from faro.microscope.mmcore import DeviceType
from faro.microscope.session import SessionState
from faro.microscope.slm import SlmDriver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faro.microscope.levels import Level
    from faro.microscope.session import HardwareSession

logger = logging.getLogger(__name__)

LOOK_S = 0.01
UNKNOWN = "no shutter and no light level to go by"


class Pulse(StrEnum):
    """What a pulse shows between runs; during a run it is always ``blank``.

    ``lit``: all pixels on, where nothing lights the SLM; else as below.
    ``blank``: all pixels off, for devices that this keeps awake.
    ``none``: nothing; somebody uses the SLM or its light.
    """

    LIT = "lit"
    BLANK = "blank"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class KeepAwakePolicy:
    """How an SLM is kept awake.

    Attributes
    ----------
    interval_s
        From one pulse to the next.
    exposure_ms
        How long a lit pulse lasts, at most; also given to the SLM.
    pulse
        ``lit`` or ``blank``.
    stop_s
        How long to wait for the thread when it is stopped.
    """

    interval_s: float = 60.0
    exposure_ms: float = 100.0
    pulse: Pulse = Pulse.LIT
    stop_s: float = 1.0


class KeepAwake:
    """Keeps an SLM awake from a thread of its own, and the sample in the dark.

    A pulse is lit only between runs, with every shutter closed, every stimulation
    level 0 and no live view; it is blanked again before it ends, at once when one of
    these changes. A run that begins waits for its end. During a run the SLM is
    blanked, and only while no mask of the run is on it. While somebody has light on
    between runs the SLM is left alone. Every pulse is logged with what it showed.

    The thread ends before the devices are unloaded, whoever releases them.

    Parameters
    ----------
    session
        The owner of the core.
    label
        Label of the SLM.
    policy
        How often, and what it is shown.
    """

    def __init__(
        self,
        session: HardwareSession,
        label: str,
        policy: KeepAwakePolicy | None = None,
    ) -> None:
        self.label, self.policy = label, policy or KeepAwakePolicy()
        self._session, self._core = session, session.core
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        rules = session.engine.policy
        self._slm = SlmDriver(session.core, rules, lambda s: self._ending.wait(s))
        session.on_release(f"stop keeping {label} awake", self.stop)

    @property
    def running(self) -> bool:
        """Whether its thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Give the first pulse now, the next ones from time to time.

        Nothing happens if it was started before, or the devices were released.
        """
        if self.running or self._session.state is not SessionState.OPEN:
            return
        self._ending = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(self._ending,), name="faro-awake", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread; the SLM is blank if it was lit. Safe to call twice.

        Raises
        ------
        HardwareError
            If it does not end, because the device hangs.
        """
        self._ending.set()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        thread.join(self.policy.stop_s)
        if thread.is_alive():
            problem = f"Keeping {self.label!r} awake hangs in the device."
            raise HardwareError(problem, remedy="Switch the device off and on again.")

    def pulse(self) -> Pulse:
        """Give one pulse now, on this thread; return what it showed.

        Raises HardwareError if the SLM does not take it.
        """
        shown = Pulse.NONE
        if self._session.state is not SessionState.OPEN:
            return shown

        def use(run_is_on: bool) -> None:  # noqa: FBT001  called by the turns
            nonlocal shown
            shown = self._show(run_is_on=run_is_on)

        if not self._session.engine.slm_turns.between(use):
            logger.info("keep-awake of %r: not now, it is in use", self.label)
        return shown

    def _work(self, ending: threading.Event) -> None:
        while True:
            try:
                self.pulse()
            except Exception:
                logger.exception("Keeping %r awake failed.", self.label)
            if ending.wait(self.policy.interval_s):
                return

    def _show(self, *, run_is_on: bool) -> Pulse:
        if run_is_on:
            self._blank("a run is on")
            return Pulse.BLANK
        light = self._light()
        if light == UNKNOWN or (not light and self.policy.pulse is Pulse.BLANK):
            self._blank(light or "as the rig wants it")
            return Pulse.BLANK
        if light:
            logger.info("keep-awake of %r: left alone, %s", self.label, light)
            return Pulse.NONE
        self._lit()
        return Pulse.LIT

    def _blank(self, why: str) -> None:
        self._slm.blank(self.label)
        logger.info("keep-awake of %r: shown blank, %s", self.label, why)

    def _lit(self) -> None:
        """Show all pixels in the dark, for a moment."""
        core, label, lasts_ms = self._core, self.label, self.policy.exposure_ms
        before_ms = core.getSLMExposure(label)
        core.setSLMExposure(label, lasts_ms)
        try:
            core.setSLMPixelsTo(label, self._slm.on_value(label))
            core.displaySLMImage(label)
            logger.info("keep-awake of %r: lit, nothing shines on it", label)
            for _ in range(max(1, round(lasts_ms / 1e3 / LOOK_S))):
                if self._ending.wait(LOOK_S) or self._light():
                    break
        finally:
            self._slm.blank(label)
            if before_ms > 0:
                core.setSLMExposure(label, before_ms)

    def _light(self) -> str:
        """Return what lights the SLM or may do so, an empty text if nothing does."""
        try:
            return self._light_found()
        except Exception as error:  # noqa: BLE001  what cannot be read may be on
            return f"the light could not be read: {error}"

    def _light_found(self) -> str:
        core, levels = self._core, self._session.levels()
        if core.getCameraDevice() and core.isSequenceRunning():
            return "live view is on"
        shutters = core.getLoadedDevicesOfType(DeviceType.ShutterDevice)
        for shutter in shutters:
            if core.getShutterOpen(shutter):
                return f"the shutter {shutter!r} is open"
        if not shutters and not (levels.stimulation or levels.imaging):
            return UNKNOWN
        guards = levels.stimulation + (() if shutters else levels.imaging)
        return self._level_on(guards)

    def _level_on(self, levels: Iterable[Level]) -> str:
        for device, prop in levels:
            value = self._core.getProperty(device, prop)
            if float(value) > self._lowest(device, prop):
                return f"{device}.{prop} is {value}"
        return ""

    def _lowest(self, device: str, prop: str) -> float:
        if not self._core.hasPropertyLimits(device, prop):
            return 0.0
        return max(0.0, self._core.getPropertyLowerLimit(device, prop))
