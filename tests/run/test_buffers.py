"""Memory that comes back: never while somebody looks at it."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from faro.run.buffers import MAX_SIZES, MAX_SPARE, StackBuffers


def test_memory_is_used_again_when_the_array_is_gone() -> None:
    buffers = StackBuffers()
    for number in range(100):
        array = buffers.array((2, 8, 8), np.uint16)
        array[:] = number
        del array
    assert buffers.n_fresh == 1


def test_a_view_of_a_view_keeps_the_pixels() -> None:
    buffers = StackBuffers()
    array = buffers.array((2, 8, 8), np.uint16)
    array[:] = 7
    plane = array[1][2:5]
    del array
    gc.collect()
    for _ in range(5):
        buffers.array((2, 8, 8), np.uint16)[:] = 0
    assert (plane == 7).all()


def test_stacks_of_two_sizes_in_turn_use_their_memory_again() -> None:
    buffers = StackBuffers()
    for _ in range(20):
        buffers.array((2, 8, 8), np.uint16)
        buffers.array((1, 8, 8), np.uint16)
    assert buffers.n_fresh == 2


def test_only_a_few_are_kept_of_a_few_sizes() -> None:
    buffers = StackBuffers()
    held = [buffers.array((4, 4), np.uint8) for _ in range(MAX_SPARE + 5)]
    del held
    again = [buffers.array((4, 4), np.uint8) for _ in range(MAX_SPARE + 5)]
    assert buffers.n_fresh == MAX_SPARE + 5 + 5
    del again
    for edge in range(5, 5 + MAX_SIZES):
        buffers.array((edge, edge), np.uint8)
    fresh = buffers.n_fresh
    buffers.array((4, 4), np.uint8)
    assert buffers.n_fresh == fresh + 1


@given(st.lists(st.integers(0, 9), max_size=60))
def test_what_is_held_is_never_written_by_another(choices: list[int]) -> None:
    buffers = StackBuffers()
    held: dict[int, Any] = {}
    for step, place in enumerate(choices):
        old = held.pop(place, None)
        del old
        array = buffers.array((3, 4), np.uint16)
        array[:] = step
        held[place] = (step, array[::2])
        for number, view in held.values():
            assert (view == number).all()
