"""Phases follow one another; arms run side by side; nothing is mixed up."""

from __future__ import annotations

import pickle
from copy import copy
from typing import Any

import pytest

from faro.experiment import (
    Channel,
    ExperimentError,
    PowerChannel,
    RTMEvent,
    RTMSequence,
    Treatment,
    apply_fov_batching,
    arrange,
    combine,
    wait_before,
)


def phase(loops: int = 2, interval_s: float = 5, **more: Any) -> RTMSequence:
    plan = {"interval": interval_s, "loops": loops}
    places = [(0, 0), (1, 1)]
    defaults: dict[str, Any] = {"channels": ["A"], "stage_positions": places}
    return RTMSequence(**{**defaults, "time_plan": plan, **more})


def when(events: tuple[RTMEvent, ...]) -> list[tuple[int, int, float | None]]:
    return [(e.timestep, e.fov, e.min_start_time) for e in events]


class TestPhases:
    def test_timesteps_and_clock_go_on(self) -> None:
        both = combine(phase(), phase(interval_s=3))
        assert when(both) == [
            (0, 0, 0),
            (0, 1, 0),
            (1, 0, 5),
            (1, 1, 5),
            (2, 0, 10),
            (2, 1, 10),
            (3, 0, 13),
            (3, 1, 13),
        ]

    def test_a_single_timepoint_is_followed_after_its_planned_interval(self) -> None:
        assert [e.min_start_time for e in combine(phase(1, 7), phase(1))[::2]] == [0, 7]

    def test_events_of_their_own_are_followed_after_their_last_interval(self) -> None:
        assert when(combine(tuple(phase()), phase(1)))[-1] == (2, 1, 10)

    def test_positions_first_stay_first_and_phases_do_not_overlap(self) -> None:
        both = combine(phase(axis_order="ptcz"), phase(axis_order="ptcz"))
        starts = [e.min_start_time for e in both]
        assert starts == [0, 5, 10, 15, 20, 25, 30, 35]
        assert [e.fov for e in both] == [0, 0, 1, 1, 0, 0, 1, 1]

    def test_each_phase_keeps_its_light_and_its_metadata(self) -> None:
        lit = phase(
            stim_channels=[PowerChannel("S", 5, power=2)],
            stim_frames=[-1],
            rtm_metadata={"phase": "lit"},
        )
        both = combine(phase(), lit)
        assert [e.timestep for e in both if e.has_stim] == [3, 3]
        assert both[-1].stim_channels == (PowerChannel("S", 5, power=2),)
        assert [e.metadata.get("phase") for e in both[::4]] == [None, "lit"]

    def test_a_phase_that_starts_late_or_counts_from_elsewhere_is_moved(self) -> None:
        late = RTMEvent(index={"t": 7, "p": 0}, channels=["A"], min_start_time=2)
        assert when(combine(phase(1, 5), [late]))[-1] == (1, 0, 7)

    def test_combining_is_associative(self) -> None:
        a, b, c = phase(2, 3), phase(3, 4), phase(1, 5)
        assert combine(combine(a, b), c) == combine(a, b, c)

    def test_without_a_time_plan_phases_follow_at_once(self) -> None:
        once = RTMSequence(channels=["A"], stage_positions=[(0, 0)])
        assert when(combine(once, once)) == [(0, 0, None), (1, 0, 0)]


class TestArms:
    def test_positions_go_on_and_the_clock_is_shared(self) -> None:
        arms = combine(phase(), phase(interval_s=10), axis="p")
        assert when(arms) == [
            (0, 0, 0),
            (0, 1, 0),
            (0, 2, 0),
            (0, 3, 0),
            (1, 0, 5),
            (1, 1, 5),
            (1, 2, 10),
            (1, 3, 10),
        ]

    def test_each_arm_keeps_its_light_places_and_metadata(self) -> None:
        lit = phase(
            stage_positions=[(7, 8, 9)],
            stim_channels=["S"],
            stim_frames=[1],
            rtm_metadata={"arm": "lit"},
        )
        arms = combine(phase(rtm_metadata={"arm": "dark"}), lit, axis="p")
        assert [(e.timestep, e.fov) for e in arms if e.has_stim] == [(1, 2)]
        assert {e.metadata["arm"] for e in arms if e.fov == 2} == {"lit"}
        assert {e.position_um for e in arms if e.fov == 2} == {(7, 8, 9)}

    def test_without_an_interval_arms_take_turns(self) -> None:
        arms = combine(phase(interval_s=0), phase(interval_s=0), axis="p")
        assert [(e.timestep, e.fov) for e in arms] == [
            (t, p) for t in range(2) for p in range(4)
        ]

    def test_positions_first_stays_first(self) -> None:
        one = combine(phase(interval_s=0, axis_order="ptcz"), axis="p")
        assert [(e.timestep, e.fov) for e in one] == [(0, 0), (1, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize("axis", ["t", "p"])
class TestBoth:
    def test_none_and_one_source(self, axis: str) -> None:
        assert combine(axis=axis) == ()
        assert combine(phase(), axis=axis) == tuple(phase())

    def test_empty_sources_are_passed_over(self, axis: str) -> None:
        empty = RTMSequence()
        assert combine(empty, phase(), (), axis=axis) == tuple(phase())

    def test_each_source_keeps_its_channels(self, axis: str) -> None:
        other = phase(channels=["A", "B"])
        events = combine(phase(), other, axis=axis)
        names = [tuple(c.config for c in event.channels) for event in events]
        assert names.count(("A",)) == len(phase())
        assert names.count(("A", "B")) == len(other)

    def test_different_exposures_of_the_same_channels_are_fine(self, axis: str) -> None:
        arms = combine(phase(), phase(channels=[Channel("A", 9)]), axis=axis)
        assert {e.channels[0].exposure for e in arms} == {None, 9}


def test_another_axis_is_refused() -> None:
    with pytest.raises(ExperimentError, match="there is no axis 'z'"):
        combine(phase(), axis="z")


def test_a_phase_of_one_timepoint_keeps_its_interval_wherever_it_goes() -> None:
    once = phase(1, 7)
    for source in (
        combine(once),
        pickle.loads(pickle.dumps(combine(once))),
        copy(combine(once)),
        apply_fov_batching(once, 3),
        wait_before(once, pause_before="Look."),
    ):
        assert [e.min_start_time for e in combine(source, once)[::2]] == [0, 7]


def test_a_phase_lasts_to_its_end_although_no_channel_is_due_at_the_last() -> None:
    every_second = RTMSequence(
        channels=[{"config": "A", "acquire_every": 2}],
        time_plan={"interval": 5, "loops": 4},
    )
    both = combine(every_second, every_second)
    assert [e.min_start_time for e in both] == [0, 10, 20, 30]
    treated = arrange(every_second, [Treatment("all")], seed=1)
    assert [e.min_start_time for e in combine(treated, treated)] == [0, 10, 20, 30]
