"""Moench, with devices that show the quirks of the real ones."""

from __future__ import annotations

import gc
import locale
import queue
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import useq

import faro
from faro.errors import HardwareError
from faro.microscope.policy import EnginePolicy, RetryPolicy, Wait, WaitPolicy
from faro.rigs.pertzlab import Moench
from faro.testing.devices import SLM_SHAPE
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.rigs.conftest import Workshop

    from faro.microscope.abstract import RunThread
    from faro.testing.quirks import QuirkyBench

N_PIXELS = SLM_SHAPE[0] * SLM_SHAPE[1]
DARK = ["Cyan_Level 0", "slm send 0", "slm show 0", "shutter closed", "Green_Level 0"]
RELEASED = ["Camera", "XY", "Z", "Shutter", "LED", "DMD"]
AWAKE, MDA = "faro-awake", "faro-mda"


class Impatient(Moench):
    """Moench with the same habits, but without the long waits."""

    POLICY: ClassVar[EnginePolicy] = replace(
        Moench.POLICY,
        settings=RetryPolicy(tries=10, delay_s=0.001),
        moves=RetryPolicy(tries=10, delay_s=0.001),
        waits={
            **Moench.POLICY.waits,
            "TIXYDrive": WaitPolicy(Wait.POSITION, deadline_s=0.1, poll_s=0.01),
        },
    )


def image(t: int, **more: Any) -> useq.MDAEvent:
    channel = {"config": "Green", "group": "TTL_ERK"}
    return event_of(index={"t": t}, channel=channel, exposure=2, **more)


def stim(t: int, n_on: int = 100, **more: Any) -> useq.MDAEvent:
    mask = np.zeros(SLM_SHAPE, np.uint8)
    mask.flat[:n_on] = 255
    channel = {"config": "CyanStim", "group": "TTL_ERK"}
    slm = useq.SLMImage(data=mask, exposure=50)
    return event_of(index={"t": t}, channel=channel, exposure=2, slm_image=slm, **more)


def run(rig: Moench, *events: useq.MDAEvent) -> RunThread:
    thread = rig.run_mda(iter(events))
    thread.join(30)
    assert not thread.is_alive()
    return thread


def frames_of(rig: Moench) -> list[int]:
    taken: list[int] = []
    rig.connect_frame(lambda _, event, __: taken.append(event.index["t"]))
    return taken


# ------------------------------------------------------------------------------- load


def test_it_loads_in_the_order_that_its_camera_needs(workshop: Workshop) -> None:
    moench, bench = workshop.make(Moench, keep_awake_interval_s=0)
    lines = bench.diary.lines
    assert lines.index("roi 0 60 800 800") > max(
        n for n, line in enumerate(lines) if line == "binning 2"
    )
    facts = moench.facts()
    assert (facts.channel_group, facts.image_shape) == ("TTL_ERK", (800, 800))
    assert facts.power_limits["CyanStim"] == (0.0, 100.0)
    assert not moench.mmc.isFeatureEnabled("ParallelDeviceInitialization")
    assert moench.mmc.getProperty("Mosaic3", "OverlapMode") == "Off"
    assert moench.validate_hardware() == ()
    assert not bench.diary.of("slm", "shutter open", "z ")
    assert moench.wakeup_dmd is None


def test_the_binning_given_is_set_before_the_crop(workshop: Workshop) -> None:
    moench, bench = workshop.make(Moench, binning="1", keep_awake_interval_s=0)
    assert bench.diary.of("binning", "roi")[-2:] == ["binning 1", "roi 0 60 800 800"]
    assert moench.facts().image_shape == (800, 800)
    moench.mmc.setProperty("Camera", "Binning", 2)
    assert moench.facts().image_shape == (1024, 1024)
    moench.set_roi()
    assert moench.facts().image_shape == (800, 800)


def test_a_crop_that_does_not_fit_releases_everything(workshop: Workshop) -> None:
    with pytest.raises(HardwareError, match=r"camera ROI \(0, 60, 9000, 800\)"):
        workshop.make(Impatient, roi=(0, 60, 9000, 800))


def test_the_matrix_gives_the_dmd(workshop: Workshop) -> None:
    scale = np.diag([SLM_SHAPE[1] / 800, SLM_SHAPE[0] / 800, 1.0])
    moench, _ = workshop.make(
        Moench, affine_calibration_matrix=scale, keep_awake_interval_s=0
    )
    assert moench.dmd is not None
    warped = moench.dmd.warp(np.full((800, 800), 255, np.uint8))
    assert warped.shape == SLM_SHAPE
    assert set(np.unique(warped[1:, 1:])) == {1}  # a Mosaic 3 is on at 1
    assert moench.facts().dmd_calibrated


