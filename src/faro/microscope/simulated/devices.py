"""The simulated microscope's devices, for pymmcore-plus' UniMMCore.

A device joins the bench of the dish that was loaded last on its thread, so that a
configuration file builds one microscope. Levels are percent, times milliseconds,
positions micrometres.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from faro.errors import HardwareError
from faro.microscope.mmcore import unicore
from faro.microscope.simulated.bench import (
    FILTERS,
    LINES,
    OFF,
    Bench,
    BenchSettings,
    joined_bench,
    start_bench,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from faro.microscope.simulated.behaviour import Behaviour

EXPOSURE_LIMITS_MS = (0.1, 10_000.0)
SEPARATOR = ";"
"""A comma would end the value in a configuration file."""
LEVEL_LIMITS = (0.0, 100.0)
DishValue: TypeAlias = int | float | str
DISH_PROPERTIES: dict[str, type[DishValue]] = {
    "Seed": int,
    "Cells_per_mm2": float,
    "Time_Scale": float,
    "Pixel_Size_um": float,
    "Image_Height": int,
    "Image_Width": int,
    "Responses": str,
}


class SimDish(unicore.GenericDevice):
    """The dish: its properties make another one and are set before initialising."""

    def __init__(self) -> None:
        super().__init__()
        self._bench = start_bench()
        self._ready = False
        for name, kind in DISH_PROPERTIES.items():
            read, write = _setting_of(name, kind)
            self.register_property(
                name, getter=read, setter=write, is_pre_init=True, property_type=kind
            )

    def initialize(self) -> None:
        """Freeze the settings."""
        self._ready = True

    @property
    def bench(self) -> Bench:
        """What the devices of this microscope share."""
        return self._bench

    @property
    def is_ready(self) -> bool:
        """Whether the dish has been initialised."""
        return self._ready


def _setting_of(
    name: str, kind: type[DishValue]
) -> tuple[Callable[[SimDish], DishValue], Callable[[SimDish, DishValue], None]]:
    """Return what reads and what sets one setting of the bench."""

    def read(device: SimDish) -> DishValue:
        return _dish_values(device.bench.settings)[name]

    def write(device: SimDish, value: DishValue) -> None:
        if device.is_ready:
            problem = f"{name} of the dish was set after it was initialised."
            raise HardwareError(problem, remedy="Set it before Initialize,1.")
        values = _dish_values(device.bench.settings) | {name: kind(value)}
        device.bench.configure(_changed(device.bench.settings, values))

    return read, write


def _changed(settings: BenchSettings, values: Mapping[str, Any]) -> BenchSettings:
    """Return ``settings`` with the values of the dish's properties."""
    behaviour: Behaviour = settings.world.responses
    names = [name.strip() for name in values["Responses"].split(SEPARATOR)]
    world = settings.world.replace(
        seed=values["Seed"],
        cells_per_mm2=values["Cells_per_mm2"],
        responses={name: behaviour.get(name, {}) for name in names if name},
    )
    return settings.replace(
        image_shape=(values["Image_Height"], values["Image_Width"]),
        pixel_size_um=values["Pixel_Size_um"],
        time_scale=values["Time_Scale"],
        world=world,
    )


def _dish_values(settings: BenchSettings) -> dict[str, DishValue]:
    """Return the properties of the dish."""
    return {
        "Seed": settings.world.seed,
        "Cells_per_mm2": settings.world.cells_per_mm2,
        "Time_Scale": settings.time_scale,
        "Pixel_Size_um": settings.pixel_size_um,
        "Image_Height": settings.image_shape[0],
        "Image_Width": settings.image_shape[1],
        "Responses": SEPARATOR.join(settings.world.responses),
    }


