"""One owner of the core: running, cancelling, going dark, releasing."""

from __future__ import annotations

import gc
import json
import logging
import queue
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import useq

from faro.errors import HardwareError, RunStateError
from faro.microscope import MMDemo
from faro.microscope.levels import LightLevels
from faro.microscope.mmcore import MDAEngine, new_core
from faro.microscope.pymmcore import PyMMCoreMicroscope
from faro.microscope.session import SessionState
from faro.microscope.steps import CloseReport, Outcome
from faro.testing.devices import DiaryMicroscope, Faults
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faro.microscope.abstract import RunThread

DARK = ["Cyan_Level 0", "slm send 0", "slm show 0", "shutter closed", "Green_Level 0"]


def image(t: int = 0, **more: Any) -> useq.MDAEvent:
    return event_of(index={"t": t}, channel="Green", exposure=1, **more)


def stim() -> useq.MDAEvent:
    return event_of(channel="CyanStim", exposure=1, slm_image={"data": 255})


def finish(thread: RunThread) -> None:
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def scope() -> Iterator[DiaryMicroscope]:
    with DiaryMicroscope() as microscope:
        yield microscope


class BlockedQueue:
    """A feed that blocks until it is closed, as a closed loop's does."""

    def __init__(self) -> None:
        self.events: queue.Queue[useq.MDAEvent | None] = queue.Queue()
        self.closed = 0

    def __iter__(self) -> BlockedQueue:
        return self

    def __next__(self) -> useq.MDAEvent:
        event = self.events.get()
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        self.closed += 1
        self.events.put(None)


# ------------------------------------------------------------------------------- dark


def test_dark_has_an_order(scope: DiaryMicroscope) -> None:
    scope.diary.lines.clear()
    scope.go_dark("test")
    assert scope.diary.lines == DARK


@pytest.mark.parametrize("end", ["completed", "cancelled", "failed"])
def test_dark_after_a_run_that(end: str, scope: DiaryMicroscope) -> None:
    lit = threading.Event()

    def events() -> Iterator[useq.MDAEvent]:
        yield stim()
        lit.set()
        if end == "failed":
            yield event_of(action=useq.CustomAction(name="dance"))
        if end == "cancelled":
            threading.Event().wait(20)

    thread = scope.run_mda(events())
    assert lit.wait(10)
    if end == "cancelled":
        scope.cancel_mda()
    finish(thread)
    assert (thread.error is not None) == (end == "failed")
    assert scope.diary.lines[-len(DARK) :] == DARK
    assert scope.led.levels == {"Cyan_Level": 0, "Green_Level": 0}


def test_one_device_that_fails_does_not_keep_the_others_lit(
    scope: DiaryMicroscope, caplog: pytest.LogCaptureFixture
) -> None:
    scope.led.levels = {"Cyan_Level": 50.0, "Green_Level": 20.0}
    scope.faults.left |= {"Cyan_Level": 99, "slm": 99}
    steps = scope.session.go_dark("test")
    scope.faults.left.clear()
    assert [step.outcome for step in steps] == ["error", "error", "ok", "ok"]
    assert "told to fail: Cyan_Level 0" in steps[0].detail
    assert "NOT DARK: level LED.Cyan_Level to 0" in caplog.text
    assert scope.led.levels["Green_Level"] == 0


def test_imaging_levels_come_back_with_the_next_run_stimulation_does_not(
    scope: DiaryMicroscope,
) -> None:
    scope.mmc.setProperty("LED", "Green_Level", 30)
    scope.mmc.setProperty("LED", "Cyan_Level", 70)
    scope.go_dark("lunch")
    scope.go_dark("still lunch")
    levels = []
    scope.connect_frame(lambda *_: levels.append(dict(scope.led.levels)))
    finish(scope.run_mda(iter([event_of(exposure=1)])))
    assert levels == [{"Green_Level": 30, "Cyan_Level": 0}]


def test_a_level_set_after_the_dark_is_respected(scope: DiaryMicroscope) -> None:
    scope.mmc.setProperty("LED", "Green_Level", 30)
    scope.go_dark("lunch")
    scope.mmc.setProperty("LED", "Green_Level", 5)
    levels = []
    scope.connect_frame(lambda *_: levels.append(scope.led.levels["Green_Level"]))
    finish(scope.run_mda(iter([event_of(exposure=1)])))
    assert levels == [5]


