"""What is imaged at each place: the plans of a sequence and of its positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import useq

from faro.experiment.channel import channel_from
from faro.experiment.tiles import Spot, spots

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faro.experiment.channel import Channel
    from faro.experiment.event import Micrometres

Order = Literal["cz", "zc"]
FocusAt: TypeAlias = tuple[Literal["start", "c", "z"], ...]
INNER: tuple[Literal["c"], Literal["z"]] = ("c", "z")
"""Axes that change within an event."""


@dataclass(frozen=True, slots=True)
class Imaging:
    """What is imaged at one FOV, whenever it is visited.

    Attributes
    ----------
    spot
        Where.
    channels
        With their ``acquire_every``.
    z_planes
        Stage z, um; empty without a z plan.
    image_order
        Whether all planes of a channel come first, or all channels in a plane.
    autofocus
        Its plan, None for none.
    properties
        What is set when the position is reached.
    """

    spot: Spot
    channels: tuple[Channel, ...]
    z_planes: tuple[Micrometres, ...] = ()
    image_order: Order = "cz"
    autofocus: useq.AxesBasedAF | None = None
    properties: tuple[Any, ...] = ()

    def at(self, timestep: int) -> tuple[Channel, ...]:
        """Return the channels that are taken at ``timestep``."""
        due = (c for c in self.channels if not timestep % c.acquire_every)
        return tuple(channel.always() for channel in due)

    def images(self, timestep: int) -> Iterator[dict[str, int]]:
        """Yield the indices c and z of the images, in the order they are taken."""
        n_z = len(self.z_planes)
        shots = [
            (c, z)
            for c, channel in enumerate(self.channels)
            if not timestep % channel.acquire_every
            for z in (range(max(1, n_z)) if channel.do_stack else [n_z // 2])
        ]
        if self.image_order == "zc":
            shots.sort(key=lambda shot: (shot[1], shot[0]))
        yield from ({"c": c, "z": z} if n_z else {"c": c} for c, z in shots)


def imagings(
    sequence: useq.MDASequence, channels: tuple[Channel, ...]
) -> list[Imaging]:
    """Return what is imaged at each FOV; at one without a place if there is none.

    What a position says in its own sequence takes the place of what ``sequence`` says.
    """
    here = spots(sequence) or [Spot(useq.Position())]
    listed = [*sequence.stage_positions]
    return [
        _imaging(sequence, channels, spot, listed[spot.p] if listed else spot.position)
        for spot in here
    ]


def _imaging(
    sequence: useq.MDASequence,
    channels: tuple[Channel, ...],
    spot: Spot,
    position: useq.Position,
) -> Imaging:
    sub = position.sequence
    own = sub if sub is not None else useq.MDASequence()
    z_plan = own.z_plan or sequence.z_plan
    above_um = spot.position.z or 0.0 if z_plan and z_plan.is_relative else 0.0
    return Imaging(
        spot,
        tuple(_completed(c, channels) for c in own.channels) or channels,
        tuple(float(z) + above_um for z in z_plan or ()),
        _order(own.axis_order if own.z_plan and own.channels else None, sequence, own),
        own.autofocus_plan or sequence.autofocus_plan,
        tuple(position.properties or ()),
    )


def _completed(said: useq.Channel, channels: tuple[Channel, ...]) -> Channel:
    """Return a channel of a position, completed by the one of the whole."""
    channel = channel_from(said)
    same = next((c for c in channels if c.config == channel.config), None)
    if same is None:
        return channel
    words = channel.words()
    more = {name: getattr(same, name) for name in ("exposure", "group", "power")}
    return channel_from(more | {k: v for k, v in words.items() if v is not None})


def _order(
    axes: tuple[str, ...] | None, sequence: useq.MDASequence, own: useq.MDASequence
) -> Order:
    """Return whether channels or planes are the outer of the two."""
    if axes is None:
        if own.z_plan:
            return "cz"
        axes = sequence.axis_order
    both = [axis for axis in axes if axis in "cz"]
    return "zc" if both == ["z", "c"] else "cz"


@dataclass(frozen=True, slots=True)
class Visit:
    """One FOV at one timepoint, in the indices of useq.

    Attributes
    ----------
    timestep, fov
        Indices of ours.
    index
        t, p and g of useq, those that there are.
    images
        c and z of useq of its images, those that there are.
    """

    timestep: int
    fov: int
    index: Mapping[str, int]
    images: tuple[Mapping[str, int], ...]

    def first(self) -> Mapping[str, int]:
        """Return all indices of the first image."""
        return {**self.index, **self.images[0]}

    def last(self) -> Mapping[str, int]:
        """Return all indices of the last image."""
        return {**self.index, **self.images[-1]}


def visit_of(
    sequence: useq.MDASequence, imaging: Imaging, timestep: int, fov: int
) -> Visit:
    """Return the visit of ``fov`` at ``timestep``."""
    index = {"t": timestep} if sequence.time_plan is not None else {}
    if sequence.stage_positions:
        index["p"] = imaging.spot.p
    if imaging.spot.g is not None:
        index["g"] = imaging.spot.g
    return Visit(timestep, fov, index, tuple(imaging.images(timestep)))


class Focus:
    """Tells which events begin with the autofocus.

    The rule of `useq.AxesBasedAF`, which itself remembers what it saw last time.
    """

    def __init__(self) -> None:
        self._seen: dict[int, Mapping[str, int]] = {}

    def at(self, plan: useq.AxesBasedAF | None, visit: Visit) -> FocusAt:
        """Return when the autofocus is due in a visit."""
        if plan is None or not visit.images:
            return ()
        before, now = self._seen.get(id(plan), {}), visit.first()
        self._seen[id(plan)] = visit.last()
        start = any(a in plan.axes and before.get(a) != i for a, i in now.items())
        due: list[Literal["start", "c", "z"]] = ["start"] if start else []
        due += [axis for axis in INNER if axis in plan.axes and axis in now]
        return tuple(due)


def stays_open(across: tuple[str, ...], visit: Visit, following: Visit | None) -> bool:
    """Return whether useq keeps the shutter open from one visit to the next."""
    if following is None or not visit.images or not following.images:
        return False
    one, other = visit.last(), following.first()
    changed = {axis for axis in (*one, *other) if one.get(axis) != other.get(axis)}
    return changed <= set(across)
