"""All images of one FOV at one timepoint, and what is analysed of them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from faro.model import projected

if TYPE_CHECKING:
    from faro.model import Stack
    from faro.model.frame import PixelArray

ZChoice = str | int
"""How planes become one; see `faro.model.projected`."""


class Moment:
    """The stacks of one FOV at one timepoint; any thread.

    Parameters
    ----------
    stacks
        One for each number of planes.
    order
        (stack, row) of each channel, in the order of the event.

    Attributes
    ----------
    fov, timestep, role
        Of all of them.
    """

    def __init__(
        self, stacks: tuple[Stack, ...], order: tuple[tuple[int, int], ...]
    ) -> None:
        self._stacks, self._order = stacks, order
        self.fov, self.timestep = stacks[0].fov, stacks[0].timestep
        self.role = stacks[0].role
        self._lock = threading.Lock()
        self._flat: dict[ZChoice, Stack] = {}

    def flat(self, z: ZChoice) -> Stack:
        """Return all channels as one stack (C, Y, X), their planes made one by ``z``.

        Made when it is first asked for, so that no thread of the camera has to.

        Raises
        ------
        ProjectionError
            If a channel has no such plane.
        """
        first = self._stacks[0]
        if len(self._stacks) == 1 and not first.n_z:
            return first
        with self._lock:
            if z not in self._flat:
                self._flat[z] = self._made_flat(z)
            return self._flat[z]

    def _made_flat(self, z: ZChoice) -> Stack:
        stacks, order = self._stacks, self._order
        pixels = np.stack([_plane(stacks[s], row, z) for s, row in order])
        pixels.setflags(write=False)
        deep = [(s, row) for s, row in order if stacks[s].n_z]
        return replace(
            stacks[0],
            pixels=pixels,
            channels=tuple(stacks[s].channels[row] for s, row in order),
            exposures_ms=tuple(stacks[s].exposures_ms[row] for s, row in order),
            z_um=stacks[deep[0][0]].z_um,
            z_offsets_um=tuple(_offset_um(stacks[s], row) for s, row in order),
            volumes={stacks[s].channels[row]: stacks[s].pixels[row] for s, row in deep},
        )


def _plane(stack: Stack, row: int, z: ZChoice) -> PixelArray:
    pixels: PixelArray = stack.pixels[row]
    return projected(pixels, z) if stack.n_z else pixels


def _offset_um(stack: Stack, row: int) -> float:
    return stack.z_offsets_um[row] if stack.z_offsets_um else 0.0
