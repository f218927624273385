"""Names and paths of a run folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.model import FrameRole
from faro.storage.layout import (
    RunLayout,
    SeriesKey,
    is_label_name,
    next_free,
    segment_key,
    series_key,
)

KEYS = st.builds(
    SeriesKey,
    st.integers(0, 5000),
    st.sampled_from(FrameRole),
    st.integers(0, 20),
)


@given(key=KEYS)
def test_the_name_of_a_series_says_what_it_holds(key: SeriesKey) -> None:
    assert series_key(key.name) == key


@given(one=KEYS, other=KEYS)
def test_two_series_never_share_a_name(one: SeriesKey, other: SeriesKey) -> None:
    assert (one == other) == (one.name == other.name)


@pytest.mark.parametrize("name", ["OME", "p00.ome.zarr", "p000.zarr", "zarr.json"])
def test_what_is_no_series_is_not_taken_for_one(name: str) -> None:
    assert series_key(name) is None


@given(fov=st.integers(0, 5000), number=st.integers(0, 200))
def test_the_name_of_a_segment_says_what_it_holds(fov: int, number: int) -> None:
    name = RunLayout(Path("run")).segment(fov, number).name
    assert segment_key(name) == (fov, number)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "c:", "-x", "a b"])
def test_a_label_name_that_is_no_folder_name_is_refused(name: str) -> None:
    assert not is_label_name(name)


def test_a_folder_that_holds_nothing_is_free(tmp_path: Path) -> None:
    empty = tmp_path / "run"
    empty.mkdir()
    assert next_free(empty) == empty
    assert next_free(tmp_path / "absent") == tmp_path / "absent"


def test_the_next_free_folder_skips_all_used_ones(tmp_path: Path) -> None:
    for name in ("run", "run_002"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "something").touch()
    (tmp_path / "file").touch()
    assert next_free(tmp_path / "run") == tmp_path / "run_003"
    assert next_free(tmp_path / "file") == tmp_path / "file_002"