def test_the_levels_of_a_rig_are_sorted_into_stimulation_and_imaging(
    scope: DiaryMicroscope,
) -> None:
    assert scope.session.levels() == LightLevels(
        (("LED", "Cyan_Level"),), (("LED", "Green_Level"),)
    )


# --------------------------------------------------------------------------- running


@pytest.mark.parametrize("kind", ["generator", "queue"])
def test_an_iterator_that_blocks_for_ever_can_be_ended(
    kind: str, scope: DiaryMicroscope
) -> None:
    seen = threading.Event()
    scope.connect_frame(lambda *_: seen.set())
    feed = BlockedQueue()
    feed.events.put(image())
    never = threading.Event()

    def generator() -> Iterator[useq.MDAEvent]:
        yield image()
        never.wait(20)

    thread = scope.run_mda(feed if kind == "queue" else generator())
    assert seen.wait(10)
    start = time.monotonic()
    scope.cancel_mda()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - start < 2.5
    assert feed.closed == (kind == "queue")
    never.set()
    finish(scope.run_mda(iter([image()])))


def test_the_thread_is_a_daemon_of_ours(scope: DiaryMicroscope) -> None:
    thread = scope.run_mda(iter([image()]))
    assert (thread.name, thread.daemon) == ("faro-mda", True)
    finish(thread)


def test_the_error_of_a_callback_ends_the_run_and_is_kept(
    scope: DiaryMicroscope,
) -> None:
    def fail(*_: object) -> None:
        message = "no disk"
        raise OSError(message)

    scope.connect_frame(fail)
    thread = scope.run_mda(iter([image(0), image(1)]))
    finish(thread)
    with pytest.raises(OSError, match="no disk"):
        raise thread.error or AssertionError
    assert len(scope.diary.of("snap")) == 1


def test_a_callback_may_cancel(scope: DiaryMicroscope) -> None:
    scope.connect_frame(lambda *_: scope.cancel_mda())
    thread = scope.run_mda(iter([image(0), image(1)]))
    finish(thread)
    assert thread.error is None
    assert len(scope.diary.of("snap")) == 1


def test_the_next_event_is_asked_for_when_the_frame_was_delivered(
    scope: DiaryMicroscope,
) -> None:
    order: list[str] = []
    scope.connect_frame(lambda _p, event, _m: order.append(f"got {event.index['t']}"))

    def events() -> Iterator[useq.MDAEvent]:
        for t in range(3):
            order.append(f"ask {t}")
            yield image(t)

    finish(scope.run_mda(events()))
    assert order == ["ask 0", "got 0", "ask 1", "got 1", "ask 2", "got 2"]


def test_an_engine_put_in_our_place_is_replaced(scope: DiaryMicroscope) -> None:
    seen: list[int] = []
    scope.connect_frame(lambda *_: seen.append(1))
    scope.mmc.mda.set_engine(MDAEngine(scope.mmc))
    finish(scope.run_mda(iter([image()])))
    assert seen == [1]


def test_a_run_needs_devices_that_are_ready(scope: DiaryMicroscope) -> None:
    from faro.testing.devices import KeptLight

    scope.faults.initialize.add("Lamp")
    core: Any = scope.mmc
    core.loadPyDevice("Lamp", KeptLight("Lamp", scope.diary, scope.faults))
    core.initializeDevice("Lamp")
    with pytest.raises(HardwareError, match="'Lamp' \\(InitializationFailed\\)"):
        scope.run_mda(iter([image()]))


# --------------------------------------------------------------------------- release


def test_release_has_an_order(scope: DiaryMicroscope) -> None:
    scope.session.on_release("the first", lambda: scope.diary.note("first"))
    scope.session.on_release("the second", lambda: scope.diary.note("second"))
    scope.diary.lines.clear()
    report = scope.shutdown()
    assert report.ok
    assert scope.diary.lines[: len(DARK) + 2] == [*DARK, "second", "first"]
    names = [step.name for step in report.steps]
    assert names[-6:] == [
        "the first",
        "_teardown_hardware",
        "stop the cameras",
        "preset System/Shutdown",
        "unloadAllDevices",
        "silence the core",
    ]
    assert sorted(scope.diary.of("release")) == [
        f"release {label}" for label in ("Camera", "DMD", "LED", "Shutter", "XY")
    ]
    line = json.loads(report.to_json())
    assert (line["ok"], line["reason"]) == (True, "shutdown")


