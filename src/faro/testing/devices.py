"""Python devices that keep a diary and misbehave when told to; a rig made of them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from faro.microscope.dmd import DMD
from faro.microscope.mmcore import new_core, unicore
from faro.microscope.pymmcore import PyMMCoreMicroscope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.microscope.levels import Level

CAMERA_SHAPE = (48, 64)
SLM_SHAPE = (30, 40)


@dataclass(slots=True)
class Diary:
    """What the devices did, in order, from any thread."""

    lines: list[str] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Write one line, with the time of `time.perf_counter`."""
        self.times_s.append(time.perf_counter())
        self.lines.append(line)

    def of(self, *starts: str) -> list[str]:
        """Return the lines that begin with one of ``starts``."""
        return [line for line in self.lines if line.startswith(starts)]


@dataclass(slots=True)
class Faults:
    """What goes wrong: how often a call still fails, by its line in the diary.

    Attributes
    ----------
    left
        Start of a diary line to how many more times it fails.
    initialize, shutdown
        Labels of devices that refuse to be initialised, or to be released.
    hold
        While set, an exposure lasts.
    """

    left: dict[str, int] = field(default_factory=dict)
    initialize: set[str] = field(default_factory=set)
    shutdown: set[str] = field(default_factory=set)
    hold: threading.Event = field(default_factory=threading.Event)

    def check(self, line: str) -> None:
        """Raise RuntimeError if this call is to fail."""
        for start, left in self.left.items():
            if left > 0 and line.startswith(start):
                self.left[start] = left - 1
                message = f"told to fail: {line}"
                raise RuntimeError(message)


class KeptDevice(unicore.Device):
    """A device with a diary and faults."""

    def __init__(self, name: str, diary: Diary, faults: Faults) -> None:
        super().__init__()
        self._name, self._diary, self._faults = name, diary, faults

    def do(self, line: str) -> None:
        """Write ``line`` down, or fail if told to."""
        self._faults.check(line)
        self._diary.note(line)

    def initialize(self) -> None:
        """Refuse if told to."""
        if self._name in self._faults.initialize:
            message = f"{self._name}: device in use"
            raise RuntimeError(message)

    def shutdown(self) -> None:
        """Note the release, or refuse it."""
        if self._name in self._faults.shutdown:
            message = f"{self._name} does not let go"
            raise RuntimeError(message)
        self._diary.note(f"release {self._name}")


class KeptCamera(KeptDevice, unicore.SimpleCameraDevice):
    """A camera whose pixels count its frames."""

    frames = 0
    exposure_ms = 10.0

    def sensor_shape(self) -> tuple[int, int]:
        """Return (Y, X)."""
        return CAMERA_SHAPE

    def dtype(self) -> type[np.uint16]:
        """Return uint16."""
        return np.uint16

    def get_exposure(self) -> float:
        """Return the exposure in ms."""
        return self.exposure_ms

    def set_exposure(self, exposure_ms: float) -> None:
        """Set the exposure in ms."""
        self.do(f"exposure {exposure_ms:g}")
        self.exposure_ms = float(exposure_ms)

    def snap(self, buffer: npt.NDArray[np.uint16]) -> Mapping[str, str]:
        """Fill ``buffer`` (Y, X) with the number of this frame."""
        self.do("snap")
        while self._faults.hold.is_set():
            time.sleep(0.001)
        self.frames += 1
        buffer[:] = self.frames
        return {}


