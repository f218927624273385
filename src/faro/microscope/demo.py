"""Micro-Manager's demo devices: a real core, without hardware."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from faro.errors import HardwareError
from faro.microscope.mmcore import adapter_folder
from faro.microscope.pymmcore import PyMMCoreMicroscope

if TYPE_CHECKING:
    from pathlib import Path

    from faro.model import HardwareFacts


class MMDemo(PyMMCoreMicroscope):
    """The C++ demo devices of Micro-Manager, wherever pymmcore-plus finds them.

    Parameters
    ----------
    micromanager_path
        Folder of the device adapters; None to look for them.

    Raises
    ------
    HardwareError
        If there are none.
    """

    CONFIG: ClassVar[str | Path | None] = "MMConfig_demo.cfg"
    CHANNEL_GROUP: ClassVar[str | None] = "Channel"
    EXCLUSIVE: ClassVar[bool] = False

    def __init__(self, micromanager_path: str | Path | None = None) -> None:
        self._folder = micromanager_path or adapter_folder()
        if self._folder is None:
            problem = "No Micro-Manager device adapters were found."
            remedy = (
                "Install the demo devices with: pip install mm-test-adapters"
                " (or install Micro-Manager and set MICROMANAGER_PATH)."
            )
            raise HardwareError(problem, remedy=remedy)
        super().__init__()

    def facts(self) -> HardwareFacts:
        """Return what the demo devices can do, read now."""
        return replace(super().facts(), real_devices=False)

    def _adapters(self) -> str | Path | None:
        return self._folder
