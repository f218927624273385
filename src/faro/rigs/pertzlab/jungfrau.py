"""Jungfrau: a Nikon Ti without a DMD."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from faro.microscope.policy import EnginePolicy, WaitPolicy
from faro.rigs.declared import DeclaredRig

if TYPE_CHECKING:
    from pathlib import Path


class Jungfrau(DeclaredRig):
    """Nikon Ti without a DMD; focused by its PFS only.

    Its quirk: the stage says too early that it stands.
    """

    MICROMANAGER_PATH: ClassVar[str | Path | None] = (
        r"C:\Program Files\Micro-Manager-2.0_api74"
    )
    CONFIG: ClassVar[str | Path | None] = (
        r"E:\pertzlab_mic_configs\micromanager\Jungfrau\TiFluoroJungfrau_w_TTL_NIDAQ.cfg"
    )
    STARTUP_PRESETS: ClassVar[tuple[tuple[str, str], ...]] = (("System", "Startup"),)
    POLICY: ClassVar[EnginePolicy] = EnginePolicy(
        waits=MappingProxyType({"TIXYDrive": WaitPolicy(settle_s=0.2)}),
        drives_z=False,
    )
