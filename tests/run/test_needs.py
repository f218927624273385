"""A stimulator is asked as soon as what it needs is there, in order per FOV."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.control import PID, SetPoint
from faro.errors import RefusedError
from faro.run import Controller, ImageProcessingPipeline, RunLimits
from faro.run.ahead import Ahead
from faro.stimulation import ControlledLight
from faro.testing.discs import disc_sequence, segment_discs

if TYPE_CHECKING:
    from faro.protocols import StimulationContext
    from faro.testing.canned import CannedMicroscope
    from faro.testing.memory import MemorySink


class Asked:
    """Lights the field and notes what it was given."""

    required_metadata = ()

    def __init__(self, *needs: str) -> None:
        self.needs = needs
        self.seen: list[StimulationContext] = []

    def stimulate(self, context: StimulationContext) -> bool:
        """Return True."""
        self.seen.append(context)
        return True


def wait_for_light(microscope: CannedMicroscope) -> None:
    """Return when light was fired; a loop that waits for this fires none."""
    never = threading.Event()
    for _ in range(1000):
        if microscope.fired:
            return
        never.wait(0.01)


def run(
    microscope: CannedMicroscope, sink: MemorySink, parts: dict[str, Any]
) -> Controller:
    limits = RunLimits(mask_deadline_s=5.0)
    pipeline = ImageProcessingPipeline(**parts)
    controller = Controller(microscope, pipeline, writer=sink, limits=limits)
    events = disc_sequence(2, 1, stim_frames=[1])
    controller.run_experiment(events)
    return controller


@pytest.mark.parametrize("needs", [(), ("image",)], ids=["nothing", "image"])
def test_light_that_needs_no_cells_does_not_wait_for_them(
    needs: tuple[str, ...], microscope: CannedMicroscope, sink: MemorySink
) -> None:
    stimulator = Asked(*needs)

    def segment(pixels: Any) -> Any:
        if pixels.any() and len(stimulator.seen) == 1:
            wait_for_light(microscope)
        return segment_discs(pixels)

    run(microscope, sink, {"segmenters": segment, "stimulator": stimulator})
    assert [fired.timestep for fired in microscope.fired] == [1]
    assert [context.cells for context in stimulator.seen] == [None]
    assert len(sink.tables) == 2, "the cells are found and stored all the same"


def test_light_that_needs_labels_does_not_wait_for_tracks(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    stimulator = Asked("labels")

    class Tracker:
        def update(self, timestep: int, cells: Any) -> Any:
            if timestep == 1:
                wait_for_light(microscope)
            return np.arange(1, len(cells) + 1)

        def state(self) -> dict[str, Any]:
            return {}

        def restore(self, state: Any) -> None:
            """Do nothing."""

    parts = {"tracker": Tracker(), "stimulator": stimulator}
    parts |= {"segmenters": segment_discs}
    run(microscope, sink, parts)
    assert [fired.timestep for fired in microscope.fired] == [1]
    (context,) = stimulator.seen
    assert context.cells is not None
    assert len(context.cells) == 3


def test_light_that_needs_no_cells_is_given_where_segmentation_fails(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    tried = []

    def broken(pixels: Any) -> Any:
        tried.append(1)
        if len(tried) > 1:  # the first is the warm-up
            message = "no cells today"
            raise ValueError(message)
        return segment_discs(pixels)

    run(microscope, sink, {"segmenters": broken, "stimulator": Asked()})
    assert [fired.timestep for fired in microscope.fired] == [1]


def test_memory_is_kept_from_frame_to_frame_of_a_fov(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    class Counts:
        def __init__(self) -> None:
            self.seen: list[tuple[int, int]] = []

        def stimulate(self, context: StimulationContext) -> bool:
            context.memory["n"] = context.memory.get("n", 0) + 1
            self.seen.append((context.fov, context.memory["n"]))
            return True

    counts = Counts()
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=counts)
    Controller(microscope, pipeline, writer=sink).run_experiment(
        disc_sequence(3, 2, stim_frames=range(3))
    )
    assert sorted(counts.seen) == [(fov, n) for fov in (0, 1) for n in (1, 2, 3)]


def test_stimulators_are_told_the_parents(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    stimulator = Asked("tracks")
    run(microscope, sink, {"segmenters": segment_discs, "stimulator": stimulator})
    (context,) = stimulator.seen
    assert context.cells is not None
    assert np.asarray(context.cells["parent_id"]).tolist() == [0, 0, 0]


def test_a_stimulator_that_needs_more_than_it_says_is_refused_before_the_run(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    class SaysTooLittle:
        needs = ("labels",)

        def stimulate(self, context: Any) -> Any:
            return context.cells.select(context.cells.track_id == 1)

    parts = {"segmenters": segment_discs, "stimulator": SaysTooLittle()}
    with pytest.raises(RefusedError, match="have no track ids yet"):
        run(microscope, sink, parts)


def test_a_feedback_loop_runs_over_its_feature(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def brightness(cells: Any, stack: Any) -> dict[str, Any]:
        return {"brightness": cells.mean(stack["mScarlet3"])}

    brightness.provides = ("brightness",)  # type: ignore[attr-defined]  # functions take attributes
    loop = ControlledLight(PID(kp=1e-3), "brightness", SetPoint(1300.0))
    pipeline = ImageProcessingPipeline(segment_discs, brightness, stimulator=loop)
    summary = Controller(microscope, pipeline, writer=sink).run_experiment(
        disc_sequence(3, 2, stim_frames=range(3))
    )
    assert (summary.n_stimulated, summary.n_errors) == (6, 0)
    mask = sink.labels["stim_mask", 0, 1]
    assert set(np.unique(mask).tolist()) == {0, 102}, "0.001 * (1300 - 900) of 255"
    doses = {line["note"]["mean_dose"] for line in sink.kinds("stim_decided")}
    assert doses == {0.4}


class Job:
    """A frame of FOV 0 with a number."""

    def __init__(self, number: int) -> None:
        self.number, self.moment = number, self
        self.fov = 0


def test_whoever_comes_first_decides_all_that_is_due_in_order() -> None:
    decided: list[int] = []
    ahead = Ahead(lambda job: decided.append(job.number))  # type: ignore[attr-defined]  # a stand-in
    for number in range(200):
        ahead.announce(Job(number))  # type: ignore[arg-type]  # a stand-in
    threads = [threading.Thread(target=ahead.settle, args=(0,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ahead.settle(0)
    assert decided == list(range(200))
