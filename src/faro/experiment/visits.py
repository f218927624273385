"""The visits of the stage: at which position, in which order, and what for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faro.errors import Problem
from faro.experiment.event import WAIT_KEY
from faro.model import FrameRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faro.experiment.event import RTMEvent, Seconds

STIM_MODES = ("current", "previous", "interleaved")
"""Light by the mask of the same timepoint, at once or on the way back, or of the one
before."""

IMAGE, STIM, REF = FrameRole.IMAGE, FrameRole.STIM, FrameRole.REF
AT_ONCE = (IMAGE, STIM, REF)


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay at a position.

    Attributes
    ----------
    event
        What is to be taken there.
    roles
        What of it is taken now, in order.
    planned_s
        Planned start of the event, seconds since the experiment started.
    decided
        (fov, timestep) whose decision a stimulation fires.
    again
        Whether the event was begun at a visit before.
    """

    event: RTMEvent
    roles: tuple[FrameRole, ...]
    planned_s: Seconds
    decided: tuple[int, int]
    again: bool = False


def visits(events: Iterable[RTMEvent], stim_mode: str) -> Iterator[Visit]:
    """Yield the visits of ``events``; lazy. See `faro.experiment.plan`."""
    timed = _timed(events)
    if stim_mode == "interleaved":
        return _interleaved(timed)
    return _current(timed) if stim_mode == "current" else _previous(timed)


def _timed(events: Iterable[RTMEvent]) -> Iterator[tuple[RTMEvent, Seconds]]:
    """Yield every event with its planned start; one without follows at once."""
    planned_s = 0.0
    for event in events:
        if event.min_start_time is not None:
            planned_s = event.min_start_time
        yield event, planned_s


def _current(timed: Iterable[tuple[RTMEvent, Seconds]]) -> Iterator[Visit]:
    for event, planned_s in timed:
        yield Visit(event, AT_ONCE, planned_s, (event.fov, event.timestep))


def _previous(timed: Iterable[tuple[RTMEvent, Seconds]]) -> Iterator[Visit]:
    """Yield the visits; remembers the last timestep of each position."""
    last: dict[int, int] = {}
    for event, planned_s in timed:
        before = last.get(event.fov)
        last[event.fov] = event.timestep
        roles = (IMAGE, REF) if before is None else (STIM, IMAGE, REF)
        decided = event.timestep if before is None else before
        yield Visit(event, roles, planned_s, (event.fov, decided))


def _interleaved(timed: Iterable[tuple[RTMEvent, Seconds]]) -> Iterator[Visit]:
    """Yield the visits round by round: all images, then all light in the same order.

    The order of the way back is that of the way out, so that every position has the
    same time for its mask: that of all the others. The other way round saves two moves
    in a round and waits for the mask of the position that was imaged last.
    """
    for members, planned_s in _rounds(timed):
        if len(members) == 1:
            yield from _current((event, planned_s) for event in members)
            continue
        begun = [bool(event.channels or event.ref_channels) for event in members]
        for event, imaged in zip(members, begun, strict=True):
            if imaged:
                yield Visit(event, (IMAGE, REF), planned_s, _own(event))
        for event, imaged in zip(members, begun, strict=True):
            if event.stim_channels:
                yield Visit(event, (STIM,), planned_s, _own(event), again=imaged)


def interleaving_problems(events: Iterable[RTMEvent]) -> Iterator[Problem]:
    """Yield a warning where no position is imaged while a mask is computed."""
    shared = any(len(members) > 1 for members, _ in _rounds(_timed(events)))
    if not shared:
        what = "it is interleaved, but no two positions have a timepoint and start "
        what += "in common: every mask is waited for, as in the mode 'current'."
        remedy = "Let the positions of a timepoint follow at once, without a start "
        remedy += "or wait of their own."
        yield Problem("stim_mode", what, remedy, "warning")


def _own(event: RTMEvent) -> tuple[int, int]:
    return event.fov, event.timestep


def _rounds(
    timed: Iterable[tuple[RTMEvent, Seconds]],
) -> Iterator[tuple[list[RTMEvent], Seconds]]:
    """Yield events that can share a round: one timepoint and start, no wait between."""
    members: list[RTMEvent] = []
    start_s = 0.0
    for event, planned_s in timed:
        joins = (
            bool(members)
            and planned_s == start_s
            and event.timestep == members[0].timestep
            and all(event.fov != other.fov for other in members)
            and WAIT_KEY not in event.metadata
        )
        if members and not joins:
            yield members, start_s
            members = []
        members.append(event)
        start_s = planned_s
    if members:
        yield members, start_s
