"""Devices with the bad habits of real ones, and a configuration file made of them.

The stage and the DMD say they are busy for ever once they were used, the stage may
never arrive, a new binning takes the crop away, the DMD falls asleep, commands fail
now and then::

    with quirky_devices() as bench:
        rig = MyRig(config=write_configuration(folder))
    bench.faults.left["Cyan_Level"] = 2  # the next two times
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from faro.microscope.mmcore import unicore
from faro.testing.devices import (
    Diary,
    Faults,
    KeptCamera,
    KeptDevice,
    KeptLight,
    KeptShutter,
    KeptSlm,
    KeptStage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SENSOR_SHAPE = (2048, 2048)
SLEEPS_AFTER_S = 120.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What the DMD was told to show.

    Attributes
    ----------
    thread
        Name of the thread that told it.
    n_on
        How many pixels were on.
    lit
        Whether light fell on it: the shutter was open and a level above 0.
    """

    thread: str
    n_on: int
    lit: bool


@dataclass(slots=True)
class QuirkyBench:
    """What the devices of one configuration share, and what a test may change.

    Attributes
    ----------
    diary
        What they did, in order.
    faults
        What goes wrong.
    shown
        What the DMD was told to show, in order.
    clock
        Monotonic seconds, for falling asleep.
    sleeps_after_s
        When the DMD falls asleep.
    blank_wakes
        Whether a blank pattern keeps it awake.
    stage_arrives, stage_sticks
        Whether the stage gets where it is sent, and whether it is busy for ever then.
    threads_at_release
        Names of the threads alive when the first device was released.
    """

    diary: Diary = field(default_factory=Diary)
    faults: Faults = field(default_factory=Faults)
    shown: list[Shown] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic
    sleeps_after_s: float = SLEEPS_AFTER_S
    blank_wakes: bool = True
    stage_arrives: bool = True
    stage_sticks: bool = True
    threads_at_release: tuple[str, ...] = ()
    shutter: KeptShutter | None = None
    light: KeptLight | None = None

    @property
    def lit(self) -> bool:
        """Whether light falls on the DMD."""
        levels = self.light.levels.values() if self.light is not None else ()
        return bool(self.shutter and self.shutter.is_open and any(levels))

    def released(self) -> None:
        """Remember which threads are alive, the first time."""
        if not self.threads_at_release:
            names = sorted(thread.name for thread in threading.enumerate())
            self.threads_at_release = tuple(names)


_loading = threading.local()


@contextmanager
def quirky_devices(bench: QuirkyBench | None = None) -> Iterator[QuirkyBench]:
    """Have the devices that this thread loads in the ``with`` block share a bench."""
    bench, before = bench or QuirkyBench(), getattr(_loading, "bench", None)
    _loading.bench = bench
    try:
        yield bench
    finally:
        _loading.bench = before


def _bench() -> QuirkyBench:
    bench: QuirkyBench = getattr(_loading, "bench", None) or QuirkyBench()
    return bench


class ForgetfulCamera(KeptCamera):
    """A camera that forgets its crop when its binning changes."""

    def __init__(self) -> None:
        self.bench, self._binning = _bench(), 1
        super().__init__("Camera", self.bench.diary, self.bench.faults)

    def sensor_shape(self) -> tuple[int, int]:
        """Return (Y, X), after binning."""
        return SENSOR_SHAPE[0] // self._binning, SENSOR_SHAPE[1] // self._binning

    def get_binning(self) -> int:
        """Return how many pixels are joined along each axis."""
        return self._binning

    def set_binning(self, binning: int) -> None:
        """Set it; the crop is gone."""
        self.do(f"binning {binning}")
        self._binning = int(binning)
        super().clear_roi()

    def set_roi(self, x: int, y: int, width: int, height: int) -> None:
        """Set the crop, in binned pixels."""
        self.do(f"roi {x} {y} {width} {height}")
        super().set_roi(x, y, width, height)

    def shutdown(self) -> None:
        """Note the release, and who is still alive."""
        self.bench.released()
        super().shutdown()


class StuckStage(KeptStage):
    """A stage that says it is busy for ever, once it has moved."""

    def __init__(self) -> None:
        self.bench = _bench()
        super().__init__("XY", self.bench.diary, self.bench.faults)

    def set_position_um(self, x_um: float, y_um: float) -> None:
        """Go to (x, y), if it arrives at all."""
        self.busy_for_ever = self.bench.stage_sticks
        if self.bench.stage_arrives:
            super().set_position_um(x_um, y_um)
        else:
            self.do(f"stage {x_um:g} {y_um:g}")