class SimCamera(unicore.SimpleCameraDevice):
    """A 16-bit camera; taking a frame is also what lets light act on the cells."""

    def __init__(self) -> None:
        super().__init__()
        self._bench = joined_bench()
        self._exposure_ms = 50.0
        self._waits = False
        self.set_property_limits("Exposure", EXPOSURE_LIMITS_MS)

    def sensor_shape(self) -> tuple[int, int]:
        """Return (Y, X)."""
        return self._bench.settings.image_shape

    def dtype(self) -> type[np.uint16]:
        """Return uint16."""
        return np.uint16

    def get_exposure(self) -> float:
        """Return the exposure in ms."""
        return self._exposure_ms

    def set_exposure(self, exposure_ms: float) -> None:
        """Set the exposure in ms."""
        shortest, longest = EXPOSURE_LIMITS_MS
        if not shortest <= float(exposure_ms) <= longest:
            problem = f"The camera cannot expose for {exposure_ms} ms."
            remedy = f"Use {shortest:g} to {longest:g} ms."
            raise HardwareError(problem, remedy=remedy)
        self._exposure_ms = float(exposure_ms)

    @unicore.pymm_property(name="Real_Time", allowed_values=["0", "1"])
    def real_time(self) -> str:
        """Whether an exposure takes its time, "1" or "0"."""
        return str(int(self._waits))

    @real_time.setter
    def _set_real_time(self, value: str) -> None:
        self._waits = str(value) == "1"

    def snap(self, buffer: npt.NDArray[np.uint16]) -> Mapping[str, Any]:
        """Fill ``buffer`` (Y, X) uint16 with a frame."""
        if self._waits:
            time.sleep(self._exposure_ms / 1000)
        buffer[:] = self._bench.expose(self._exposure_ms)
        return {}


