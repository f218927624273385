"""DMDs mounted at random, and frames that are spoiled: for calibrations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Matrix: TypeAlias = npt.NDArray[np.float64]
FALSE_SHARE = 0.2
HOT_PIXELS = 60
WHITE = 65_535


def mounting(seed: int, camera: tuple[int, int], slm: tuple[int, int]) -> Matrix:
    """Return a random affine (3, 3), camera to mirror: flip, turn, scale, shear.

    Parameters
    ----------
    seed
        The same seed gives the same mounting.
    camera, slm
        Their (Y, X) in pixels; their middles come to lie near each other.
    """
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-math.pi, math.pi)
    turn = np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    shear = np.array([[1.0, rng.uniform(-0.1, 0.1)], [0.0, rng.uniform(0.9, 1.1)]])
    flip = np.diag([rng.choice([-1.0, 1.0]), 1.0])
    matrix: Matrix = np.eye(3)
    matrix[:2, :2] = rng.uniform(0.6, 1.4) * turn @ shear @ flip
    middle = np.array([camera[1] - 1, camera[0] - 1]) / 2
    target = np.array([slm[1] - 1, slm[0] - 1]) / 2 + rng.uniform(-15, 15, 2)
    matrix[:2, 2] = target - matrix[:2, :2] @ middle
    return matrix


def spoiled(
    frames: Sequence[npt.NDArray[Any]], seed: int
) -> list[npt.NDArray[np.uint16]]:
    """Return frames (Y, X) with noise, hot pixels, and a false spot in one of five.

    The false one is brighter than the true one and lies anywhere. The first frame,
    the dark one, has none.
    """
    rng = np.random.default_rng(seed)
    shape, n_spots = frames[0].shape, len(frames) - 1
    hot = tuple(rng.integers(0, size, HOT_PIXELS) for size in shape)
    wrong = set(rng.permutation(n_spots)[: math.ceil(FALSE_SHARE * n_spots)].tolist())
    y, x = np.mgrid[: shape[0], : shape[1]]
    result = []
    for number, frame in enumerate(frames):
        image = frame.astype(np.float64) + rng.normal(0, 40, shape)
        image[hot] += rng.uniform(0, WHITE, HOT_PIXELS)
        if number - 1 in wrong:
            at_y, at_x = (rng.uniform(15, size - 15) for size in shape)
            squared = (y - at_y) ** 2 + (x - at_x) ** 2
            image += 2.0 * float(frame.max()) * (squared < 30)
        result.append(np.clip(image, 0, WHITE).astype(np.uint16))
    return result
