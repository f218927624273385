"""Masks reach the mirrors: held against coverage counted by brute force."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.errors import ContractError
from faro.microscope import DMD
from faro.microscope.dmd import CalibrationError

Mask = npt.NDArray[np.uint8]
Affine = npt.NDArray[np.float64]

CAMERA = (120, 140)
FINE = 12


def affine(
    *, scale: float, turn_deg: float = 0.0, flip: bool = False, at: float = 5.0
) -> Affine:
    angle = math.radians(turn_deg)
    turn = np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    matrix = np.eye(3)
    matrix[:2, :2] = scale * turn @ np.diag([-1.0 if flip else 1.0, 1.0])
    middle = np.array([CAMERA[1], CAMERA[0]]) / 2
    matrix[:2, 2] = scale * middle + at - matrix[:2, :2] @ middle
    return matrix


def shape_for(scale: float) -> tuple[int, int]:
    return int(CAMERA[0] * scale) + 30, int(CAMERA[1] * scale) + 30


def coverage(mask: Mask, matrix: Affine, shape: tuple[int, int]) -> Affine:
    """Return how much of each mirror is covered, by looking at many points of it."""
    steps = (np.arange(FINE) + 0.5) / FINE - 0.5
    y = (np.arange(shape[0])[:, None] + steps).ravel()
    x = (np.arange(shape[1])[:, None] + steps).ravel()
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    back = np.linalg.inv(matrix)
    from_x = np.rint(back[0, 0] * grid_x + back[0, 1] * grid_y + back[0, 2]).astype(int)
    from_y = np.rint(back[1, 0] * grid_x + back[1, 1] * grid_y + back[1, 2]).astype(int)
    inside = (from_x >= 0) & (from_x < mask.shape[1])
    inside &= (from_y >= 0) & (from_y < mask.shape[0])
    lit = np.zeros(inside.shape)
    lit[inside] = mask[from_y[inside], from_x[inside]] > 0
    blocks = lit.reshape(shape[0], FINE, shape[1], FINE)
    covered: Affine = blocks.mean((1, 3))
    return covered


def spots(seed: int, diameter: int = 12) -> Mask:
    """Return non-overlapping spots, away from the border."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(CAMERA, np.uint8)
    step = diameter + 8
    for y in range(step, CAMERA[0] - step, step):
        for x in range(step, CAMERA[1] - step, step):
            dy, dx = rng.uniform(-2, 2, 2)
            rows, columns = np.ogrid[: CAMERA[0], : CAMERA[1]]
            disc = (rows - y - dy) ** 2 + (columns - x - dx) ** 2 <= diameter**2 / 4
            mask[disc] = 255
    return mask


CASES = [
    pytest.param(affine(scale=1.0), 1.0, id="same"),
    pytest.param(affine(scale=1.7, turn_deg=3, flip=True), 1.7, id="fine_flipped"),
    pytest.param(affine(scale=0.72, turn_deg=-2, flip=True), 0.72, id="coarse_flipped"),
    pytest.param(affine(scale=1.0, turn_deg=31), 1.0, id="turned"),
    pytest.param(affine(scale=0.4, turn_deg=10), 0.4, id="very_coarse"),
]


@pytest.mark.parametrize(("matrix", "scale"), CASES)
def test_a_mirror_is_lit_when_half_of_it_is_covered(
    matrix: Affine, scale: float
) -> None:
    shape = shape_for(scale)
    mask = spots(3)
    out = DMD(shape, matrix).warp(mask)
    covered = coverage(mask, matrix, shape)
    assert set(np.unique(out)) <= {0, 255}
    assert (out[covered > 0.75] == 255).all()
    assert (out[covered < 0.25] == 0).all()
    wrong = (out == 255) != (covered >= 0.5)
    assert wrong.sum() <= 0.02 * (covered >= 0.5).sum()


@pytest.mark.parametrize(("matrix", "scale"), CASES[:-1])
def test_spots_of_12_px_keep_their_area(matrix: Affine, scale: float) -> None:
    masks = [spots(seed) for seed in range(8)]
    dmd = DMD(shape_for(scale), matrix)
    lit = sum(int(np.count_nonzero(dmd.warp(mask))) for mask in masks)
    wanted = sum(int(np.count_nonzero(mask)) for mask in masks) * scale**2
    assert lit == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize(("matrix", "scale"), CASES)
