"""Stacks with and without a z axis, and how planes become one."""

from __future__ import annotations

import numpy as np
import pytest

from faro.model import ProjectionError, Stack, projected

PLANES = np.array([[[1, 9]], [[5, 2]], [[3, 4]]], np.uint16)


def test_a_stack_without_a_z_axis_gives_its_planes_and_volumes_of_one() -> None:
    stack = Stack(PLANES[:2], ("DAPI", "Cy5"), fov=0, timestep=0)
    assert stack.n_z == 0
    assert stack.plane("Cy5").tolist() == [[5, 2]]
    assert stack.volume("Cy5").tolist() == [[[5, 2]]]


def test_a_stack_with_a_z_axis_gives_the_maximum_as_its_plane() -> None:
    stack = Stack(PLANES[np.newaxis], ("DAPI",), 0, 0, z_um=(1.0, 2.0, 3.0))
    assert (stack.n_z, stack.shape) == (3, (1, 2))
    assert stack.plane("DAPI").tolist() == stack[0].tolist() == [[5, 9]]
    assert np.shares_memory(stack.volume("DAPI"), PLANES)


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        ("max", [[5, 9]]),
        ("mean", [[3, 5]]),
        ("middle", [[5, 2]]),
        (0, [[1, 9]]),
        (-1, [[3, 4]]),
    ],
)
def test_planes_become_one_as_declared(z: str | int, expected: list[int]) -> None:
    plane = projected(PLANES, z)
    assert plane.tolist() == expected
    assert plane.dtype == np.uint16
    assert not plane.flags.writeable


@pytest.mark.parametrize(
    ("z", "message"),
    [
        ("maximum", r"no projection 'maximum'\. Use one of: max, mean, middle, or"),
        (3, r"no plane 3 among 3\. Use -3 to 2, or one of: max, mean, middle"),
        (-4, r"no plane -4 among 3"),
    ],
)
def test_what_cannot_be_projected_says_what_can(z: str | int, message: str) -> None:
    with pytest.raises(ProjectionError, match=message):
        projected(PLANES, z)
