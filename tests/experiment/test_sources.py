"""Cells of any library are plain, and every entry of a file knows its line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment.sources import entry_lines, number, plain, table_from

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('[]{},:"\\ \nü'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('[]"'), inner),
    max_leaves=8,
)


@given(st.lists(JSON), st.integers(0, 3), st.sampled_from(["", "\n", " \r\n "]))
def test_every_entry_knows_its_line(
    entries: list[Any], indent: int, blank: str
) -> None:
    written = [json.dumps(entry, indent=indent) for entry in entries]
    text = f'{{"head": [0],{blank} "LIST" :{blank}[{blank}'
    expected = []
    for number_, entry in enumerate(written):
        text += f",{blank}" if number_ else ""
        expected.append(text.count("\n") + 1)
        text += f"{entry}{blank}"
    text += "]}"
    assert json.loads(text)["LIST"] == entries
    assert entry_lines(text, r'"LIST"\s*:\s*\[') == expected


def test_a_list_that_is_not_there_has_no_lines() -> None:
    assert entry_lines('{"a": 1}', r'"LIST"\s*:\s*\[') == []


@pytest.mark.parametrize(
    "cell", [None, "", np.nan, pd.NA, pd.NaT, np.float64("nan")], ids=range(6)
)
def test_an_empty_cell_says_nothing(cell: Any) -> None:
    assert plain(cell) is None


def test_cells_lose_the_type_of_their_library() -> None:
    cells = [np.int64(3), np.float32(0.5), np.array([1, 2]), pd.Series(["a"]), "b"]
    assert [plain(cell) for cell in cells] == [3, 0.5, [1, 2], ["a"], "b"]
    assert type(plain(np.bool_(1))) is bool


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_as_written(value: float) -> None:
    assert number(repr(value)) == value
    assert number(value) == value


@given(st.integers(-999, 999), st.integers(0, 999))
def test_a_decimal_comma_is_a_point(whole: int, rest: int) -> None:
    assert number(f"{whole},{rest}") == float(f"{whole}.{rest}")


@pytest.mark.parametrize(
    "cell", ["1,000,000", "1.5.2", "x", True, [1], "inf", 1e999], ids=repr
)
def test_what_is_no_number_is_refused(cell: Any) -> None:
    with pytest.raises(ValueError, match="not"):
        number(cell)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_lines_are_those_of_the_file(separator: str) -> None:
    lines = ["a,b", "1,2", "", '"two', 'lines",4', ",", "5,6"]
    table = table_from("\r\n".join(lines).replace(",", separator))
    assert table.columns == ("a", "b")
    assert [row["b"] for row in table.rows] == ["2", "4", "6"]
    assert [table.where(i) for i in range(3)] == [
        "table/line 2",
        "table/line 5",
        "table/line 7",
    ]
