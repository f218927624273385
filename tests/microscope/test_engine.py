"""The engine tells the truth: devices that misbehave, and what is made of it."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import useq

from faro.errors import HardwareError
from faro.microscope import MMDemo
from faro.microscope.engine import FaroEngine
from faro.microscope.policy import EnginePolicy, RetryPolicy, Wait, WaitPolicy
from faro.testing.devices import SLM_SHAPE, DiaryMicroscope, Faults
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from faro.microscope.abstract import AbstractMicroscope, RunThread
    from faro.microscope.mmcore import CMMCorePlus
    from faro.model.frame import PixelArray

FAST = RetryPolicy(tries=3, delay_s=0.001)


class Quick(DiaryMicroscope):
    """Tries again without waiting long."""

    POLICY = EnginePolicy(settings=FAST, snap=RetryPolicy(2, 0.001))


class Seen:
    """What a microscope delivers."""

    def __init__(self, microscope: AbstractMicroscope) -> None:
        self.frames: list[tuple[int, PixelArray, Mapping[str, Any]]] = []
        self.missing: list[tuple[int, Exception]] = []
        microscope.connect_frame(self._frame)
        microscope.connect_missing(
            lambda event, error: self.missing.append((event.index["t"], error))
        )

    def _frame(
        self, pixels: PixelArray, event: useq.MDAEvent, metadata: Mapping[str, Any]
    ) -> None:
        self.frames.append((event.index["t"], pixels, metadata))


@pytest.fixture
def scope() -> Iterator[Quick]:
    with Quick() as microscope:
        yield microscope


def image(t: int, **more: Any) -> useq.MDAEvent:
    return event_of(index={"t": t}, channel="Green", exposure=1, **more)


def stim(t: int, mask: object = 255, **more: Any) -> useq.MDAEvent:
    slm = useq.SLMImage(data=mask, exposure=100)
    return event_of(
        index={"t": t}, channel="CyanStim", exposure=2, slm_image=slm, **more
    )


def run(microscope: AbstractMicroscope, events: Iterable[useq.MDAEvent]) -> RunThread:
    thread = microscope.run_mda(iter(list(events)))
    thread.join(20)
    assert not thread.is_alive()
    return thread


def error_of(thread: RunThread) -> str:
    assert isinstance(thread.error, HardwareError)
    return str(thread.error)


def missed_by(microscope: AbstractMicroscope, event: useq.MDAEvent) -> str:
    """Return why an event gave no frame; the event after it gives one."""
    seen = Seen(microscope)
    after = event_of(index={"t": 9}, exposure=1)
    assert run(microscope, [event, after]).error is None
    assert [t for t, *_ in seen.frames] == [9]
    ((_, error),) = seen.missing
    assert isinstance(error, HardwareError)
    return str(error)


# ----------------------------------------------------------------------- C++ devices


def test_the_demo_camera_delivers_in_order_by_direct_call() -> None:
    with MMDemo() as demo:
        seen, threads = Seen(demo), set()
        demo.connect_frame(lambda *_: threads.add(threading.current_thread()))
        events = [
            event_of(
                index={"t": t}, channel=("DAPI", "FITC")[t % 2], exposure=2, x_pos=t
            )
            for t in range(6)
        ]
        thread = run(demo, events)
        assert thread.error is None
        assert [t for t, _, _ in seen.frames] == list(range(6))
        assert threads == {thread}
        metadata = seen.frames[-1][2]
        assert metadata["position_um"][0] == pytest.approx(5, abs=0.1)
        assert metadata["exposure_ms"] == 2
        assert demo.mmc.getCurrentConfig("Channel") == "FITC"


def test_an_unknown_preset_costs_its_frame_and_no_other() -> None:
    with MMDemo() as demo:
        event = event_of(index={"t": 0}, channel="DAP1", exposure=1)
        assert "('Channel', 'DAP1') failed 3 times" in missed_by(demo, event)


def test_a_property_that_is_refused_costs_its_frame() -> None:
    with MMDemo() as demo:
        setting = [("Camera", "Gian", 1)]
        event = event_of(index={"t": 0}, properties=setting, exposure=1)
        assert "Camera.Gian to 1" in missed_by(demo, event)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (event_of(exposure=1e9), "where 1e\\+09 ms were asked"),
        (event_of(exposure=1, slm_image={"data": True}), "no SLM"),
        (event_of(action=useq.CustomAction(name="dance")), "dance"),
    ],
    ids=["exposure", "no_slm", "custom_action"],
)
def test_what_cannot_be_done_is_an_error(event: useq.MDAEvent, message: str) -> None:
    with MMDemo() as demo:
        thread = run(demo, [event])
        with pytest.raises(HardwareError, match=message):
            raise thread.error or AssertionError


def test_two_cameras_at_once_are_refused() -> None:
    with MMDemo() as demo:
        core = demo.mmc
        for label, device in (
            ("Camera2", "DemoCamera:DCam"),
            ("Two", "Utilities:Multi Camera"),
        ):
            core.loadDevice(label, *device.split(":"))
            core.initializeDevice(label)
        core.setProperty("Two", "Physical Camera 1", "Camera")
        core.setProperty("Two", "Physical Camera 2", "Camera2")
        core.setCameraDevice("Two")
        assert "gives 2 images" in error_of(run(demo, [event_of(exposure=1)]))


def test_a_colour_camera_is_refused() -> None:
    with MMDemo() as demo:
        demo.mmc.setProperty("Camera", "PixelType", "32bitRGB")
        with pytest.raises(HardwareError, match="8 or 16 bit grey"):
            demo.facts()
        assert "8 or 16 bit grey" in error_of(run(demo, [event_of(exposure=1)]))


def test_autofocus_moves_the_focus_of_its_position_only() -> None:
    with MMDemo() as demo:
        seen = Seen(demo)
        action = useq.HardwareAutofocus()
        events = [
            event_of(index={"t": 0, "p": 0}, action=action),
            event_of(index={"t": 0, "p": 0}, exposure=1, z_pos=5.0),
            event_of(index={"t": 0, "p": 1}, exposure=1, z_pos=5.0),
        ]
        assert run(demo, events).error is None
        z_um = [metadata["position_um"][2] for _, _, metadata in seen.frames]
        assert len(z_um) == 2
        assert z_um[1] == pytest.approx(5.0, abs=0.1)


def test_an_autofocus_offset_is_set_first() -> None:
    with MMDemo() as demo:
        action = useq.HardwareAutofocus(autofocus_motor_offset=3.0)
        assert run(demo, [event_of(action=action)]).error is None
        assert demo.mmc.getAutoFocusOffset() == 3.0


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (event_of(exposure=1, x_pos=1.0), "XY stage"),
        (event_of(exposure=1, z_pos=1.0), "focus drive"),
        (event_of(action=useq.HardwareAutofocus()), "autofocus"),
    ],
    ids=["xy", "z", "autofocus"],
)
def test_a_device_that_is_not_there_is_named(event: useq.MDAEvent, what: str) -> None:
    with MMDemo() as demo:
        for label in ("XY", "Z", "Autofocus"):
            demo.mmc.unloadDevice(label)
        assert f"needs the {what}, but there is none" in error_of(run(demo, [event]))


def test_a_run_without_a_camera_is_refused_and_changes_nothing() -> None:
    with MMDemo() as demo:
        demo.mmc.setCameraDevice("")
        assert run(demo, [event_of(exposure=1)]).error is not None
        assert demo.mmc.getAutoShutter()


def test_one_coordinate_moves_one_axis() -> None:
    with MMDemo() as demo:
        seen = Seen(demo)
        events = [
            event_of(exposure=1, x_pos=10, y_pos=20),
            event_of(exposure=1, y_pos=5),
        ]
        assert (
            run(demo, [event.replace(index={"t": 0}) for event in events]).error is None
        )
        assert seen.frames[1][2]["position_um"][:2] == pytest.approx((10, 5), abs=0.1)


def test_the_automatic_shutter_is_given_back() -> None:
    with MMDemo() as demo:
        run(demo, [event_of(exposure=1)])
        assert demo.mmc.getAutoShutter()
        assert not demo.mmc.getShutterOpen("White Light Shutter")
        demo.mmc.setShutterDevice("")
        assert run(demo, [event_of(exposure=1)]).error is None
        assert not demo.mmc.getAutoShutter()


def test_a_roi_is_set_and_a_wrong_one_refused(scope: Quick) -> None:
    seen = Seen(scope)
    assert run(scope, [image(0, roi=(4, 2, 10, 5))]).error is None
    assert seen.frames[0][1].shape == (5, 10)
    message = missed_by(scope, image(1, roi=(0, 0, 9999, 5)))
    assert "the camera ROI (0, 0, 9999, 5) failed" in message


# -------------------------------------------------------------------- light and masks


def test_a_mask_is_shown_between_blanks_while_the_shutter_is_open(
    scope: Quick,
) -> None:
    mask = np.zeros(SLM_SHAPE, np.uint8)
    mask[:2] = 255
    seen = Seen(scope)
    scope.diary.lines.clear()
    assert run(scope, [stim(0, mask)]).error is None
    lines = scope.diary.of("slm", "shutter", "snap", "Cyan")
    n_lit = np.count_nonzero(mask)
    assert lines[: lines.index("shutter closed") + 3] == [
        "slm send 0",
        "slm show 0",
        "Cyan_Level 50",
        f"slm send {n_lit}",
        "slm exposure 100",
        f"slm show {n_lit}",
        "shutter open",
        "snap",
        "shutter closed",
        "slm send 0",
        "slm show 0",
    ]
    metadata = seen.frames[0][2]
    order = ("slm_displayed", "acquired", "slm_dark")
    times = [metadata[f"{name}_monotonic_s"] for name in order]
    assert times == sorted(times)
    assert metadata["slm_exposure_ms"] == 100
    json.dumps(metadata)


def test_the_sample_is_dark_after_every_run(scope: Quick) -> None:
    run(scope, [stim(0)])
    assert scope.led.levels == {"Cyan_Level": 0, "Green_Level": 0}
    assert not scope.shutter.is_open
    assert not scope.slm.shown.any()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((5, 5), np.uint8), "shape \\(5, 5\\)"),
        (np.zeros(SLM_SHAPE, float), "dtype float64"),
        (np.ones(SLM_SHAPE, np.uint8), "only 0 and 1"),
        (np.zeros((*SLM_SHAPE, 3), np.uint8), "shape"),
        (300, "cannot show 300"),
    ],
    ids=["shape", "dtype", "ones", "colour", "too_bright"],
)
def test_a_wrong_mask_is_never_shown(scope: Quick, mask: object, message: str) -> None:
    thread = run(scope, [stim(0, mask)])
    with pytest.raises(HardwareError, match=message):
        raise thread.error or AssertionError
    assert not scope.diary.of("snap", "shutter open")
    assert set(scope.diary.of("slm show")) == {"slm show 0"}


def test_a_mask_that_cannot_be_shown_is_not_fired(scope: Quick) -> None:
    scope.faults.left["slm show 1200"] = 3
    assert "Showing 'DMD' failed 3 times" in missed_by(scope, stim(0))
    lines = scope.diary.of("snap", "slm show", "shutter open")
    assert lines.count("shutter open") == lines.count("snap") == 1
    assert "slm show 1200" not in lines
    assert "slm show 0" in lines[: lines.index("snap")]


def test_a_shutter_that_does_not_open_costs_its_frame_and_stays_closed(
    scope: Quick,
) -> None:
    scope.faults.left["shutter open"] = 6
    assert "Opening the shutter" in missed_by(scope, image(0))
    assert not scope.shutter.is_open


def test_a_shutter_that_does_not_close_ends_the_run(scope: Quick) -> None:
    scope.faults.left["shutter closed"] = 3
    assert "Closing the shutter" in error_of(run(scope, [image(0), image(1)]))
    assert not scope.shutter.is_open


def test_a_transient_failure_is_tried_again(scope: Quick) -> None:
    scope.faults.left |= {"slm show 1200": 1, "Cyan_Level 50": 1, "shutter open": 1}
    seen = Seen(scope)
    assert run(scope, [stim(0)]).error is None
    assert len(seen.frames) == 1


def test_python_shutters_are_opened_for_images_too(scope: Quick) -> None:
    run(scope, [image(0)])
    assert scope.diary.of("shutter", "snap")[:3] == [
        "shutter open",
        "snap",
        "shutter closed",
    ]


def test_a_shutter_that_its_user_holds_is_left_alone(scope: Quick) -> None:
    scope.mmc.setAutoShutter(False)
    run(scope, [image(0)])
    assert not scope.diary.of("shutter open")
    assert not scope.mmc.getAutoShutter()


def test_keep_shutter_open_lasts_until_the_next_event(scope: Quick) -> None:
    run(scope, [image(0, keep_shutter_open=True), image(1)])
    lines = scope.diary.of("shutter", "snap")
    assert lines[:5] == [
        "shutter open",
        "snap",
        "shutter open",
        "snap",
        "shutter closed",
    ]


def test_a_preset_is_set_again_after_its_level_was_changed(scope: Quick) -> None:
    bright = stim(0, properties=[("LED", "Cyan_Level", 80.0)])
    run(scope, [bright, stim(1)])
    assert scope.diary.of("Cyan_Level 50", "Cyan_Level 80") == [
        "Cyan_Level 50",
        "Cyan_Level 80",
        "Cyan_Level 50",
    ]


# ------------------------------------------------------------------ missing frames


def test_a_failed_exposure_is_tried_again(scope: Quick) -> None:
    scope.faults.left["snap"] = 1
    seen = Seen(scope)
    run(scope, [image(0), image(1)])
    assert [t for t, _, _ in seen.frames] == [0, 1]
    assert not seen.missing


def test_a_missing_frame_never_shifts_the_others(scope: Quick) -> None:
    seen = Seen(scope)

    def events() -> Iterator[useq.MDAEvent]:
        for t in range(4):
            scope.faults.left["snap"] = 2 if t == 1 else 0
            yield image(t)

    thread = scope.run_mda(events())
    thread.join(20)
    assert thread.error is None
    assert [(t, int(pixels[0, 0])) for t, pixels, _ in seen.frames] == [
        (0, 1),
        (2, 2),
        (3, 3),
    ]
    assert [t for t, _ in seen.missing] == [1]
    with pytest.raises(HardwareError, match="told to fail: snap"):
        raise seen.missing[0][1]


def test_light_is_not_given_twice_for_a_failed_exposure(scope: Quick) -> None:
    scope.faults.left["snap"] = 1
    seen = Seen(scope)
    assert run(scope, [stim(0), image(1)]).error is None
    assert [t for t, _ in seen.missing] == [0]
    assert [t for t, _, _ in seen.frames] == [1]
    assert len(scope.diary.of("slm show 1200")) == 1
    assert not scope.slm.shown.any()


# -------------------------------------------------------------------------- waiting


def rig_that_waits(label: str, rule: WaitPolicy) -> type[DiaryMicroscope]:
    class Waiting(DiaryMicroscope):
        POLICY = EnginePolicy(settings=FAST, waits={label: rule})

    return Waiting


def test_a_device_that_is_busy_for_ever_is_named() -> None:
    rule = WaitPolicy(deadline_s=0.05)
    with rig_that_waits("XY", rule)() as scope:
        scope.stage.busy_for_ever = True
        seen = Seen(scope)
        assert run(scope, [image(0)]).error is None
        ((_, error),) = seen.missing
        assert "'XY' was not ready after 0.05 s" in str(error)
        scope.stage.busy_for_ever = False
        assert run(scope, [image(1)]).error is None
        assert [t for t, *_ in seen.frames] == [1]


def test_a_stuck_busy_flag_can_be_skipped() -> None:
    with rig_that_waits("XY", WaitPolicy(Wait.SKIP))() as scope:
        scope.stage.busy_for_ever = True
        assert run(scope, [image(0)]).error is None


def test_a_stage_can_be_waited_for_by_its_position() -> None:
    rule = WaitPolicy(Wait.POSITION, deadline_s=5, tolerance_um=1)
    with rig_that_waits("XY", rule)() as scope:
        scope.stage.busy_for_ever = True
        scope.stage.steps_late = 20
        seen = Seen(scope)
        assert run(scope, [image(0, x_pos=100.0, y_pos=7.0)]).error is None
        assert tuple(seen.frames[0][2]["position_um"][:2]) == (100.0, 7.0)


def test_a_stage_that_never_arrives_takes_no_picture() -> None:
    rule = WaitPolicy(Wait.POSITION, deadline_s=0.05)
    with rig_that_waits("XY", rule)() as scope:
        scope.stage.steps_late = 10**9
        seen = Seen(scope)
        assert run(scope, [image(0, x_pos=100.0)]).error is None
        ((_, error),) = seen.missing
        assert "waited for: position" in str(error)
        assert not seen.frames


def test_a_stage_that_was_moved_settles() -> None:
    rule = WaitPolicy(Wait.DELAY, settle_s=0.05)
    with rig_that_waits("XY", rule)() as scope:
        run(scope, [image(0, x_pos=1.0)])
        times = dict(zip(scope.diary.lines, scope.diary.times_s, strict=True))
        assert times["snap"] - times["stage 1 0"] >= 0.05


def test_a_focus_that_is_not_ours_is_never_driven() -> None:
    class Hands(MMDemo):
        POLICY = EnginePolicy(drives_z=False)

    with Hands() as demo:
        run(demo, [event_of(exposure=1, z_pos=50.0)])
        assert demo.mmc.getPosition() == pytest.approx(0, abs=0.01)


# --------------------------------------------------------------------------- cancel


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_cancel_makes_dark_before_the_exposure_ends(scope: Quick) -> None:
    scope.faults.hold.set()
    seen = Seen(scope)
    thread = scope.run_mda(iter([stim(0), stim(1)]))
    wait_until(lambda: "snap" in scope.diary.lines)
    assert scope.slm.shown.any()
    scope.cancel_mda()
    assert thread.is_alive()
    assert not scope.slm.shown.any()
    assert not scope.shutter.is_open
    assert scope.led.levels["Cyan_Level"] == 0
    scope.faults.hold.clear()
    thread.join(10)
    assert thread.error is None
    assert not seen.frames, "half a dose is no frame"
    assert [t for t, _ in seen.missing] == [0]
    assert len(scope.diary.of("snap")) == 1


def test_no_light_comes_on_after_a_cancel(scope: Quick) -> None:
    class Slow(FaroEngine):
        def before_event(self, event: useq.MDAEvent) -> None:
            if event.index["t"] == 1:
                scope.cancel_mda()

    class Rig(Quick):
        def make_engine(self, core: CMMCorePlus) -> FaroEngine:
            return Slow(core, self.POLICY)

    scope.shutdown()
    scope = Rig()
    with scope:
        seen = Seen(scope)
        assert run(scope, [stim(0), stim(1), stim(2)]).error is None
        assert len(scope.diary.of("snap")) == 1
        assert [t for t, _ in seen.missing] == [1]


def test_a_listener_of_pymmcore_plus_that_raises_does_not_end_a_run(
    scope: Quick,
) -> None:
    seen = Seen(scope)
    heard: list[int] = []

    def listen(*_: object) -> None:
        heard.append(1)
        raise ZeroDivisionError

    scope.mmc.mda.events.frameReady.connect(listen)
    assert run(scope, [image(0), image(1)]).error is None
    assert len(seen.frames) == len(heard) == 2


def test_faults_are_counted() -> None:
    faults = Faults({"snap": 1})
    with pytest.raises(RuntimeError, match="told to fail: snap"):
        faults.check("snap")
    faults.check("snap")
