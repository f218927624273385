"""One exposure (`Frame`) and the exposures of one moment and place (`Stack`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from faro.errors import FaroError

if TYPE_CHECKING:
    from collections.abc import Mapping

PixelArray: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16, as the camera gives them."""


def no_metadata() -> Mapping[str, Any]:
    """Return an empty, read-only mapping."""
    return MappingProxyType({})


class FrameRole(StrEnum):
    """Why a frame was taken."""

    IMAGE = "image"
    STIM = "stim"
    REF = "ref"


class UnknownChannelError(FaroError, KeyError):
    """A stack has no channel of that name or index."""

    __str__ = Exception.__str__


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One exposure as the camera gave it.

    Attributes
    ----------
    pixels
        (Y, X) uint8 or uint16, read-only.
    fov, timestep
        Position index ``p`` and time index ``t`` of useq.
    channel
        Name of the preset.
    planned_s, acquired_s
        Planned start and actual end of the exposure, seconds since the run started.
    wall_ns
        UTC at the end of the exposure, nanoseconds since the epoch.
    exposure_ms
        Exposure time, or None where the device's current one was used.
    metadata
        What the device said about the frame, JSON-able.
    """

    pixels: PixelArray
    fov: int
    timestep: int
    channel: str
    role: FrameRole = FrameRole.IMAGE
    planned_s: float = 0.0
    acquired_s: float = 0.0
    wall_ns: int = 0
    exposure_ms: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=no_metadata)


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The frames of one FOV at one timepoint, one per channel.

    Attributes
    ----------
    pixels
        (C, Y, X) uint8 or uint16, C-ordered, read-only.
    channels
        Names, in the order of the first axis.
    fov, timestep
        Position index ``p`` and time index ``t`` of useq.
    planned_s, acquired_s
        Planned start and actual end of the last exposure, seconds since run start.
    wall_ns
        UTC at the end of the last exposure, nanoseconds since the epoch.
    exposures_ms
        One per channel; None where the device's current one was used.
    pixel_size_um
        Edge of a pixel in the sample, or None if unknown.
    position_um
        Stage (x, y, z), None where unknown.
    metadata
        What the experiment says about this event (treatment, arm, ...).
    """

    pixels: PixelArray
    channels: tuple[str, ...]
    fov: int
    timestep: int
    role: FrameRole = FrameRole.IMAGE
    planned_s: float = 0.0
    acquired_s: float = 0.0
    wall_ns: int = 0
    exposures_ms: tuple[float | None, ...] = ()
    pixel_size_um: float | None = None
    position_um: tuple[float | None, float | None, float | None] = (None, None, None)
    metadata: Mapping[str, Any] = field(default_factory=no_metadata)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width (Y, X) in pixels."""
        height, width = self.pixels.shape[-2:]
        return int(height), int(width)

    def plane(self, channel: str | int) -> PixelArray:
        """Return one channel, (Y, X), a read-only view.

        Raises
        ------
        UnknownChannelError
            If there is no such channel.
        """
        if isinstance(channel, str):
            if channel in self.channels:
                return self._plane(self.channels.index(channel))
        elif 0 <= channel < len(self.channels):
            return self._plane(channel)
        names = ", ".join(repr(name) for name in self.channels)
        problem = f"The stack of fov {self.fov} has no channel {channel!r}."
        raise UnknownChannelError(problem, remedy=f"Use one of: {names}, or its index.")

    def _plane(self, index: int) -> PixelArray:
        plane: PixelArray = self.pixels[index]
        return plane

    def __getitem__(self, channel: str | int) -> PixelArray:
        return self.plane(channel)
