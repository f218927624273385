"""The simulated microscope as a rig: real core, real engine, simulated devices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from faro.microscope.dmd import DMD
from faro.microscope.engine import FaroEngine
from faro.microscope.pymmcore import PyMMCoreMicroscope
from faro.microscope.simulated import saved
from faro.microscope.simulated.bench import (
    Bench,
    checked_settings,
    joining,
)
from faro.microscope.simulated.flaws import FlawSettings
from faro.microscope.simulated.optics import OpticsSettings
from faro.microscope.simulated.truth_log import TruthLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from useq import MDAEvent, MDASequence

    from faro.microscope.levels import Level
    from faro.microscope.mmcore import CMMCorePlus
    from faro.microscope.policy import EnginePolicy
    from faro.microscope.simulated.behaviour import Behaviour
    from faro.microscope.simulated.clock import WorldClock
    from faro.microscope.simulated.geometry import Factor
    from faro.microscope.simulated.truth import Truth
    from faro.model import HardwareFacts

FOLDER = Path(__file__).parent


class SimulatedEngine(FaroEngine):
    """The engine of every rig, which also tells the dish what time it is.

    Events of a run carry their planned time, and the dish is moved to it; for others
    its life goes on with the wall clock.
    """

    def __init__(
        self, core: CMMCorePlus, policy: EnginePolicy, world_clock: WorldClock
    ) -> None:
        super().__init__(core, policy)
        self._world_clock = world_clock

    def setup_sequence(self, sequence: MDASequence) -> Any:
        """Begin a run; see `FaroEngine.setup_sequence`."""
        self._world_clock.begin()
        return super().setup_sequence(sequence)

    def before_event(self, event: MDAEvent) -> None:
        """Move the dish to the planned time of ``event``."""
        planned_s = event.metadata.get("faro", {}).get("planned_s")
        if planned_s is None:
            self._world_clock.release()
        else:
            self._world_clock.set(float(planned_s))


class SimulatedMicroscope(PyMMCoreMicroscope):
    """A microscope whose cells migrate towards light and report its dose.

    Channels (group ``Channel``): ``miRFP`` shows nuclei, ``mScarlet3`` an ERK
    translocation reporter, ``CyanStim`` is the stimulation light through the DMD, its
    power ``LED.Cyan_Level`` in percent. ``RedStim`` (``LED.Red_Level``) goes through
    the DMD as well, and cells do not answer to it: a control. Cells are found at every
    stage position. They live by planned times: runs under different load give equal
    frames.

    Parameters
    ----------
    seed
        Rigs of one seed are equal.
    image_shape, slm_shape
        (Y, X) of camera and DMD in pixels.
    pixel_size_um
        Edge of a camera pixel in the sample.
    time_scale
        Seconds of cell life per second of the experiment.
    cells_per_mm2
        Cell density; 1000 is about 28 cells in 256 x 256 pixels of 0.65 um.
    real_time_exposure
        Whether an exposure takes its time.
    camera_to_slm
        (2, 3) affine from camera pixel (x, y, 1) to SLM pixel (x, y); None for the
        usual mounting: mirrored, turned and scaled.
    optics
        Blur, brightness and noise; None for the usual ones.
    responses
        What cells do, by name, with parameters: ``{"erk_ktr": {"adaptation": 8}}``;
        None for migration and the reporter. See `faro.microscope.simulated.behaviour`.
    flaws
        What goes wrong: drift, missed moves, lost frames, faults of devices.
    truth
        Folder for the true positions, lineages and responses; None for none. See
        `faro.microscope.simulated.truth_log`.

    Raises
    ------
    SettingsError
        If a value makes no microscope; every problem is listed.
    """

    MICROMANAGER_PATH: ClassVar[str | Path | None] = FOLDER
    CONFIG: ClassVar[str | Path | None] = FOLDER / "simulated.cfg"
    CHANNEL_GROUP: ClassVar[str | None] = "Channel"
    EXCLUSIVE: ClassVar[bool] = False
    PYTHON_DEVICES: ClassVar[bool] = True
    POWER_PROPERTIES: ClassVar[Mapping[str, Level]] = MappingProxyType(
        {"CyanStim": ("LED", "Cyan_Level"), "RedStim": ("LED", "Red_Level")}
    )

    def __init__(  # noqa: PLR0913  keyword-only, one per property of the rig
        self,
        *,
        seed: int = 0,
        image_shape: tuple[int, int] = (256, 256),
        slm_shape: tuple[int, int] = (300, 400),
        pixel_size_um: float = 0.65,
        time_scale: Factor = 60.0,
        cells_per_mm2: Factor = 1000.0,
        real_time_exposure: bool = False,
        camera_to_slm: npt.ArrayLike | None = None,
        optics: OpticsSettings | None = None,
        responses: Behaviour | None = None,
        flaws: FlawSettings | Mapping[str, Any] | None = None,
        truth: str | Path | None = None,
    ) -> None:
        affine = None if camera_to_slm is None else np.asarray(camera_to_slm, float)
        world: dict[str, Any] = {"seed": seed, "cells_per_mm2": cells_per_mm2}
        world |= {} if responses is None else {"responses": responses}
        settings = checked_settings(
            image_shape=image_shape,
            slm_shape=slm_shape,
            pixel_size_um=pixel_size_um,
            time_scale=time_scale,
            camera_to_slm=None if affine is None else affine.tolist(),
            world=world,
            optics=optics or OpticsSettings(),
            flaws=flaws or FlawSettings(),
        )
        self._real_time_exposure = real_time_exposure
        self._bench = Bench(settings)
        self._bench.clock.set(0.0)
        self._bench.truth_log = None if truth is None else TruthLog(Path(truth))
        super().__init__()
        square = np.vstack([self._bench.projector.camera_to_slm, [0.0, 0.0, 1.0]])
        self.dmd = DMD(settings.slm_shape, square, camera_shape=settings.image_shape)

    def init_scope(self) -> None:
        """Load the devices, all of them in front of this microscope's dish."""
        with joining(self._bench):
            super().init_scope()
        core = self.mmc
        core.setAutoShutter(True)
        core.setPixelSizeUm("Sample", self._bench.settings.pixel_size_um)
        core.setProperty("Camera", "Real_Time", str(int(self._real_time_exposure)))

    def make_engine(self, core: CMMCorePlus) -> FaroEngine:
        """Return an engine that also keeps the time of the dish."""
        return SimulatedEngine(core, self.POLICY, self._bench.clock)

    @property
    def bench(self) -> Bench:
        """What is behind the devices: the dish, its clock, the light path."""
        return self._bench

    def facts(self) -> HardwareFacts:
        """Return what the instrument can do, read now."""
        takes_time = self._real_time_exposure
        facts = super().facts()
        return replace(facts, exposures_take_time=takes_time, real_devices=False)

    def describe(self) -> dict[str, Any]:
        """Return what every rig tells, and the settings of the simulation."""
        simulation = self._bench.settings.model_dump(mode="json")
        return super().describe() | {"simulation": simulation}

    def truth(self, x_um: float | None = None, y_um: float | None = None) -> Truth:
        """Return the cells in the field at a stage position, as they really are now.

        By default at the current position. Any thread; looking changes nothing.
        """
        return self._bench.truth(x_um, y_um)

    def save_state(self, path: str | Path) -> None:
        """Write the dish, its cells and its clock to ``path`` (an ``.npz``)."""
        saved.save(self._bench.state(), Path(path))

    def restore_state(self, path: str | Path) -> None:
        """Continue the life of the dish saved at ``path``.

        Raises
        ------
        WorldStateError
            If the file holds no dish, or one of other settings.
        """
        self._bench.restore(saved.load(Path(path)))
