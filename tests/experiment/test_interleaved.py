"""Interleaved: all positions are imaged, then the stage returns to those with light."""

from __future__ import annotations

from itertools import count, groupby, islice, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment import RTMEvent, RTMSequence, check, plan, wait_before
from faro.experiment.document import StepTimes
from faro.experiment.lateness import play
from faro.model import FrameRole, HardwareFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faro.experiment import PlannedEvent

IMAGE, STIM, REF = FrameRole.IMAGE, FrameRole.STIM, FrameRole.REF


def event(timestep: int, fov: int, roles: str = "ISR", **more: Any) -> RTMEvent:
    """Return an event with a channel for each of the letters."""
    words: dict[str, Any] = {"index": {"t": timestep, "p": fov}}
    words |= {"x_pos": 10.0 * fov, "y_pos": 0.0, **more}
    names = {"I": "channels", "S": "stim_channels", "R": "ref_channels"}
    return RTMEvent(**words, **{names[letter]: [letter] for letter in roles})


def interleaved(events: Iterable[RTMEvent]) -> list[PlannedEvent]:
    return list(plan(events, stim_mode="interleaved"))


def stays(planned: Iterable[PlannedEvent]) -> list[int]:
    """Return the positions, in the order in which the stage goes to them."""
    return [fov for fov, _ in groupby(p.fov for p in planned)]


def key(p: PlannedEvent) -> tuple[int, int, str]:
    return p.timestep, p.fov, str(p.role)


def words(planned: Iterable[PlannedEvent]) -> str:
    return " ".join(f"{p.channel.config}{p.timestep}{p.fov}" for p in planned)


@st.composite
def experiments(draw: st.DrawFn) -> list[RTMEvent]:
    """Return events of some timepoints, each position with any of the roles."""
    events = []
    interval_s = draw(st.sampled_from([0.0, 5.0]))
    for timestep in range(draw(st.integers(1, 4))):
        roles = st.sampled_from(["I", "IS", "IR", "ISR"])
        for fov, said in enumerate(draw(st.lists(roles, min_size=1, max_size=5))):
            start_s = timestep * interval_s + draw(st.sampled_from([0.0, 0.0, 0.5]))
            events.append(event(timestep, fov, said, min_start_time=start_s))
    return events


def test_all_are_imaged_then_all_are_lit_in_the_same_order() -> None:
    planned = interleaved(event(t, p, "IS") for t in range(2) for p in range(3))
    assert words(planned) == ("I00 I01 I02 S00 S01 S02 I10 I11 I12 S10 S11 S12")
    assert all(p.mask_from == (p.fov, p.timestep) for p in planned if p.role is STIM)


def test_only_positions_with_light_are_visited_again() -> None:
    planned = interleaved([event(0, 0, "I"), event(0, 1, "ISR"), event(0, 2, "IR")])
    assert words(planned) == "I00 I01 R01 I02 R02 S01"
    assert stays(planned) == [0, 1, 2, 1]


def test_the_stage_is_sent_back_and_the_position_begins_once() -> None:
    planned = interleaved([event(0, 0, "IS"), event(0, 1, "IS")])
    assert [p.position_um[0] for p in planned] == [0.0, 10.0, 0.0, 10.0]
    assert [p.first for p in planned] == [True, True, False, False]


def test_one_position_alone_is_lit_at_once() -> None:
    events = [event(t, 0) for t in range(3)]
    assert interleaved(events) == list(plan(events, stim_mode="current"))


def test_a_wait_begins_another_round() -> None:
    first = RTMSequence(
        channels=["I"],
        stim_channels=["S"],
        stim_frames=[0],
        stage_positions=[(0, 0), (1, 0)],
    )
    second = [event(1, 0, "IS"), event(1, 1, "IS")]
    events = [*first, *wait_before(second, pause_before="Add the drug.")]
    assert words(interleaved(events)) == "I00 I01 S00 S01 I10 I11 S10 S11"
    paused = wait_before([event(0, 1, "IS")], pause_before="Look.")
    assert words(interleaved([event(0, 0, "IS"), *paused])) == "I00 S00 I01 S01"


def test_light_without_an_image_begins_its_position() -> None:
    planned = interleaved([event(0, 0, "IS"), event(0, 1, "S")])
    assert words(planned) == "I00 S00 S01"
    assert [p.first for p in planned] == [True, False, True]


def test_the_plan_is_lazy() -> None:
    def endless() -> Iterator[RTMEvent]:
        yield from (event(t, p, "IS") for t in count() for p in range(2))

    planned = islice(plan(endless(), stim_mode="interleaved"), 5)
    assert words(planned) == "I00 I01 S00 S01 I10"


@given(experiments())
def test_everything_is_taken_once_and_light_after_its_image(
    events: list[RTMEvent],
) -> None:
    planned = interleaved(events)
    of_current = list(plan(events, stim_mode="current"))
    assert sorted(map(key, planned)) == sorted(map(key, of_current))
    at = {key(p): number for number, p in enumerate(planned)}
    for timestep, fov, role in at:
        image = at[timestep, fov, "image"]
        assert at[timestep, fov, role] >= image
    timesteps = [p.timestep for p in planned]
    assert timesteps == sorted(timesteps)


@given(experiments())
def test_the_stage_goes_to_a_position_at_most_once_more_and_only_for_light(
    events: list[RTMEvent],
) -> None:
    planned = interleaved(events)
    visited = [(p.timestep, p.fov) for p in planned]
    moves = [moment for moment, _ in groupby(visited)]
    lit = {(e.timestep, e.fov) for e in events if e.stim_channels}
    for moment in set(visited):
        assert moves.count(moment) <= 1 + (moment in lit)
    for before, now in pairwise(planned):
        if (before.timestep, before.fov) != (now.timestep, now.fov):
            assert now.position_um[0] == 10.0 * now.fov


@given(experiments(), st.integers(0, 20))
def test_a_plan_that_grows_keeps_what_it_began_with(
    events: list[RTMEvent], cut: int
) -> None:
    timesteps = sorted({e.timestep for e in events})
    before = timesteps[min(cut, len(timesteps) - 1)]
    begun = interleaved([e for e in events if e.timestep <= before])
    assert interleaved(events)[: len(begun)] == begun


def test_the_schedule_counts_the_way_back_and_not_the_wait_for_masks() -> None:
    events = [event(0, p, "IS") for p in range(4)]
    times = StepTimes(stage_s=1.0, frame_s=1.0, analysis_s=5.0)
    (at_once,) = play(plan(events), times, exposures_take_time=False)
    (on_the_way_back,) = play(
        plan(events, stim_mode="interleaved"), times, exposures_take_time=False
    )
    assert at_once.busy_s == pytest.approx(3 * 1 + 4 * (1 + 5 + 1))
    assert on_the_way_back.busy_s == pytest.approx(7 * 1 + 8 * 1)


def test_a_mode_that_changes_nothing_is_a_warning() -> None:
    facts = HardwareFacts(
        presets={"Channel": ("I", "S")}, image_shape=(8, 8), dmd_calibrated=True
    )
    alone = check([event(0, 0, "IS")], facts=facts, stim_mode="interleaved")
    (said,) = [p for p in alone if p.where == "stim_mode"]
    assert said.severity == "warning"
    assert "no two positions" in said.what
    shared = [event(0, 0, "IS"), event(0, 1, "IS")]
    found = check(shared, facts=facts, stim_mode="interleaved")
    assert not [p for p in found if p.where == "stim_mode"]
