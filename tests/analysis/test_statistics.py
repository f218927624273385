"""Permutation test, effect size and matching against textbook values."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from faro.analysis import hedges_g, match_labels, permutation_test
from faro.errors import ContractError

VALUES = st.lists(st.integers(-9, 9), min_size=1, max_size=5)


@given(a=VALUES, b=VALUES)
def test_all_permutations_are_counted(a: list[int], b: list[int]) -> None:
    pooled = [*a, *b]
    seen = abs(np.mean(a) - np.mean(b))
    differences = []
    for chosen in combinations(range(len(pooled)), len(a)):
        rest = [v for i, v in enumerate(pooled) if i not in chosen]
        first = np.mean([pooled[i] for i in chosen])
        differences.append(abs(first - np.mean(rest)))
    expected = np.mean(np.array(differences) >= seen - 1e-9)
    assert permutation_test(a, b).p_value == pytest.approx(expected)


def test_the_test_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 8), rng.normal(0.7, 1, 7)

    def difference(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(np.abs(x.mean(axis=axis) - y.mean(axis=axis)))

    theirs = stats.permutation_test(
        (a, b), difference, vectorized=True, alternative="greater"
    )
    ours = permutation_test(a, b)
    assert ours.p_value == pytest.approx(float(theirs.pvalue))
    assert ours.difference == pytest.approx(a.mean() - b.mean())


def test_the_sign_is_that_of_the_first_group() -> None:
    assert permutation_test([1, 2], [5, 6]).difference == -4
    assert hedges_g([1, 2], [5, 6]) < 0


def test_large_groups_are_sampled_with_a_seed() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 30), rng.normal(0.6, 1, 30)
    ours = permutation_test(a, b)
    assert ours == permutation_test(a, b)
    assert ours != permutation_test(a, b, seed=1)
    assert ours.p_value == pytest.approx(stats.ttest_ind(a, b).pvalue, abs=0.01)
    assert 0 < permutation_test(a, a + 100).p_value < 1e-4


def test_equal_groups_differ_by_chance_only() -> None:
    assert permutation_test([2, 2, 2], [2, 2]).p_value == 1
    assert hedges_g([2, 2, 2], [2, 2]) == 0


def test_hedges_g_is_corrected_for_small_samples() -> None:
    a, b = np.array([5.0, 6, 7, 9]), np.array([1.0, 2, 3])
    pooled = np.sqrt((3 * a.var(ddof=1) + 2 * b.var(ddof=1)) / 5)
    expected = (a.mean() - b.mean()) / pooled * (1 - 3 / (4 * 7 - 9))
    assert hedges_g(a, b) == pytest.approx(expected)
    assert np.isinf(hedges_g([3, 3], [1, 1]))
    assert np.isnan(hedges_g([3], [1]))


def test_groups_without_numbers_are_refused() -> None:
    with pytest.raises(ContractError, match="Group 'b' is empty"):
        permutation_test([1], [])
    with pytest.raises(ContractError, match="Group 'a' holds 2 values, not all finite"):
        hedges_g([1, np.nan], [2])


def test_objects_are_matched_by_overlap() -> None:
    truth = np.zeros((10, 30), np.uint16)
    found = np.zeros((10, 30), np.int64)
    truth[:, :10], truth[:, 12:20], truth[:4, 25:] = 5, 300, 7
    found[:, 1:10], found[:, 16:24] = 2, 9
    match = match_labels(truth, found)
    assert match.truth.tolist() == [5]
    assert match.found.tolist() == [2]
    assert match.iou == pytest.approx([0.9])
    assert (match.n_truth, match.n_found) == (3, 2)
    assert match.f1 == pytest.approx(2 / 5)
    assert match.precision == pytest.approx(1 / 2)
    assert match.recall == pytest.approx(1 / 3)
    assert match.average_precision == pytest.approx(1 / 4)
    assert match_labels(truth, found, 0.95).f1 == 0


def test_empty_images_agree() -> None:
    empty = np.zeros((4, 4), np.int32)
    match = match_labels(empty, empty)
    assert (match.f1, match.precision, match.recall) == (1, 1, 1)
    assert match.average_precision == 1
    assert match_labels(empty, np.eye(4, dtype=np.int32)).f1 == 0


def test_images_that_cannot_be_compared_are_refused() -> None:
    image = np.zeros((4, 4), np.int32)
    with pytest.raises(ContractError, match=r"\(4, 4\), \(3, 4\)"):
        match_labels(image, image[1:])
    with pytest.raises(ContractError, match=r"overlap of 0.3 .* Use 0.5 to 1"):
        match_labels(image, image, 0.3)
