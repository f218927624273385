"""Making the sample dark, and giving back the light that imaging needs."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from faro.microscope.levels import LightLevels
from faro.microscope.mmcore import DeviceType, touchable_labels

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.microscope.levels import Level
    from faro.microscope.mmcore import CMMCorePlus
    from faro.microscope.steps import StepResult, StepRunner

logger = logging.getLogger(__name__)

DARK_BUDGET_S = 1.0


class Darkness:
    """Switches everything off that may light the sample, in a fixed order.

    Stimulation levels to 0, SLMs blank, shutters closed, other levels to 0. Every
    step is guarded, timed and reported; one that fails or hangs does not keep the
    others from being taken.

    Parameters
    ----------
    core
        The core that holds the devices.
    runner
        Takes the steps.
    find
        Returns the light levels of the devices that are loaded now.
    """

    def __init__(
        self, core: CMMCorePlus, runner: StepRunner, find: Callable[[], LightLevels]
    ) -> None:
        self._core, self._runner, self._find = core, runner, find
        self._remembered: dict[Level, tuple[str, str]] = {}
        self._known = LightLevels()
        self._turn = threading.Lock()

    def levels(self) -> LightLevels:
        """Return the light levels, looked up now; the last known if that fails."""

        def look() -> None:
            self._known = self._find()

        found = self._runner.run("find the lights", look, DARK_BUDGET_S)
        if not found.ok:
            logger.error("The light levels were not looked up: %s", found.detail)
        return self._known

    def go(self, *, look: bool = True, part: bool = False) -> tuple[StepResult, ...]:
        """Make the sample dark now; return what became of each step.

        Two threads that ask at once are served one after the other.

        Parameters
        ----------
        look
            Whether to look the light levels up again. Not while an exposure may be
            under way: a camera that is busy would keep us waiting.
        part
            Leave out the devices that are not initialised yet.
        """
        alone = self._turn.acquire(timeout=DARK_BUDGET_S)
        try:
            levels = self.levels() if look else self._known
            return self._take_steps(levels, part=part)
        finally:
            if alone:
                self._turn.release()

    def _take_steps(self, levels: LightLevels, *, part: bool) -> tuple[StepResult, ...]:
        slms = self._labels(DeviceType.SLMDevice)
        shutters = self._labels(DeviceType.ShutterDevice)
        if part:
            usable = self._initialised()
            slms = [label for label in slms if label in usable]
            shutters = [label for label in shutters if label in usable]
        steps: list[tuple[str, Callable[[], object]]] = []
        steps += [self._off(level) for level in levels.stimulation]
        steps += [self._blank(label) for label in slms]
        steps += [self._shut(label) for label in shutters]
        steps += [self._off(level, keep=True) for level in levels.imaging]
        run = self._runner.run
        return tuple(run(name, step, DARK_BUDGET_S) for name, step in steps)

    def lift(self) -> None:
        """Give back the imaging levels that were set to 0; raises what fails.

        A level that somebody set meanwhile is left as it is.
        """
        for (device, prop), (value, dark) in list(self._remembered.items()):
            if self._core.getProperty(device, prop) == dark:
                self._core.setProperty(device, prop, value)
                logger.info("light level %s.%s back to %s", device, prop, value)
            del self._remembered[device, prop]

    def _initialised(self) -> frozenset[str]:
        found: list[frozenset[str]] = [frozenset()]

        def look() -> None:
            found.append(touchable_labels(self._core))

        self._runner.run("find what is initialised", look, DARK_BUDGET_S)
        return found[-1]

    def _labels(self, kind: DeviceType) -> list[str]:
        try:
            return list(self._core.getLoadedDevicesOfType(kind))
        except Exception:
            logger.exception("The devices of type %s could not be listed.", kind.name)
            return []

    def _off(
        self, level: Level, *, keep: bool = False
    ) -> tuple[str, Callable[[], object]]:
        device, prop = level
        core = self._core

        def off() -> None:
            before = core.getProperty(device, prop) if keep else ""
            lowest: float = 0
            if core.hasPropertyLimits(device, prop):
                lowest = max(0, core.getPropertyLowerLimit(device, prop))
            core.setProperty(device, prop, lowest or 0)
            logger.info("light level %s.%s set to %s", device, prop, lowest or 0)
            if before and float(before) > lowest:
                self._remembered[level] = (before, core.getProperty(device, prop))

        return f"level {device}.{prop} to 0", off

    def _blank(self, label: str) -> tuple[str, Callable[[], object]]:
        core = self._core

        def blank() -> None:
            core.setSLMPixelsTo(label, 0)
            core.displaySLMImage(label)
            logger.info("SLM %r blank", label)

        return f"SLM {label} blank", blank

    def _shut(self, label: str) -> tuple[str, Callable[[], object]]:
        core = self._core

        def shut() -> None:
            core.setShutterOpen(label, False)  # noqa: FBT003  a C++ signature
            logger.info("shutter %r closed", label)

        return f"shutter {label} closed", shut
