"""Runs that go on in the background, grow, stay open, and are closed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from faro.errors import RefusedError, RunStateError
from faro.run import Controller, ImageProcessingPipeline, RunHandle, RunState
from faro.run.growing import GrowingPlan
from faro.testing.discs import disc_sequence, segment_discs

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.testing.canned import CannedMicroscope
    from faro.testing.memory import MemorySink


def controller_of(microscope: CannedMicroscope, sink: MemorySink) -> Controller:
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=lambda _: True)
    return Controller(microscope, pipeline, writer=sink)


def places(sink: MemorySink) -> list[tuple[int, int]]:
    """Return (timestep, fov) of the imaging stacks, sorted: two threads write."""
    return sorted((s.timestep, s.fov) for s, _ in sink.stacks if s.role == "image")


def hold_at(controller: Controller, timestep: int) -> threading.Event:
    """Let the camera wait at a timepoint until the event returned is set."""
    gate = threading.Event()

    def hold(context: Any) -> Any:
        if context.timestep == timestep:
            gate.wait(30.0)
        return True

    pipeline = ImageProcessingPipeline(segment_discs, stimulator=hold)
    controller._pipeline = pipeline
    return gate


def test_a_run_that_does_not_block_tells_how_far_it_is_and_ends(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = controller_of(microscope, sink)
    gate = hold_at(controller, 2)
    reached = threading.Event()
    controller.notices.acquiring.connect(lambda t, _: reached.set() if t == 2 else None)
    handle = controller.run_experiment(disc_sequence(4, 1), block=False)
    assert isinstance(handle, RunHandle)
    assert reached.wait(30.0)
    assert (handle.state, handle.done) == (RunState.RUNNING, False)
    assert (handle.progress.n_done, handle.progress.n_total) == (3, 4)
    with pytest.raises(TimeoutError, match=r"not over after 0\.01 s; it is running"):
        handle.wait(0.01)
    gate.set()
    assert handle.wait(30.0).completed
    assert handle.wait().n_stacks == 4
    assert handle.progress.n_done == 4
    assert controller.state is RunState.IDLE


def test_a_run_that_does_not_block_is_refused_at_once(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = controller_of(microscope, sink)
    with pytest.raises(RefusedError, match="mirfp"):
        controller.run_experiment(disc_sequence(channels=["mirfp"]), block=False)
    assert controller.state is RunState.IDLE
    assert sink.lines == []


def test_the_handle_stops_the_run(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = controller_of(microscope, sink)
    events = disc_sequence(4, 1, time_plan={"interval": 60, "loops": 4})
    handle = controller.run_experiment(events, block=False)
    handle.stop()
    summary = handle.wait(30.0)
    assert summary.reason == "stopped by the user"
    assert "stopped by the user" in microscope.dark
    with pytest.raises(RunStateError, match="no run to stop; the controller is idle"):
        handle.stop()


def test_what_fails_in_the_background_is_raised_where_it_is_waited_for(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    def broken(_events: Any) -> Any:
        message = "no camera"
        raise ZeroDivisionError(message)

    microscope.run_mda = broken  # type: ignore[method-assign]  # a microscope that breaks
    controller = controller_of(microscope, sink)
    handle = controller.run_experiment(disc_sequence(2, 1), block=False)
    with pytest.raises(ZeroDivisionError, match="no camera"):
        handle.wait(30.0)
    assert controller.state is RunState.IDLE


@pytest.mark.parametrize("mode", ["current", "previous"])
def test_a_run_is_extended_while_it_runs(
    mode: str, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = controller_of(microscope, sink)
    extended: list[tuple[int, int]] = []
    controller.notices.extended.connect(lambda *told: extended.append(told))
    gate = hold_at(controller, 1)
    events = disc_sequence(3, 2, stim_frames=range(3))
    handle = controller.run_experiment(events, block=False, stim_mode=mode)
    controller.extend_experiment(disc_sequence(2, 2, stim_frames=range(2)))
    gate.set()
    summary = handle.wait(30.0)
    assert summary.completed
    assert places(sink) == [(t, p) for t in range(5) for p in range(2)]
    first = 0 if mode == "current" else 1
    lit = sorted({(f.timestep, f.fov) for f in microscope.fired})
    assert lit == [(t, p) for t in range(first, 5) for p in range(2)]
    assert sink.needs is not None
    assert sink.needs.n_timepoints == 5
    (written,) = sink.kinds("experiment_extended")
    assert [e["index"]["t"] for e in written["events"]] == [3, 3, 4, 4]
    assert extended == [(10, 5)]


def test_a_bad_extension_leaves_the_run_as_it_is(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = controller_of(microscope, sink)
    gate = hold_at(controller, 1)
    handle = controller.run_experiment(disc_sequence(3, 1), block=False)
    long = [{"config": name, "exposure": 1e9} for name in ("miRFP", "mScarlet3")]
    for bad, said in ((long, "1e[+]09"), (["miRPF"], "miRFP")):
        with pytest.raises(RefusedError, match=said):
            controller.extend_experiment(disc_sequence(1, 1, channels=bad))
    gate.set()
    assert handle.wait(30.0).completed
    assert places(sink) == [(t, 0) for t in range(3)]


def test_a_run_left_open_is_continued_and_finished(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = controller_of(microscope, sink)
    first = controller.run_experiment(disc_sequence(2, 1), finish=False)
    assert (first.reason, first.n_stacks) == ("completed", 2)
    assert str(controller.state) == "open"
    assert sink.kinds("run_finished") == []
    assert len(microscope.dark) > 0
    second = controller.continue_experiment(disc_sequence(2, 1))
    assert second.n_stacks == 4
    last = controller.finish_experiment()
    assert (last.reason, last.n_stacks) == ("completed", 4)
    assert controller.finish_experiment() == last
    assert str(controller.state) == "idle"
    assert sink.closed is not None
    assert places(sink) == [(t, 0) for t in range(4)]
    assert len(sink.kinds("run_started")) == len(sink.kinds("run_finished")) == 1
    ids = [set(table.columns["track_id"].tolist()) for _, _, table in sink.tables]
    assert ids == [{1, 2, 3}] * 4, "the tracks go on"
    assert sink.kinds("continued")[0]["shift_s"] >= 0


def test_what_follows_starts_when_it_is_due_on_the_same_clock(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = controller_of(microscope, sink)
    events = disc_sequence(2, 1, time_plan={"interval": 0.2, "loops": 2})
    controller.run_experiment(events, finish=False)
    controller.continue_experiment(events, finish=True)
    starts_s = sorted(s.acquired_s for s, _ in sink.stacks if s.role == "image")
    due_s = [0.0, 0.2, 0.4, 0.6]
    assert all(start >= due for start, due in zip(starts_s, due_s, strict=True))


def test_a_run_that_was_stopped_is_closed_though_it_was_to_stay_open(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = controller_of(microscope, sink)
    events = disc_sequence(4, 1, time_plan={"interval": 60, "loops": 4})
    handle = controller.run_experiment(events, block=False, finish=False)
    controller.stop_run()
    assert handle.wait(30.0).reason == "stopped by the user"
    assert controller.state is RunState.IDLE
    assert sink.closed is not None


VERBS: dict[str, Callable[[Controller], object]] = {
    "stop": Controller.stop_run,
    "extend": lambda c: c.extend_experiment(disc_sequence(1, 1)),
    "continue": lambda c: c.continue_experiment(disc_sequence(1, 1)),
    "finish": Controller.finish_experiment,
    "pause": Controller.pause,
    "resume": Controller.resume,
    "run": lambda c: c.run_experiment(disc_sequence(1, 1)),
}


@pytest.mark.parametrize("verb", [v for v in VERBS if v != "run"])
def test_without_a_run_a_verb_is_a_typed_error(
    verb: str, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    with pytest.raises(RunStateError, match="the controller is idle"):
        VERBS[verb](controller_of(microscope, sink))


@pytest.mark.parametrize("verb", ["stop", "extend", "pause", "resume", "run"])
def test_between_phases_only_continue_and_finish_are_legal(
    verb: str, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = controller_of(microscope, sink)
    controller.run_experiment(disc_sequence(1, 1), finish=False)
    with pytest.raises(RunStateError, match="open"):
        VERBS[verb](controller)
    assert controller.finish_experiment().completed


@pytest.mark.parametrize("verb", ["continue", "finish", "run"])
def test_while_a_run_is_under_way_these_are_illegal(
    verb: str, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    controller = controller_of(microscope, sink)
    gate = hold_at(controller, 1)
    handle = controller.run_experiment(disc_sequence(3, 1), block=False)
    with pytest.raises(RunStateError, match="running"):
        VERBS[verb](controller)
    gate.set()
    assert handle.wait(30.0).n_stacks == 3


def test_an_extension_that_comes_too_late_is_refused() -> None:
    plan = GrowingPlan(disc_sequence(1, 1), "current")
    joined = plan.followed_by(disc_sequence(1, 1))
    assert len(list(plan)) == 2
    with pytest.raises(RunStateError, match="come to the end of its plan"):
        plan.grow(joined)
    plan.grow(joined, reopen=True)
    assert [(e.timestep, e.channel.config) for e in plan] == [
        (1, "miRFP"),
        (1, "mScarlet3"),
    ]
