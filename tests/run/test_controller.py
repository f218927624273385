"""The loop closed over a canned microscope: order, masks, failures, refusals."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.errors import RefusedError, RunStateError
from faro.experiment import PowerChannel
from faro.run import Controller, ImageProcessingPipeline, RunLimits, RunState
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from faro.microscope.dmd import DMD
    from faro.protocols import StimulationContext


def light_first_cell(context: StimulationContext) -> Any:
    """Return the mask (Y, X) of the first cell."""
    assert context.cells is not None
    return context.cells.select(context.cells.label == context.cells.label[0])


def pipeline(**changes: Any) -> ImageProcessingPipeline:
    settings: dict[str, Any] = {
        "segmenters": segment_discs,
        "stimulator": light_first_cell,
    }
    return ImageProcessingPipeline(**(settings | changes))


def test_the_loop_closes_and_what_fired_is_what_is_stored(
    microscope: CannedMicroscope, sink: MemorySink, dmd: DMD
) -> None:
    controller = Controller(microscope, pipeline(), writer=sink)
    summary = controller.run_experiment(disc_sequence())
    assert summary.completed
    assert (summary.n_stacks, summary.n_cells) == (8, 24)
    assert (summary.n_stimulated, summary.n_skipped, summary.n_errors) == (6, 0, 0)
    assert len(microscope.fired) == 6
    for fired in microscope.fired:
        mask = sink.labels["stim_mask", fired.fov, fired.timestep].astype(np.uint8)
        np.testing.assert_array_equal(fired.pattern, dmd.warp(mask))
        cell = segment_discs(disc_frame(fired.fov, fired.timestep, "miRFP"))
        assert mask[cell].any()
        assert not mask[~cell].any()
        assert fired.power == 10
    assert len(sink.tables) == 8
    assert microscope.dark
    assert controller.state is RunState.IDLE


def test_each_event_is_taken_once_and_in_order(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    Controller(microscope, pipeline(), writer=sink).run_experiment(disc_sequence(2, 2))
    image = [("image", "miRFP"), ("image", "mScarlet3")]
    stim = [("stim", "CyanStim")]
    expected = [
        (fov, t, *what)
        for t in range(2)
        for fov in range(2)
        for what in image + (stim if t else [])
    ]
    assert microscope.seen == expected


def test_previous_mode_fires_the_mask_of_the_frame_before(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = Controller(microscope, pipeline(), writer=sink)
    events = disc_sequence(stim_frames=range(4))
    summary = controller.run_experiment(events, stim_mode="previous")
    assert summary.n_stimulated == 6
    sources = {(s["timestep"], s["from_timestep"]) for s in sink.kinds("stim_armed")}
    assert sources == {(1, 0), (2, 1), (3, 2)}


def test_what_fires_is_recorded_before_and_confirmed_after(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    Controller(microscope, pipeline(), writer=sink).run_experiment(disc_sequence(3, 1))
    light = [
        (line["kind"], line["timestep"])
        for line in sink.lines
        if line["kind"] in {"stim_armed", "stim_confirmed"}
    ]
    kinds = ["stim_armed", "stim_confirmed"]
    assert light == [(kind, t) for t in (1, 2) for kind in kinds]
    assert {d["reason"] for d in sink.kinds("stim_decided")} == {"ok"}
    armed = sink.kinds("stim_armed")[0]
    assert (armed["power"], armed["exposure_ms"]) == (10, 100)
    assert len(armed["mask_sha256"]) == 64


@pytest.mark.parametrize("stage", ["segment", "features", "stimulate"])
def test_a_component_that_raises_costs_its_frame_only(
    stage: str, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def broken_at_two(context_or_stack: Any) -> None:
        if context_or_stack.timestep == 2:
            message = "rubbish at two"
            raise ZeroDivisionError(message)

    def bad_segment(pixels: Any) -> Any:
        if pixels[13, 16] > 500 and pixels[12, 16] < 500:
            message = "rubbish at two"
            raise ZeroDivisionError(message)
        return segment_discs(pixels)

    def bad_features(cells: Any, stack: Any) -> dict[str, Any]:
        broken_at_two(stack)
        return {"size": cells.area}

    def bad_stimulate(context: Any) -> Any:
        broken_at_two(context)
        return light_first_cell(context)

    broken: dict[str, dict[str, Any]] = {
        "segment": {"segmenters": bad_segment},
        "features": {"features": bad_features},
        "stimulate": {"stimulator": bad_stimulate},
    }
    controller = Controller(microscope, pipeline(**broken[stage]), writer=sink)
    summary = controller.run_experiment(disc_sequence(4, 1))
    assert summary.completed
    assert len(sink.stacks) == 4 + summary.n_stimulated
    assert len(controller.background_errors) == 1
    error = controller.background_errors[0]
    assert (error.fov, error.timestep) == (0, 2)
    assert error.stage.startswith(stage)
    assert "rubbish at two" in error.traceback
    assert sink.kinds("error")[0]["message"] == "rubbish at two"
    fired = [f.timestep for f in microscope.fired]
    if stage == "features":
        assert fired == [1, 2, 3]
    else:
        assert fired == [1, 3]
        assert "failed" in sink.kinds("stim_skipped")[0]["reason"]


def test_features_that_the_stimulator_needs_are_ready_and_their_failure_is_dark(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    class Brightness:
        provides = ("brightness",)

        def features(self, cells: Any, stack: Any) -> dict[str, Any]:
            if stack.timestep == 2:
                message = "no brightness"
                raise ValueError(message)
            return {"brightness": cells.mean(stack["mScarlet3"])}

    class NeedsBrightness:
        needs = ("brightness",)

        def stimulate(self, context: Any) -> Any:
            return context.cells.select(context.cells["brightness"] > 500)

    parts = pipeline(features=Brightness(), stimulator=NeedsBrightness())
    Controller(microscope, parts, writer=sink).run_experiment(disc_sequence(4, 1))
    assert [f.timestep for f in microscope.fired] == [1, 3]
    assert "brightness" in sink.tables[0][2].names


def test_a_mask_that_is_late_does_not_fire(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    gate = threading.Event()

    def slow(context: Any) -> Any:
        if context.timestep == 1:
            gate.wait(30.0)
        return light_first_cell(context)

    limits = RunLimits(mask_deadline_s=0.2)
    controller = Controller(
        microscope, pipeline(stimulator=slow), writer=sink, limits=limits
    )
    controller.notices.acquiring.connect(lambda t, _: gate.set() if t == 2 else None)
    controller.run_experiment(disc_sequence(4, 1))
    assert 1 not in [f.timestep for f in microscope.fired]
    skipped = sink.kinds("stim_skipped")[0]
    assert skipped["timestep"] == 1
    assert "no mask within 0.2 s" in skipped["reason"]


@pytest.mark.parametrize("answer", [None, False, np.zeros(SHAPE, bool)])
def test_no_light_where_the_stimulator_wants_none(
    answer: Any, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    parts = pipeline(stimulator=lambda _: answer)
    Controller(microscope, parts, writer=sink).run_experiment(disc_sequence(3, 1))
    assert microscope.fired == []
    assert {s["reason"] for s in sink.kinds("stim_skipped")} == {"nothing to light"}


@pytest.mark.parametrize(
    "answer", [np.ones((3, 3), bool), np.ones(SHAPE, np.float64), "light"]
)
def test_rubbish_from_a_stimulator_gives_no_light(
    answer: Any, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    parts = pipeline(stimulator=lambda c: answer if c.timestep else None)
    controller = Controller(microscope, parts, writer=sink)
    controller.run_experiment(disc_sequence(2, 1))
    assert microscope.fired == []
    assert controller.background_errors[0].exc_type == "ContractError"


def test_rubbish_from_a_stimulator_is_found_before_the_run(
    microscope: CannedMicroscope,
) -> None:
    parts = pipeline(stimulator=lambda _: np.ones((3, 3), bool))
    with pytest.raises(RefusedError, match=r"mask has shape \(3, 3\), the image \(64"):
        Controller(microscope, parts).run_experiment(disc_sequence(2, 1))
    assert microscope.seen == []


def test_true_lights_the_whole_field(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    parts = pipeline(stimulator=lambda _: True)
    Controller(microscope, parts, writer=sink).run_experiment(disc_sequence(2, 1))
    (fired,) = microscope.fired
    assert fired.pattern is not None
    assert fired.pattern.all()


def test_a_missing_frame_is_recorded_and_shifts_nothing(
    dmd: DMD, sink: MemorySink
) -> None:
    def fails(event: Any) -> bool:
        facts = event.metadata["faro"]
        return bool(facts["timestep"] == 1 and facts["channel"] == "miRFP")

    microscope = CannedMicroscope(disc_frame, SHAPE, dmd=dmd, fail=fails)
    controller = Controller(microscope, pipeline(), writer=sink)
    summary = controller.run_experiment(disc_sequence(3, 1))
    assert summary.completed
    stored = [s.timestep for s, _ in sink.stacks if s.role == "image"]
    assert stored == [0, 2]
    for stack, _ in sink.stacks:
        if stack.role == "image":
            truth = disc_frame(0, stack.timestep, "miRFP")
            np.testing.assert_array_equal(stack["miRFP"], truth)
    assert [m["timestep"] for m in sink.kinds("frame_missing")] == [1]
    assert [f.timestep for f in microscope.fired] == [2]


def test_all_problems_are_reported_together_before_any_light(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def wrong(pixels: Any) -> Any:
        return np.zeros((3, 3), int) + pixels[0, 0]

    controller = Controller(microscope, pipeline(segmenters=wrong), writer=sink)
    events = disc_sequence(
        channels=[{"config": "mirfp", "exposure": 1e9}],
        stim_channels=[PowerChannel("CyanStim", exposure=100, power=1000)],
    )
    with pytest.raises(RefusedError) as refused:
        controller.run_experiment(events)
    text = str(refused.value)
    for part in ("mirfp", "miRFP", "1e+09", "1000", "(3, 3)"):
        assert part in text
    assert microscope.seen == []
    assert sink.lines == []
    assert controller.validate_events(events)
    assert controller.state is RunState.IDLE


def test_stimulation_without_a_stimulator_is_refused(
    microscope: CannedMicroscope,
) -> None:
    controller = Controller(microscope, pipeline(stimulator=None))
    with pytest.raises(RefusedError, match="nothing decides where"):
        controller.run_experiment(disc_sequence())


def test_stop_run_ends_a_run_that_waits_for_its_next_timepoint(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = Controller(microscope, pipeline(), writer=sink)
    stopped = threading.Event()

    def stop(timestep: int, wait_s: float) -> None:
        if timestep == 1 and wait_s > 1 and not stopped.is_set():
            stopped.set()
            controller.stop_run()

    controller.notices.waiting.connect(stop)
    long = disc_sequence(3, 1, time_plan={"interval": 3600.0, "loops": 3})
    summary = controller.run_experiment(long)
    assert summary.reason == "stopped by the user"
    assert len(sink.stacks) == 1
    assert sink.closed is not None
    assert microscope.dark


def test_stop_run_ends_a_run_whose_camera_waits_for_a_component_that_hangs(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    gate = threading.Event()

    def hangs(pixels: Any) -> Any:
        if threading.current_thread().name.startswith("faro-worker"):
            gate.wait(60.0)
        return segment_discs(pixels)

    limits = RunLimits(max_in_flight=1, drain_deadline_s=0.2)
    controller = Controller(
        microscope, pipeline(segmenters=hangs), writer=sink, limits=limits
    )

    def stop(timestep: int, _fov: int) -> None:
        if timestep == 1:
            controller.stop_run()

    controller.notices.acquiring.connect(stop)
    summary = controller.run_experiment(disc_sequence(50, 1, stim_frames=[40]))
    gate.set()
    assert summary.reason == "stopped by the user"
    assert "were not analysed" in controller.background_errors[-1].message
    assert sink.closed is not None


def test_stop_without_a_run_is_a_typed_error(microscope: CannedMicroscope) -> None:
    with pytest.raises(RunStateError, match="no run to stop"):
        Controller(microscope).stop_run()


def test_a_second_run_starts_clean(microscope: CannedMicroscope, tmp_path: Any) -> None:
    controller = Controller(microscope, pipeline(), writer=MemorySink(tmp_path))
    first = controller.run_experiment(disc_sequence(2, 1))
    second = controller.run_experiment(disc_sequence(2, 1))
    assert (first.n_stacks, second.n_stacks) == (2, 2)


def test_the_microscope_that_dies_ends_the_run_with_its_reason(
    dmd: DMD, sink: MemorySink
) -> None:
    def dies(fov: int, timestep: int, channel: str) -> Any:
        if timestep == 2:
            message = "camera unplugged"
            raise OSError(message)
        return disc_frame(fov, timestep, channel)

    microscope = CannedMicroscope(dies, SHAPE, dmd=dmd)
    controller = Controller(microscope, pipeline(), writer=sink)
    summary = controller.run_experiment(disc_sequence(4, 1))
    assert "camera unplugged" in summary.reason
    assert len([1 for s, _ in sink.stacks if s.role == "image"]) == 2
    assert microscope.dark


def test_storage_that_fails_stops_the_run_and_says_so(
    microscope: CannedMicroscope, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class FullDisk(MemorySink):
        def store_stack(self, stack: Any, times: Any) -> None:
            if stack.timestep == 1:
                raise OSError(28, "No space left on device")
            super().store_stack(stack, times)

    controller = Controller(microscope, pipeline(), writer=FullDisk(tmp_path))
    events = disc_sequence(50, 1, time_plan={"interval": 0.2, "loops": 50})
    summary = controller.run_experiment(events)
    assert "No space left" in summary.reason
    assert summary.n_stacks < 50
    assert "No space left" in caplog.text


def test_a_run_without_a_pipeline_records(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = Controller(microscope, writer=sink)
    events = disc_sequence(2, 2, stim_channels=[], stim_frames=[])
    assert controller.run_experiment(events).n_stacks == 4
    assert len(sink.stacks) == 4