def test_the_names_are_those_of_the_public_project() -> None:
    assert faro.Moench is Moench
    assert str(Moench.CONFIG).endswith("TiMoench.cfg")


# -------------------------------------------------------------------------------- run


def test_a_run_with_a_stage_and_a_dmd_that_are_busy_for_ever(
    workshop: Workshop,
) -> None:
    moench, bench = workshop.make(Moench, keep_awake_interval_s=0)
    taken = frames_of(moench)
    events = [image(0, x_pos=5, y_pos=6, z_pos=7), stim(0, z_pos=8), image(1, x_pos=9)]
    thread = run(moench, *events)
    assert thread.error is None
    assert taken == [0, 0, 1]
    assert not bench.diary.of("z ")
    assert moench.mmc.deviceBusy("TIXYDrive")
    assert moench.mmc.deviceBusy("Mosaic3")


def test_the_stage_is_given_time_to_stand(workshop: Workshop) -> None:
    moench, bench = workshop.make(Moench, keep_awake_interval_s=0)
    run(moench, image(0, x_pos=5))
    noted = list(zip(bench.diary.lines, bench.diary.times_s, strict=True))
    moved_s = next(at_s for line, at_s in noted if line.startswith("stage"))
    snapped_s = next(at_s for line, at_s in noted if line == "snap")
    assert snapped_s - moved_s >= 0.2


def test_overlap_is_on_in_runs_and_off_between_them(workshop: Workshop) -> None:
    moench, bench = workshop.make(Moench, keep_awake_interval_s=0)
    bench.diary.lines.clear()
    run(moench, image(0), stim(1))
    seen = bench.diary.of("overlap", "snap")
    assert seen == ["overlap On", "snap", "snap", "overlap Off"]


def test_a_run_ends_dark_in_the_right_order(workshop: Workshop) -> None:
    moench, bench = workshop.make(Moench, keep_awake_interval_s=0)
    bench.diary.lines.clear()
    run(moench, image(0), stim(1, n_on=33))
    assert bench.diary.lines[-len(DARK) :] == DARK
    lit = [shown for shown in bench.shown if shown.n_on]
    assert [(shown.n_on, shown.thread) for shown in lit] == [(33, MDA)]
    assert not bench.lit


@pytest.mark.parametrize(
    "failing",
    [{"stage": 9}, {"Cyan_Level": 9}, {"overlap On": 3}, {"slm show 1": 9}],
    ids=str,
)
def test_what_fails_now_and_then_is_tried_again(
    workshop: Workshop, failing: dict[str, int]
) -> None:
    moench, bench = workshop.make(Impatient, keep_awake_interval_s=0)
    taken = frames_of(moench)
    bench.faults.left.update(failing)
    thread = run(moench, image(0, x_pos=3), stim(1))
    assert thread.error is None
    assert taken == [0, 1]
    assert not any(bench.faults.left.values())


@pytest.mark.parametrize(
    ("failing", "message"),
    [
        ("stage", r"Moving 'TIXYDrive' to \(3.0, 0.0\) um failed 10 times"),
        ("Cyan_Level", r"preset \('TTL_ERK', 'CyanStim'\) failed 10 times"),
    ],
)
def test_what_fails_for_ever_gives_no_frame_and_nothing_is_fired(
    workshop: Workshop, failing: str, message: str
) -> None:
    moench, bench = workshop.make(Impatient, keep_awake_interval_s=0)
    told: list[Exception] = []
    moench.connect_missing(lambda _, error: told.append(error))
    bench.faults.left[failing] = 1000
    thread = run(moench, stim(0, x_pos=3))
    assert thread.error is None
    (error,) = told
    with pytest.raises(HardwareError, match=message):
        raise error
    assert not bench.diary.of("snap", "shutter open", "slm show 1")


def test_a_mode_that_cannot_be_set_ends_the_run(workshop: Workshop) -> None:
    moench, bench = workshop.make(Impatient, keep_awake_interval_s=0)
    bench.faults.left["overlap On"] = 1000
    thread = run(moench, stim(0, x_pos=3))
    with pytest.raises(HardwareError, match=r"OverlapMode to 'On' failed 10 times"):
        raise thread.error or AssertionError
    assert not bench.diary.of("snap", "shutter open", "slm show 1")


