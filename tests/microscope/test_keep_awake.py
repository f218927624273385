"""Keeping an SLM awake lights nothing and disturbs nobody."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from faro.errors import HardwareError
from faro.microscope.keep_awake import KeepAwake, KeepAwakePolicy, Pulse
from faro.microscope.mmcore import new_core
from faro.testing.devices import SLM_SHAPE, Diary, DiaryMicroscope
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import useq

    from faro.microscope.levels import Level

ALL = SLM_SHAPE[0] * SLM_SHAPE[1]
SHORT = KeepAwakePolicy(interval_s=0.001, exposure_ms=20)
LONG = KeepAwakePolicy(interval_s=3600, exposure_ms=20_000)
LIT = [f"slm send {ALL}", f"slm show {ALL}", "slm send 0", "slm show 0"]


@pytest.fixture
def scope() -> Iterator[DiaryMicroscope]:
    with DiaryMicroscope() as microscope:
        yield microscope


def awake(scope: DiaryMicroscope, policy: KeepAwakePolicy = SHORT) -> KeepAwake:
    scope.diary.lines.clear()
    return KeepAwake(scope.session, "DMD", policy)


def wait_for(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def stim(n: int = 255) -> useq.MDAEvent:
    return event_of(channel="CyanStim", exposure=1, slm_image={"data": n})


def test_a_pulse_is_lit_in_the_dark_for_a_moment(
    scope: DiaryMicroscope, caplog: pytest.LogCaptureFixture
) -> None:
    scope.slm.exposure_ms = 333
    with caplog.at_level(logging.INFO, "faro"):
        assert awake(scope).pulse() is Pulse.LIT
    assert scope.diary.lines == ["slm exposure 20", *LIT, "slm exposure 333"]
    assert "keep-awake of 'DMD': lit, nothing shines on it" in caplog.messages


def test_it_can_do_with_a_blank_one(scope: DiaryMicroscope) -> None:
    assert awake(scope, KeepAwakePolicy(pulse=Pulse.BLANK)).pulse() is Pulse.BLANK
    assert scope.diary.lines == LIT[2:]


def open_shutter(scope: DiaryMicroscope) -> None:
    scope.mmc.setShutterOpen("Shutter", True)  # noqa: FBT003  a C++ signature


def stimulation_on(scope: DiaryMicroscope) -> None:
    scope.mmc.setProperty("LED", "Cyan_Level", 1)


def live_view(scope: DiaryMicroscope) -> None:
    scope.mmc.startContinuousSequenceAcquisition()


def broken_shutter(scope: DiaryMicroscope) -> None:
    def fail() -> bool:
        raise RuntimeError

    scope.shutter.get_open = fail  # type: ignore[method-assign]  # it cannot say


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (open_shutter, "the shutter 'Shutter' is open"),
        (stimulation_on, "LED.Cyan_Level is 1.0"),
        (live_view, "live view is on"),
        (broken_shutter, "the light could not be read"),
    ],
)
def test_who_uses_the_light_is_left_alone(
    scope: DiaryMicroscope,
    caplog: pytest.LogCaptureFixture,
    use: Callable[[DiaryMicroscope], None],
    reason: str,
) -> None:
    keeper = awake(scope)
    use(scope)
    with caplog.at_level(logging.INFO, "faro"):
        assert keeper.pulse() is Pulse.NONE
    assert not scope.diary.of("slm")
    assert any(f"left alone, {reason}" in text for text in caplog.messages)


class Bare(DiaryMicroscope):
    """An SLM without a shutter, perhaps without any light level."""

    POWER_PROPERTIES: ClassVar[Mapping[str, Level]] = {}
    lights: ClassVar[tuple[str, ...]] = ()

    def init_scope(self) -> None:
        core: Any = new_core(python_devices=True)
        self.mmc = core
        core.loadPyDevice("DMD", self.slm)
        for label in self.lights:
            core.loadPyDevice(label, self.led)
        core.initializeAllDevices()
        core.setSLMDevice("DMD")


class Lamp(Bare):
    """An SLM with an imaging light that no shutter holds back."""

    lights = ("LED",)


def test_where_nothing_tells_that_it_is_dark_the_pulse_is_blank() -> None:
    with Bare() as bare:
        assert awake(bare).pulse() is Pulse.BLANK
        assert not bare.diary.of(f"slm send {ALL}")


def test_without_a_shutter_every_level_counts() -> None:
    with Lamp() as lamp:
        keeper = awake(lamp)
        assert keeper.pulse() is Pulse.LIT
        lamp.mmc.setProperty("LED", "Green_Level", 3)
        assert keeper.pulse() is Pulse.NONE


@pytest.mark.parametrize("use", [open_shutter, stimulation_on])
def test_light_that_comes_on_ends_a_pulse(
    scope: DiaryMicroscope, use: Callable[[DiaryMicroscope], None]
) -> None:
    keeper = awake(scope, LONG)
    keeper.start()
    wait_for(lambda: f"slm show {ALL}" in scope.diary.lines)
    use(scope)
    wait_for(lambda: "slm show 0" in scope.diary.lines)
    keeper.stop()


def test_stopping_ends_a_pulse_and_releasing_stops(scope: DiaryMicroscope) -> None:
    keeper = awake(scope, LONG)
    keeper.start()
    wait_for(lambda: f"slm show {ALL}" in scope.diary.lines)
    report = scope.shutdown()
    assert report.ok
    assert "stop keeping DMD awake" in [step.name for step in report.steps]
    assert not keeper.running
    assert scope.diary.of("slm show")[-1] == "slm show 0"
    scope.diary.lines.clear()
    assert keeper.pulse() is Pulse.NONE
    keeper.start()
    assert not keeper.running
    assert scope.diary.lines == []


def test_a_run_begins_when_the_pulse_is_over(scope: DiaryMicroscope) -> None:
    keeper = awake(scope, KeepAwakePolicy(interval_s=3600, exposure_ms=200))
    keeper.start()
    wait_for(lambda: f"slm show {ALL}" in scope.diary.lines)
    thread = scope.run_mda(iter([event_of(channel="Green", exposure=1)]))
    thread.join(20)
    lines = scope.diary.lines
    assert thread.error is None
    assert lines.index("slm show 0") < lines.index("shutter open")
    keeper.stop()


class Nudging(Diary):
    """A diary that calls somebody when a line is written."""

    def __init__(self, line: str, call: Callable[[], object]) -> None:
        super().__init__()
        self._line, self._call = line, call

    def note(self, line: str) -> None:
        super().note(line)
        if line == self._line:
            self._call()


def test_the_mask_of_a_run_is_not_touched(scope: DiaryMicroscope) -> None:
    keeper = awake(scope)
    given: list[Pulse] = []
    diary = Nudging("shutter open", lambda: given.append(keeper.pulse()))
    for device in (scope.slm, scope.shutter, scope.camera):
        device._diary = diary
    shown: list[int] = []
    scope.connect_frame(lambda *_: given.append(keeper.pulse()))
    diary_of_camera = Nudging("snap", lambda: shown.append(int(scope.slm.shown.max())))
    scope.camera._diary = diary_of_camera
    thread = scope.run_mda(iter([stim(9)]))
    thread.join(20)
    assert thread.error is None
    assert shown == [9]
    assert given == [Pulse.NONE, Pulse.BLANK]


def test_a_pulse_that_fails_is_logged_and_the_next_one_comes(
    scope: DiaryMicroscope, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = awake(scope)
    scope.faults.left[f"slm show {ALL}"] = 2
    keeper.start()
    wait_for(lambda: f"slm show {ALL}" in scope.diary.lines)
    keeper.stop()
    failures = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert [r.getMessage() for r in failures] == ["Keeping 'DMD' awake failed."] * 2
    assert scope.diary.of("slm show")[-1] == "slm show 0"


def test_a_device_that_hangs_is_told(scope: DiaryMicroscope) -> None:
    keeper = awake(scope, KeepAwakePolicy(interval_s=0.001, stop_s=0.05))
    hanging, let_go = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        let_go.wait(20)

    scope.slm.display_image = hang  # type: ignore[method-assign]  # it hangs
    keeper.start()
    assert hanging.wait(20)
    with pytest.raises(HardwareError, match=r"Keeping 'DMD' awake hangs.*off and on"):
        keeper.stop()
    let_go.set()
    wait_for(lambda: not keeper.running)
    keeper.stop()
