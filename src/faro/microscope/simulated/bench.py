"""The bench: the dish, its clock, and what the devices have been set to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import PositiveFloat, PositiveInt, ValidationError

from faro.errors import FaroError, HardwareError
from faro.microscope.simulated.clock import WorldClock
from faro.microscope.simulated.flaws import Flaws, FlawSettings
from faro.microscope.simulated.geometry import (
    Field,
    Floats,
    Pattern,
    Projector,
    mounted_affine,
    pixel_grid,
)
from faro.microscope.simulated.optics import NoiseKey, Optics, OpticsSettings, Stain
from faro.microscope.simulated.responses import CYAN
from faro.microscope.simulated.truth import Truth
from faro.microscope.simulated.world import REACH_UM, World, WorldSettings
from faro.model import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faro.microscope.simulated.flaws import DeviceName
    from faro.microscope.simulated.truth_log import TruthLog

LINES = ("Red", "Green", "Cyan")
OFF = "Off"
STIMULATION_LINE = CYAN
STAINS: dict[tuple[str, str], Stain] = {
    ("Red", "miRFP"): "marker",
    ("Green", "mScarlet3"): "reporter",
}
"""Light line and filter to what they show."""
FILTERS = ("miRFP", "mScarlet3", "CyanStim", "RedStim")
CONTROL_FILTER = "RedStim"
"""With it, light of any other line goes through the SLM; cells do not answer to it."""


class BenchSettings(Schema):
    """What the simulated microscope is made of.

    Attributes
    ----------
    image_shape, slm_shape
        (Y, X) in pixels.
    pixel_size_um
        Edge of a camera pixel in the sample.
    time_scale
        Seconds of cell life per second of the experiment.
    camera_to_slm
        Rows of the affine from camera to SLM pixels, None for the usual mounting:
        mirrored, turned and scaled.
    world, optics, flaws
        The dish, the camera, and what goes wrong.
    """

    image_shape: tuple[PositiveInt, PositiveInt] = (256, 256)
    slm_shape: tuple[PositiveInt, PositiveInt] = (300, 400)
    pixel_size_um: PositiveFloat = 0.65
    time_scale: PositiveFloat = 60.0
    camera_to_slm: (
        tuple[tuple[float, float, float], tuple[float, float, float]] | None
    ) = None
    world: WorldSettings = WorldSettings()
    optics: OpticsSettings = OpticsSettings()
    flaws: FlawSettings = FlawSettings()


class SettingsError(FaroError, ValueError):
    """A simulated microscope cannot be made of these settings; all are listed."""


def checked_settings(**values: object) -> BenchSettings:
    """Return settings made of ``values``.

    Raises
    ------
    SettingsError
        If some are wrong; every one is named with its value.
    """
    try:
        return BenchSettings.model_validate(values)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, entry['loc']))}={entry['input']!r}: {entry['msg']}"
            for entry in error.errors()
        )
        problem = f"No microscope can be made with {found.rstrip('.')}."
        raise SettingsError(problem, remedy="Correct these values.") from error


@dataclass(slots=True)
class LightPath:
    """What the devices are set to now.

    Attributes
    ----------
    x_um, y_um, z_um
        Stage and focus, as the devices say.
    missed_um
        By how much the last move of the stage ended beside its goal, (x, y).
    line, levels_percent, filter
        The light line that is on, the level of each line, the emission filter.
    shutter_open
        Whether any light reaches the sample.
    pattern
        (Y, X) uint8, what the SLM shows.
    slm_exposure_ms
        How long the SLM shows a pattern, 0 for as long as it is there.
    """

    pattern: Pattern
    x_um: float = 0.0
    y_um: float = 0.0
    z_um: float = 0.0
    missed_um: tuple[float, float] = (0.0, 0.0)
    line: str = OFF
    levels_percent: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(LINES, 0.0)
    )
    filter: str = FILTERS[0]
    shutter_open: bool = False
    slm_exposure_ms: float = 0.0


class Bench:
    """Everything behind the devices of one simulated microscope.

    Thread-safe: the camera's thread and whoever asks for the truth may differ.
    """

    def __init__(self, settings: BenchSettings | None = None) -> None:
        self.clock = WorldClock()
        self.truth_log: TruthLog | None = None
        self._lock = threading.RLock()
        self.settings = settings or BenchSettings()
        self._rebuild()

    def configure(self, settings: BenchSettings) -> None:
        """Start again with a fresh dish of other settings."""
        with self._lock:
            self.settings = settings
            self._rebuild()

    def _rebuild(self) -> None:
        settings = self.settings
        self.world = World(settings.world)
        self.optics = Optics(settings.optics)
        self.flaws = Flaws(settings.flaws, settings.world.seed)
        affine = settings.camera_to_slm or mounted_affine(
            settings.image_shape, settings.slm_shape
        )
        self.projector = Projector(settings.slm_shape, np.array(affine, np.float64))
        self.light = LightPath(np.zeros(settings.slm_shape, np.uint8))
        vars(self).pop("_camera_indices", None)

    def field(self, x_um: float | None = None, y_um: float | None = None) -> Field:
        """Return the field of view at a stage position, by default the current one.

        It is where the camera really looks: the dish may have drifted, and the stage
        may have missed its goal.
        """
        settings, light = self.settings, self.light
        drift_x_um, drift_y_um = self.flaws.drift_um(self.clock.now_s)
        if x_um is None and y_um is None:
            drift_x_um += light.missed_um[0]
            drift_y_um += light.missed_um[1]
        return Field(
            (light.x_um if x_um is None else x_um) + drift_x_um,
            (light.y_um if y_um is None else y_um) + drift_y_um,
            settings.image_shape,
            settings.pixel_size_um,
        )

    def moved(self, x_um: float, y_um: float) -> None:
        """Have the stage say that it is at (x, y), and be there or nearly."""
        light, now_s = self.light, self.clock.now_s
        light.x_um, light.y_um = x_um, y_um
        light.missed_um = self.flaws.missed_um(now_s, x_um, y_um)

    def obeys(self, device: DeviceName) -> bool:
        """Return whether a command to ``device`` is carried out now.

        Raises
        ------
        HardwareError
            If the device fails.
        """
        return not self.flaws.stuck(device, self.clock.now_s)

    def truth(self, x_um: float | None = None, y_um: float | None = None) -> Truth:
        """Return the cells whose centre is in the field at a stage position, now."""
        with self._lock:
            return self._truth(self.field(x_um, y_um))

    def _truth(self, view: Field) -> Truth:
        ids, columns = self.world.cells(view.box(), self._cell_s())
        y_px, x_px = view.to_px(columns["x"], columns["y"])
        return Truth(ids, y_px, x_px, columns["ratio"], columns["dose"], columns)

    def expose(self, exposure_ms: float) -> npt.NDArray[np.uint16]:
        """Expose the camera: return the frame (Y, X) uint16, and let light act.

        Cells answer to light only if the shutter is open, the stimulation line is on
        with a level above 0, and the SLM shows a pattern; it acts before the next step
        of their life, so that a frame never shows its own light.

        Raises
        ------
        HardwareError
            If the frame is lost, or the camera fails. Lost frames have given their
            light.
        """
        with self._lock:
            light, seed = self.light, self.settings.world.seed
            view, now_s = self.field(), self.clock.now_s
            photons = self._photons(view, exposure_ms)
            channel = f"{light.line}/{light.filter}"
            key = NoiseKey(seed, now_s, view.x_um, view.y_um, light.z_um, channel)
            self.flaws.stuck("Camera", now_s)
            if self.flaws.dropped(now_s, light.x_um, light.y_um, channel):
                problem = "A frame of the simulated camera was lost, as it was told to."
                raise HardwareError(problem, remedy="See flaws.dropped_fraction.")
        return self.optics.counted(photons, key)

    def _photons(self, view: Field, exposure_ms: float) -> npt.NDArray[np.float32]:
        """Return the photons (Y, X) of one exposure, and light the cells."""
        light, optics = self.light, self.optics
        level = light.levels_percent.get(light.line, 0.0) / 100
        if not light.shutter_open or level == 0.0:
            return np.zeros(view.shape, np.float32)
        if light.line == STIMULATION_LINE:
            self._stimulate(view, level * self._lit_ms(exposure_ms))
        if light.line == STIMULATION_LINE or light.filter == CONTROL_FILTER:
            return self._glow(view, level * self._lit_ms(exposure_ms))
        stain = STAINS.get((light.line, light.filter))
        picture = np.zeros(view.shape, np.float32)
        if stain is not None:
            box = view.box().grown(REACH_UM)
            _, cells = self.world.cells(box, self._cell_s())
            picture = optics.stained(stain, cells, view)
            picture = optics.blurred(picture, self._off_um(), view.pixel_size_um)
            self._log(view)
        self._image(view, light.line, level * exposure_ms)
        return optics.exposed(picture, level * exposure_ms)

    def _image(self, view: Field, line: str, light_ms: float) -> None:
        """Let imaging light act on the cells in the field."""
        box = view.box()

        def light_at(x_um: Floats, y_um: Floats) -> Floats:
            return np.where(box.holds(x_um, y_um), light_ms, 0.0)

        self.world.expose(box, self._cell_s(), light_at, line)

    def _log(self, view: Field) -> None:
        """Write down what is in the field."""
        if self.truth_log is not None:
            here = self.light.x_um, self.light.y_um
            moment = self.clock.now_s, self._cell_s()
            found = self._truth(view)
            self.truth_log.seen(*moment, here, found, self.world.events())

    def _off_um(self) -> float:
        """Return how far the focus is from where the cells are sharp."""
        return self.light.z_um - self.flaws.focus_um(self.clock.now_s)

    def _stimulate(self, view: Field, light_ms: float) -> None:
        """Shine the SLM's pattern on the cells."""
        projector, pattern = self.projector, self.light.pattern

        def light_at(x_um: Floats, y_um: Floats) -> Floats:
            indices = projector.indices(*view.to_px(x_um, y_um))
            return projector.light(pattern, indices) * light_ms

        if pattern.any():
            self.world.expose(projector.reach(view), self._cell_s(), light_at)

    def _glow(self, view: Field, light_ms: float) -> npt.NDArray[np.float32]:
        """Return the photons (Y, X) that come back from the SLM's pattern."""
        pattern = self.light.pattern
        seen = self.projector.light(pattern, self._camera_indices).astype(np.float32)
        glow = self.optics.blurred(seen, self._off_um(), view.pixel_size_um)
        return glow * np.float32(self.optics.settings.glow_per_ms * light_ms)

    @cached_property
    def _camera_indices(self) -> npt.NDArray[np.intp]:
        """Which SLM pixel lights each camera pixel, (Y, X)."""
        return self.projector.indices(*pixel_grid(self.settings.image_shape))

    def _lit_ms(self, exposure_ms: float) -> float:
        """Return how long the SLM shows its pattern during an exposure."""
        shown_ms = self.light.slm_exposure_ms
        return min(exposure_ms, shown_ms) if shown_ms > 0 else exposure_ms

    def _cell_s(self) -> float:
        """Return the age of the cells."""
        return self.clock.now_s * self.settings.time_scale

    def state(self) -> dict[str, Any]:
        """Return clock and dish; see `World.state`."""
        with self._lock:
            return {"clock": self.clock.state(), "world": self.world.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned.

        Raises
        ------
        WorldStateError
            If it belongs to a dish of other settings.
        """
        with self._lock:
            self.world.restore(state["world"])
            self.clock.restore(state["clock"])


_joining = threading.local()


def joined_bench() -> Bench:
    """Return the bench that devices loaded now, on this thread, belong to."""
    bench: Bench | None = getattr(_joining, "bench", None)
    if bench is None:
        bench = _joining.bench = Bench()
    return bench


def start_bench() -> Bench:
    """Return the given bench of `joining`, else a new one that later devices join."""
    if not getattr(_joining, "given", False):
        _joining.bench = Bench()
    return joined_bench()


@contextmanager
def joining(bench: Bench) -> Iterator[None]:
    """Have devices that this thread loads in the ``with`` block join ``bench``."""
    before = getattr(_joining, "bench", None)
    _joining.bench, _joining.given = bench, True
    try:
        yield
    finally:
        _joining.bench, _joining.given = before, False
