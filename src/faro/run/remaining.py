"""What is left of a plan: nothing twice, no light again. Pure and lazy."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from faro.experiment.waiting import WAIT
from faro.model import FrameRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from faro.experiment import PlannedEvent
    from faro.run.so_far import SoFar


def remaining(planned: Iterable[PlannedEvent], so_far: SoFar) -> Iterator[PlannedEvent]:
    """Yield the exposures of ``planned`` that a run still has to take, in their order.

    The images of a moment are taken together or not at all. A stimulation that was
    armed is left out, whether or not it was confirmed: it may have fired. What is left
    of a moment that was begun goes to its place again, and waits for nobody again.
    """
    before: PlannedEvent | None = None
    for _, group in groupby(planned, lambda step: (step.fov, step.timestep)):
        visit = list(group)
        left = [step for step in visit if not is_over(step, visit, so_far)]
        if len(left) < len(visit):
            left = list(_taken_up(left, visit)) if left else []
            before = before and replace(before, keep_shutter_open=False)
        for step in left:
            if before is not None:
                yield before
            before = step
    if before is not None:
        yield before


def is_over(step: PlannedEvent, visit: Sequence[PlannedEvent], so_far: SoFar) -> bool:
    """Return whether an exposure of a visit was taken, or cannot be taken again."""
    if step.role is FrameRole.STIM:
        return (step.fov, step.timestep, step.channel.config) in so_far.lights
    channels = {s.channel.config for s in visit if s.role is step.role}
    return so_far.is_over(step.fov, step.timestep, step.role, channels)


def _taken_up(
    left: list[PlannedEvent], visit: Sequence[PlannedEvent]
) -> Iterator[PlannedEvent]:
    """Yield what is left of a visit as a visit of its own."""
    left = [_placed(left[0], visit), *left[1:]]
    for number, step in enumerate(left):
        same = [other for other in left[number + 1 :] if other.role is step.role]
        yield replace(
            _renumbered(step, left),
            metadata={k: v for k, v in step.metadata.items() if k != WAIT},
            last=not same,
            keep_shutter_open=step.keep_shutter_open and bool(same),
        )


def _placed(first: PlannedEvent, visit: Sequence[PlannedEvent]) -> PlannedEvent:
    """Return the first exposure of what is left, with what those before it set."""
    before = visit[: visit.index(first) + 1]
    moved = [step.position_um for step in visit if step.position_um[0] is not None]
    x_um, y_um, _ = moved[0] if moved else first.position_um
    focused = first if first.autofocus else visit[0]
    return replace(
        first,
        first=any(step.first for step in visit),
        position_um=(x_um, y_um, first.z_um),
        properties=tuple(dict.fromkeys(p for s in before for p in s.properties)),
        autofocus=focused.autofocus,
        focus_z_um=focused.focus_z_um,
    )


def _renumbered(step: PlannedEvent, left: Sequence[PlannedEvent]) -> PlannedEvent:
    """Return a stimulation as one of those that are left; others as they are."""
    if step.role is not FrameRole.STIM:
        return step
    lights = [s.channel.config for s in left if s.role is FrameRole.STIM]
    n = len(lights)
    row = lights.index(step.channel.config)
    return replace(step, row=row, n_rows=n, n_channels=n)