def test_closing_twice_or_from_many_threads_is_closing_once(
    scope: DiaryMicroscope,
) -> None:
    thread = scope.run_mda(BlockedQueue())
    reports: list[CloseReport] = []
    closers = [
        threading.Thread(target=lambda: reports.append(scope.shutdown()))
        for _ in range(5)
    ]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(20)
    assert len(reports) == 5
    assert all(report is reports[0] for report in reports)
    assert scope.shutdown() is reports[0]
    assert scope.diary.lines.count("release Camera") == 1
    assert not thread.is_alive()
    assert scope.session.state is SessionState.CLOSED


def test_a_released_microscope_runs_nothing_more(scope: DiaryMicroscope) -> None:
    scope.shutdown()
    with pytest.raises(RunStateError, match="is closed"):
        scope.run_mda(iter([image()]))
    assert scope.session.go_dark("late") == ()


def test_the_rig_releases_its_own_things_before_the_devices() -> None:
    class Rig(DiaryMicroscope):
        def _teardown_hardware(self) -> None:
            self.diary.note("stop the wake-up thread")
            super()._teardown_hardware()
            self.diary.note("came back")

    rig = Rig()
    assert rig.shutdown().ok
    lines = rig.diary.lines
    assert lines.index("came back") < lines.index("release DMD")
    assert lines.count("stop the wake-up thread") == 1


def test_teardown_called_by_hand_releases() -> None:
    rig = DiaryMicroscope()
    rig._teardown_hardware()
    assert rig.session.state is SessionState.CLOSED
    assert "release DMD" in rig.diary.lines


def test_a_teardown_that_raises_or_hangs_keeps_no_device() -> None:
    never = threading.Event()

    class Hanging(DiaryMicroscope):
        def _teardown_hardware(self) -> None:
            never.wait(30)

    class Raising(DiaryMicroscope):
        def _teardown_hardware(self) -> None:
            message = "COM3 is gone"
            raise OSError(message)

    try:
        for rig, outcome in ((Hanging(), Outcome.HUNG), (Raising(), Outcome.ERROR)):
            report = rig.shutdown()
            assert not report.ok
            assert not report.left
            step = next(s for s in report.steps if s.name == "_teardown_hardware")
            assert step.outcome is outcome
            assert "release DMD" in rig.diary.lines
    finally:
        never.set()


