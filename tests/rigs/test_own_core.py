"""Rigs written for the public project, which make their core themselves."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from faro.errors import HardwareError
from faro.microscope.mmcore import CMMCorePlus
from faro.microscope.pymmcore import PyMMCoreMicroscope
from faro.microscope.session import SessionState
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Callable

DEMO = "MMConfig_demo.cfg"
RELEASED = ("Core",)


class Before(PyMMCoreMicroscope):
    """Assigns its core before the base class is initialised."""

    def __init__(self) -> None:
        self.mmc = CMMCorePlus()
        self.mmc.loadSystemConfiguration(DEMO)
        super().__init__()


class After(PyMMCoreMicroscope):
    """Assigns its core after the base class was initialised."""

    def __init__(self) -> None:
        super().__init__()
        self.mmc = CMMCorePlus()
        self.init_scope()

    def init_scope(self) -> None:
        self.mmc.loadSystemConfiguration(DEMO)


class Without(PyMMCoreMicroscope):
    """Never initialises the base class."""

    def __init__(self) -> None:
        self.mmc = CMMCorePlus()
        self.mmc.loadSystemConfiguration(DEMO)


class InScope(PyMMCoreMicroscope):
    """Makes its core in `init_scope`, which the base class calls."""

    CONFIG = DEMO

    def init_scope(self) -> None:
        self.mmc = CMMCorePlus()
        self.mmc.loadSystemConfiguration(str(self.CONFIG))


class Shared(PyMMCoreMicroscope):
    """Takes the core that everybody takes."""

    def __init__(self) -> None:
        super().__init__()
        self.mmc = CMMCorePlus.instance()
        self.mmc.loadSystemConfiguration(DEMO)


class OwnTeardown(After):
    """Releases something of its own, and chains."""

    def _teardown_hardware(self) -> None:
        self.mmc.setProperty("Camera", "Gain", 3)
        super()._teardown_hardware()


class OwnShutdown(After):
    """Unloads by itself, as the public project's rigs do."""

    def shutdown(self) -> None:  # type: ignore[override]  # as old rigs have it
        self.mmc.unloadAllDevices()


@pytest.fixture(autouse=True)
def no_shared_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the core that everybody takes: the first one of another test."""
    monkeypatch.setattr("pymmcore_plus.core._mmcore_plus._instance", None)


RIGS = [Before, After, Without, InScope, Shared, OwnTeardown]


@pytest.mark.parametrize("rig", RIGS)
def test_its_devices_are_released_at_shutdown(
    rig: Callable[[], PyMMCoreMicroscope],
) -> None:
    microscope = rig()
    core = microscope.mmc
    assert len(core.getLoadedDevices()) > 5
    taken: list[int] = []
    microscope.connect_frame(lambda _, event, __: taken.append(event.index["t"]))
    thread = microscope.run_mda(iter([event_of(index={"t": 0}, exposure=1)]))
    thread.join(20)
    assert taken == [0]
    report = microscope.shutdown()
    assert report.ok
    assert "unloadAllDevices" in [step.name for step in report.steps]
    assert tuple(core.getLoadedDevices()) == RELEASED
    assert microscope.shutdown() is report


@pytest.mark.parametrize("rig", RIGS)
def test_its_devices_are_released_when_it_is_dropped(
    rig: Callable[[], PyMMCoreMicroscope],
) -> None:
    microscope = rig()
    core = microscope.mmc
    held = [microscope.mmc.getProperty]  # a callback that holds the core
    del microscope
    gc.collect()
    assert tuple(core.getLoadedDevices()) == RELEASED
    assert held


@pytest.mark.parametrize("rig", RIGS)
def test_leaving_the_with_block_on_an_error_releases_it(
    rig: Callable[[], PyMMCoreMicroscope],
) -> None:
    def fail(microscope: PyMMCoreMicroscope) -> None:
        with microscope:
            raise HardwareError("something.", remedy="else")  # noqa: EM101  a test

    microscope = rig()
    core = microscope.mmc
    with pytest.raises(HardwareError, match="something"):
        fail(microscope)
    assert tuple(core.getLoadedDevices()) == RELEASED
    assert microscope.session.state is SessionState.CLOSED


def test_a_rig_that_unloads_by_itself_is_released_once_more_in_peace() -> None:
    microscope = OwnShutdown()
    session = microscope.session
    microscope.shutdown()
    assert session.close("once more").ok


def test_another_core_releases_the_one_before() -> None:
    microscope = After()
    first = microscope.mmc
    microscope.mmc = CMMCorePlus()
    assert tuple(first.getLoadedDevices()) == RELEASED
    microscope.init_scope()
    assert microscope.shutdown().ok
