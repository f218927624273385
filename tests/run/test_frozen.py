"""State goes to JSON and comes back bit for bit."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from faro.errors import ContractError
from faro.model import Stimulus, TrackValues
from faro.run.frozen import frozen, thawed

numbers = st.floats(width=64) | st.integers() | st.booleans() | st.none() | st.text()
arrays = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
values = st.recursive(
    numbers | arrays,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same, bit for bit and in type."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray | np.generic):
        a, b = np.asarray(one), np.asarray(other)
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=True)
        return all(same(k, m) and same(v, w) for (k, v), (m, w) in pairs)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


@given(values)
def test_everything_comes_back_as_it_was(value: Any) -> None:
    assert same(thawed(json.loads(json.dumps(frozen(value)))), value)


def test_tracks_and_light_come_back() -> None:
    ids = np.array([3, 9], np.int64)
    tracks = TrackValues().updated(ids, {"dose": np.array([0.1, np.nan])})
    mask = np.eye(5, dtype=np.uint8) * np.uint8(200)
    before = {"pid": tracks, "light": Stimulus(mask, {"n": 3}), "all": Stimulus()}
    after = thawed(json.loads(json.dumps(frozen(before))))
    assert same(after["pid"].columns["dose"], tracks.columns["dose"])
    assert same(after["pid"].track_id, tracks.track_id)
    assert same(after["pid"].missed, tracks.missed)
    assert same(after["light"].mask, mask)
    assert not after["light"].mask.flags.writeable
    assert after["light"].note == {"n": 3}
    assert after["all"].whole_field


@pytest.mark.parametrize("value", [object(), {"a": [{1}]}, np.array([object()])])
def test_what_cannot_be_stored_is_named(value: Any) -> None:
    with pytest.raises(ContractError, match=r"memory of fov 2.* cannot be stored"):
        frozen(value, "the memory of fov 2")