def test_a_device_that_refuses_is_named_and_the_others_are_released(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = DiaryMicroscope(Faults(shutdown={"Shutter"}))
    report = rig.shutdown()
    assert report.left == ("Shutter",)
    assert not report.ok
    assert set(rig.diary.of("release")) == {
        f"release {label}" for label in ("Camera", "DMD", "LED", "XY")
    }
    assert "could not be released: Shutter" in caplog.text
    rig.faults.shutdown.clear()


def test_live_mode_does_not_keep_the_devices() -> None:
    demo = MMDemo()
    demo.mmc.startContinuousSequenceAcquisition(1)
    assert demo.shutdown().ok
    assert tuple(demo.mmc.getLoadedDevices()) == ("Core",)


def test_the_shutdown_preset_is_applied(scope: DiaryMicroscope) -> None:
    scope.mmc.defineConfig("System", "Shutdown", "LED", "Green_Level", "1")
    scope.shutdown()
    lines = scope.diary.lines
    assert lines.index("Green_Level 1") < lines.index("release LED")


class Holder:
    """Keeps a microscope alive from within its own listeners."""

    def __init__(self, microscope: object) -> None:
        self.microscope = microscope

    def take(self, *_: object) -> None:
        """Nothing."""


def test_a_dropped_microscope_is_released() -> None:
    demo = MMDemo()
    core, gone = demo.mmc, weakref.ref(demo)
    demo.connect_frame(Holder(demo).take)
    del demo
    gc.collect()
    assert gone() is None
    assert tuple(core.getLoadedDevices()) == ("Core",)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_rig_that_makes_its_core_itself_is_protected(when: str) -> None:
    class Public(PyMMCoreMicroscope):
        def __init__(self) -> None:
            if when == "before":
                self.take()
            super().__init__()
            if when == "after":
                self.take()

        def take(self) -> None:
            self.mmc = new_core()
            self.mmc.loadSystemConfiguration("MMConfig_demo.cfg")

    rig = Public()
    seen: list[int] = []
    rig.connect_frame(lambda *_: seen.append(1))
    finish(rig.run_mda(iter([event_of(channel="DAPI", exposure=1)])))
    assert seen == [1]
    assert rig.shutdown().ok
    assert tuple(rig.mmc.getLoadedDevices()) == ("Core",)


def test_another_core_releases_the_one_before() -> None:
    with MMDemo() as demo:
        first = demo.mmc
        demo.mmc = first
        assert len(first.getLoadedDevices()) > 5
        demo.mmc = new_core()
        assert tuple(first.getLoadedDevices()) == ("Core",)


def test_the_release_is_logged_as_one_line(
    scope: DiaryMicroscope, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "faro.microscope.session"):
        scope.shutdown()
    lines = [r.getMessage() for r in caplog.records if "released" in r.getMessage()]
    assert len(lines) == 1
    names = [step["name"] for step in json.loads(lines[0].partition(": ")[2])["steps"]]
    chain = ["_teardown_hardware", "unloadAllDevices"]
    assert [name for name in names if name in chain] == chain


# ------------------------------------------------------------- threads in the devices


def test_a_callback_that_never_returns_keeps_no_device(scope: DiaryMicroscope) -> None:
    never, inside = threading.Event(), threading.Event()

    def stay(*_: object) -> None:
        inside.set()
        never.wait(30)

    scope.connect_frame(stay)
    thread = scope.run_mda(iter([image()]))
    assert inside.wait(10)
    report = scope.session.close("the end", within_s=1.0)
    assert report.left == ()
    assert "unloadAllDevices" not in [step.name for step in report.steps]
    assert {"release DMD", "release Camera"} <= set(scope.diary.lines)
    never.set()
    finish(thread)


def test_a_release_waits_for_a_load(scope: DiaryMicroscope) -> None:
    loaded, reports = threading.Event(), list[CloseReport]()
    refused = list[RunStateError]()

    def load() -> None:
        try:
            with scope.session.loading():
                loaded.wait(20)
        except RunStateError as error:
            refused.append(error)

    def close() -> None:
        reports.append(scope.shutdown())

    threads = [threading.Thread(target=load), threading.Thread(target=close)]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    assert not scope.diary.of("release")
    loaded.set()
    for thread in threads:
        thread.join(20)
    assert reports[0].ok
    assert "release DMD" in scope.diary.lines
    assert "closed" in str(refused[0]) or "closing" in str(refused[0])


def test_a_load_that_hangs_keeps_the_end_no_longer_than_it_may(
    scope: DiaryMicroscope,
) -> None:
    loaded = threading.Event()

    def load() -> None:
        with pytest.raises(RunStateError), scope.session.loading():
            loaded.wait(20)

    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(0.1)
    report = scope.session.close("the end", within_s=0.8)
    (waited,) = [s for s in report.steps if s.name == "wait for the devices to load"]
    assert waited.outcome is Outcome.HUNG
    loaded.set()
    thread.join(20)


def test_a_load_by_the_cores_own_method_is_waited_for_and_checked(
    tmp_path: Path,
) -> None:
    cfg = tmp_path / "rig.cfg"
    cfg.write_text(
        "#py pyDevice,Lamp,faro.testing.devices,RefusingDevice\n"
        "#py Property,Core,Initialize,1\n"
    )

    class Public(PyMMCoreMicroscope):
        EXCLUSIVE = False

    rig = Public()
    rig.mmc = core = new_core(python_devices=True)
    with pytest.raises(HardwareError, match="'Lamp'"):
        rig.mmc.loadSystemConfiguration(str(cfg))
    assert rig.shutdown().ok
    assert "loadSystemConfiguration" not in vars(core)
