"""From spots shown and seen to a transform, with some of the spots wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from faro.microscope.calibration import Matrix, carried
from faro.microscope.dmd import CalibrationError, inverse_of

if TYPE_CHECKING:
    from faro.microscope.calibration_spots import Points

Kind: TypeAlias = Literal["affine", "projective"]
FEWEST: dict[Kind, int] = {"affine": 3, "projective": 4}
"""Spots that fix a transform."""
SPARE = 4
"""Spots beyond those that must agree with it."""
TRIES = 500
OUTLIER_PX = 1.5
AGREEING = 0.6
"""Part of the spots that must agree in the end."""


def fitted(
    shown: Points,
    seen: Points,
    kind: Kind,
    seed: int = 0,
    agreeing_fraction: float = AGREEING,
) -> tuple[Matrix, npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Return camera to mirror (3, 3), the spots used (n,), and residuals (n,), px.

    Random sample consensus (Fischler and Bolles, Commun. ACM 24, 381, 1981), seeded,
    then least squares over all spots that agree. Residuals are measured in the
    camera, where the spots were found.

    Parameters
    ----------
    shown, seen
        (n, 2) in mirrors and camera pixels, (x, y).
    kind
        ``"affine"``, or ``"projective"`` for an oblique projection.
    seed
        Of the random samples.
    agreeing_fraction
        Part of the spots that must agree.

    Raises
    ------
    CalibrationError
        If too few spots agree on any transform.
    """
    least, n = FEWEST[kind], len(shown)
    agreed = np.zeros(n, np.bool_)
    if n >= least + SPARE:
        rng = np.random.default_rng(seed)
        for _ in range(TRIES):
            chosen = rng.choice(n, least, replace=False)
            agree = _agreeing(shown, seen, chosen, kind)
            if agree.sum() > agreed.sum():
                agreed = agree
        for _ in range(3):  # those that agree with the best fit, until it settles
            if agreed.sum() >= least:
                agreed = _agreeing(shown, seen, np.flatnonzero(agreed), kind)
    needed = max(least + SPARE, round(agreeing_fraction * n))
    if agreed.sum() < needed:
        problem = (
            f"{n} spots were seen, of which {int(agreed.sum())} agree on one "
            f"{kind} transform; {needed} are needed."
        )
        remedy = "Use an even, fluorescent sample in focus, more power or exposure."
        raise CalibrationError(problem, remedy=remedy)
    to_camera = _solved(shown[agreed], seen[agreed], kind)
    apart = np.hypot(*(carried(to_camera, shown) - seen).T)
    inverse = inverse_of(to_camera)
    return inverse / inverse[2, 2], agreed, apart


def _agreeing(
    shown: Points, seen: Points, chosen: npt.NDArray[np.intp], kind: Kind
) -> npt.NDArray[np.bool_]:
    """Return the spots (n,) that agree with a fit to the chosen ones."""
    spread = np.linalg.svd(shown[chosen] - shown[chosen].mean(axis=0))[1]
    if spread[-1] < 1e-3 * max(spread[0], 1.0):
        return np.zeros(len(shown), np.bool_)  # all on a line
    matrix = _solved(shown[chosen], seen[chosen], kind)
    with np.errstate(all="ignore"):
        apart = np.hypot(*(carried(matrix, shown) - seen).T)
    return np.asarray(apart < OUTLIER_PX)


def _solved(source: Points, target: Points, kind: Kind) -> Matrix:
    """Return the transform (3, 3) that carries ``source`` nearest to ``target``.

    Least squares; a projective one by the direct linear transform on normalised
    points (Hartley, IEEE PAMI 19, 580, 1997).
    """
    ones = np.ones((len(source), 1))
    if kind == "affine":
        rows = np.linalg.lstsq(np.hstack([source, ones]), target, rcond=None)[0].T
        return np.vstack([rows, [0.0, 0.0, 1.0]])
    (a, before), (b, after) = _normalised(source), _normalised(target)
    points, zero = np.hstack([a, ones]), np.zeros((len(a), 3))
    equations = np.vstack(
        [
            np.hstack([points, zero, -b[:, :1] * points]),
            np.hstack([zero, points, -b[:, 1:] * points]),
        ]
    )
    found = np.linalg.svd(equations)[2][-1].reshape(3, 3)
    matrix: Matrix = np.linalg.inv(after) @ found @ before
    return matrix / matrix[2, 2] if matrix[2, 2] else matrix


def _normalised(points: Points) -> tuple[Points, Matrix]:
    """Return points (n, 2) around 0 at a mean distance of 1, and how (3, 3)."""
    middle = points.mean(axis=0)
    scale = 1.0 / max(float(np.hypot(*(points - middle).T).mean()), 1e-12)
    matrix: Matrix = np.diag([scale, scale, 1.0])
    matrix[:2, 2] = -scale * middle
    return (points - middle) * scale, matrix