class SimSLM(unicore.SLMDevice):
    """The DMD: shows a loaded pattern (Y, X) uint8 until the next one is shown."""

    def __init__(self) -> None:
        super().__init__()
        self._bench = joined_bench()
        self._loaded = np.zeros(self.shape(), np.uint8)

    def shape(self) -> tuple[int, int]:
        """Return (Y, X)."""
        return self._bench.settings.slm_shape

    def dtype(self) -> type[np.uint8]:
        """Return uint8."""
        return np.uint8

    def set_image(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Load a pattern (Y, X) uint8; it is not shown yet."""
        if self._bench.obeys("DMD"):
            self._loaded = np.array(pixels, np.uint8)

    def get_image(self) -> npt.NDArray[np.uint8]:
        """Return the loaded pattern (Y, X) uint8."""
        return self._loaded.copy()

    def display_image(self) -> None:
        """Show what is loaded."""
        if self._bench.obeys("DMD"):
            self._bench.light.pattern = self._loaded

    def set_exposure(self, interval_ms: float) -> None:
        """Set how long of an exposure the pattern is shown, 0 for all of it."""
        self._bench.light.slm_exposure_ms = float(interval_ms)

    def get_exposure(self) -> float:
        """Return how long of an exposure the pattern is shown, in ms."""
        return self._bench.light.slm_exposure_ms

    def shutdown(self) -> None:
        """Go dark."""
        self._bench.light.pattern = np.zeros(self.shape(), np.uint8)


class SimLED(unicore.GenericDevice):
    """The light source: one line is on at a time, each has its level in percent."""

    def __init__(self) -> None:
        super().__init__()
        self._bench = joined_bench()
        for line in LINES:
            read, write = _level_of(line)
            self.register_property(
                f"{line}_Level",
                getter=read,
                setter=write,
                limits=LEVEL_LIMITS,
                property_type=float,
            )

    @property
    def bench(self) -> Bench:
        """What the devices of this microscope share."""
        return self._bench

    @unicore.pymm_property(name="Line", allowed_values=[OFF, *LINES])
    def line(self) -> str:
        """Return the line that is on."""
        return self._bench.light.line

    @line.setter
    def _set_line(self, value: str) -> None:
        if self._bench.obeys("LED"):
            self._bench.light.line = value

    def shutdown(self) -> None:
        """Go dark."""
        self._bench.light.line = OFF
        self._bench.light.levels_percent = dict.fromkeys(LINES, 0.0)


def _level_of(
    line: str,
) -> tuple[Callable[[SimLED], float], Callable[[SimLED, float], None]]:
    """Return what reads and what sets the level of one line."""

    def read(device: SimLED) -> float:
        return device.bench.light.levels_percent[line]

    def write(device: SimLED, value_percent: float) -> None:
        if device.bench.obeys("LED"):
            device.bench.light.levels_percent[line] = float(value_percent)

    return read, write


class SimFilter(unicore.GenericDevice):
    """The emission filter wheel."""

    def __init__(self) -> None:
        super().__init__()
        self._bench = joined_bench()

    @unicore.pymm_property(name="Label", allowed_values=list(FILTERS))
    def position(self) -> str:
        """Return the filter in the light path."""
        return self._bench.light.filter

    @position.setter
    def _set_position(self, value: str) -> None:
        if self._bench.obeys("Filter"):
            self._bench.light.filter = value


class SimShutter(unicore.ShutterDevice):
    """Lets light through to the sample, or not."""

    def __init__(self) -> None:
        super().__init__()
        self._bench = joined_bench()

    def get_open(self) -> bool:
        """Return whether light gets through."""
        return self._bench.light.shutter_open

    def set_open(self, state: bool) -> None:  # noqa: FBT001  the base class's signature
        """Open or close."""
        if self._bench.obeys("Shutter"):
            self._bench.light.shutter_open = bool(state)

    def shutdown(self) -> None:
        """Close."""
        self._bench.light.shutter_open = False


class SimXYStage(unicore.XYStageDevice):
    """Moves the dish."""

    def __init__(self) -> None:
        super().__init__()
        self._bench = joined_bench()
        self._origin_um = [0.0, 0.0]

    def set_position_um(self, x_um: float, y_um: float) -> None:
        """Go to (x, y), in um from the origin."""
        if self._bench.obeys("XY"):
            origin_x_um, origin_y_um = self._origin_um
            self._bench.moved(float(x_um) + origin_x_um, float(y_um) + origin_y_um)

    def get_position_um(self) -> tuple[float, float]:
        """Return (x, y), in um from the origin."""
        light = self._bench.light
        return light.x_um - self._origin_um[0], light.y_um - self._origin_um[1]

    def set_origin_x(self) -> None:
        """Call the current x 0."""
        self._origin_um[0] = self._bench.light.x_um

    def set_origin_y(self) -> None:
        """Call the current y 0."""
        self._origin_um[1] = self._bench.light.y_um

    def home(self) -> None:
        """Go to the middle of the dish."""
        self.set_position_um(-self._origin_um[0], -self._origin_um[1])

    def stop(self) -> None:
        """Stop; it is there already."""


class SimFocus(unicore.StageDevice):
    """Moves the focus; the cells are sharp at 0."""

    def __init__(self) -> None:
        super().__init__()
        self._bench = joined_bench()
        self._origin_um = 0.0

    def set_position_um(self, z_um: float) -> None:
        """Go to ``z_um`` from the origin."""
        if self._bench.obeys("Z"):
            self._bench.light.z_um = float(z_um) + self._origin_um

    def get_position_um(self) -> float:
        """Return the distance from the origin, in um."""
        return self._bench.light.z_um - self._origin_um

    def set_origin(self) -> None:
        """Call the current position 0."""
        self._origin_um = self._bench.light.z_um

    def home(self) -> None:
        """Go to where the cells were sharp at the begin."""
        self.set_position_um(-self._origin_um)

    def stop(self) -> None:
        """Stop; it is there already."""


__all__ = [
    "SimCamera",
    "SimDish",
    "SimFilter",
    "SimFocus",
    "SimLED",
    "SimSLM",
    "SimShutter",
    "SimXYStage",
]
