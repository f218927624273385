"""The plan is every exposure in order, with the mask that light waits for."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, Any

import pytest

from faro.experiment import ExperimentError, RTMEvent, RTMSequence, plan
from faro.model import FrameRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faro.experiment import PlannedEvent

FULL: dict[str, Any] = {
    "channels": ["A", "B"],
    "stim_channels": ["S", "T"],
    "ref_channels": ["R"],
    "x_pos": 1,
    "y_pos": 2,
    "pos_name": "here",
    "metadata": {"arm": 1},
}


def event(timestep: int, fov: int = 0, **more: Any) -> RTMEvent:
    return RTMEvent(**{"index": {"t": timestep, "p": fov}, **FULL, **more})


def presets(planned: Iterable[PlannedEvent]) -> str:
    return "".join(p.channel.config for p in planned)


def test_current_is_image_then_light_then_reference() -> None:
    planned = list(plan([event(0), event(1)]))
    assert presets(planned) == "ABSTR" * 2
    sources = [p.mask_from for p in planned]
    assert sources[:5] == [None, None, (0, 0), (0, 0), None]
    assert sources[5:] == [None, None, (0, 1), (0, 1), None]


def test_previous_is_light_by_the_mask_before_then_image() -> None:
    planned = list(plan([event(0), event(3)], stim_mode="previous"))
    assert presets(planned) == "ABR" + "STABR"
    assert [p.mask_from for p in planned if p.role is FrameRole.STIM] == [
        (0, 0),
        (0, 0),
    ]


def test_previous_is_per_position() -> None:
    events = [event(0, 0), event(1, 1), event(2, 0), event(2, 1)]
    planned = plan(events, stim_mode="previous")
    stims = [(p.timestep, p.mask_from) for p in planned if p.channel.config == "S"]
    assert stims == [(2, (0, 0)), (2, (1, 1))]


def test_indices_count_within_the_role() -> None:
    planned = list(plan([event(0)]))
    assert [(p.channel_index, p.n_channels) for p in planned] == [
        (0, 2),
        (1, 2),
        (0, 2),
        (1, 2),
        (0, 1),
    ]


@pytest.mark.parametrize("stim_mode", ["current", "previous"])
def test_the_stage_moves_before_the_first_exposure(stim_mode: str) -> None:
    planned = list(plan([event(0), event(1)], stim_mode=stim_mode))
    firsts = [p for p in planned if p.first]
    assert [p.timestep for p in firsts] == [0, 1]
    assert {p.position_um for p in firsts} == {(1, 2, None)}


def test_the_stage_moves_although_light_is_left_out() -> None:
    planned = list(plan([event(0), event(1)], stim_mode="previous"))
    second = [p for p in planned if p.timestep == 1]
    executed = [p for p in second if p.role is not FrameRole.STIM]
    moves = [p.position_um for p in executed[:2]]
    assert moves == [(1, 2, None), (None, None, None)]


def test_in_current_mode_only_the_first_exposure_moves_the_stage() -> None:
    moved = [p.position_um != (None, None, None) for p in plan([event(0)])]
    assert moved == [True, False, False, False, False]


def test_what_the_event_says_is_carried() -> None:
    for planned in plan([event(4, 2, min_start_time=9)]):
        assert (planned.fov, planned.timestep, planned.planned_s) == (2, 4, 9.0)
        assert (planned.pos_name, planned.metadata) == ("here", {"arm": 1})


def test_an_unplanned_start_is_that_of_the_event_before() -> None:
    events = [event(0), event(1, min_start_time=5), event(2)]
    assert [p.planned_s for p in plan(events) if p.first] == [0, 5, 5]


def test_the_given_order_is_kept() -> None:
    sequence = RTMSequence(
        channels=["A"],
        stage_positions=[(0, 0), (1, 1)],
        time_plan={"interval": 1, "loops": 2},
        axis_order="ptcz",
    )
    assert [(p.fov, p.timestep) for p in plan(sequence)] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]


def test_an_event_that_images_nothing_is_planned_without_images() -> None:
    assert presets(plan([event(0, channels=[])])) == "STR"


def test_the_clock_restarts_at_the_first_exposure() -> None:
    planned = list(plan([event(0), event(1, reset_event_timer=True)]))
    assert [(p.timestep, p.first) for p in planned if p.restarts_clock] == [(1, True)]


def test_the_plan_is_lazy() -> None:
    def endless() -> Iterator[RTMEvent]:
        yield from (event(timestep) for timestep in count())

    assert presets(islice(plan(endless()), 6)) == "ABSTRA"


def test_another_mode_is_refused_at_once() -> None:
    message = "stim_mode: there is no mode 'curent'. Did you mean 'current'"
    with pytest.raises(ExperimentError, match=message):
        plan([], stim_mode="curent")
