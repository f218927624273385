"""What was taken, and what was planned: from the journal, or where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faro.model import FrameRole
from faro.storage.layout import FORMAT
from faro.view import journal as told

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from faro.experiment import RTMEvent
    from faro.storage import Run
    from faro.view.journal import Line


@dataclass(frozen=True, slots=True)
class Taken:
    """Frames that are stored together.

    Attributes
    ----------
    n_exposures
        How many: one of each channel and plane.
    """

    fov: int
    timestep: int
    role: str
    n_exposures: int


def keeps_journal(run: Run, journal: Sequence[Line]) -> bool:
    """Return whether a run is one that records what happens, as ours do."""
    return bool(journal) or run.info.get("format") == FORMAT


def taken_of(run: Run, journal: Sequence[Line]) -> list[Taken]:
    """Return what was taken; without a journal the files are asked, one by one."""
    if keeps_journal(run, journal):
        return [
            Taken(
                int(line["fov"]),
                int(line["timestep"]),
                str(line.get("role", FrameRole.IMAGE)),
                len(line.get("channels") or [None]),
            )
            for line in told.of_kind(journal, "frame")
        ]
    found = []
    for role in FrameRole:
        for fov in run.fovs:
            for timestep in range(run.n_timepoints):
                stacks = run.images.stacks(fov, timestep, role)
                n_exposures = sum(len(stack.channels) for stack in stacks)
                if n_exposures:
                    found.append(Taken(fov, timestep, str(role), n_exposures))
    return found


def images_of(taken: Iterable[Taken]) -> list[Taken]:
    """Return the ordinary images."""
    return [one for one in taken if one.role == FrameRole.IMAGE]


def last_everywhere(taken: Iterable[Taken]) -> int | None:
    """Return the last timepoint that every FOV reached, None if nothing was taken."""
    last: dict[int, int] = {}
    for one in images_of(taken):
        last[one.fov] = max(one.timestep, last.get(one.fov, one.timestep))
    return min(last.values(), default=None)


def planned_s_of(
    journal: Sequence[Line], events: Iterable[RTMEvent]
) -> Mapping[int, float]:
    """Return the planned second of each timepoint, where known."""
    planned = told.planned_s_of(journal)
    if planned:
        return planned
    for event in events:
        second, time = event.min_start_time, event.timestep
        if second is not None:
            planned[time] = min(float(second), planned.get(time, float(second)))
    return planned
