"""Frames in a row that are missing; a position out of focus counts once."""

from __future__ import annotations

from typing import Any

import numpy as np
import useq
from hypothesis import given
from hypothesis import strategies as st

from faro.run.assembler import AUTOFOCUS
from faro.run.losses import Losses

LOST = RuntimeError("it does not answer")
FRAME = np.zeros((2, 2), np.uint16)


def event(fov: int, role: str = "image") -> useq.MDAEvent:
    return useq.MDAEvent(metadata={"faro": {"fov": fov, "role": role}})


def losses(most: int) -> tuple[Losses, list[int]]:
    told: list[int] = []
    return Losses(most, lambda n, _: told.append(n)), told


def test_positions_out_of_focus_count_once_each() -> None:
    counted, told = losses(3)
    for fov in range(3):
        counted.missing(event(fov, AUTOFOCUS), LOST)
        assert told == ([3] if fov == 2 else [])
        for role in ("image", "image", "ref"):
            counted.missing(event(fov, role), LOST)
    assert told == [3]


def test_a_position_in_focus_again_counts_every_frame() -> None:
    counted, told = losses(2)
    counted.missing(event(0, AUTOFOCUS), LOST)
    counted.missing(event(0), LOST)
    counted.frame(FRAME, event(0), {})
    counted.missing(event(0), LOST)
    assert told == []
    counted.missing(event(0), LOST)
    assert told == [2]


@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from("afm")), max_size=30),
    most=st.integers(0, 4),
)
def test_it_is_lost_when_so_many_are_missing_in_a_row(
    steps: list[tuple[int, Any]], most: int
) -> None:
    counted, told = losses(most)
    expected, in_a_row, unfocused = [], 0, set[int]()
    for fov, what in steps:
        if what == "f":
            counted.frame(FRAME, event(fov), {})
            in_a_row = 0
            unfocused.discard(fov)
            continue
        counted.missing(event(fov, AUTOFOCUS if what == "a" else "image"), LOST)
        in_a_row += what == "a" or fov not in unfocused
        unfocused |= {fov} if what == "a" else set()
        if 0 < most <= in_a_row:
            expected.append(in_a_row)
            in_a_row = 0
    assert told == expected
