"""While devices are being loaded: what may be touched, and what stays behind."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pytest

from faro.microscope.loading import LoadGate
from faro.microscope.mmcore import new_core, touchable_labels
from faro.testing.exclusive_dmd import ControllerProcess, Slow, write_config
from faro.testing.exit_scene import ExclusiveRig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[ControllerProcess]:
    with ControllerProcess(tmp_path) as process:
        yield process


def test_the_sample_is_made_dark_while_another_device_initialises(
    controller: ControllerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def initialize(_: Slow) -> None:
        begun.set()
        go_on.wait(20)

    monkeypatch.setattr(Slow, "initialize", initialize)
    config = write_config(tmp_path / "rig.cfg", controller.port, Slow)
    rigs: list[ExclusiveRig] = []

    class Kept(ExclusiveRig):
        def before_load(self) -> None:
            rigs.append(self)

    loader = threading.Thread(target=Kept, args=(str(config),))
    loader.start()
    assert begun.wait(20)
    (rig,) = rigs
    deadline_s = time.monotonic() + 20
    while not {"DMD", "LED", "Shutter"} <= touchable_labels(rig.mmc):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    steps = rig.session.go_dark("test")
    assert all(step.ok for step in steps), steps
    names = [step.name for step in steps]
    said = [entry.what for entry in controller.entries()]
    go_on.set()
    loader.join(20)
    assert rig.shutdown().ok
    assert names == [
        "level LED.Cyan_Level to 0",
        "SLM DMD blank",
        "shutter Shutter closed",
    ]
    assert said == ["CLAIM", "OFF"]


def test_nothing_is_touched_while_the_list_of_devices_changes() -> None:
    gate = LoadGate()
    seen: list[tuple[bool, bool]] = []

    def look() -> None:
        watcher = threading.Thread(
            target=lambda: seen.append((gate.elsewhere, gate.untouchable))
        )
        watcher.start()
        watcher.join(10)

    with gate.loading(), gate.changing():
        look()
        assert not gate.untouchable
        gate.settle()
        look()
        with gate.changing():
            look()
    look()
    assert seen == [(True, True), (True, False), (True, True), (False, False)]


class OwnCore(ExclusiveRig):
    """A rig that loads its core before it hands it over."""

    def init_scope(self) -> None:
        core = new_core(python_devices=True)
        core.loadSystemConfiguration(self._config)
        self.mmc = core


@pytest.mark.parametrize("kind", [ExclusiveRig, OwnCore])
def test_dropping_a_microscope_with_python_devices_releases_it_at_once(
    kind: type[ExclusiveRig], controller: ControllerProcess, tmp_path: Path
) -> None:
    """Loading leaves an error in a cycle with its frames, which hold the microscope."""
    config = write_config(tmp_path / "rig.cfg", controller.port)

    gc.collect()
    gc.disable()
    try:
        rig = kind(str(config))
        gone = weakref.ref(rig)
        del rig
        assert gone() is None
    finally:
        gc.enable()
    assert [e.what for e in controller.entries()][-1] == "RELEASE"