class KeptSlm(KeptDevice, unicore.SLMDevice):
    """An SLM that remembers what it was sent and what it shows."""

    def __init__(self, name: str, diary: Diary, faults: Faults) -> None:
        super().__init__(name, diary, faults)
        self.sent = np.zeros(SLM_SHAPE, np.uint8)
        self.shown = np.zeros(SLM_SHAPE, np.uint8)
        self.exposure_ms = 0.0

    def shape(self) -> tuple[int, int]:
        """Return (Y, X)."""
        return SLM_SHAPE

    def dtype(self) -> type[np.uint8]:
        """Return uint8."""
        return np.uint8

    def set_image(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Take ``pixels`` (Y, X)."""
        self.do(f"slm send {int(np.count_nonzero(pixels))}")
        self.sent = np.array(pixels)

    def display_image(self) -> None:
        """Show what was sent."""
        self.do(f"slm show {int(np.count_nonzero(self.sent))}")
        self.shown = self.sent

    def set_exposure(self, interval_ms: float) -> None:
        """Set how long a pattern is shown, ms."""
        self.do(f"slm exposure {interval_ms:g}")
        self.exposure_ms = interval_ms

    def get_exposure(self) -> float:
        """Return how long a pattern is shown, ms."""
        return self.exposure_ms


class KeptShutter(KeptDevice, unicore.ShutterDevice):
    """A shutter."""

    is_open = False

    def get_open(self) -> bool:
        """Return whether it is open."""
        return self.is_open

    def set_open(self, open: bool) -> None:  # noqa: A002, FBT001  the device API's name
        """Open or close it."""
        self.do("shutter open" if open else "shutter closed")
        self.is_open = bool(open)


class KeptLight(KeptDevice, unicore.GenericDevice):
    """A light source with two levels, percent."""

    def __init__(self, name: str, diary: Diary, faults: Faults) -> None:
        super().__init__(name, diary, faults)
        self.levels = {"Cyan_Level": 0.0, "Green_Level": 0.0}
        for prop in self.levels:
            self._register(prop)

    def _register(self, prop: str) -> None:
        def read(device: KeptLight) -> float:
            return device.levels[prop]

        def write(device: KeptLight, level_percent: float) -> None:
            device.do(f"{prop} {float(level_percent):g}")
            device.levels[prop] = float(level_percent)

        self.register_property(
            prop, getter=read, setter=write, limits=(0.0, 100.0), property_type=float
        )


class KeptStage(KeptDevice, unicore.XYStageDevice):
    """A stage that may say it is busy for ever, and may arrive late."""

    busy_for_ever = False
    steps_late = 0

    def __init__(self, name: str, diary: Diary, faults: Faults) -> None:
        super().__init__(name, diary, faults)
        self._target_um = self._here_um = (0.0, 0.0)

    def busy(self) -> bool:
        """Return what it was told to say."""
        return self.busy_for_ever

    def set_position_um(self, x_um: float, y_um: float) -> None:
        """Go to (x, y)."""
        self.do(f"stage {x_um:g} {y_um:g}")
        self._target_um = (float(x_um), float(y_um))
        if self.steps_late == 0:
            self._here_um = self._target_um

    def get_position_um(self) -> tuple[float, float]:
        """Return (x, y); it arrives after ``steps_late`` looks."""
        if self.steps_late > 0:
            self.steps_late -= 1
        else:
            self._here_um = self._target_um
        return self._here_um

    def set_origin_x(self) -> None:
        """Nothing to set."""

    def set_origin_y(self) -> None:
        """Nothing to set."""

    def set_origin(self) -> None:
        """Nothing to set."""

    def home(self) -> None:
        """Nowhere to go."""

    def stop(self) -> None:
        """Nothing moves."""


class DiaryMicroscope(PyMMCoreMicroscope):
    """A rig of such devices: camera, SLM, shutter, light, stage and two presets.

    Parameters
    ----------
    faults
        What goes wrong; may be changed at any time.
    """

    CHANNEL_GROUP: ClassVar[str | None] = "Channel"
    EXCLUSIVE: ClassVar[bool] = False
    POWER_PROPERTIES: ClassVar[Mapping[str, Level]] = {
        "CyanStim": ("LED", "Cyan_Level")
    }

    def __init__(self, faults: Faults | None = None) -> None:
        self.diary, self.faults = Diary(), faults or Faults()
        made = (self.diary, self.faults)
        self.camera, self.slm = KeptCamera("Camera", *made), KeptSlm("DMD", *made)
        self.shutter, self.led = KeptShutter("Shutter", *made), KeptLight("LED", *made)
        self.stage = KeptStage("XY", *made)
        height, width = CAMERA_SHAPE
        scale = np.diag([SLM_SHAPE[1] / width, SLM_SHAPE[0] / height, 1.0])
        self.dmd = DMD(SLM_SHAPE, scale, camera_shape=CAMERA_SHAPE)
        super().__init__()
        self.init_scope()

    def init_scope(self) -> None:
        """Put the devices into a core."""
        core = new_core(python_devices=True)
        self.mmc = core
        devices = {
            "Camera": self.camera,
            "DMD": self.slm,
            "Shutter": self.shutter,
            "LED": self.led,
            "XY": self.stage,
        }
        load = getattr(core, "loadPyDevice")  # noqa: B009  only a UniMMCore has it
        for label, device in devices.items():
            load(label, device)
            core.initializeDevice(label)
        core.setCameraDevice("Camera")
        core.setSLMDevice("DMD")
        core.setShutterDevice("Shutter")
        core.setXYStageDevice("XY")
        core.defineConfig("Channel", "Green", "LED", "Green_Level", "20")
        core.defineConfig("Channel", "CyanStim", "LED", "Cyan_Level", "50")
        core.setChannelGroup("Channel")
        core.setAutoShutter(True)


class RefusingDevice(KeptDevice, unicore.GenericDevice):
    """A device that somebody else holds; can be named in a configuration file."""

    def __init__(self) -> None:
        super().__init__("refusing", Diary(), Faults(initialize={"refusing"}))
