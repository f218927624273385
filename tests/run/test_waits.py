"""A run waits for a time of day and for people: dark, on record, and to be ended."""

from __future__ import annotations

import itertools
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.errors import RunStateError
from faro.experiment import RTMEvent, RTMSequence, plan, wait_before
from faro.microscope.host import host
from faro.microscope.simulated import SimulatedMicroscope
from faro.run import Controller, RunState
from faro.run.clock import RunClock
from faro.run.gate import CLOCK_POLICY, ClockPolicy, Gate, shift_by
from faro.run.notices import Notices
from faro.run.recorder import Recorder
from faro.run.state import StateMachine
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame
from faro.testing.posix import press_ctrl_c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faro.testing.memory import MemorySink

SOON_S = 0.3
NEVER_S = 20.0
DAY_NS = 86_400 * 10**9
SECONDS = st.floats(0, 1e6, allow_nan=False)
SEQUENCE = RTMSequence(channels=["miRFP"], time_plan={"interval": 0.05, "loops": 4})


@pytest.fixture
def controller(microscope: CannedMicroscope, sink: MemorySink) -> Controller:
    return Controller(microscope, writer=sink)


@contextmanager
def meanwhile(controller: Controller, act: Callable[[], object]) -> Iterator[None]:
    """Have ``act`` called once the run is paused."""
    paused = threading.Event()
    controller.notices.paused.connect(lambda _: paused.set())

    def when_paused() -> None:
        assert paused.wait(NEVER_S)
        act()

    thread = threading.Thread(target=when_paused)
    thread.start()
    yield
    thread.join(NEVER_S)
    assert not thread.is_alive()