class NotedFocus(KeptDevice, unicore.StageDevice):
    """A focus drive that notes where it is sent."""

    _z_um = 0.0

    def __init__(self) -> None:
        bench = _bench()
        super().__init__("Z", bench.diary, bench.faults)

    def set_position_um(self, z_um: float) -> None:
        """Go to z."""
        self.do(f"z {z_um:g}")
        self._z_um = float(z_um)

    def get_position_um(self) -> float:
        """Return z."""
        return self._z_um

    def set_origin(self) -> None:
        """Nothing to set."""

    def home(self) -> None:
        """Nowhere to go."""

    def stop(self) -> None:
        """Nothing moves."""


class SleepyDmd(KeptSlm):
    """A DMD that is busy for ever once used, and asleep when left alone.

    The first pattern that it is sent while asleep is not shown; it only wakes it.
    """

    overlap = "On"

    def __init__(self) -> None:
        self.bench = _bench()
        super().__init__("DMD", self.bench.diary, self.bench.faults)
        self._used, self._woken_s = False, self.bench.clock()

        def read(device: SleepyDmd) -> str:
            return device.overlap

        self.register_property(
            "OverlapMode",
            getter=read,
            setter=SleepyDmd.set_overlap,
            allowed_values=("On", "Off"),
            property_type=str,
        )

    @property
    def asleep(self) -> bool:
        """Whether it fell asleep."""
        return self.bench.clock() - self._woken_s > self.bench.sleeps_after_s

    def busy(self) -> bool:
        """Return true for ever, once it was used."""
        return self._used

    def set_overlap(self, mode: str) -> None:
        """Set the overlap mode, ``On`` or ``Off``."""
        self.do(f"overlap {mode}")
        self.overlap = mode

    def display_image(self) -> None:
        """Show what was sent, or wake up."""
        n_on, asleep = int(np.count_nonzero(self.sent)), self.asleep
        if n_on or self.bench.blank_wakes:
            self._woken_s = self.bench.clock()
        self._used = True
        if asleep:
            self.do("slm asleep")
            self.shown = np.zeros_like(self.sent)
            return
        super().display_image()
        name = threading.current_thread().name
        self.bench.shown.append(Shown(name, n_on, self.bench.lit))


class NotedShutter(KeptShutter):
    """A shutter."""

    def __init__(self) -> None:
        bench = _bench()
        super().__init__("Shutter", bench.diary, bench.faults)
        bench.shutter = self


class NotedLight(KeptLight):
    """A light source with two levels, percent."""

    def __init__(self) -> None:
        bench = _bench()
        super().__init__("LED", bench.diary, bench.faults)
        bench.light = self


CONFIGURATION = """\
Property,Core,Initialize,0
#py pyDevice,Camera,faro.testing.quirks,ForgetfulCamera
#py pyDevice,{stage},faro.testing.quirks,StuckStage
#py pyDevice,ZDrive,faro.testing.quirks,NotedFocus
#py pyDevice,Shutter,faro.testing.quirks,NotedShutter
#py pyDevice,{light},faro.testing.quirks,NotedLight
{dmd_device}Property,Core,Initialize,1
#py Property,Core,Camera,Camera
#py Property,Core,XYStage,{stage}
#py Property,Core,Focus,ZDrive
#py Property,Core,Shutter,Shutter
{dmd_role}#py ConfigGroup,System,Startup,Camera,Binning,{binning}
#py ConfigGroup,{group},Green,{light},Green_Level,20
#py ConfigGroup,{group},CyanStim,{light},Cyan_Level,50
Property,Core,ChannelGroup,{group}
"""


def write_configuration(
    folder: Path,
    *,
    group: str = "TTL_ERK",
    light: str = "LED",
    stage: str = "TIXYDrive",
    dmd: str | None = "Mosaic3",
    binning: int = 2,
) -> Path:
    """Write a Micro-Manager configuration of these devices into ``folder``.

    Parameters
    ----------
    folder
        An existing folder.
    group
        Config group of the presets ``Green`` and ``CyanStim``.
    light, stage, dmd
        Labels of devices; ``dmd`` None for a rig without one.
    binning
        What the preset System/Startup sets.

    Returns
    -------
    The file.
    """
    text = CONFIGURATION.format(
        group=group,
        light=light,
        stage=stage,
        binning=binning,
        dmd_device=f"#py pyDevice,{dmd},faro.testing.quirks,SleepyDmd\n" if dmd else "",
        dmd_role=f"#py Property,Core,SLM,{dmd}\n" if dmd else "",
    )
    file = folder / "quirky.cfg"
    file.write_text(text, encoding="utf-8")
    return file
