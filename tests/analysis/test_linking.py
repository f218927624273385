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
from faro.analysis.motion import Motion

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
        chosen = assign(edges, n, m)
    sources, targets = chosen.source, chosen.target
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
    links = assign(edges._replace(cost=(edges.cost / 40) ** 2), 400, 400)
    assert np.mean(links.source == links.target) > 0.95
    assert len(links.source) >= 398


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


STEADY = Motion(
    spacing_px=50.0, spread_px=2.0, look_sd=[0.08], look_variety=[0.3], n_links=300
)
LIMIT = STEADY.stake()


def linked(
    expected: list[tuple[float, float]],
    found: list[tuple[float, float]],
    links: dict[int, int],
    areas: tuple[list[float], list[float]] | None = None,
) -> Linked:
    """Return a frame in which every link is possible and ``links`` were made."""
    before, after = np.array(expected), np.array(found)
    edges = edges_within(KDTree(before), KDTree(after), 1e3)
    changes = np.zeros((len(edges.cost), 1))
    if areas is not None:
        log_before, log_after = (np.log(area) for area in areas)
        changes[:, 0] = log_after[edges.target] - log_before[edges.source]
    surprise = STEADY.misplaced(edges.cost, np.ones(1)) + STEADY.changed(changes)
    edges = edges._replace(cost=surprise / LIMIT)
    made = [links.get(a) == b for a, b in zip(edges.source, edges.target, strict=True)]
    return Linked(
        expected=before,
        blur=np.ones(len(before)),
        found=after,
        edges=edges,
        links=edges.at(np.array(made)),
        limit=LIMIT,
        may_divide=np.ones(len(before), np.bool_),
        area_before=None if areas is None else np.array(areas[0]),
        area_now=None if areas is None else np.array(areas[1]),
    )


def about_the_mother(offset_px: float, *, is_linked: bool = True) -> Linked:
    """Return a mother at (50, 50) and two cells about it, the middle off by a bit."""
    found = [(43.0 + offset_px, 50.0), (57.0 + offset_px, 50.0), (90.0, 90.0)]
    links = {0: 0, 1: 2} if is_linked else {1: 2}
    return linked([(50.0, 50.0), (90.0, 90.0)], found, links)


@pytest.mark.parametrize("is_linked", [True, False])
def test_two_cells_about_the_mother_are_her_daughters(*, is_linked: bool) -> None:
    found = find_divisions(about_the_mother(1.0, is_linked=is_linked), STEADY, 0.005)
    assert found.mothers.tolist() == [0]
    assert sorted(found.daughters[0].tolist()) == [0, 1]
    assert (found.rows.tolist(), found.places.tolist()) == ([1], [2])


def test_a_newcomer_beside_a_resting_cell_is_no_daughter_of_it() -> None:
    found = find_divisions(about_the_mother(7.0), STEADY, 0.005)
    assert not len(found.mothers)
    assert (found.rows.tolist(), found.places.tolist()) == ([0, 1], [0, 2])


@pytest.mark.parametrize(
    ("now", "n_found"),
    [
        ([150.0, 150.0, 300.0], 1),
        ([280.0, 20.0, 300.0], 0),
        ([900.0, 900.0, 300.0], 0),
        ([300.0, 150.0, 300.0], 0),
    ],
    ids=["halves", "unlike", "too large", "unchanged"],
)
def test_the_areas_of_daughters_are_alike_and_add_up(
    now: list[float], n_found: int
) -> None:
    # the first cell lies so that the link is as good as the middle of both
    found = [(46.0, 50.0), (62.0, 50.0), (90.0, 90.0)]
    frame = linked(
        [(50.0, 50.0), (90.0, 90.0)], found, {0: 0, 1: 2}, ([300.0, 300.0], now)
    )
    assert len(find_divisions(frame, STEADY, 0.005).mothers) == n_found


def test_a_cell_has_one_mother() -> None:
    expected = [(50.0, 50.0), (50.0, 64.0)]
    found = [(50.0, 43.0), (50.0, 57.0), (50.0, 71.0)]
    divided = find_divisions(linked(expected, found, {0: 0, 1: 2}), STEADY, 0.005)
    assert len(divided.mothers) == 1
    cells = [*divided.daughters.ravel().tolist(), *divided.places.tolist()]
    assert sorted(cells) == [0, 1, 2]


def test_what_a_division_frees_is_linked_again() -> None:
    """The neighbour had taken a daughter; her own cell was left alone."""
    expected = [(50.0, 50.0), (50.0, 62.0)]
    found = [(43.0, 50.0), (57.0, 50.0), (50.0, 65.0)]
    divided = find_divisions(linked(expected, found, {0: 0, 1: 1}), STEADY, 0.005)
    assert divided.mothers.tolist() == [0]
    assert sorted(divided.daughters[0].tolist()) == [0, 1]
    assert (divided.rows.tolist(), divided.places.tolist()) == ([1], [2])
