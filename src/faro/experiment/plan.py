"""From events to exposures in the order in which they are taken; pure and lazy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from faro.errors import Problem
from faro.experiment.refusal import ExperimentError, nearest
from faro.model import FrameRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from faro.experiment.channel import Channel
    from faro.experiment.event import Micrometres, RTMEvent, Seconds

    PositionUm: TypeAlias = tuple[
        Micrometres | None, Micrometres | None, Micrometres | None
    ]

STIM_MODES = ("current", "previous")
"""Whether light follows the mask of the same timepoint, or of the one before."""

STAY: PositionUm = (None, None, None)
IMAGE, STIM, REF = FrameRole.IMAGE, FrameRole.STIM, FrameRole.REF


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
        Whether it is the first at this moment and place.
    pos_name
        Name of the position.
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


def plan(
    events: Iterable[RTMEvent], *, stim_mode: str = "current"
) -> Iterator[PlannedEvent]:
    """Yield the exposures of ``events`` in the order in which they are taken.

    The order of ``events`` is kept. ``"current"``: image, then light by the mask of
    this timepoint, then reference. ``"previous"``: light by the mask of the timepoint
    of this position before, if there is one, then image, then reference.

    Raises
    ------
    ExperimentError
        If ``stim_mode`` is another; at once.

    >>> from faro.experiment import RTMEvent
    >>> event = RTMEvent(
    ...     index={"t": 0, "p": 0}, channels=["DAPI"], stim_channels=["Cyan"]
    ... )
    >>> [(str(e.role), e.channel.config, e.mask_from) for e in plan([event])]
    [('image', 'DAPI', None), ('stim', 'Cyan', (0, 0))]
    """
    if stim_mode not in STIM_MODES:
        raise ExperimentError([stim_mode_problem(stim_mode)])
    return _plan(events, stim_mode)


def stim_mode_problem(stim_mode: str) -> Problem:
    """Return what is wrong with an unknown mode."""
    what = f"there is no mode {stim_mode!r}."
    return Problem("stim_mode", what, nearest(stim_mode, STIM_MODES))


def _plan(events: Iterable[RTMEvent], stim_mode: str) -> Iterator[PlannedEvent]:
    """Yield the exposures; remembers the last timestep of each position."""
    last: dict[int, int] = {}
    planned_s = 0.0
    for event in events:
        if event.min_start_time is not None:
            planned_s = event.min_start_time
        before = last.get(event.fov)
        last[event.fov] = event.timestep
        if stim_mode == "current":
            roles = [IMAGE, STIM, REF]
            decided = event.timestep
        elif before is None:
            roles = [IMAGE, REF]
            decided = event.timestep
        else:
            roles = [STIM, IMAGE, REF]
            decided = before
        yield from _exposures(event, roles, planned_s, (event.fov, decided))


def _exposures(
    event: RTMEvent,
    roles: list[FrameRole],
    planned_s: Seconds,
    decided: tuple[int, int],
) -> Iterator[PlannedEvent]:
    """Yield the exposures of one event, role by role."""
    by_role = {
        IMAGE: event.channels,
        STIM: event.stim_channels,
        REF: event.ref_channels,
    }
    first, moved = True, False
    for role in roles:
        channels = by_role[role]
        for number, channel in enumerate(channels):
            yield PlannedEvent(
                role=role,
                fov=event.fov,
                timestep=event.timestep,
                channel=channel,
                channel_index=number,
                n_channels=len(channels),
                planned_s=planned_s,
                position_um=STAY if moved else event.position_um,
                mask_from=decided if role is STIM else None,
                metadata=event.metadata,
                first=first,
                pos_name=event.pos_name,
            )
            first = False
            moved = moved or role is not STIM
