"""Assignment in blocks, common shifts and divisions, each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree

from faro.analysis import linking
from faro.analysis.divisions import Linked, find_divisions
from faro.analysis.drift import common_shift
from faro.analysis.linking import Edges, assign, edges_within

if TYPE_CHECKING:
    from faro.protocols.analysis import Floats


def best_total(edges: Edges, n: int, m: int) -> float:
    """Return the least total by the textbook: everyone may also be left alone."""
    padded = np.full((n + m, m + n), np.inf)
    padded[:n, m:] = np.where(np.eye(n), 0.5, np.inf)
    padded[n:, :m] = np.where(np.eye(m), 0.5, np.inf)
    padded[n:, m:] = 0
    padded[edges.source, edges.target] = edges.cost
    finite = np.where(np.isfinite(padded), padded, 1e6)
    rows, columns = linear_sum_assignment(finite)
    return float(finite[rows, columns].sum())


@given(
    n=st.integers(1, 9),
    m=st.integers(1, 9),
    density=st.floats(0, 1),
    seed=st.integers(0, 999),
    sparse=st.booleans(),
)
def test_blocks_together_cost_what_the_whole_would(
    n: int,
    m: int,
    density: float,
    seed: int,
    sparse: bool,  # noqa: FBT001  hypothesis gives it by name
) -> None:
    rng = np.random.default_rng(seed)
    source, target = np.nonzero(rng.random((n, m)) < density)
    edges = Edges(source, target, rng.uniform(-1.5, 1.3, len(source)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linking, "_DENSE_BLOCK", 0 if sparse else 99)
        sources, targets = assign(edges, n, m)
    assert len(set(sources.tolist())) == len(set(targets.tolist())) == len(sources)
    cost = {
        (a, b): c
        for a, b, c in zip(*(values.tolist() for values in edges), strict=True)
    }
    links = [
        cost[pair] for pair in zip(sources.tolist(), targets.tolist(), strict=True)
    ]
    alone = (n + m - 2 * len(links)) * 0.5
    assert sum(links) + alone == pytest.approx(best_total(edges, n, m))


def test_a_large_crowd_is_solved_sparsely() -> None:
    rng = np.random.default_rng(4)
    before = rng.uniform(0, 300, (400, 2))
    after = before + rng.normal(0, 1, before.shape)
    edges = edges_within(KDTree(before), KDTree(after), 40.0)
    sources, targets = assign(edges._replace(cost=(edges.cost / 40) ** 2), 400, 400)
    assert np.mean(sources == targets) > 0.95
    assert len(sources) >= 398


def points(n: int = 60, seed: int = 0) -> Floats:
    """Return places (n, 2) in a field of 400 px."""
    return np.random.default_rng(seed).uniform(0, 400, (n, 2))


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (35, 60), (-90, 10)])
def test_the_common_shift_is_found(shift: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    before = points()
    after = before + shift + rng.normal(0, 0.7, before.shape)
    after = rng.permutation(after)[5:]
    found = common_shift(before, after, spacing_px=50.0, reach_px=150.0)
    assert found == pytest.approx(shift, abs=0.5)


def test_cells_that_move_each_for_itself_show_no_shift() -> None:
    rng = np.random.default_rng(2)
    before = points()
    for speed_px in (1.0, 12.0):
        after = before + rng.normal(0, speed_px, before.shape)
        shift = common_shift(before, after, spacing_px=50.0, reach_px=150.0)
        assert np.linalg.norm(shift) < 0.6 * speed_px


def test_other_cells_show_no_shift() -> None:
    found = common_shift(points(seed=1), points(seed=2), 50.0, 150.0)
    assert found.tolist() == [0, 0]


def test_few_cells_show_no_shift() -> None:
    assert common_shift(points(5), points(5) + 30, 50.0, 150.0).tolist() == [0, 0]


def daughters(offset_px: float, *, linked: bool = True) -> Linked:
    """Return a mother at (50, 50) and two cells about it, the middle off by a bit."""
    found = np.array([[44.0 + offset_px, 50.0], [56.0 + offset_px, 50.0], [90, 90]])
    return Linked(
        expected=np.array([[50.0, 50.0], [90.0, 90.0]]),
        found=found,
        track_of=np.array([0 if linked else -1, -1, 1]),
        may_divide=np.array([True, True]),
    )


@pytest.mark.parametrize("linked", [True, False])
def test_two_cells_about_the_mother_are_her_daughters(*, linked: bool) -> None:
    found = find_divisions(daughters(1.0, linked=linked), 30.0, 0.3)
    assert found.mother.tolist() == [0]
    assert {*found.first.tolist(), *found.second.tolist()} == {0, 1}


def test_cells_to_one_side_are_no_daughters() -> None:
    assert not len(find_divisions(daughters(6.0), 30.0, 0.3).mother)
    assert not len(find_divisions(daughters(0.0), 5.0, 0.3).mother)


def test_daughters_of_unlike_size_are_none() -> None:
    frame = daughters(1.0)
    for now, n_found in (([50, 60, 90], 1), ([100, 10, 90], 0), ([200, 200, 90], 0)):
        sized = Linked(
            frame.expected,
            frame.found,
            frame.track_of,
            frame.may_divide,
            area_before=np.array([100.0, 90.0]),
            area_now=np.array(now, np.float64),
        )
        assert len(find_divisions(sized, 30.0, 0.3).mother) == n_found


def test_a_cell_has_one_mother() -> None:
    frame = Linked(
        expected=np.array([[50.0, 50.0], [50.0, 62.0]]),
        found=np.array([[50.0, 45.0], [50.0, 56.0], [50.0, 67.0]]),
        track_of=np.array([0, -1, 1]),
        may_divide=np.array([True, True]),
    )
    assert find_divisions(frame, 30.0, 0.3).mother.tolist() == [0]
