"""Every tile of a grid is a position, where and when useq itself images it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import useq
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment import (
    Channel,
    ExperimentError,
    RTMSequence,
    Treatment,
    arrange,
    places,
    plan,
)

Words = dict[str, Any]
SIZE = {"fov_width": 10, "fov_height": 8}
EDGES = {"top": 20, "left": 0, "bottom": 0, "right": 25, **SIZE}

GRIDS = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 3),
        "columns": st.integers(1, 3),
        "overlap": st.sampled_from([(0, 0), (10, 5)]),
        "mode": st.sampled_from(["row_wise_snake", "column_wise", "spiral"]),
        "relative_to": st.sampled_from(["center", "top_left"]),
        "fov_width": st.just(10),
        "fov_height": st.just(8),
    }
)
SPOTS = st.fixed_dictionaries(
    {"x": st.integers(-99, 99), "y": st.integers(-99, 99)},
    optional={"z": st.integers(0, 9), "name": st.sampled_from(["q", "r"])},
)


@st.composite
def gridded(draw: st.DrawFn) -> Words:
    """Return the words of a sequence with a grid for all positions."""
    return {
        "channels": [Channel("A", 5), Channel("B", 6)],
        "stage_positions": draw(st.lists(SPOTS, max_size=3)),
        "grid_plan": draw(GRIDS),
        "time_plan": draw(st.sampled_from([None, {"interval": 3, "loops": 2}])),
        "axis_order": draw(st.sampled_from(["tpgcz", "pgtcz"])),
    }


def as_useq(said: Words) -> useq.MDASequence:
    names = [{"config": c.config, "exposure": c.exposure} for c in said["channels"]]
    return useq.MDASequence.model_validate({**said, "channels": names})


def imaged(said: Words) -> list[tuple[Any, ...]]:
    """Return time index, place and channel of every exposure."""
    place: dict[tuple[int, int], Any] = {}
    found = []
    for p in plan(RTMSequence(**said)):
        if p.first:
            place[p.fov, p.timestep] = p.position_um
        where = place[p.fov, p.timestep]
        found.append((p.timestep, *where, p.channel.config, p.channel.exposure))
    return found


def as_imaged_by_useq(said: Words) -> list[tuple[Any, ...]]:
    found = []
    for e in as_useq(said):
        assert e.channel is not None
        where = (e.x_pos, e.y_pos, e.z_pos)
        found.append((e.index.get("t", 0), *where, e.channel.config, e.exposure))
    return found


@given(gridded())
def test_the_tiles_are_imaged_as_useq_does_and_in_its_order(said: Words) -> None:
    if not said["stage_positions"]:  # a grid relative to nowhere has no place
        said = {**said, "grid_plan": EDGES}
    assert imaged(said) == as_imaged_by_useq(said)


@given(st.lists(st.tuples(SPOTS, st.none() | GRIDS), min_size=1, max_size=3))
def test_a_position_may_have_a_grid_of_its_own(spots: list[Any]) -> None:
    positions = [
        {**spot, "sequence": {"grid_plan": grid}} if grid else spot
        for spot, grid in spots
    ]
    said = {
        "channels": [Channel("A", 5), Channel("B", 6)],
        "stage_positions": positions,
        "time_plan": {"interval": 3, "loops": 2},
    }
    assert Counter(imaged(said)) == Counter(as_imaged_by_useq(said))
    fovs = [event.fov for event in RTMSequence(**said) if event.timestep == 0]
    assert fovs == list(range(len(fovs)))


@given(gridded())
def test_there_are_as_many_events_as_are_counted(said: Words) -> None:
    sequence = RTMSequence(**{**said, "stage_positions": [(0, 0)]})
    assert len(sequence) == len(list(sequence))
    names = [e.pos_name for e in sequence if e.timestep == 0]
    assert names == [f"p0_{tile:04d}" for tile in range(len(names))]
    again = RTMSequence.model_validate_json(sequence.model_dump_json())
    assert list(again) == list(sequence)


def test_tiles_are_treated_by_name() -> None:
    sequence = RTMSequence(
        channels=["A"],
        stage_positions=[{"x": 0, "y": 0, "name": "q"}],
        grid_plan={"rows": 1, "columns": 2, **SIZE},
        time_plan={"interval": 1, "loops": 2},
        stim_channels=["S"],
    )
    assert places(sequence) == ("q_0000", "q_0001")
    groups = [Treatment("dark"), Treatment("pulse", stim_frames=[1])]
    events = arrange(sequence, groups, {"q_0000": "dark", "q_0001": "pulse"})
    assert [(e.fov, e.timestep) for e in events if e.has_stim] == [(1, 1)]


def test_a_grid_in_the_wells_of_a_plate_stays_in_them() -> None:
    plate = useq.WellPlatePlan.model_validate(
        {"plate": 96, "a1_center_xy": (0, 0), "selected_wells": ([0, 1], [0, 0])}
    )
    grid = {"rows": 1, "columns": 2, **SIZE}
    sequence = RTMSequence(channels=["A"], stage_positions=plate, grid_plan=grid)
    wells = [(e.metadata["well"], e.metadata["field"]) for e in sequence]
    assert wells == [("A1", 0), ("A1", 1), ("B1", 0), ("B1", 1)]
    assert {e.z_pos for e in sequence} == {None}


@pytest.mark.filterwarnings("ignore:Position x=0.0:UserWarning")
def test_tiles_that_are_elsewhere_than_the_positions_are_refused() -> None:
    with pytest.raises(
        ExperimentError, match="grid_plan: the grid says where its tiles"
    ):
        RTMSequence(channels=["A"], stage_positions=[(0, 0)], grid_plan=EDGES)
