"""From events to exposures in the order in which they are taken; pure and lazy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from faro.errors import Problem
from faro.experiment.event import WAIT_KEY, middle
from faro.experiment.refusal import ExperimentError, nearest
from faro.experiment.visits import IMAGE, REF, STIM, STIM_MODES, visits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from useq import HardwareAutofocus, PropertyTuple

    from faro.experiment.channel import Channel
    from faro.experiment.event import Micrometres, RTMEvent, Seconds
    from faro.experiment.visits import Visit
    from faro.model import FrameRole

    PositionUm: TypeAlias = tuple[
        Micrometres | None, Micrometres | None, Micrometres | None
    ]

STAY: PositionUm = (None, None, None)


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """One exposure.

    Attributes
    ----------
    role
        Why it is taken.
    fov, timestep
        Position index ``p`` and time index ``t``.
    channel
        Preset, exposure, group and power.
    channel_index, n_channels
        Which of how many channels of its role, at this moment and place.
    planned_s
        Planned start, seconds since the experiment started.
    position_um
        Stage (x, y, z); None stays. Set on the exposures up to the first that is sure
        to be taken, because a stimulation without a mask is left out.
    mask_from
        (fov, timestep) whose decision a stimulation fires; None for other roles.
    metadata
        What the experiment says about the event.
    first
        Whether it is the first of its event.
    pos_name
        Name of the position.
    last
        Whether it is the last of its role at this moment and place.
    n_z, z_index
        How many planes the channel has, and which this is; 0 without a z axis.
    row, n_rows
        Which of how many channels of its role with as many planes.
    z_um
        Stage z of the exposure, um; None where the event says none.
    z_offset_um
        How much of it is the offset of the channel.
    autofocus
        What the autofocus does before the exposure, None for nothing.
    focus_z_um
        Stage z at which the autofocus begins, um: without the plane of a z plan.
    keep_shutter_open
        Whether the shutter stays open until the next exposure.
    properties
        (device, property, value) to set before the exposure.
    restarts_clock
        Whether what comes after is as much later as this begins late.
    """

    role: FrameRole
    fov: int
    timestep: int
    channel: Channel
    channel_index: int
    n_channels: int
    planned_s: Seconds
    position_um: PositionUm
    mask_from: tuple[int, int] | None
    metadata: Mapping[str, Any]
    first: bool
    pos_name: str | None
    last: bool = True
    n_z: int = 0
    z_index: int = 0
    row: int = 0
    n_rows: int = 1
    z_um: Micrometres | None = None
    z_offset_um: Micrometres = 0.0
    autofocus: HardwareAutofocus | None = None
    focus_z_um: Micrometres | None = None
    keep_shutter_open: bool = False
    properties: tuple[PropertyTuple, ...] = ()
    restarts_clock: bool = False


def plan(
    events: Iterable[RTMEvent], *, stim_mode: str = "current"
) -> Iterator[PlannedEvent]:
    """Yield the exposures of ``events`` in the order in which they are taken.

    The order of ``events`` is kept. ``"current"``: image, then light by the mask of
    this timepoint, then reference. ``"previous"``: light by the mask of the timepoint
    of this position before, if there is one, then image, then reference.
    ``"interleaved"``: image and reference at all positions of a timepoint that have
    one planned start, then light by the masks of this timepoint, in the same order;
    a position without light is not visited again, and a wait begins a new round.

    Raises
    ------
    ExperimentError
        If ``stim_mode`` is another; at once.

    Examples
    --------
    >>> from faro.experiment import RTMEvent
    >>> event = RTMEvent(
    ...     index={"t": 0, "p": 0}, channels=["DAPI"], stim_channels=["Cyan"]
    ... )
    >>> [(str(e.role), e.channel.config, e.mask_from) for e in plan([event])]
    [('image', 'DAPI', None), ('stim', 'Cyan', (0, 0))]
    """
    if stim_mode not in STIM_MODES:
        raise ExperimentError([stim_mode_problem(stim_mode)])
    stays = visits(events, stim_mode)
    return _shuttered(shot for visit in stays for shot in _exposures(visit))


def stim_mode_problem(stim_mode: str) -> Problem:
    """Return what is wrong with an unknown mode."""
    what = f"there is no mode {stim_mode!r}."
    return Problem("stim_mode", what, nearest(stim_mode, STIM_MODES))


def _shuttered(planned: Iterable[PlannedEvent]) -> Iterator[PlannedEvent]:
    """Yield the exposures; the shutter closes where no image follows at once."""
    before: PlannedEvent | None = None
    for event in planned:
        if before is not None:
            yield before if _goes_on(before, event) else _closed(before)
        before = event
    if before is not None:
        yield _closed(before)


def _closed(event: PlannedEvent) -> PlannedEvent:
    """Return an exposure after which the shutter closes."""
    return replace(event, keep_shutter_open=False) if event.keep_shutter_open else event


def _goes_on(before: PlannedEvent, event: PlannedEvent) -> bool:
    """Return whether an image follows at once, so that the shutter may stay open."""
    waits = event.first and WAIT_KEY in event.metadata
    at_once = event.planned_s <= before.planned_s and not waits
    return event.role is IMAGE and event.autofocus is None and at_once


@dataclass(frozen=True, slots=True)
class _Shot:
    """One exposure within its event: which channel, and which of how many planes."""

    channel_index: int
    z_index: int = 0
    n_z: int = 0
    keep_shutter_open: bool = False
    autofocus: bool = False


def _exposures(visit: Visit) -> Iterator[PlannedEvent]:
    """Yield the exposures of one visit, role by role."""
    event = visit.event
    by_role = {
        IMAGE: event.channels,
        STIM: event.stim_channels,
        REF: event.ref_channels,
    }
    begun = _Begun(event, visit.planned_s, first=not visit.again)
    for role in visit.roles:
        channels = by_role[role]
        planes = _planes_of(event, channels) if role is IMAGE else ((),) * len(channels)
        shots = _shots(event, planes) if role is IMAGE else _single(len(channels))
        rows = _rows([len(p) for p in planes])
        for number, shot in enumerate(shots):
            index = shot.channel_index
            row, n_rows = rows[index]
            yield replace(
                begun.exposure(role, channels[index], planes[index], shot),
                n_channels=len(channels),
                mask_from=visit.decided if role is STIM else None,
                last=number == len(shots) - 1,
                row=row,
                n_rows=n_rows,
            )


@dataclass(slots=True)
class _Begun:
    """An event of which some exposures are planned already."""

    event: RTMEvent
    planned_s: Seconds
    first: bool = True
    moved: bool = False

    def exposure(
        self,
        role: FrameRole,
        channel: Channel,
        planes: Sequence[Micrometres],
        shot: _Shot,
    ) -> PlannedEvent:
        """Return the next exposure, as far as it does not depend on its role."""
        event, moved, first = self.event, self.moved, self.first
        z_um = _z_um(event, channel, planes, shot, role)
        x_um, y_um, _ = STAY if moved else event.position_um
        focus = shot.autofocus or (first and "start" in event.autofocus_at)
        self.first, self.moved = False, moved or role is not STIM
        return PlannedEvent(
            role=role,
            fov=event.fov,
            timestep=event.timestep,
            channel=channel,
            channel_index=shot.channel_index,
            n_channels=1,
            planned_s=self.planned_s,
            position_um=(x_um, y_um, None if _stays(event, moved) else z_um),
            mask_from=None,
            metadata=event.metadata,
            first=first,
            pos_name=event.pos_name,
            n_z=shot.n_z,
            z_index=shot.z_index,
            z_um=z_um,
            z_offset_um=channel.z_offset,
            autofocus=event.autofocus if focus else None,
            focus_z_um=_focus_z_um(event, channel) if focus else None,
            keep_shutter_open=shot.keep_shutter_open,
            properties=() if moved else tuple(event.properties or ()),
            restarts_clock=first and event.reset_event_timer,
        )


def _stays(event: RTMEvent, moved: bool) -> bool:  # noqa: FBT001  a fact of the moment
    """Return whether z is where it is for all exposures, and was driven to."""
    every = (*event.channels, *event.stim_channels, *event.ref_channels)
    return moved and not event.z_planes and not any(c.z_offset for c in every)


def _planes_of(
    event: RTMEvent, channels: Sequence[Channel]
) -> tuple[tuple[Micrometres, ...], ...]:
    """Return the planes of each channel, empty for one without a z axis."""
    planes = event.z_planes if len(event.z_planes) > 1 else ()
    return tuple(planes if channel.do_stack else () for channel in channels)


def _single(n_channels: int) -> list[_Shot]:
    return [_Shot(index) for index in range(n_channels)]


def _shots(event: RTMEvent, planes: Sequence[tuple[Micrometres, ...]]) -> list[_Shot]:
    """Return the images of an event, in the order in which they are taken."""
    if not planes:
        return []
    n_z = max(1, len(event.z_planes))
    shots = [
        (c, z)
        for c, own in enumerate(planes)
        for z in (range(n_z) if own else [n_z // 2])
    ]
    if event.image_order == "zc":
        shots.sort(key=lambda shot: (shot[1], shot[0]))
    after = [
        _changed(one, other) <= set(event.keep_shutter_open_across)
        for one, other in pairwise(shots)
    ]
    focus = [
        bool(_changed(one, other) & set(event.autofocus_at))
        for one, other in pairwise(shots)
    ]
    return [
        _Shot(c, z if planes[c] else 0, len(planes[c]), open_, focused)
        for (c, z), open_, focused in zip(
            shots, [*after, event.keep_shutter_open], [False, *focus], strict=True
        )
    ]


def _changed(one: tuple[int, int], other: tuple[int, int]) -> set[str]:
    """Return the axes in which two images, (c, z), differ."""
    return {axis for axis, a, b in zip("cz", one, other, strict=True) if a != b}


def _rows(n_planes: Sequence[int]) -> list[tuple[int, int]]:
    """Return which of how many channels with as many planes each channel is."""
    return [
        (n_planes[:index].count(n), n_planes.count(n))
        for index, n in enumerate(n_planes)
    ]


def _focus_z_um(event: RTMEvent, channel: Channel) -> Micrometres | None:
    """Return the stage z at which the autofocus begins, um."""
    z_um = event.reference_z_um
    return None if z_um is None else z_um + (channel.z_offset if event.z_planes else 0)


def _z_um(
    event: RTMEvent,
    channel: Channel,
    planes: Sequence[Micrometres],
    shot: _Shot,
    role: FrameRole,
) -> Micrometres | None:
    """Return the stage z of an exposure, um."""
    z_um = event.reference_z_um
    if planes:
        z_um = planes[shot.z_index]
    elif event.z_planes and role is IMAGE:
        z_um = middle(event.z_planes)
    return None if z_um is None else z_um + channel.z_offset
