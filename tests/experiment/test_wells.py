"""Wells and positions are found by the names that people use."""

from __future__ import annotations

from typing import Any

import pytest
import useq
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment import RTMSequence, places
from faro.experiment.wells import Spot, spread, well_facts, well_index, well_name

PLATE = useq.WellPlatePlan.model_validate(
    {
        "plate": 96,
        "a1_center_xy": (100, 200),
        "selected_wells": ([0, 0, 1], [1, 2, 0]),
        "well_points_plan": {
            "rows": 1,
            "columns": 2,
            "fov_width": 100,
            "fov_height": 100,
        },
    }
)
SPOTS = [
    Spot(0, "A2_0000", "A2"),
    Spot(1, "A2_0001", "A2"),
    Spot(2, "B3_0000", "B3"),
    Spot(3, "edge"),
    Spot(4),
]


@given(st.integers(0, 31), st.integers(0, 47))
def test_a_well_name_leads_back_to_its_place(row: int, column: int) -> None:
    assert well_index(well_name(row, column)) == (row, column)


@pytest.mark.parametrize("plate", useq.registered_well_plate_keys())
def test_wells_are_named_as_useq_names_them(plate: str) -> None:
    known = useq.WellPlate.from_str(plate)
    for row in range(known.rows):
        for column in range(known.columns):
            assert well_name(row, column) == known.all_well_names[row, column]


@pytest.mark.parametrize("name", ["", "A", "7", "A0", "Pos3", "A1-B2", "AAA1"])
def test_other_names_are_no_wells(name: str) -> None:
    assert well_index(name) is None


class TestPlate:
    def test_the_fields_of_a_well_are_imaged_where_useq_puts_them(self) -> None:
        sequence = RTMSequence(channels=["A"], stage_positions=PLATE)
        ours = [(e.x_pos, e.y_pos, e.pos_name) for e in sequence]
        theirs = useq.MDASequence.model_validate(
            {"channels": ["A"], "stage_positions": PLATE}
        )
        assert ours == [(e.x_pos, e.y_pos, e.pos_name) for e in theirs]

    def test_the_stage_stays_at_its_z(self) -> None:
        sequence = RTMSequence(channels=["A"], stage_positions=PLATE)
        assert {e.z_pos for e in sequence} == {None}
        given_z = [p.replace(z=7) for p in PLATE]
        sequence = RTMSequence(channels=["A"], stage_positions=given_z)
        assert {e.z_pos for e in sequence} == {7}

    @pytest.mark.parametrize("positions", [PLATE, list(PLATE)], ids=["plan", "list"])
    def test_every_event_says_its_well(self, positions: Any) -> None:
        time_plan = {"interval": 1, "loops": 2}
        events = list(
            RTMSequence(
                channels=["A"],
                stage_positions=positions,
                time_plan=time_plan,
                rtm_metadata={"day": 3},
            )
        )
        assert len(events) == 12
        expected = {"well": "A2", "row": "A", "column": 2, "field": 1, "day": 3}
        assert [e.metadata for e in events if e.fov == 1] == [expected] * 2
        wells = [(e.metadata["well"], e.metadata["field"]) for e in events[:6]]
        assert wells == [(w, f) for w in ("A2", "A3", "B1") for f in (0, 1)]

    def test_a_plate_survives_json(self) -> None:
        sequence = RTMSequence(channels=["A"], stage_positions=PLATE)
        again = RTMSequence.model_validate_json(sequence.model_dump_json())
        assert list(again) == list(sequence)

    def test_its_units_are_its_wells(self) -> None:
        sequence = RTMSequence(channels=["A"], stage_positions=PLATE)
        assert places(sequence) == ("A2", "A3", "B1")


def test_fields_are_counted_in_each_well_whatever_lies_between() -> None:
    wells = [(0, 0), (0, 1), (0, 0), (None, None), (0, 0)]
    positions = [useq.Position(plate_row=r, plate_col=c) for r, c in wells]
    fields = [facts.get("field") for facts in well_facts(positions)]
    assert fields == [0, 0, 1, None, 2]


@pytest.mark.parametrize(
    ("positions", "units"),
    [
        ([], (0,)),
        ([{"name": "q"}, {"name": "r"}], ("q", "r")),
        ([{"name": "q"}, {"name": "q"}, {"x": 1}], (0, 1, 2)),
        ([{"name": "q", "plate_row": 0, "plate_col": 1}, {"name": "r"}], ("q", "r")),
    ],
    ids=["none", "named", "same_name", "half_a_plate"],
)
def test_away_from_a_plate_the_units_are_positions(
    positions: list[dict[str, Any]], units: tuple[Any, ...]
) -> None:
    assert places(RTMSequence(channels=["A"], stage_positions=positions)) == units


@pytest.mark.parametrize(
    ("place", "fovs"),
    [
        ("A2", [0, 1]),
        ("a02", [0, 1]),
        ("A1:B3", [0, 1, 2]),
        ("B1:H12", [2]),
        ("A2_0001", [1]),
        ("edge", [3]),
        (4, [4]),
        (2, [2]),
    ],
)
def test_a_place_is_found(place: str | int, fovs: list[int]) -> None:
    assert list(spread("t", {place: "x"}, SPOTS).by_fov) == fovs


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"A4": 1}, "t/A4: there is no such well or position. Use one of: 'A2_0000'"),
        ({9: 1}, "t/9: there is no such well or position."),
        ({True: 1}, "t/True: there is no such well or position."),
        ({"C1:D9": 1}, "t/C1:D9: there is no such well"),
        ({"A2": 1, "A2_0001": 2}, "t/A2_0001: says 2; 'A2' says 1. Say it once"),
        ({"A2": 1}, "t: says nothing about B3, edge, 4. Name every well"),
    ],
    ids=str,
)
def test_what_a_table_gets_wrong_is_said(
    table: dict[str | int, int], message: str
) -> None:
    problems = [str(problem) for problem in spread("t", table, SPOTS).problems]
    assert any(message in problem for problem in problems), problems


def test_the_same_said_twice_is_fine() -> None:
    table: dict[str | int, int] = {"A1:H12": 1, "A2": 1, "edge": 2, 4: 3}
    found = spread("t", table, SPOTS)
    assert found.problems == []
    assert found.by_fov == {0: 1, 1: 1, 2: 1, 3: 2, 4: 3}
