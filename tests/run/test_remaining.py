"""What is left of a plan after any part of it: nothing twice, nothing left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.experiment import RTMEvent, plan
from faro.model import FrameRole
from faro.run.clock import RunClock
from faro.run.remaining import remaining
from faro.run.so_far import folded


def events_of(n_t: int, n_p: int) -> list[RTMEvent]:
    """Return events with two channels, two lights and a reference."""
    return [
        RTMEvent(
            index={"t": t, "p": p},
            channels=["DAPI", "FITC"],
            stim_channels=["Cyan", "Red"] if t % 2 else [],
            ref_channels=["BFP"] if t == 2 else [],
            x_pos=100.0 * p,
            y_pos=5.0,
            z_pos=1.0 + p,
            min_start_time=10.0 * t,
            properties=[("LED", "Mode", "a")],
        )
        for t in range(n_t)
        for p in range(n_p)
    ]


def lines_for(steps: list[Any], *, confirmed: bool = True) -> list[dict[str, Any]]:
    """Return the journal of a run that has taken ``steps``, whole moments only."""
    lines: list[dict[str, Any]] = [{"kind": "run_started", "wall_ns": 7}]
    taken: dict[tuple[int, int, FrameRole], set[int]] = {}
    for step in steps:
        at = {"fov": step.fov, "timestep": step.timestep}
        channel = step.channel.config
        if step.role is FrameRole.STIM:
            lines.append({"kind": "stim_armed", **at, "channel": channel})
            if confirmed:
                lines.append({"kind": "stim_confirmed", **at, "channel": channel})
            continue
        key = (step.fov, step.timestep, step.role)
        taken.setdefault(key, set()).add(step.channel_index)
        if len(taken[key]) == step.n_channels:
            channels = ["DAPI", "FITC"] if step.role is FrameRole.IMAGE else ["BFP"]
            frame = {"kind": "frame", "role": str(step.role), "channels": channels}
            lines.append({**frame, **at})
    return lines


def shots(steps: Any) -> list[tuple[Any, ...]]:
    return [(s.fov, s.timestep, str(s.role), s.channel.config) for s in steps]


@settings(deadline=None)
@given(
    mode=st.sampled_from(["current", "previous"]),
    cut=st.integers(0, 60),
    confirmed=st.booleans(),
)
def test_what_was_taken_and_what_is_left_are_the_plan(
    mode: str, cut: int, *, confirmed: bool
) -> None:
    steps = list(plan(events_of(4, 2), stim_mode=mode))
    so_far = folded(lines_for(steps[:cut], confirmed=confirmed))
    left = list(remaining(steps, so_far))
    planned = shots(steps)
    assert planned[len(planned) - len(left) :] == shots(left)
    again = [s for s in steps[:cut] if shots([s])[0] in shots(left)]
    assert len({(s.fov, s.timestep) for s in again}) <= 1
    assert not any(s.role is FrameRole.STIM for s in again)
    for place in {(s.fov, s.timestep) for s in left}:
        visit = [s for s in left if (s.fov, s.timestep) == place]
        assert [s.first for s in visit] == [True] + [False] * (len(visit) - 1)
        assert visit[0].position_um == (100.0 * place[0], 5.0, 1.0 + place[0])
        assert [tuple(p) for p in visit[0].properties] == [("LED", "Mode", "a")]
        for role in {s.role for s in visit}:
            same = [s for s in visit if s.role is role]
            assert [s.last for s in same] == [False] * (len(same) - 1) + [True]
            assert {s.n_channels for s in same} == {len(same)}
            assert [s.row for s in same] == list(range(len(same)))


def test_what_the_camera_did_not_give_is_over() -> None:
    steps = list(plan(events_of(1, 1)))
    at = {"fov": 0, "timestep": 0, "role": "image"}
    assert list(remaining(steps, folded([{"kind": "frame_missing", **at}]))) == []
    ended = {"kind": "stack_incomplete", **at, "ended": True}
    assert len(list(remaining(steps, folded([ended])))) == 2
    lost = {"kind": "frame_lost", **at, "channels": ["DAPI"]}
    frame = {"kind": "frame", **at, "channels": ["DAPI", "FITC"]}
    assert list(remaining(steps, folded([frame, lost]))) == []
    assert len(list(remaining(steps, folded([frame, {**lost, "again": True}])))) == 2


def test_images_of_which_a_channel_is_not_stored_are_taken_again() -> None:
    steps = list(plan(events_of(1, 1)))
    frame = {"kind": "frame", "fov": 0, "timestep": 0, "role": "image"}
    so_far = folded([{**frame, "channels": ["DAPI"]}])
    assert shots(remaining(steps, so_far)) == shots(steps)


def test_nobody_is_waited_for_twice() -> None:
    waits = {"wait": {"pause_before": "Add the drug."}, "arm": "a"}
    event = events_of(2, 1)[1].replace(metadata=waits)
    steps = list(plan([event]))
    begun = list(remaining(steps, folded(lines_for(steps[:2]))))
    assert [s.metadata for s in begun] == [{"arm": "a"}] * 2
    fresh = list(remaining(steps, folded([])))
    assert fresh[0].metadata == waits


def test_what_a_stimulation_became_is_folded() -> None:
    light = {"fov": 0, "timestep": 1, "channel": "Cyan"}
    armed = {"kind": "stim_armed", **light, "run_s": 2.0}
    paused = {"kind": "resumed", "shift_s": 30.0, "run_s": 1.0}
    so_far = folded([paused, armed])
    assert so_far.unconfirmed == [(0, 1, "Cyan")]
    assert (so_far.shift_s, so_far.last_s) == (30.0, 2.0)
    assert so_far.light_lines[0]["shift_s"] == 30.0
    so_far = folded([armed, {"kind": "stim_unconfirmed", **light}])
    assert so_far.unconfirmed == []
    assert so_far.lights == {(0, 1, "Cyan"): "possibly fired"}


def test_a_run_that_was_ended_and_resumed_is_not_finished() -> None:
    end = {"kind": "run_finished", "reason": "stopped by the user"}
    start = {"kind": "run_started", "wall_ns": 5}
    assert folded([start, end]).finished == "stopped by the user"
    assert folded([start, end, {"kind": "run_resumed"}]).finished == ""


@pytest.mark.parametrize(("least_s", "expected"), [(1.0, 25.0), (60.0, 60.0)])
def test_the_clock_goes_on_and_never_back(least_s: float, expected: float) -> None:
    now = [100.0]
    clock = RunClock(lambda: now[0], lambda: 30_000_000_000)
    clock.go_on(5_000_000_000, least_s)
    assert clock.now_s() == pytest.approx(expected)
    now[0] += 2.0
    assert clock.now_s() == pytest.approx(expected + 2.0)
    assert clock.wall_ns_at(1.0) == 6_000_000_000