@pytest.mark.parametrize("kind", ["row", "column", "diagonal", "slant"])
def test_a_line_of_one_pixel_is_still_there(
    kind: str, matrix: Affine, scale: float
) -> None:
    mask = np.zeros(CAMERA, np.uint8)
    end = {"row": (110, 30), "column": (30, 100), "diagonal": (90, 90)}
    cv2.line(mask, (30, 30), end.get(kind, (110, 57)), 255, 1)
    shape = shape_for(scale)
    out = DMD(shape, matrix).warp(mask)
    y, x = np.nonzero(mask)
    at = matrix[:2, :2] @ np.stack([x, y]) + matrix[:2, 2:]
    near = cv2.dilate(out, np.ones((3, 3), np.uint8))
    reached = np.asarray(near)[np.rint(at[1]).astype(int), np.rint(at[0]).astype(int)]
    assert (reached == 255).all(), "every lit pixel has light next to it"


def test_the_mask_lands_where_the_affine_says() -> None:
    matrix = affine(scale=1.3, turn_deg=20, flip=True)
    mask = np.zeros(CAMERA, np.uint8)
    mask[38:43, 68:73] = 255
    y, x = np.nonzero(DMD(shape_for(1.3), matrix).warp(mask))
    expected = matrix @ np.array([70.0, 40.0, 1.0])
    assert (x.mean(), y.mean()) == pytest.approx(expected[:2], abs=0.3)


@given(
    scale=st.floats(0.3, 2.0),
    turn_deg=st.floats(-180, 180),
    flip=st.booleans(),
    level=st.sampled_from([1, 100, 255]),
)
@settings(max_examples=25, deadline=None)
def test_binary_in_binary_out(
    scale: float, turn_deg: float, *, flip: bool, level: int
) -> None:
    matrix = affine(scale=scale, turn_deg=turn_deg, flip=flip)
    mask = (spots(1) // 255 * level).astype(np.uint8)
    out = DMD(shape_for(scale), matrix).warp(mask)
    assert out.dtype == np.uint8
    assert set(np.unique(out)) == {0, 255 if level == 1 else level}


def test_grey_levels_are_kept() -> None:
    mask = np.zeros(CAMERA, np.uint8)
    mask[20:60, 20:60], mask[70:100, 20:60] = 80, 160
    out = DMD(shape_for(1.0), affine(scale=1.0, at=0.0)).warp(mask)
    assert {80, 160} <= set(np.unique(out))
    assert out[40, 40], out[85, 40] == (80, 160)
    dim = DMD(shape_for(1.0), affine(scale=1.0, at=0.0), on_value=127).warp(mask)
    assert int(dim[85, 40]) == 80


def test_the_on_value_is_what_on_means() -> None:
    dmd = DMD(shape_for(1.0), affine(scale=1.0), on_value=1)
    mask = spots(1)
    assert set(np.unique(dmd.warp(mask))) == {0, 1}
    assert (dmd.warp(mask) == dmd.warp((mask > 0).view(np.uint8))).all()
    with pytest.raises(ContractError, match="grey level 100"):
        dmd.warp((mask // 255 * 100).astype(np.uint8))


def test_bool_and_dark_masks() -> None:
    dmd = DMD(shape_for(1.0), affine(scale=1.0))
    mask = spots(1)
    as_bool: Mask = mask.astype(bool)
    assert (dmd.warp(as_bool) == dmd.warp(mask)).all()
    assert not dmd.warp(np.zeros(CAMERA, np.uint8)).any()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros(CAMERA, np.uint16), "dtype uint16"),
        (np.zeros((*CAMERA, 3), np.uint8), "shape \\(120, 140, 3\\)"),
        (np.zeros((10, 10), np.uint8), "is \\(10, 10\\), the camera \\(120, 140\\)"),
    ],
    ids=["dtype", "colour", "shape"],
)
def test_a_wrong_mask_is_refused(mask: Mask, message: str) -> None:
    dmd = DMD(shape_for(1.0), affine(scale=1.0), camera_shape=CAMERA)
    with pytest.raises(ContractError, match=message):
        dmd.warp(mask)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(2), "not 3 x 3"),
        (np.full((3, 3), np.nan), "finite"),
        (np.diag([1.0, 0.0, 1.0]), "singular"),
        ([[1, 2, 0], [2, 4, 0], [0, 0, 1]], "singular"),
        ([[1, 0, 0], [0, 1, 0], [0, 0.1, 1]], "last row"),
    ],
    ids=["shape", "nan", "flat", "dependent", "perspective"],
)
def test_a_wrong_calibration_is_refused(matrix: npt.ArrayLike, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        DMD((10, 10), matrix)


def test_the_calibration_cannot_be_changed_behind_its_back() -> None:
    matrix = affine(scale=1.0)
    dmd = DMD((10, 12), matrix)
    matrix[0, 0] = 7
    assert (dmd.shape, dmd.on_value) == ((10, 12), 255)
    assert dmd.affine[0, 0] == 1
    assert not dmd.affine.flags.writeable
