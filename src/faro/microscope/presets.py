"""Presets and light levels as a run sets them: once, and with a line in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from faro.microscope.levels import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.microscope.levels import Level, Setting
    from faro.microscope.mmcore import CMMCorePlus

logger = logging.getLogger(__name__)


class Presets:
    """Sets the preset of a channel, unless it is set already.

    Parameters
    ----------
    core
        The core to drive.
    attempt
        Does what it is given, ``(what, action)``; tried again where that fails.

    Attributes
    ----------
    lights
        The levels of lights, besides those whose property is called one.
    """

    def __init__(
        self, core: CMMCorePlus, attempt: Callable[[str, Callable[[], object]], object]
    ) -> None:
        self._core, self._attempt = core, attempt
        self.lights: frozenset[Level] = frozenset()
        self.forget()

    def forget(self) -> None:
        """Look presets up anew, and set the next one: a run begins."""
        self._settings_of: dict[tuple[str, str], tuple[Setting, ...]] = {}
        self.changed()

    def changed(self) -> None:
        """Set the next preset anew: something else may have set what it sets."""
        self._applied: tuple[str, str] | None = None

    def set(self, group: str, config: str) -> frozenset[str]:
        """Set a preset; return the labels of the devices that were touched."""
        preset = (group, config)
        if preset == self._applied:
            return frozenset()
        self.changed()
        core = self._core
        self._attempt(f"Setting the preset {preset}", lambda: core.setConfig(*preset))
        logger.info("preset %s/%s set", *preset)
        self._applied = preset
        if preset not in self._settings_of:
            self._settings_of[preset] = tuple(core.getConfigData(*preset))
        for setting in self._settings_of[preset]:
            self.note_light(*setting)
        return frozenset(device for device, _, _ in self._settings_of[preset])

    def note_light(self, device: str, prop: str, value: object) -> None:
        """Write into the log what a light was set to; nothing if it is no light."""
        if prop.endswith(SUFFIX) or (device, prop) in self.lights:
            logger.info("light level %s.%s set to %s", device, prop, value)
