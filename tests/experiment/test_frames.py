"""Timepoints are read in every spelling, and refused outside the experiment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment.frames import frame_problems, frames_from, resolved


@pytest.mark.parametrize(
    ("given_as", "expected"),
    [
        ({4, 1}, (1, 4)),
        (frozenset({4, 1}), (1, 4)),
        (range(0, 6, 2), (0, 2, 4)),
        ([5, -1, 0], (5, -1, 0)),
        (np.array([3, 1]), (3, 1)),
        ((), ()),
    ],
    ids=str,
)
def test_every_spelling_is_read(given_as: object, expected: tuple[int, ...]) -> None:
    assert frames_from(given_as) == expected


@pytest.mark.parametrize("wrong", [3, "12", {"a": 1}, [1.5], [True], [None], None])
def test_anything_else_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="Give a set, range or list of whole numbers"):
        frames_from(wrong)


@given(st.integers(1, 50), st.data())
def test_every_frame_inside_is_accepted_from_either_end(
    n: int, data: st.DataObject
) -> None:
    frames = data.draw(st.lists(st.integers(0, n - 1), unique=True))
    from_end = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    written = [f - n if from_end[f] else f for f in frames]
    assert not list(frame_problems("stim_frames", written, n))
    assert resolved(written, n) == tuple(frames)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ((10,), "10 is outside the 10 timepoints. Use 0 to 9, or -10 to -1."),
        ((-11, 3, 12), "-11, 12 are outside the 10 timepoints."),
        ((9, -1), "a timepoint is given twice: 9 (written 9 and -1)."),
        (tuple(range(10, 20)), "10, 11, 12, 13, 14 and 5 more are outside"),
    ],
)
def test_a_frame_outside_or_given_twice_is_named(
    frames: tuple[int, ...], message: str
) -> None:
    problems = [str(problem) for problem in frame_problems("stim_frames", frames, 10)]
    assert len(problems) == 1
    assert problems[0].startswith(f"stim_frames: {message}")
