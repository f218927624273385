"""A component that does not return: its frame is given up, and nothing else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.analysis import StreamingTracker
from faro.errors import RefusedError
from faro.run import Controller, ImageProcessingPipeline, RunLimits
from faro.testing.discs import disc_frame, disc_sequence, segment_discs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.testing.canned import CannedMicroscope
    from faro.testing.memory import MemorySink

GATE: threading.Event
STAGES = ("segment", "track", "features", "stimulate")


@pytest.fixture(autouse=True)
def gate() -> Iterator[threading.Event]:
    """Everything that hangs waits for this; opened at the end of a test."""
    global GATE  # noqa: PLW0603  a tracker is copied with what it holds
    GATE = threading.Event()
    yield GATE
    GATE.set()


def hang(fov: int, timestep: int) -> None:
    if (fov, timestep) == (0, 2):
        GATE.wait(60.0)


class HangingTracker(StreamingTracker):
    """Hangs in its third frame, with its state changed already."""

    def update(self, timestep: int, cells: Any) -> Any:
        ids = super().update(timestep, cells)
        hang(0, timestep)
        return ids


def parts_that_hang(stage: str) -> ImageProcessingPipeline:
    bad_frame = disc_frame(0, 2, "miRFP")

    def segment(pixels: Any) -> Any:
        if stage == "segment" and np.array_equal(pixels, bad_frame):
            GATE.wait(60.0)
        return segment_discs(pixels)

    def features(cells: Any, stack: Any) -> dict[str, Any]:
        if stage == "features":
            hang(stack.fov, stack.timestep)
        return {"size": cells.area}

    def stimulate(context: Any) -> Any:
        if stage == "stimulate":
            hang(context.fov, context.timestep)
        return context.cells.select(context.cells.track_id == 1)

    tracker = HangingTracker() if stage == "track" else StreamingTracker()
    return ImageProcessingPipeline(segment, features, tracker, stimulate)


@pytest.mark.parametrize("stage", STAGES)
def test_a_component_that_never_returns_costs_its_frame_only(
    stage: str, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    limits = RunLimits(step_deadline_s=0.3, mask_deadline_s=5.0)
    controller = Controller(
        microscope, parts_that_hang(stage), writer=sink, limits=limits
    )
    summary = controller.run_experiment(disc_sequence(5, 1))
    assert summary.completed
    (error,) = controller.background_errors
    assert error.exc_type == "TimeoutError"
    assert error.stage.startswith(stage)
    assert (error.fov, error.timestep) == (0, 2)
    assert [s.timestep for s, _ in sink.stacks if s.role == "image"] == [0, 1, 2, 3, 4]
    assert sorted({t for _, t, _ in sink.tables}) == [0, 1, 3, 4]
    fired = [f.timestep for f in microscope.fired]
    assert fired == ([1, 2, 3, 4] if stage == "features" else [1, 3, 4])
    ids = {t: set(table.columns["track_id"]) for _, t, table in sink.tables}
    assert ids[3] == ids[1], "the tracker goes on from the frame before"


@pytest.mark.parametrize("stage", ["segment", "stimulate"])
def test_what_comes_back_late_is_neither_fired_nor_stored(
    stage: str, microscope: CannedMicroscope, sink: MemorySink, gate: threading.Event
) -> None:
    limits = RunLimits(step_deadline_s=0.2, mask_deadline_s=5.0)
    controller = Controller(
        microscope, parts_that_hang(stage), writer=sink, limits=limits
    )
    controller.notices.acquiring.connect(lambda t, _: gate.set() if t == 4 else None)
    controller.run_experiment(disc_sequence(6, 1))
    assert [f.timestep for f in microscope.fired] == [1, 3, 4, 5]
    assert 2 not in {t for _, t, _ in sink.tables}
    (decided,) = (d for d in sink.kinds("stim_decided") if d["timestep"] == 2)
    assert decided["reason"].startswith(f"failed: {stage}")


def test_other_fovs_go_on_while_one_hangs(
    microscope: CannedMicroscope, sink: MemorySink, gate: threading.Event
) -> None:
    limits = RunLimits(
        step_deadline_s=60.0, mask_deadline_s=0.05, n_workers=3, max_in_flight=8
    )
    controller = Controller(
        microscope, parts_that_hang("stimulate"), writer=sink, limits=limits
    )
    controller.notices.acquiring.connect(lambda t, _: gate.set() if t == 29 else None)
    summary = controller.run_experiment(disc_sequence(30, 2))
    assert summary.completed
    assert [f.timestep for f in microscope.fired if f.fov == 1] == list(range(1, 30))
    assert len([t for fov, t, _ in sink.tables if fov == 1]) == 30
    skipped = sink.kinds("analysis_skipped")
    analysed = [t for fov, t, _ in sink.tables if fov == 0]
    assert {s["fov"] for s in skipped} <= {0}
    assert len(analysed) + len(skipped) == 30, "nothing is lost without a record"


def test_a_tracker_that_cannot_be_saved_is_refused() -> None:
    class Forgetful:
        def update(self, _timestep: int, cells: Any) -> Any:
            return cells.label

    with pytest.raises(RefusedError, match=r"no method state\(\)"):
        ImageProcessingPipeline(segment_discs, tracker=Forgetful())  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("kind", ["raises", "hangs"])
def test_failures_in_a_row_end_the_run_where_that_was_asked_for(
    kind: str, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def stimulate(context: Any) -> Any:
        if context.timestep in {1, 3, 4, 5}:
            if kind == "raises":
                raise ZeroDivisionError
            GATE.wait(60.0)
        return True

    pipeline = ImageProcessingPipeline(segment_discs, stimulator=stimulate)
    limits = RunLimits(max_failures_in_a_row=3, step_deadline_s=0.1)
    controller = Controller(microscope, pipeline, writer=sink, limits=limits)
    summary = controller.run_experiment(disc_sequence(60, 1))
    assert summary.reason == "3 frames in a row failed, the last at stimulate"
    assert summary.n_stacks < 60
    assert "3 frames in a row failed, the last at stimulate" in microscope.dark
