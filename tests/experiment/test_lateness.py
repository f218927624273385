"""Schedules that cannot be kept: which timepoints, by how much, what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment import Channel, RTMSequence, apply_fov_batching, plan, wait_before
from faro.experiment.document import StepTimes
from faro.experiment.lateness import play, schedule_problems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faro.experiment import RTMEvent


def events(n_fovs: int, interval_s: float, **words: Any) -> Sequence[RTMEvent]:
    sequence = RTMSequence(
        channels=[Channel("a", 100)],
        stage_positions=[(x, 0) for x in range(n_fovs)],
        time_plan={"interval": interval_s, "loops": 4},
        **words,
    )
    return tuple(sequence)


def test_a_schedule_that_fits_has_no_problem() -> None:
    assert schedule_problems(events(4, 0.4)) == []
    assert schedule_problems(events(40, 0)) == []
    assert schedule_problems([]) == []


def test_late_timepoints_are_counted_and_the_interval_is_named() -> None:
    (found,) = schedule_problems(events(6, 0.4))
    assert found.severity == "warning"
    assert str(found) == (
        "time_plan: 3 of 4 timepoints would start late: t=1 by 0.2 s, at worst t=3 by "
        "0.6 s. Plan an interval of 0.6 s or more, or take 4 of the 6 positions at a "
        "time (batching with time_per_fov_s = 0.1)."
    )
    assert schedule_problems(events(6, 0.6)) == []
    assert schedule_problems(apply_fov_batching(events(6, 0.4), 0.1)) == []


def test_one_position_alone_can_only_be_exposed_for_less_time() -> None:
    (found,) = schedule_problems(events(1, 0.05))
    assert found.remedy.endswith("or expose for less time.")


@pytest.mark.parametrize(
    ("times", "late"),
    [
        (StepTimes(), False),
        (StepTimes(stage_s=0.3), True),
        (StepTimes(frame_s=0.3), True),
        (StepTimes(analysis_s=0.7), False),
    ],
)
def test_every_step_counts(times: StepTimes, late: bool) -> None:  # noqa: FBT001  a table
    assert bool(schedule_problems(events(2, 0.5), times)) == late


def test_light_waits_for_its_mask_in_the_mode_current_only() -> None:
    lit = events(2, 0.5, stim_channels=[Channel("b", 10)], stim_frames=range(1, 4))
    slow = StepTimes(analysis_s=0.3)
    assert schedule_problems(lit, slow, stim_mode="current")
    assert schedule_problems(lit, slow, stim_mode="previous") == []


def test_a_wait_takes_no_time_and_ends_what_was_late() -> None:
    late = events(6, 0.4)
    (without,) = schedule_problems(late)
    (found,) = schedule_problems(wait_before(late, 2, pause_before="Look."))
    assert "3 of 4 timepoints" in without.what
    assert "2 of 4 timepoints would start late: t=1 by 0.2 s" in found.what


def test_what_is_late_at_one_position_does_not_make_the_next_one_late() -> None:
    late = events(3, 0.05, axis_order="ptcz")
    (found,) = schedule_problems(late)
    assert "9 of 12 timepoints would start late: t=1 by 0.05 s" in found.what
    assert "at worst t=3 by 0.15 s" in found.what
    (without,) = schedule_problems(
        [e.model_copy(update={"reset_event_timer": False}) for e in late]
    )
    assert "11 of 12 timepoints would start late" in without.what


def test_exposures_of_computed_frames_take_no_time() -> None:
    assert schedule_problems(events(6, 0.1), exposures_take_time=False) == []


@given(
    n_fovs=st.integers(1, 5),
    interval_s=st.floats(0.05, 2),
    stage_s=st.floats(0, 0.5),
    frame_s=st.floats(0, 0.5),
)
def test_the_named_interval_is_long_enough(
    n_fovs: int, interval_s: float, stage_s: float, frame_s: float
) -> None:
    times = StepTimes(stage_s=stage_s, frame_s=frame_s)
    played = play(plan(events(n_fovs, interval_s)), times)
    assert all(moment.late_s >= 0 for moment in played)
    needed_s = max(moment.busy_s for moment in played)
    assert schedule_problems(events(n_fovs, needed_s), times) == []
