"""A microscope driven through Micro-Manager; a rig is a few class attributes."""

from __future__ import annotations

import logging
import weakref
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from faro.errors import HardwareError
from faro.microscope.abstract import AbstractMicroscope, RunThread, group_of
from faro.microscope.description import describe_core, facts_of, presets_of, with_rig
from faro.microscope.engine import FaroEngine
from faro.microscope.exit_guard import EXIT_GUARD
from faro.microscope.levels import (
    level_properties,
    light_levels,
    match_levels,
    preset_settings,
)
from faro.microscope.mmcore import load_configuration, new_core
from faro.microscope.policy import EnginePolicy
from faro.microscope.rig_check import rig_problems, shape_in_the_dark
from faro.microscope.rig_lock import RigLock
from faro.microscope.session import HardwareSession, SessionState
from faro.microscope.steps import CloseReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from useq import MDAEvent

    from faro.errors import Problem
    from faro.microscope.levels import Level
    from faro.microscope.mmcore import CMMCorePlus
    from faro.model import HardwareFacts
    from faro.protocols.microscope import PowerChannelLike

logger = logging.getLogger(__name__)


class PyMMCoreMicroscope(AbstractMicroscope):
    """A microscope on a Micro-Manager core.

    A rig needs class attributes only::

        class Bench(PyMMCoreMicroscope):
            MICROMANAGER_PATH = "C:/Program Files/Micro-Manager-2.0"
            CONFIG = "C:/rigs/bench.cfg"
            CHANNEL_GROUP = "Channel"
            POWER_PROPERTIES = {"CyanStim": ("LED", "Cyan_Level")}

    The devices are loaded when the object is made, and released by `shutdown`, by
    leaving a ``with`` block, when the object is dropped, or when the process ends.
    A rig that makes its core itself assigns it to ``self.mmc``.
    """

    MICROMANAGER_PATH: ClassVar[str | Path | None] = None
    """Folder of the device adapters; None for the one pymmcore-plus finds."""

    CONFIG: ClassVar[str | Path | None] = None
    """Configuration to load; None for a rig that loads it in `init_scope` itself."""

    CHANNEL_GROUP: ClassVar[str | None] = None
    """Config group of the channels; None for what the configuration says."""

    POWER_PROPERTIES: ClassVar[Mapping[str, Level]] = MappingProxyType({})
    """Preset to (device, property) of its light level; overrules what is detected."""

    STIMULATION_LEVELS: ClassVar[tuple[Level, ...] | None] = None
    """Levels of stimulation light; None for all of `POWER_PROPERTIES`."""

    STAGE_LIMITS_UM: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType({})
    """``"x"``, ``"y"``, ``"z"`` to the lowest and highest place, um, where known."""

    PYTHON_DEVICES: ClassVar[bool] = False
    """Whether the configuration holds devices written in Python."""

    PARALLEL_INIT: ClassVar[bool] = True
    """Whether devices may be initialised side by side."""

    POLICY: ClassVar[EnginePolicy] = EnginePolicy()
    """The quirks of the rig, for the engine."""

    EXCLUSIVE: ClassVar[bool] = True
    """Whether the devices can be held once only, on this computer."""

    _session: HardwareSession | None = None
    _presets: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    _powers: Mapping[str, Level] = MappingProxyType({})

    def __new__(cls, *args: object, **kwargs: object) -> Self:  # noqa: ARG004  those of __init__
        """Release the same rig of old, before this one gets its core."""
        EXIT_GUARD.close_rig(cls._class_key())
        return super().__new__(cls)

    def __init__(self) -> None:
        super().__init__()
        if self._configuration() is not None:
            self.init_scope()

    # ---------------------------------------------------------------- core, session

    @property
    def mmc(self) -> CMMCorePlus:
        """The core.

        Assigning one hands it over: from then on this microscope releases its
        devices. A core that was assigned before is released first.
        """
        return self.session.core

    @mmc.setter
    def mmc(self, core: CMMCorePlus) -> None:
        old = self._session
        if old is not None and old.core is core and old.state is SessionState.OPEN:
            return
        if old is not None:
            old.close("another core was assigned")
        for other in EXIT_GUARD.sessions():
            if isinstance(other, HardwareSession) and other.core is core:
                other.hand_over()
        self._session = session = self._new_session(core)
        dropped = weakref.finalize(self, session.close, "the microscope was dropped")
        dropped.atexit = False
        self._lock_rig(session)

    def _new_session(self, core: CMMCorePlus) -> HardwareSession:
        declared = tuple(self.POWER_PROPERTIES.values())
        stimulation = self.STIMULATION_LEVELS
        find = partial(
            light_levels,
            core,
            declared,
            declared if stimulation is None else stimulation,
        )
        engine, teardown = self.make_engine(core), self._teardown_hook()
        return HardwareSession(core, engine, find, teardown, self._rig_key())

    @classmethod
    def _class_key(cls) -> str:
        return f"{cls.__module__}.{cls.__qualname__}" if cls.EXCLUSIVE else ""

    def _rig_key(self) -> str:
        """Return which rig this is, empty if it may be opened more than once."""
        config = self._configuration()
        if not self.EXCLUSIVE or config is None:
            return self._class_key()
        path = Path(config)
        return str(path.resolve()) if path.is_file() else str(config)

    def _lock_rig(self, session: HardwareSession) -> None:
        rig = self._rig_key()
        if not rig:
            return
        lock = RigLock(rig)
        try:
            lock.acquire()
        except BaseException:
            session.close("the rig could not be locked")
            raise
        session.hold(lock)

    @property
    def session(self) -> HardwareSession:
        """The owner of the core, its acquisition thread, and their end."""
        if self._session is None:
            problem = f"{self.name} has no core yet."
            raise HardwareError(problem, remedy="Assign self.mmc, or set CONFIG.")
        return self._session

    def make_engine(self, core: CMMCorePlus) -> FaroEngine:
        """Return the engine that carries out events on ``core``."""
        return FaroEngine(core, self.POLICY)

    def init_scope(self) -> None:
        """Make a core and load `CONFIG`; does nothing when that was done.

        Raises
        ------
        HardwareError
            If a device does not load or initialise; all are released then.
        """
        opened = self._session
        if opened is not None and opened.state is SessionState.OPEN:
            return
        config = self._configuration()
        if config is None:
            problem = f"{self.name} names no configuration."
            raise HardwareError(problem, remedy="Set CONFIG, or override init_scope.")
        EXIT_GUARD.close_rig(self._rig_key())
        self.before_load()
        self.mmc = new_core(
            python_devices=self._has_python_devices(),
            micromanager_path=self._adapters(),
            parallel_init=self.PARALLEL_INIT,
        )
        try:
            with self.session.loading():
                load_configuration(self.mmc, config)
                self._select_channel_group()
                self.after_load()
        except BaseException:
            self.session.close("loading failed")
            raise

    def before_load(self) -> None:
        """Do what is due before the devices are loaded; a hook."""

    def after_load(self) -> None:
        """Set up the devices that were just loaded; a hook.

        What it raises releases them again.
        """

    def _select_channel_group(self) -> None:
        group, known = self.CHANNEL_GROUP, presets_of(self.mmc)
        if group is None:
            return
        if group not in known:
            problem = f"The configuration has no group {group!r} (CHANNEL_GROUP)."
            remedy = f"Use one of: {', '.join(known) or '(there is none)'}."
            raise HardwareError(problem, remedy=remedy)
        self.mmc.setChannelGroup(group)

    def _adapters(self) -> str | Path | None:
        """Return the folder of the device adapters, None to look for it."""
        return self.MICROMANAGER_PATH

    def _configuration(self) -> str | Path | None:
        """Return the configuration to load, None if `init_scope` does it itself."""
        return self.CONFIG

    def _has_python_devices(self) -> bool:
        """Return whether the configuration holds devices written in Python."""
        return self.PYTHON_DEVICES

    def _teardown_hook(self) -> Callable[[], object]:
        """Return a call of `_teardown_hardware` that does not keep us alive."""
        method = weakref.WeakMethod(self._teardown_hardware)

        def teardown() -> None:
            alive = method()
            if alive is not None:
                alive()

        return teardown

    # -------------------------------------------------------------------------- run

    def run_mda(self, events: Iterator[MDAEvent], /) -> RunThread:
        """Start taking ``events`` one by one on a thread of its own; return it.

        The thread's ``error`` says what ended it early. The sample is dark when it
        ends. Raises RunStateError while another acquisition runs.
        """
        self._learn()
        told = self.listeners
        return self.session.run(events, told.deliver, told.deliver_missing)

    def cancel_mda(self) -> None:
        """End the running acquisition at the next event boundary, and go dark."""
        if self._session is not None:
            self._session.cancel()

    def go_dark(self, reason: str) -> None:
        """Stimulation level 0, SLM blank, shutter closed, other levels 0.

        Imaging levels come back with the next run, stimulation levels do not.
        """
        if self._session is not None:
            self._session.go_dark(reason)

    # ------------------------------------------------------------------------ light

    def _learn(self) -> None:
        """Look up presets and the light levels of presets."""
        self._presets = presets_of(self.mmc)
        self._powers = self.get_power_properties()

    def detect_power_properties(self, group: str | None = None) -> dict[str, Level]:
        """Return preset to (device, property) for ``*_Level`` properties.

        Parameters
        ----------
        group
            Config group to look at; None for all, the channel group first.
        """
        core = self.mmc
        groups = [group] if group is not None else self._groups()
        return match_levels(preset_settings(core, groups), level_properties(core))

    def get_power_properties(self) -> dict[str, Level]:
        """Return what is detected, overruled by `POWER_PROPERTIES`."""
        return self.detect_power_properties() | dict(self.POWER_PROPERTIES)

    def resolve_power(
        self, channel: PowerChannelLike, /
    ) -> tuple[str, str, float] | None:
        """Return (device, property, value) that sets the power of ``channel``.

        None where the channel asks for no power.

        Raises
        ------
        HardwareError
            If no light level is known for its preset.
        """
        if channel.power is None:
            return None
        if channel.config not in self._powers:
            self._learn()
        level = self._powers.get(channel.config)
        if level is None:
            problem = f"No light level is known for the preset {channel.config!r}."
            remedy = f"Add it to POWER_PROPERTIES of {self.name}."
            raise HardwareError(problem, remedy=remedy)
        return (*level, float(channel.power))

    # ----------------------------------------------------------------------- groups

    @property
    def channel_group(self) -> str:
        """The config group of the channels."""
        return str(self.CHANNEL_GROUP or self.mmc.getChannelGroup())

    def _groups(self) -> list[str]:
        first = self.channel_group
        groups = [str(group) for group in self.mmc.getAvailableConfigGroups()]
        return sorted(groups, key=lambda group: group != first)

    def resolve_group(self, config: str, /) -> str:
        """Return the config group that really holds the preset ``config``.

        The channel group is looked at first. Raises HardwareError if none holds it.
        """
        group = self.channel_group
        try:
            return group_of(config, self._presets, group)
        except HardwareError:
            self._learn()
        return group_of(config, self._presets, group)

    # ------------------------------------------------------------------------ facts

    def facts(self) -> HardwareFacts:
        """Return what the instrument can do, read now."""
        core, powers = self.mmc, self.get_power_properties()
        facts = facts_of(
            core,
            self.channel_group,
            powers,
            dmd=self.dmd,
            stage_limits_um=self.STAGE_LIMITS_UM,
        )
        stimulation = self.session.levels().stimulation
        return with_rig(facts, core, self.POLICY, powers, stimulation)

    def describe(self) -> dict[str, Any]:
        """Return rig, configuration, devices, state and versions, JSON-able."""
        core = self.mmc
        config = core.systemConfigurationFile() or self._configuration()
        record = describe_core(core, None if config is None else str(config))
        return {"name": self.name, "channel_group": self.channel_group, **record}

    def validate_hardware(self) -> tuple[Problem, ...]:
        """Return what is wrong with this rig itself; an empty tuple if nothing is."""
        return rig_problems(self.mmc, self.facts(), self.dmd, self.POWER_PROPERTIES)

    def frame_shape(self) -> tuple[int, int] | None:
        """Take one frame in the dark and return its (Y, X).

        None without a camera, and during an acquisition, which it must not disturb.
        """
        if self.session.running:
            return None
        return shape_in_the_dark(self.mmc, self.go_dark)

    # ---------------------------------------------------------------------- release

    def _teardown_hardware(self) -> None:
        """Release what the rig owns; a subclass chains to this **last**.

        Ends a running acquisition, makes the sample dark and unloads all devices.
        Called once by the release itself, which then goes on where this returns.
        """
        if self._session is not None:
            self._session.close("_teardown_hardware")

    def shutdown(self) -> CloseReport:
        """End the acquisition, go dark, release every device. Safe to call twice."""
        if self._session is None:
            return CloseReport("nothing was loaded")
        return self._session.close("shutdown")
