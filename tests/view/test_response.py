"""Responses and tests of the arms, against numbers computed by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.model import CellTable
from faro.view.answer import Question, answer_of, span_of
from faro.view.response import (
    Span,
    arms_of,
    change,
    displacement,
    paths_of,
    unit_vector,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[int, int, int, float, float]
UP = (-1.0, 0.0)


def table(rows: Sequence[Row]) -> CellTable:
    """Return rows of (fov, timestep, track_id, y, x) as a cell table."""
    fov, time, track, y, x = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return CellTable(
        {
            "fov": np.array(fov, np.int64),
            "timestep": np.array(time, np.int64),
            "track_id": np.array(track, np.int64),
            "y": np.array(y, np.float64),
            "x": np.array(x, np.float64),
        }
    )


def ratios(values: dict[tuple[int, int], list[float]]) -> CellTable:
    """Return (fov, timestep) to ratios of its cells as a cell table."""
    rows = [(*place, value) for place, cells in values.items() for value in cells]
    fov, time, value = zip(*rows, strict=True)
    columns = {"fov": np.array(fov), "timestep": np.array(time)}
    return CellTable({**columns, "cnr": np.array(value, np.float64)})


ROWS: list[Row] = [
    (0, 0, 1, 50.0, 5.0),
    (0, 1, 1, 20.0, 5.0),
    (0, 2, 1, 17.0, 9.0),
    (0, 3, 1, 14.0, 9.0),
    (0, 1, 2, 30.0, 5.0),
    (0, 3, 2, 29.0, 5.0),
    (0, 2, 3, 40.0, 5.0),
    (0, 3, 3, 10.0, 5.0),
    (1, 1, 1, 10.0, 0.0),
    (1, 2, 1, 11.0, 0.0),
]


def moved(cells: CellTable, direction: tuple[float, float] = UP) -> list[list[float]]:
    span = Span(1, 3)
    paths = paths_of(cells, span, 0.5)
    values = displacement(paths, (0, 1), span, direction, "um").values
    return [[float(v) for v in row] for row in values]


def test_displacement_is_from_the_first_light_along_the_direction_per_fov() -> None:
    values = moved(table(ROWS))
    assert values[0] == [0.0, 1.5, (3.0 + 0.5) / 2]
    assert values[1][:2] == [0.0, -0.5]
    assert math.isnan(values[1][2])


def test_displacement_sideways_does_not_count_what_went_up() -> None:
    assert moved(table(ROWS), (0.0, 1.0))[0] == [0.0, 2.0, 1.0]


@given(st.permutations(ROWS))
def test_the_order_of_rows_does_not_matter(rows: list[Row]) -> None:
    np.testing.assert_array_equal(moved(table(rows)), moved(table(ROWS)))


def test_cells_without_a_track_are_left_out() -> None:
    rows: list[Row] = [(0, 1, 0, 1.0, 1.0), (0, 2, 0, 9.0, 1.0)]
    assert paths_of(table(rows), Span(1, 2), 1.0) == []


def test_ratio_change_is_the_last_quarter_minus_before_light() -> None:
    before = {(0, 0): [1.0, 3.0], (0, 1): [2.0]}
    after = {(0, t): [float(t)] for t in range(2, 8)}
    response = change(ratios(before | after), "cnr", (0,), Span(1, 7))
    assert response is not None
    assert response.ends.tolist() == [(6.0 + 7.0) / 2 - 2.0]
    assert "6\N{EN DASH}7" in response.how


def test_ratio_change_ignores_cells_whose_ratio_is_unknown() -> None:
    cells = ratios({(0, 0): [1.0], (0, 1): [2.0, math.nan]})
    response = change(cells, "cnr", (0, 1), Span(0, 1))
    assert response is not None
    assert response.ends[0] == 1.0
    assert math.isnan(response.ends[1])


def test_there_is_no_ratio_change_without_the_column_or_without_time() -> None:
    assert change(table(ROWS), "cnr", (0,), Span(0, 3)) is None
    assert change(ratios({(0, 0): [1.0]}), "cnr", (0,), Span(0, 0)) is None


def test_arms_come_in_the_order_of_their_first_fov() -> None:
    metadata = {"0": {"arm": "b"}, "1": {"arm": "a"}, "2": {"arm": "b"}}
    arms = arms_of({"fov_metadata": metadata}, (2, 1, 0), "arm")
    assert [(arm.name, arm.fovs) for arm in arms] == [("b", (0, 2)), ("a", (1,))]


def test_a_run_without_arms_has_one_unnamed_arm() -> None:
    (arm,) = arms_of({}, (0, 1), "arm")
    assert (arm.name, arm.title, arm.fovs) == ("", "all FOVs", (0, 1))


def test_a_direction_without_length_is_up() -> None:
    assert unit_vector((0, 0)) == UP
    assert unit_vector((3, 4)) == (0.6, 0.8)


ARMS = {
    "fov_metadata": {str(f): {"arm": "loop" if f < 4 else "control"} for f in range(8)}
}


def two_arms(reach: dict[int, float]) -> CellTable:
    rows = [(f, t, 1, 50.0 - t * far, 5.0) for f, far in reach.items() for t in (0, 1)]
    return table(rows)


def test_fully_separated_arms_of_four_give_two_in_seventy() -> None:
    reach = {f: float(f if f >= 4 else f + 100) for f in range(8)}
    question = Question("arm", ("loop", "control"), 0, 1)
    answer = answer_of(two_arms(reach), ARMS, range(8), question, scale_um_per_px=None)
    assert answer.main is not None
    response, test = answer.main
    assert (response.unit, test.n, test.n_other) == ("px", 4, 4)
    assert test.difference == pytest.approx(101.5 - 5.5)
    assert test.p_value == pytest.approx(2 / 70)


def test_a_fov_without_tracks_does_not_count() -> None:
    reach = {f: float(f) for f in range(1, 8)}
    question = Question("arm", ("loop", "control"), 0, 1)
    answer = answer_of(two_arms(reach), ARMS, range(8), question, scale_um_per_px=1.0)
    assert answer.main is not None
    assert (answer.main[1].n, answer.main[1].n_other) == (3, 4)


def test_nothing_is_tested_without_the_control() -> None:
    reach = {f: float(f) for f in range(8)}
    question = Question("arm", ("loop", "nobody"), 0, 1)
    answer = answer_of(two_arms(reach), ARMS, range(8), question, scale_um_per_px=1.0)
    assert answer.main is None
    assert answer.responses[0].comparisons == ()


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, Span(0, 3)),
        (2, 3, Span(2, 3)),
        (None, 2, Span(0, 2)),
        (2, 1, Span(2, 3)),
        (9, None, Span(9, 9)),
    ],
)
def test_the_span_runs_from_light_to_the_last_common_timepoint(
    start: int | None, end: int | None, expected: Span
) -> None:
    assert span_of(table(ROWS), Question("arm", ("a", "b"), start, end)) == expected


def test_there_is_no_span_without_cells() -> None:
    assert span_of(CellTable({}), Question("arm", ("a", "b"), None, None)) is None
    assert span_of(table([]), Question("arm", ("a", "b"), 1, 2)) is None
