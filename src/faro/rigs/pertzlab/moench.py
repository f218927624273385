"""Moench: a Nikon Ti with an Andor Mosaic 3 that falls asleep."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from faro.microscope.keep_awake import KeepAwake, KeepAwakePolicy, Pulse
from faro.microscope.policy import EnginePolicy, RetryPolicy, Wait, WaitPolicy
from faro.rigs.declared import DeclaredRig
from faro.rigs.settings import RigSettings, Roi

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faro.microscope.levels import Level

DMD_LABEL = "Mosaic3"
STAGE = "TIXYDrive"


class MoenchSettings(RigSettings):
    """Settings of Moench, over those of every rig.

    The LED's serial port (COM3) is named in the configuration.

    Attributes
    ----------
    keep_awake_interval_s
        From one pulse that keeps the DMD awake to the next; 0 for none.
    keep_awake_exposure_ms
        How long a lit pulse lasts, at most.
    keep_awake_pulse
        ``lit``, behind a closed shutter with the stimulation level at 0, or ``blank``.
    """

    roi: Roi | None = (0, 60, 800, 800)
    keep_awake_interval_s: float = Field(default=60.0, ge=0)
    keep_awake_exposure_ms: float = Field(default=100.0, gt=0)
    keep_awake_pulse: Pulse = Pulse.LIT


class Moench(DeclaredRig):
    """Nikon Ti, Andor Mosaic 3, an LED behind it; focused by its PFS only.

    Its quirks: the stage and the DMD say they are busy for ever, so the stage is
    asked where it is, and the DMD is not waited for. Commands fail now and then. The
    stage says too early that it stands. The DMD falls asleep; `wakeup_dmd` prevents
    it. Focusing through the DMD needs its overlap mode off, runs need it on.
    """

    SETTINGS: ClassVar[type[RigSettings]] = MoenchSettings
    MICROMANAGER_PATH: ClassVar[str | Path | None] = (
        r"C:\Program Files\Micro-Manager-2.0_api75"
    )
    CONFIG: ClassVar[str | Path | None] = (
        r"C:\faro\pertzlab_mic_configs\micromanager\Moench\TiMoench.cfg"
    )
    CHANNEL_GROUP: ClassVar[str | None] = "TTL_ERK"
    POWER_PROPERTIES: ClassVar[Mapping[str, Level]] = MappingProxyType(
        {"CyanStim": ("LED", "Cyan_Level")}
    )
    STARTUP_PRESETS: ClassVar[tuple[tuple[str, str], ...]] = (("System", "Startup"),)
    PARALLEL_INIT: ClassVar[bool] = False
    POLICY: ClassVar[EnginePolicy] = EnginePolicy(
        settings=RetryPolicy(tries=10, delay_s=0.1),
        moves=RetryPolicy(tries=10, delay_s=1.0),
        waits=MappingProxyType(
            {
                STAGE: WaitPolicy(
                    Wait.POSITION,
                    deadline_s=5.0,
                    poll_s=0.05,
                    settle_s=0.2,
                    tolerance_um=1.0,
                ),
                DMD_LABEL: WaitPolicy(Wait.SKIP),
            }
        ),
        drives_z=False,
        for_runs=((DMD_LABEL, "OverlapMode", "On"),),
        between_runs=((DMD_LABEL, "OverlapMode", "Off"),),
    )

    settings: MoenchSettings
    wakeup_dmd: KeepAwake | None = None
    """Keeps the DMD awake; ``start()`` and ``stop()`` it, None where it is not."""

    def after_load(self) -> None:
        """Set up the devices, and keep the DMD awake from now on."""
        super().after_load()
        own = self.settings
        if own.keep_awake_interval_s == 0:
            return
        policy = KeepAwakePolicy(
            interval_s=own.keep_awake_interval_s,
            exposure_ms=own.keep_awake_exposure_ms,
            pulse=own.keep_awake_pulse,
        )
        self.wakeup_dmd = KeepAwake(self.session, DMD_LABEL, policy)
        self.wakeup_dmd.start()

    def _teardown_hardware(self) -> None:
        """Stop keeping the DMD awake, then release every device."""
        try:
            if self.wakeup_dmd is not None:
                self.wakeup_dmd.stop()
        finally:
            super()._teardown_hardware()
