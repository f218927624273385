"""What is found before a run: quickly, in the dark, and leaving everything as it is."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.errors import HardwareError, RefusedError
from faro.experiment import Channel, RTMSequence, check
from faro.microscope import MMDemo
from faro.microscope.dmd import DMD
from faro.microscope.host import host
from faro.microscope.rig_check import shape_in_the_dark
from faro.microscope.simulated import SimulatedMicroscope
from faro.model import HardwareFacts
from faro.run import Controller, ImageProcessingPipeline
from faro.run.rehearsal import rehearse
from faro.storage import OmeZarrWriter
from faro.testing.canned import CannedMicroscope
from faro.testing.devices import DiaryMicroscope, Faults
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs

if TYPE_CHECKING:
    from pathlib import Path

    from faro.protocols import StimulationContext

LONGEST_S = 10.0
SLACK = 5
IMAGED = RTMSequence(
    channels=[Channel("DAPI", 5)], time_plan={"interval": 0.1, "loops": 2}
)


def test_ten_thousand_events_are_checked_within_ten_seconds(tmp_path: Path) -> None:
    sequence = RTMSequence(
        channels=[Channel("miRFP", 50), Channel("mScarlet3", 50)],
        stage_positions=[(x, y) for x in range(10) for y in range(10)],
        time_plan={"interval": 300, "loops": 100},
        stim_channels=[Channel("CyanStim", 100)],
        stim_frames=range(10, 100),
    )
    parts = ImageProcessingPipeline(stimulator=lambda _: True)
    with SimulatedMicroscope() as microscope:
        large = 10**13  # bytes free: no matter of this machine
        writer = OmeZarrWriter(tmp_path / "run", free_bytes=lambda _: large)
        controller = Controller(microscope, parts, writer=writer)
        start_s = time.perf_counter()
        problems = controller.validate_events(sequence)
        took_s = time.perf_counter() - start_s
    assert problems == []
    assert not (tmp_path / "run").exists()
    assert took_s < SLACK * LONGEST_S


def test_the_first_frame_is_taken_in_the_dark() -> None:
    with DiaryMicroscope() as scope:
        scope.mmc.setConfig("Channel", "Green")
        before = len(scope.diary.lines)
        assert scope.frame_shape() == (48, 64)
        done = scope.diary.lines[before:]
    snap = done.index("snap")
    dark = {"Cyan_Level 0", "slm show 0", "shutter closed", "Green_Level 0"}
    assert dark <= set(done[:snap])
    assert "shutter open" not in done


def test_the_first_frame_leaves_the_settings_as_they_are() -> None:
    with SimulatedMicroscope(image_shape=(64, 80)) as here:
        here.mmc.setExposure(123.0)
        assert here.frame_shape() == (64, 80)
        assert (here.mmc.getExposure(), here.mmc.getAutoShutter()) == (123.0, True)
        facts = here.facts()
    with host(SimulatedMicroscope, image_shape=(64, 80)) as there:
        assert there.frame_shape() == (64, 80)
        assert there.facts() == facts


def test_a_camera_in_live_mode_or_that_gives_nothing_is_a_problem() -> None:
    with MMDemo() as scope:
        scope.mmc.startContinuousSequenceAcquisition()
        (found,) = Controller(scope).validate_events(IMAGED)
        scope.mmc.stopSequenceAcquisition()
        assert str(found) == (
            "camera: 'Camera' is in live mode. Stop the live view before the run."
        )
        assert Controller(scope).validate_events(IMAGED) == []
    with DiaryMicroscope(faults=Faults({"snap": 1})) as broken:
        with pytest.raises(HardwareError, match="'Camera' gave no frame: "):
            broken.frame_shape()
        assert broken.frame_shape() == (48, 64)


def test_a_camera_that_waits_for_a_trigger_does_not_hold_up_the_check() -> None:
    free = threading.Event()

    class Triggered(MMDemo):
        def frame_shape(self) -> tuple[int, int] | None:
            core = self.mmc
            core.snapImage = free.wait  # type: ignore[assignment]  # a camera that hangs
            return shape_in_the_dark(core, self.go_dark, deadline_s=0.1)

    with Triggered() as scope:
        with pytest.raises(HardwareError, match=r"nothing came within 0\.1 s.*outside"):
            scope.frame_shape()
        free.set()


def test_during_a_run_the_check_leaves_the_camera_alone() -> None:
    with MMDemo() as scope:
        controller = Controller(scope)
        events = IMAGED.replace(time_plan={"interval": 0.2, "loops": 4})
        begun = threading.Event()
        controller.notices.acquiring.connect(lambda *_: begun.set())
        handle = controller.run_experiment(events, block=False)
        assert begun.wait(LONGEST_S)
        assert scope.frame_shape() is None
        assert controller.validate_events(IMAGED) == []
        assert handle.wait().completed


class Lying(CannedMicroscope):
    """Gives frames of another shape than it says."""

    def frame_shape(self) -> tuple[int, int] | None:
        return (32, 40)


class Blind(CannedMicroscope):
    """Has a camera that does not answer."""

    def frame_shape(self) -> tuple[int, int] | None:
        problem = "'Camera' gave no frame: it is asleep."
        raise HardwareError(problem, remedy="Wake it.")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Lying, r"camera: it gives frames of \(32, 40\) .* Set binning and then the R"),
        (Blind, "camera: 'Camera' gave no frame: it is asleep. Wake it"),
    ],
)
def test_what_the_first_frame_says_refuses_the_run(
    kind: type[CannedMicroscope], words: str
) -> None:
    microscope = kind(disc_frame, SHAPE)
    with pytest.raises(RefusedError, match=words):
        Controller(microscope).run_experiment(disc_sequence(2, 1, stim_frames=[]))
    assert microscope.seen == []


def test_a_preset_that_changes_the_binning_is_refused() -> None:
    sequence = RTMSequence(channels=[Channel("LowRes", 5, group="Camera")])
    with MMDemo() as microscope:
        problems = Controller(microscope).validate_events(sequence)
        assert [str(problem) for problem in problems] == [
            "channels/LowRes: the preset sets binning 4, the camera is at 1. Take the "
            "binning out of the preset, or set it before the run."
        ]
        microscope.mmc.setConfig("Camera", "LowRes")
        assert Controller(microscope).validate_events(sequence) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda core: core.setROI(0, 0, 256, 256), "roi 0, 0, 512, 512, it is 0, 0, 2"),
        (lambda core: core.setProperty("Camera", "Binning", 2), "binning 1, it is 2"),
        (lambda core: core.setConfig("Objective", "40X"), "objective Res10x, it is"),
    ],
    ids=["roi", "binning", "objective"],
)
def test_a_dmd_that_was_calibrated_otherwise_is_refused(
    change: Any, words: str
) -> None:
    class WithDmd(MMDemo):
        def facts(self) -> HardwareFacts:
            facts = super().facts()
            return HardwareFacts(**{**_fields(facts), "slm_shape": (512, 512)})

        def validate_hardware(self) -> tuple[()]:
            return ()

    lit = IMAGED.replace(stim_channels=[Channel("FITC", 5)], stim_frames=[1])
    with WithDmd() as microscope:
        shape, optics = microscope.facts().image_shape, microscope.facts().optics
        microscope.dmd = DMD((512, 512), np.eye(3), camera_shape=shape, optics=optics)
        controller = Controller(microscope, ImageProcessingPipeline(stimulator=top))
        assert controller.validate_events(lit) == []
        change(microscope.mmc)
        problems = controller.validate_events(lit)
    assert {problem.where for problem in problems} == {"dmd"}
    assert any(words in problem.what for problem in problems), list(map(str, problems))
    assert all("calibrate again" in problem.remedy for problem in problems)


def _fields(facts: HardwareFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in HardwareFacts.__slots__}


def top(context: StimulationContext) -> Any:
    """Return a mask (Y, X) of the upper half."""
    mask = np.zeros(context.shape, bool)
    mask[: len(mask) // 2] = True
    return mask


def test_places_out_of_reach_are_named_once_per_side() -> None:
    facts = HardwareFacts(image_shape=(8, 8), stage_limits_um={"x": (0, 100)})
    places = [(-5, 0), (50, 9e9), (101, 0), (102, 0), (100, 0)]
    sequence = IMAGED.replace(stage_positions=places)
    assert [str(problem) for problem in check(sequence, facts=facts)] == [
        "stage_positions/x: the stage does not reach p=0 at -5 um. It goes from 0 to "
        "100 um.",
        "stage_positions/x: the stage does not reach p=2 at 101 um, p=3 at 102 um. It "
        "goes from 0 to 100 um.",
    ]


class Counting:
    """Has a state that a run relies on."""

    def __init__(self) -> None:
        self.calls = 0

    def stimulate(self, context: StimulationContext) -> bool:
        """Count, and light everything."""
        assert context.cells is not None
        self.calls += 1
        return True


def test_the_rehearsal_leaves_the_state_of_a_component_as_it_is(
    microscope: CannedMicroscope,
) -> None:
    counting = Counting()
    parts = ImageProcessingPipeline(segment_discs, stimulator=counting)
    assert Controller(microscope, parts).validate_events(disc_sequence(3, 1)) == []
    assert counting.calls == 0


def test_what_only_fails_on_synthetic_cells_is_a_warning(
    microscope: CannedMicroscope,
) -> None:
    def picky(context: StimulationContext) -> bool:
        message = "no such cell"
        if context.stack.planned_s == 0.0 and context.stack.acquired_s == 0.0:
            raise ZeroDivisionError(message)
        return True

    parts = ImageProcessingPipeline(segment_discs, stimulator=picky)
    controller = Controller(microscope, parts)
    (found,) = controller.validate_events(disc_sequence(3, 1))
    assert (found.severity, found.where) == ("warning", "pipeline/stimulator")
    assert "failed on a synthetic image: ZeroDivisionError: no such cell" in found.what
    assert controller.run_experiment(disc_sequence(3, 1)).completed


def test_a_component_that_does_not_answer_is_named() -> None:
    free = threading.Event()

    def hangs(pixels: Any) -> Any:
        free.wait()
        return pixels > 0

    parts = ImageProcessingPipeline(hangs)
    facts = HardwareFacts(image_shape=(32, 32))
    (found,) = rehearse(parts, tuple(IMAGED), facts, deadline_s=0.1)
    free.set()
    assert "pipeline/segmenters/nuclei did not answer within 0.1 s" in found.what
