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


Z_AXIS_NDIM = 4
PROJECTIONS = ("max", "mean", "middle")


class ProjectionError(FaroError, ValueError):
    """Planes cannot be made one in that way."""


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
    """The frames of one FOV at one timepoint, one or several planes per channel.

    Attributes
    ----------
    pixels
        (C, Y, X), or (C, Z, Y, X) with a z axis; uint8 or uint16, C-ordered, read-only.
        What analysis and stimulation see is always (C, Y, X).
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
        Stage (x, y, z), None where unknown; without a z plan z of the plane, with one
        z of the first plane.
    metadata
        What the experiment says about this event (treatment, arm, ...).
    z_um
        Planned z of the planes, um, one for each in the order of the z axis; empty
        without planes.
    z_offsets_um
        What each channel adds to ``z_um`` (``z_offset`` of useq); empty for none.
    volumes
        Channel to its planes (Z, Y, X), read-only, where ``pixels`` is a projection.
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
    z_um: tuple[float, ...] = ()
    z_offsets_um: tuple[float, ...] = ()
    volumes: Mapping[str, PixelArray] = field(default_factory=no_metadata)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width (Y, X) in pixels."""
        height, width = self.pixels.shape[-2:]
        return int(height), int(width)

    @property
    def n_z(self) -> int:
        """Planes per channel, 0 without a z axis."""
        return self.pixels.shape[1] if self.pixels.ndim == Z_AXIS_NDIM else 0

    def plane(self, channel: str | int) -> PixelArray:
        """Return one channel, (Y, X), a read-only view; of planes, their maximum.

        Raises
        ------
        UnknownChannelError
            If there is no such channel.
        """
        pixels: PixelArray = self.pixels[self._index(channel)]
        return projected(pixels, "max") if self.n_z else pixels

    def volume(self, channel: str | int) -> PixelArray:
        """Return the planes of one channel, (Z, Y, X), read-only; one without z.

        Raises
        ------
        UnknownChannelError
            If there is no such channel.
        """
        index = self._index(channel)
        pixels: PixelArray = self.pixels[index]
        if self.n_z:
            return pixels
        return self.volumes.get(self.channels[index], pixels[np.newaxis])

    def _index(self, channel: str | int) -> int:
        if isinstance(channel, str):
            if channel in self.channels:
                return self.channels.index(channel)
        elif 0 <= channel < len(self.channels):
            return channel
        names = ", ".join(repr(name) for name in self.channels)
        problem = f"The stack of fov {self.fov} has no channel {channel!r}."
        raise UnknownChannelError(problem, remedy=f"Use one of: {names}, or its index.")

    def __getitem__(self, channel: str | int) -> PixelArray:
        return self.plane(channel)


def projected(planes: PixelArray, z: str | int) -> PixelArray:
    """Return what is analysed of ``planes`` (Z, Y, X), as (Y, X), read-only.

    Parameters
    ----------
    planes
        (Z, Y, X) uint8 or uint16.
    z
        ``"max"`` or ``"mean"`` (rounded) of every pixel, ``"middle"`` (index Z // 2, at
        which useq takes channels without a stack), or the index of a plane; negative
        ones count from the end.

    Raises
    ------
    ProjectionError
        If there is no such projection or plane.

    Examples
    --------
    >>> planes = np.arange(3, dtype=np.uint8).reshape(3, 1, 1)
    >>> [int(projected(planes, z)[0, 0]) for z in ("max", "mean", "middle", -1)]
    [2, 1, 1, 2]
    """
    n_z = len(planes)
    if isinstance(z, int):
        if not -n_z <= z < n_z:
            problem = f"There is no plane {z} among {n_z}."
            remedy = f"Use {-n_z} to {n_z - 1}, or one of: {', '.join(PROJECTIONS)}."
            raise ProjectionError(problem, remedy=remedy)
        return _sealed(planes[z])
    if z == "middle":
        return _sealed(planes[n_z // 2])
    if z == "max":
        return _sealed(planes.max(axis=0))
    if z == "mean":
        return _sealed(np.rint(planes.mean(axis=0)).astype(planes.dtype))
    problem = f"There is no projection {z!r}."
    remedy = f"Use one of: {', '.join(PROJECTIONS)}, or the index of a plane."
    raise ProjectionError(problem, remedy=remedy)


def _sealed(plane: PixelArray) -> PixelArray:
    plane.setflags(write=False)
    return plane
