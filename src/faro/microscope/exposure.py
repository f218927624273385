"""Takes one image, and does not keep the light from being switched off meanwhile."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from faro.errors import HardwareError
from faro.microscope.buffer import ImageBuffer
from faro.microscope.levels import level_properties
from faro.microscope.missed import MissedFrame
from faro.microscope.mmcore import DeviceType, device_labels

if TYPE_CHECKING:
    from faro.microscope.mmcore import CMMCorePlus
    from faro.microscope.policy import EnginePolicy
    from faro.model.frame import PixelArray

logger = logging.getLogger(__name__)

POLL_S = 0.001
PATIENCE_S = 10.0
DARK_S = 1.0
SHARED_S = 0.1
"""Longest snap of a camera whose adapter library holds a light as well."""


class Exposure:
    """The exposures of one run, each by a snap or as a sequence of one image.

    Micro-Manager locks an adapter library for the length of a snap: nothing stops it,
    and no light in the same library can be switched off. A sequence leaves the
    library free, and the camera can be stopped. So the long ones are sequences, see
    `EnginePolicy.longest_snap_s`; cameras written in Python have a lock of their own
    and are always snapped.

    Parameters
    ----------
    core
        The core; the camera is its current one.
    policy
        The rig's quirks.
    cancelled
        Set when the run is cancelled.

    Attributes
    ----------
    beside_camera
        Labels of the devices in the camera's adapter library, itself included.
    """

    def __init__(
        self, core: CMMCorePlus, policy: EnginePolicy, cancelled: threading.Event
    ) -> None:
        self._core, self._policy, self._cancelled = core, policy, cancelled
        self._may_stop = threading.Event()
        self.beside_camera: frozenset[str] = frozenset()
        self._longest_snap_s = math.inf
        self._sequence = self._running = False
        self._buffer = ImageBuffer(core, policy.buffered_images)

    def begin_run(self) -> None:
        """Look at the devices; the camera is stopped if it still exposes."""
        self._may_stop.clear()
        self._stop()
        self._longest_snap_s = self._find_longest_snap_s()
        if self._has_buffer():
            self._buffer.fit()

    def _has_buffer(self) -> bool:
        """Return whether images come through the core's buffer: C++ cameras' do."""
        camera = self._core.getCameraDevice()
        return bool(camera) and not getattr(self._core, "isPyDevice", _never)(camera)

    def _find_longest_snap_s(self) -> float:
        core, limit_s = self._core, self._policy.longest_snap_s
        camera = core.getCameraDevice()
        library = core.getDeviceLibrary(camera) if camera else ""
        self.beside_camera = frozenset(
            label
            for label in device_labels(core)
            if core.getDeviceLibrary(label) == library
        )
        if not self._has_buffer():
            return math.inf
        lights = {label for label, _ in level_properties(core)}
        for kind in (DeviceType.ShutterDevice, DeviceType.SLMDevice):
            lights.update(core.getLoadedDevicesOfType(kind))
        shared = not lights.isdisjoint(self.beside_camera)
        return min(limit_s, SHARED_S) if shared and limit_s < math.inf else limit_s

    def prepare(self, exposure_s: float) -> None:
        """Do what takes time before the light is on."""
        self._sequence = exposure_s > self._longest_snap_s
        if self._sequence and not self._buffer.fit():
            self._core.initializeCircularBuffer()

    def take(self, exposure_s: float) -> None:
        """Expose; returns at the end of the exposure, or raises MissedFrame.

        A sequence is left at once when the run is cancelled. The camera goes on then,
        until `stop`.
        """
        try:
            if self._sequence:
                self._take_as_sequence(exposure_s)
            else:
                self._core.snapImage()
        except MissedFrame:
            raise
        except Exception as error:
            raise MissedFrame.of(error) from error
        if self._cancelled.is_set():
            raise MissedFrame.cancelled()

    def _take_as_sequence(self, exposure_s: float) -> None:
        core, limit_s = self._core, 2 * exposure_s + PATIENCE_S
        self._stop()
        core.startSequenceAcquisition(1, 0, True)  # noqa: FBT003  a C++ signature
        self._running = True
        deadline_s = time.monotonic() + limit_s
        while True:
            exposing = core.isSequenceRunning()
            if core.getRemainingImageCount():
                return
            if not exposing or time.monotonic() > deadline_s:
                problem = "it stopped without one" if not exposing else "it hangs"
                self._stop()
                raise RuntimeError(problem)
            if self._cancelled.wait(POLL_S):
                raise MissedFrame.cancelled()

    def image(self) -> PixelArray:
        """Return the image that was taken: (Y, X), uint8 or uint16, read-only."""
        core = self._core
        try:
            pixels: PixelArray = (
                core.popNextImage() if self._sequence else core.getImage()
            )
            self._stop()
        except Exception as error:
            raise MissedFrame.of(error) from error
        if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
            problem = f"The camera gives {pixels.shape} {pixels.dtype} images."
            raise HardwareError(problem, remedy="Set it to 8 or 16 bit grey.")
        pixels.setflags(write=False)
        return pixels

    def let_stop(self) -> None:
        """Note that the sample is dark: a camera that hangs now harms nobody."""
        self._may_stop.set()

    def stop(self) -> None:
        """Stop a camera that still exposes, when the sample is dark. Never raises.

        Some cameras stop at the end of their exposure only; no light in their
        library can be switched off until then.
        """
        if not self._running:
            return
        self._may_stop.wait(DARK_S)
        try:
            self._stop()
        except Exception:
            logger.exception("The camera could not be stopped.")

    def _stop(self) -> None:
        if self._running:
            self._core.stopSequenceAcquisition()
            self._running = False


def _never(label: str) -> bool:  # noqa: ARG001  stands in for isPyDevice
    return False
