"""A run that was ended, as it is on disk: what it was to do, and what it has done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis import PixelCells
from faro.errors import FaroError
from faro.experiment import RTMEvent, plan
from faro.model import FrameRole, Stimulus
from faro.run.growing import GrowingPlan
from faro.run.moments import Moment
from faro.run.recorder import mask_sha256
from faro.run.remaining import remaining
from faro.run.so_far import folded
from faro.storage import open_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faro.experiment import PlannedEvent
    from faro.model import Stack
    from faro.run.gate import ClockPolicy
    from faro.run.so_far import Line, SoFar
    from faro.storage import Run


@dataclass(frozen=True, eq=False)
class Past:
    """What there is of a run that was ended.

    Attributes
    ----------
    run
        As it is stored.
    so_far
        What its journal tells.
    plan
        All of it; what was taken is left out when it is gone through.
    clock
        ``"shift"``: later starts move by the time in which nobody ran. ``"keep"``:
        they stay, and what is overdue is done at once.
    """

    run: Run
    so_far: SoFar
    plan: GrowingPlan
    clock: ClockPolicy = "shift"

    @cached_property
    def steps(self) -> list[PlannedEvent]:
        """All planned exposures."""
        return list(plan(self.plan.events, stim_mode=self.plan.stim_mode))

    @cached_property
    def left(self) -> list[PlannedEvent]:
        """The exposures that are still to be taken."""
        return list(remaining(self.steps, self.so_far))

    @property
    def over(self) -> bool:
        """Whether the run was closed and nothing is left to do."""
        closed = bool(self.so_far.finished) and self.run.summary is not None
        return closed and not self.left

    def events_left(self) -> list[RTMEvent]:
        """Return the events of which something is left, in their order."""
        places = {(step.fov, step.timestep) for step in self.left}
        return [e for e in self.plan.events if (e.fov, e.timestep) in places]

    def unfinished(self) -> list[Line]:
        """Return the lines of images whose moment is taken again, to be set aside."""
        again = {(s.fov, s.timestep) for s in self.left if s.role is FrameRole.IMAGE}
        again &= self.so_far.places
        return [
            line
            for line in (self.run.journal if again else ())
            if line["kind"] == "frame"
            and line["role"] == str(FrameRole.IMAGE)
            and (line["fov"], line["timestep"]) in again
        ]

    def moment(self, event: RTMEvent) -> Moment:
        """Return the stored images of an event as they came from the camera.

        Raises
        ------
        FaroError
            If they cannot be read.
        """
        stacks = tuple(
            replace(_in_order(stack, event), metadata=event.metadata)
            for stack in self.run.stacks(event.fov, event.timestep)
        )
        where = {
            channel: (number, row)
            for number, stack in enumerate(stacks)
            for row, channel in enumerate(stack.channels)
        }
        named = [c.config for c in event.channels if c.config in where]
        return Moment(stacks, tuple(where[name] for name in named))

    def mask(self, line: Mapping[str, Any]) -> Stimulus | None:
        """Return the light of a ``stim_armed`` line, None if its mask is not stored."""
        if line["whole_field"]:
            return Stimulus()
        try:
            labels = self.run.labels(
                line.get("mask_label") or "stim_mask", line["fov"], line["timestep"]
            )
        except FaroError:
            return None
        mask = np.ascontiguousarray(labels, np.uint8)
        mask.setflags(write=False)
        same = mask_sha256(mask) == line["mask_sha256"]
        return Stimulus(mask) if same else None

    def cells(self, fov: int, timestep: int, main: str) -> PixelCells | None:
        """Return the stored cells of a frame with their tracks, None if there are none.

        ``main`` is the name of the main label image.
        """
        table = self.run.cells
        if not len(table):
            return None
        here = (table["fov"] == fov) & (table["timestep"] == timestep)
        try:
            labels = self.run.labels(main, fov, timestep)
        except FaroError:
            return None
        cells = PixelCells(labels.astype(np.int32), self.run.pixel_size_um)
        rows = {name: values[here] for name, values in table.columns.items()}
        if not np.array_equal(rows["label"], cells.label):
            return None
        cells.set_tracks(rows["track_id"].astype(np.int64))
        given = ("fov", "timestep", "label", "track_id", "y", "x", "area")
        cells.set_features({n: v for n, v in rows.items() if n not in given})
        return cells


def past_of(folder: Path, clock: ClockPolicy = "shift") -> Past:
    """Return what there is of the run in ``folder``; nothing is changed.

    Raises
    ------
    StorageError
        If there is none.
    """
    run = open_run(folder)
    so_far = folded(run.journal)
    said = run.info.get("description", {})
    events = [RTMEvent(**words) for words in said.get("experiment", ())]
    left = partial(remaining, so_far=so_far)
    growing = GrowingPlan(tuple(events), said.get("stim_mode", "current"), left)
    for words in so_far.extensions:
        more = [RTMEvent(**word) for word in words]
        growing.grow((*growing.events, *more))
    return Past(run, so_far, growing, clock)


def _in_order(stack: Stack, event: RTMEvent) -> Stack:
    """Return a stored stack with its channels in the order in which they were taken."""
    order = [c.config for c in event.channels if c.config in stack.channels]
    if tuple(order) == stack.channels or len(order) != len(stack.channels):
        return stack
    rows = [stack.channels.index(name) for name in order]
    pixels = stack.pixels[rows]
    pixels.setflags(write=False)
    offsets = stack.z_offsets_um
    return replace(
        stack,
        pixels=pixels,
        channels=tuple(order),
        exposures_ms=tuple(stack.exposures_ms[row] for row in rows),
        z_offsets_um=tuple(offsets[row] for row in rows) if offsets else (),
    )
