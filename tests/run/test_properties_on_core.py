"""Properties of positions and of the setup, in whole runs on the demo devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from faro.errors import RefusedError
from faro.experiment import RTMSequence
from faro.microscope import MMDemo
from faro.run import Controller
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faro.microscope.mmcore import CMMCorePlus

OFFSET = ("Camera", "Offset")


class Settings:
    """What a core was told of one property, and what it is at each exposure."""

    def __init__(self, core: CMMCorePlus, patch: pytest.MonkeyPatch) -> None:
        self.told: list[str] = []
        self.lit: list[str] = []
        self.failures_left = 0
        self._core, self._set, self._snap = core, core.setProperty, core.snapImage
        patch.setattr(core, "setProperty", self._noted)
        patch.setattr(core, "snapImage", self._snapped)

    def _noted(self, device: str, name: str, value: Any) -> None:
        if (device, name) == OFFSET:
            self.told.append(str(value))
            if self.failures_left:
                self.failures_left -= 1
                message = "the cable is loose"
                raise RuntimeError(message)
        self._set(device, name, value)

    def _snapped(self) -> None:
        if self._core.getShutterOpen():
            self.lit.append(self._core.getProperty(*OFFSET))
        self._snap()


@pytest.fixture
def demo() -> Iterator[MMDemo]:
    with MMDemo() as microscope:
        yield microscope


@pytest.fixture
def settings(demo: MMDemo, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return Settings(demo.mmc, monkeypatch)


def sequence(**more: Any) -> RTMSequence:
    said: dict[str, Any] = {
        "channels": [{"config": c, "exposure": 5} for c in ("Cy5", "FITC")],
        "stage_positions": [
            {"x": 0, "y": 0, "properties": [(*OFFSET, "3")]},
            {"x": 9, "y": 9, "properties": [(*OFFSET, "4")]},
        ],
        "time_plan": {"interval": 0, "loops": 2},
        "setup": {"properties": [(*OFFSET, "2")]},
    }
    return RTMSequence(**{**said, **more})


def test_they_are_set_before_the_first_exposure_of_a_position(
    demo: MMDemo, settings: Settings, tmp_path: Path
) -> None:
    sink = MemorySink(tmp_path)
    assert Controller(demo, writer=sink).run_experiment(sequence()).completed
    assert settings.told == ["2", "3", "4", "3", "4"]
    assert settings.lit == ["3", "3", "4", "4"] * 2


def test_a_setting_that_fails_is_tried_again(
    demo: MMDemo, settings: Settings, tmp_path: Path
) -> None:
    settings.failures_left = 2
    sink = MemorySink(tmp_path)
    assert Controller(demo, writer=sink).run_experiment(sequence()).completed
    assert settings.told == ["2", "2", "2", "3", "4", "3", "4"]
    assert len(sink.stacks) == 4


def test_a_setting_that_fails_every_time_gives_no_frame_and_the_run_goes_on(
    demo: MMDemo, settings: Settings, tmp_path: Path
) -> None:
    settings.failures_left = 3
    sink = MemorySink(tmp_path)
    summary = Controller(demo, writer=sink).run_experiment(sequence())
    assert (summary.reason, summary.n_stacks) == ("completed", 3)
    (missing,) = sink.kinds("frame_missing")
    assert (missing["fov"], missing["timestep"], missing["channel"]) == (0, 0, "Cy5")
    reason = "Setting Camera.Offset to '2' failed 3 times: the cable is loose"
    assert reason in missing["reason"]
    assert settings.told == ["2", "2", "2", "2", "3", "4", "3", "4"]
    assert settings.lit == ["3", "4", "4", *["3", "3", "4", "4"]]
    assert not demo.mmc.getShutterOpen()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            ("Camra", "Offset", "1"),
            "no device 'Camra' to set at t=0, p=0. Did you mean",
        ),
        (("Camera", "Ofset", "1"), "'Camera' has no property 'Ofset'. Did you mean"),
    ],
)
def test_what_is_not_there_is_refused_before_any_light(
    demo: MMDemo,
    settings: Settings,
    tmp_path: Path,
    setting: tuple[str, str, str],
    message: str,
) -> None:
    events = sequence(setup={"properties": [setting]})
    with pytest.raises(RefusedError, match=message):
        Controller(demo, writer=MemorySink(tmp_path)).run_experiment(events)
    assert (settings.told, settings.lit) == ([], [])