def test_a_stage_that_never_arrives_gives_no_frame(workshop: Workshop) -> None:
    moench, bench = workshop.make(Impatient, keep_awake_interval_s=0)
    taken, told = frames_of(moench), list[Exception]()
    moench.connect_missing(lambda _, error: told.append(error))
    bench.stage_arrives = False
    thread = run(moench, image(0, x_pos=500))
    assert thread.error is None
    with pytest.raises(HardwareError, match=r"'TIXYDrive' was not ready .*position"):
        raise told[0]
    assert taken == []
    assert "snap" not in bench.diary.lines


def test_a_decimal_comma_is_refused_before_any_light(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    moench, bench = workshop.make(Moench, keep_awake_interval_s=0)
    bench.diary.lines.clear()
    monkeypatch.setattr(locale, "localeconv", lambda: {"decimal_point": ","})
    with pytest.raises(HardwareError, match="written with ','"):
        moench.run_mda(iter([image(0)]))
    with pytest.raises(HardwareError, match="LC_NUMERIC"):
        Moench(config="any.cfg")
    assert bench.diary.lines == []


def test_an_experiment_runs_on_it(workshop: Workshop, tmp_path: Path) -> None:
    scale = np.diag([SLM_SHAPE[1] / 800, SLM_SHAPE[0] / 800, 1.0])
    moench, bench = workshop.make(
        Moench, affine_calibration_matrix=scale, keep_awake_interval_s=0.02
    )
    sequence = faro.RTMSequence(
        stage_positions=[(0, 0, 10), (30, 0, 20)],
        time_plan={"interval": 0.05, "loops": 3},
        channels=[{"config": "Green", "exposure": 2}],
        stim_channels=[faro.PowerChannel("CyanStim", exposure=2, power=5)],
        stim_frames=[1, 2],
    )

    class Everywhere:
        def stimulate(self, _context: object) -> object:
            return True

    pipeline = faro.ImageProcessingPipeline(stimulator=Everywhere())
    writer = faro.OmeZarrWriter(tmp_path / "run")
    summary = faro.Controller(moench, pipeline, writer=writer).run_experiment(sequence)
    assert summary.completed
    assert summary.n_errors == 0
    assert not bench.diary.of("z ")
    by_run = [s for s in bench.shown if s.thread == MDA and s.n_on]
    assert [shown.n_on for shown in by_run] == [N_PIXELS] * 4
    assert not [s for s in bench.shown if s.thread == AWAKE and s.lit and s.n_on]


# ------------------------------------------------------------------------- keep awake


class Feed:
    """Events put in from outside, as a closed loop does."""

    def __init__(self) -> None:
        self._events: queue.Queue[useq.MDAEvent | None] = queue.Queue()

    def put(self, event: useq.MDAEvent | None) -> None:
        self._events.put(event)

    def __iter__(self) -> Iterator[useq.MDAEvent]:
        while (event := self._events.get()) is not None:
            yield event


def pulses(bench: QuirkyBench) -> int:
    return sum(shown.thread == AWAKE for shown in bench.shown)


def wait_for_pulses(bench: QuirkyBench, more: int) -> None:
    until, deadline_s = pulses(bench) + more, time.monotonic() + 20
    while pulses(bench) < until:
        assert time.monotonic() < deadline_s, "the DMD is not kept awake"
        time.sleep(0.005)


def test_keeping_it_awake_shows_no_light_in_a_run_and_loses_no_mask(
    workshop: Workshop,
) -> None:
    moench, bench = workshop.make(Moench, keep_awake_interval_s=0.001)
    feed, taken = Feed(), frames_of(moench)
    thread = moench.run_mda(iter(feed))
    begun = len(bench.shown)
    for t in range(15):
        feed.put(image(t))
        feed.put(stim(t, n_on=t + 1))
        if t % 5 == 0:
            wait_for_pulses(bench, 3)
    feed.put(None)
    thread.join(30)
    ended = bench.shown[begun:]
    assert thread.error is None
    assert taken == [t for t in range(15) for _ in range(2)]
    assert [s.n_on for s in ended if s.thread == MDA and s.n_on] == [*range(1, 16)]
    awake = [s for s in bench.shown if s.thread == AWAKE]
    assert not [s for s in awake if s.lit and s.n_on]
    first_lit_after_the_run = [s for s in awake[begun:] if s.n_on]
    assert not [s for s in first_lit_after_the_run if s.lit]
    during = ended[: max(n for n, s in enumerate(ended) if s.thread == MDA)]
    assert not [s for s in during if s.thread == AWAKE and s.n_on]
    assert [s for s in during if s.thread == AWAKE]


def test_a_dmd_that_is_left_alone_swallows_a_mask(workshop: Workshop) -> None:
    now_s = [0.0]
    moench, bench = workshop.make(Moench, keep_awake_interval_s=0)
    bench.clock, dmd_s = (lambda: now_s[0]), bench.sleeps_after_s
    run(moench, image(0))
    now_s[0] += dmd_s + 1
    bench.blank_wakes = False
    run(moench, stim(1, n_on=7))
    assert not [shown for shown in bench.shown if shown.n_on]
    assert bench.diary.of("slm asleep")


def test_a_dmd_that_is_kept_awake_shows_every_mask(workshop: Workshop) -> None:
    now_s = [0.0]
    moench, bench = workshop.make(Moench, keep_awake_interval_s=3600)
    wait_for_pulses(bench, 0)
    bench.clock, dmd_s = (lambda: now_s[0]), bench.sleeps_after_s
    bench.blank_wakes = False
    assert moench.wakeup_dmd is not None
    while not bench.diary.of("slm show 0"):
        time.sleep(0.005)
    for _ in range(5):
        moench.wakeup_dmd.pulse()
        now_s[0] += dmd_s - 1
    run(moench, stim(1, n_on=7))
    assert [shown.n_on for shown in bench.shown if shown.thread == MDA][1] == 7


@pytest.mark.parametrize("how", ["shutdown", "with", "dropped", "_teardown_hardware"])
def test_the_thread_is_gone_before_the_devices_are(
    workshop: Workshop, tmp_path: Path, how: str
) -> None:
    del tmp_path
    moench, bench = workshop.make(Moench, keep_awake_interval_s=0.001)
    awake, core = moench.wakeup_dmd, moench.mmc
    assert awake is not None
    wait_for_pulses(bench, 2)
    if how == "with":
        with moench:
            pass
    elif how == "dropped":
        workshop.forget()
        del moench
        gc.collect()
    else:
        getattr(moench, how)()
    assert not awake.running
    assert not [name for name in bench.threads_at_release if name == AWAKE]
    assert bench.threads_at_release
    assert bench.diary.of("slm show")[-1] == "slm show 0"
    assert set(DARK) < set(bench.diary.lines)
    releases = [f"release {name}" for name in RELEASED]
    assert bench.diary.lines[-len(releases) :] == releases
    assert tuple(core.getLoadedDevices()) == ("Core",)


def test_what_a_subclass_releases_comes_first(workshop: Workshop) -> None:
    class WithPort(Moench):
        """Owns something on top."""

        def _teardown_hardware(self) -> None:
            self.mmc.setProperty("LED", "Green_Level", 3)
            super()._teardown_hardware()

    moench, bench = workshop.make(WithPort, keep_awake_interval_s=0.01)
    first, second = moench.shutdown(), moench.shutdown()
    assert first is second
    assert first.ok
    assert bench.diary.lines.index("Green_Level 3") < bench.diary.lines.index(
        "release Camera"
    )


def test_the_keep_awake_can_be_stopped_and_started(workshop: Workshop) -> None:
    moench, bench = workshop.make(Moench, keep_awake_interval_s=0.001)
    awake = moench.wakeup_dmd
    assert awake is not None
    wait_for_pulses(bench, 2)
    awake.stop()
    awake.stop()
    seen = pulses(bench)
    assert not awake.running
    assert bench.shown[-1].n_on == 0
    time.sleep(0.02)
    assert pulses(bench) == seen
    awake.start()
    awake.start()
    wait_for_pulses(bench, 2)
    moench.shutdown()
    awake.start()
    assert not awake.running


def test_lit_and_blank_take_turns(workshop: Workshop) -> None:
    _, bench = workshop.make(Moench, keep_awake_interval_s=0.001)
    wait_for_pulses(bench, 6)
    shown = [s.n_on for s in bench.shown if s.thread == AWAKE]
    assert all({a, b} == {0, N_PIXELS} for a, b in pairwise(shown))


def _settings_of(moench: Moench) -> Mapping[str, object]:
    return moench.settings.model_dump()


def test_a_file_gives_the_settings(workshop: Workshop, tmp_path: Path) -> None:
    file = tmp_path / "rig.toml"
    file.write_text(
        'keep_awake_pulse = "blank"\nkeep_awake_interval_s = 7\nbinning = "2"\n'
        "roi = [10, 20, 300, 200]\n"
    )
    moench, bench = workshop.make(Moench, settings=file, keep_awake_interval_s=0.001)
    assert _settings_of(moench)["keep_awake_interval_s"] == 0.001
    assert moench.facts().image_shape == (200, 300)
    wait_for_pulses(bench, 3)
    assert {shown.n_on for shown in bench.shown} == {0}
