"""Whether two groups differ: a permutation test and an effect size."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.protocols.analysis import Floats

_EXACT_LIMIT = 100_000
_RANDOM_DRAWS = 20_000
_CHUNK = 4096
_ROUNDING = 1e-9


class PermutationTest(NamedTuple):
    """Difference of the means, and how often chance gives one as large."""

    difference: float
    p_value: float


def permutation_test(
    a: npt.ArrayLike, b: npt.ArrayLike, *, seed: int = 0
) -> PermutationTest:
    """Return the two-sided permutation test of the difference of the means.

    All ways to divide the values into two groups of these sizes are counted if there
    are at most 100 000, else 20 000 random ones and the one that was seen (Phipson and
    Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39; the test is Fisher's, 1935, and
    Pitman's, 1937). The p-value is never 0.

    Parameters
    ----------
    a, b
        Values (n,) and (m,), one per independent unit, for example per FOV.
    seed
        Of the random draws, where all are too many.

    Raises
    ------
    ContractError
        If a group is empty or holds a value that is not finite.

    Examples
    --------
    >>> permutation_test([5, 6, 7], [1, 2, 3])
    PermutationTest(difference=4.0, p_value=0.1)
    """
    first, second = _sample(a, "a"), _sample(b, "b")
    pooled = np.concatenate([first, second])
    # the mean of one group alone decides; centring keeps rounding errors small
    pooled = pooled - pooled.mean()
    n, total = len(first), comb(len(pooled), len(first))
    seen = abs(_difference(pooled[None, :n].sum(axis=1), n, len(second))[0])
    tolerance = _ROUNDING * (float(np.abs(pooled).max()) or 1.0)
    exact = total <= _EXACT_LIMIT
    draws = _all_groups(len(pooled), n) if exact else _groups(len(pooled), n, seed)
    extreme = 0
    for rows in draws:
        apart = np.abs(_difference(pooled[rows].sum(axis=1), n, len(second)))
        extreme += int(np.count_nonzero(apart >= seen - tolerance))
    share = extreme / total if exact else (extreme + 1) / (_RANDOM_DRAWS + 1)
    return PermutationTest(float(first.mean() - second.mean()), share)


def hedges_g(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Return the difference of the means in standard deviations (Hedges 1981).

    The pooled standard deviation is used, with the correction for small samples
    ``1 - 3 / (4 * (n + m) - 9)``. Infinite where the groups differ but do not vary,
    NaN where there are fewer than three values.

    Parameters
    ----------
    a, b
        Values (n,) and (m,).

    Examples
    --------
    >>> round(hedges_g([5, 6, 7], [1, 2, 3]), 2)
    3.2
    """
    first, second = _sample(a, "a"), _sample(b, "b")
    freedom = len(first) + len(second) - 2
    if freedom < 1:
        return float("nan")
    squares = np.square(first - first.mean()).sum()
    squares += np.square(second - second.mean()).sum()
    apart = float(first.mean() - second.mean())
    sd = float(np.sqrt(squares / freedom))
    if sd == 0:
        return float(np.sign(apart) * np.inf) if apart else 0.0
    return apart / sd * (1 - 3 / (4 * (freedom + 2) - 9))


def _sample(values: npt.ArrayLike, name: str) -> Floats:
    """Return values (n,) as float64, or raise ContractError."""
    sample: Floats = np.asarray(values, np.float64).ravel()
    if not len(sample) or not np.isfinite(sample).all():
        problem = f"Group {name!r} holds {len(sample)} values, not all finite numbers."
        if not len(sample):
            problem = f"Group {name!r} is empty."
        raise ContractError(problem, remedy="Give one finite number per unit.")
    return sample


def _difference(sums: Floats, n: int, m: int) -> Floats:
    """Return the differences of the means (k,), from the sums of the first group.

    All values together sum to zero.
    """
    return sums / n + sums / m


def _all_groups(n_values: int, n: int) -> Iterator[npt.NDArray[np.intp]]:
    """Yield all choices of ``n`` of the values, as (k, n) places, in chunks."""
    chunk: list[tuple[int, ...]] = []
    for chosen in combinations(range(n_values), n):
        chunk.append(chosen)
        if len(chunk) == _CHUNK:
            yield np.asarray(chunk, np.intp)
            chunk = []
    if chunk:
        yield np.asarray(chunk, np.intp)


def _groups(n_values: int, n: int, seed: int) -> Iterator[npt.NDArray[np.intp]]:
    """Yield random choices of ``n`` of the values, as (k, n) places, in chunks."""
    rng = np.random.default_rng(seed)
    left = _RANDOM_DRAWS
    while left:
        k = min(_CHUNK // 4, left)
        left -= k
        yield np.argsort(rng.random((k, n_values)), axis=1)[:, :n]