def test_a_pause_waits_dark_for_a_person_and_says_so(
    controller: Controller, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    seen: list[object] = []

    def look() -> None:
        seen.extend([controller.state, controller.doing, list(microscope.dark)])
        seen.append(len(microscope.seen))
        controller.resume()

    events = wait_before(SEQUENCE, 2, pause_before="Add the drug.")
    with meanwhile(controller, look):
        summary = controller.run_experiment(events)
    doing = "paused: Add the drug."
    assert seen == [RunState.PAUSED, doing, [doing], 2]
    assert summary.completed
    assert (controller.state, controller.doing) == (RunState.IDLE, "")
    (paused,), (resumed,) = sink.kinds("paused"), sink.kinds("resumed")
    assert (paused["timestep"], paused["reason"]) == (2, "Add the drug.")
    assert resumed["clock"] == sink.description["clock_policy"] == CLOCK_POLICY


def test_what_a_pause_takes_moves_all_later_starts(
    controller: Controller, sink: MemorySink
) -> None:
    def dawdle() -> None:
        threading.Event().wait(SOON_S)
        controller.resume()

    with meanwhile(controller, dawdle):
        controller.run_experiment(wait_before(SEQUENCE, 2, pause_before="Look."))
    (resumed,) = sink.kinds("resumed")
    shift_s = resumed["shift_s"]
    assert SOON_S - 0.1 < shift_s < NEVER_S
    planned_s = [stack.planned_s for stack, _ in sink.stacks]
    assert planned_s == pytest.approx([0, 0.05, 0.1 + shift_s, 0.15 + shift_s])
    for (stack, times), line in zip(sink.stacks, sink.kinds("timepoint"), strict=True):
        assert times["started_s"] >= stack.planned_s
        assert line["planned_s"] == stack.planned_s
    assert [line["shift_s"] for line in sink.kinds("timepoint")] == [
        0,
        0,
        shift_s,
        shift_s,
    ]


def test_where_the_clock_restarts_what_was_late_is_on_time(sink: MemorySink) -> None:
    """The first position takes longer than planned; the intervals of the next stay."""

    def slow_at_first(fov: int, timestep: int, channel: str) -> Any:
        threading.Event().wait(SOON_S if (fov, timestep) == (0, 3) else 0)
        return disc_frame(fov, timestep, channel)

    controller = Controller(CannedMicroscope(slow_at_first, SHAPE), writer=sink)
    sequence = SEQUENCE.replace(stage_positions=[(0, 0), (9, 9)], axis_order="ptcz")
    assert controller.run_experiment(sequence).completed
    (restarted,) = sink.kinds("clock_restarted")
    shift_s = restarted["shift_s"]
    assert (restarted["timestep"], restarted["fov"]) == (0, 1)
    assert SOON_S - 0.1 < shift_s == restarted["late_s"]
    planned_s = [stack.planned_s for stack, _ in sink.stacks]
    own_s = [0, 0.05, 0.1, 0.15]
    next_s = [0.2 + shift_s + s for s in own_s]
    assert planned_s == pytest.approx([*own_s, *next_s])


@given(SECONDS, SECONDS, SECONDS)
def test_a_wait_never_makes_a_run_earlier_or_later_than_it_was(
    due_s: float, begun_s: float, waited_s: float
) -> None:
    ended_s = begun_s + waited_s
    shift_s = shift_by(due_s, begun_s, ended_s)
    late_before_s, late_after_s = begun_s - due_s, ended_s - due_s - shift_s
    assert shift_s >= 0
    assert late_after_s <= max(0.0, late_before_s) + 1e-6
    if ended_s <= due_s:
        assert shift_s == 0
    if late_before_s >= 0:
        assert late_after_s == pytest.approx(late_before_s, abs=1e-6)


def test_a_run_can_be_paused_by_hand(
    controller: Controller, microscope: CannedMicroscope, sink: MemorySink
) -> None:
    begun = threading.Event()
    controller.notices.acquiring.connect(lambda *_: begun.set())

    def pause() -> None:
        assert begun.wait(NEVER_S)
        controller.pause("Change the medium.")

    pauser = threading.Thread(target=pause)
    pauser.start()
    slow = SEQUENCE.replace(time_plan={"interval": 0.5, "loops": 3})
    with meanwhile(controller, controller.resume):
        assert controller.run_experiment(slow).completed
    pauser.join()
    assert [line["reason"] for line in sink.kinds("paused")] == ["Change the medium."]
    assert len(microscope.seen) == 3


def test_a_pause_that_was_asked_for_can_be_taken_back(gate: Gate) -> None:
    (event,) = plan([RTMEvent(index={"t": 0, "p": 0}, channels=["A"])])
    gate.pause()
    gate.resume()
    assert gate.enter(event)


@pytest.mark.parametrize("policy", ["shift", "keep"])
def test_a_pause_moves_the_schedule_as_its_clock_policy_says(
    sink: MemorySink, policy: ClockPolicy
) -> None:
    clock = RunClock()
    clock.start()
    recorder = Recorder(sink, clock, lambda _: None)

    def soon(_: str) -> None:
        threading.Timer(0.02, held.resume).start()

    held = Gate(clock, recorder, Notices(), StateMachine(), soon)
    first, second = plan(
        RTMEvent(index={"t": t, "p": 0}, channels=["A"]) for t in range(2)
    )
    held.pause("Look.", policy)
    assert held.enter(first)
    moved_s = held.shift_s
    assert (moved_s > 0) == (policy == "shift")
    held.pause()
    assert held.enter(second)
    assert held.shift_s > moved_s
    told = [line["clock"] for line in sink.kinds("resumed")]
    assert told == [policy, "shift"]


@pytest.mark.parametrize("wait", ["start_at", "pause_before"])
def test_stop_run_ends_a_wait_at_once(
    controller: Controller, microscope: CannedMicroscope, sink: MemorySink, wait: str
) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    what = {"start_at": tomorrow, "pause_before": "Add the drug."}
    held = threading.Event()
    controller.notices.paused.connect(lambda _: held.set())
    controller.notices.scheduled.connect(lambda *_: held.set())

    def stop() -> None:
        assert held.wait(NEVER_S)
        controller.stop_run()

    stopper = threading.Thread(target=stop)
    stopper.start()
    summary = controller.run_experiment(wait_before(SEQUENCE, 1, **{wait: what[wait]}))
    stopper.join()
    assert summary.reason == "stopped by the user"
    assert len(microscope.seen) == 1
    assert sink.kinds("resumed") == []
    assert controller.state is RunState.IDLE


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_a_pause(controller: Controller, sink: MemorySink) -> None:
    events = wait_before(SEQUENCE, 1, pause_before="Add the drug.")
    with meanwhile(controller, press_ctrl_c), pytest.raises(KeyboardInterrupt):
        controller.run_experiment(events)
    assert (sink.closed or {})["reason"] == "interrupted"
    assert controller.state is RunState.IDLE


def test_a_start_time_is_waited_for(controller: Controller, sink: MemorySink) -> None:
    begin = datetime.now(UTC) + timedelta(seconds=SOON_S)
    summary = controller.run_experiment(wait_before(SEQUENCE, start_at=begin))
    assert summary.completed
    (waiting,), (resumed,) = sink.kinds("waiting"), sink.kinds("resumed")
    assert datetime.fromisoformat(waiting["start_at"]) == begin
    first = sink.stacks[0][0]
    assert first.wall_ns / 1e9 >= begin.timestamp() - 0.001
    assert first.planned_s == resumed["shift_s"]


def test_a_start_time_that_is_over_is_on_record_and_starts_at_once(
    controller: Controller, sink: MemorySink
) -> None:
    earlier = datetime.now(UTC) - timedelta(seconds=1)
    assert controller.run_experiment(wait_before(SEQUENCE, start_at=earlier)).completed
    (passed,) = sink.kinds("start_time_passed")
    assert datetime.fromisoformat(passed["start_at"]) == earlier
    assert sink.kinds("waiting") == []


@pytest.fixture
def gate() -> Gate:
    clock = RunClock()
    recorder = Recorder(None, clock, lambda _: None)
    return Gate(clock, recorder, Notices(), StateMachine(), lambda _: None)


@pytest.mark.parametrize("days", [-1, 1])
def test_a_jump_of_the_wall_clock_does_not_move_a_start(days: int) -> None:
    began = datetime.now(UTC)
    anchor_ns = int(began.timestamp() * 1e9)
    jumps = itertools.chain([anchor_ns], itertools.repeat(anchor_ns + days * DAY_NS))
    clock = RunClock(wall_ns=lambda: next(jumps))
    recorder = Recorder(None, clock, lambda _: None)
    gate = Gate(clock, recorder, Notices(), StateMachine(), lambda _: None)
    events = wait_before(SEQUENCE, start_at=began + timedelta(seconds=SOON_S))
    assert gate.enter(next(plan(events)))
    assert SOON_S - 0.01 < clock.now_s() < NEVER_S


def test_a_time_of_day_that_passed_while_the_run_was_busy_is_not_that_of_tomorrow(
    gate: Gate,
) -> None:
    now = datetime.now().astimezone()
    events = [
        RTMEvent(
            index={"t": t, "p": 0},
            channels=["A"],
            metadata={"wait": {"start_at": f"{now + timedelta(seconds=s):%H:%M:%S}"}},
        )
        for t, s in enumerate((1, 1))
    ]
    give_up = threading.Timer(NEVER_S, gate.close)
    give_up.start()
    assert all(gate.enter(event) for event in plan(events))
    give_up.cancel()


def test_there_is_nothing_to_pause_or_resume_without_a_run(
    controller: Controller, gate: Gate
) -> None:
    with pytest.raises(RunStateError, match="no run to pause; the controller is idle"):
        controller.pause()
    with pytest.raises(RunStateError, match="no run to resume"):
        controller.resume()
    with pytest.raises(RunStateError, match=r"not paused. Call resume\(\) when"):
        gate.resume()


@pytest.mark.parametrize("hosted", [False, True], ids=["in-process", "hosted"])
def test_after_a_pause_the_light_of_imaging_is_as_before(
    sink: MemorySink, *, hosted: bool
) -> None:
    still: dict[str, Any] = {"image_shape": (64, 64), "time_scale": 0.001}
    rig = SimulatedMicroscope
    with host(rig, **still) if hosted else rig(**still) as microscope:
        controller = Controller(microscope, writer=sink)
        events = wait_before(SEQUENCE, 2, pause_before="Look.")
        with meanwhile(controller, controller.resume):
            assert controller.run_experiment(events).completed
    brightness = [float(stack.pixels.mean()) for stack, _ in sink.stacks]
    assert brightness == pytest.approx([brightness[0]] * 4, rel=0.02)
