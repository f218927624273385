"""Niesen: a Nikon Ti2 whose light engine sleeps until it is called over HTTP."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from faro.rigs.declared import DeclaredRig
from faro.rigs.pertzlab.light_engine import wake_light_engine
from faro.rigs.settings import RigSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faro.microscope.levels import Level


class NiesenSettings(RigSettings):
    """Settings of Niesen, over those of every rig.

    Attributes
    ----------
    light_engine
        Host, or host and port, of the Lumencor light engine.
    light_engine_timeout_s
        How long it may take to answer.
    warm_up_s
        How long it takes from waking to being ready.
    fast_init
        Do not wait for that: it is awake already.
    """

    light_engine: str = Field(default="192.168.201.200", pattern=r"^[\w.\-]+(:\d+)?$")
    light_engine_timeout_s: float = Field(default=5.0, gt=0)
    warm_up_s: float = Field(default=10.0, ge=0)
    fast_init: bool = False


class Niesen(DeclaredRig):
    """Nikon Ti2 with a Lumencor light engine and a DMD with an LED of its own.

    Its quirk: the light engine sleeps, and its adapter does not load then. It is
    woken before the devices are loaded, and once more afterwards. The DMD shows
    nothing until a run does.
    """

    SETTINGS: ClassVar[type[RigSettings]] = NiesenSettings
    MICROMANAGER_PATH: ClassVar[str | Path | None] = (
        r"C:\Program Files\Micro-Manager-2.0"
    )
    CONFIG: ClassVar[str | Path | None] = (
        r"E:\pertzlab_mic_configs\micromanager\Niesen\Ti2CicercoConfig_w_DMD_w_TTL.cfg"
    )
    CHANNEL_GROUP: ClassVar[str | None] = "WF_DMD"
    POWER_PROPERTIES: ClassVar[Mapping[str, Level]] = MappingProxyType(
        {"CyanStim": ("LedDMD", "Cyan_Level")}
    )
    STARTUP_PRESETS: ClassVar[tuple[tuple[str, str], ...]] = (("System", "Startup"),)

    settings: NiesenSettings

    def before_load(self) -> None:
        """Wake the light engine and wait until it is warm."""
        self._wake()
        if not self.settings.fast_init:
            time.sleep(self.settings.warm_up_s)

    def after_load(self) -> None:
        """Wake the light engine again, then set up the devices."""
        self._wake()
        super().after_load()

    def _wake(self) -> None:
        own = self.settings
        wake_light_engine(own.light_engine, own.light_engine_timeout_s)
