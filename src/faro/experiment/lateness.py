"""Whether the schedule can be kept: the plan played through with given step times."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faro.errors import Problem
from faro.experiment.document import StepTimes
from faro.experiment.plan import plan
from faro.model import FrameRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faro.experiment.event import RTMEvent, Seconds
    from faro.experiment.plan import PlannedEvent

TOLERATED_FRACTION = 0.1
"""Of an interval; a start that is late by less is not worth a word."""


@dataclass(slots=True)
class Played:
    """The schedule as it would go.

    Attributes
    ----------
    planned_s, started_s
        Timepoint to its planned start and to the start that it would have.
    busy_s
        Timepoint to how long its steps take, without waiting for a start.
    n_fovs
        Timepoint to how many positions it has.
    """

    planned_s: dict[int, Seconds] = field(default_factory=dict)
    started_s: dict[int, Seconds] = field(default_factory=dict)
    busy_s: dict[int, Seconds] = field(default_factory=dict)
    n_fovs: dict[int, int] = field(default_factory=dict)

    def late_s(self) -> dict[int, Seconds]:
        """Return the timepoints that start late, and by how much."""
        late = {}
        before_s: Seconds | None = None
        for timestep, planned_s in self.planned_s.items():
            interval_s = planned_s - before_s if before_s is not None else 0.0
            before_s = planned_s
            late_s = self.started_s[timestep] - planned_s
            if interval_s > 0 and late_s > TOLERATED_FRACTION * interval_s:
                late[timestep] = late_s
        return late


def play(
    planned: Iterable[PlannedEvent],
    times: StepTimes,
    *,
    exposures_take_time: bool = True,
) -> Played:
    """Return how a plan would go. Pure, any thread.

    Parameters
    ----------
    planned
        From `plan`.
    times
        How long the steps take.
    exposures_take_time
        Whether an exposure of 100 ms takes 100 ms.
    """
    played = Played()
    now_s = 0.0
    last_fov: int | None = None
    mask_ready_s: dict[tuple[int, int], Seconds] = {}
    for event in planned:
        timestep, moment = event.timestep, (event.fov, event.timestep)
        if event.first:
            now_s = max(now_s, event.planned_s)
            played.planned_s.setdefault(timestep, event.planned_s)
            played.started_s.setdefault(timestep, now_s)
            played.n_fovs[timestep] = played.n_fovs.get(timestep, 0) + 1
        begun_s = now_s
        if event.first and last_fov not in (None, event.fov):
            now_s += times.stage_s
        last_fov = event.fov
        if event.mask_from is not None:
            now_s = max(now_s, mask_ready_s.get(event.mask_from, now_s))
        exposure_ms = event.channel.exposure or 0.0
        now_s += times.frame_s + exposures_take_time * exposure_ms / 1e3
        if event.role is FrameRole.IMAGE:
            mask_ready_s[moment] = now_s + times.analysis_s
        played.busy_s[timestep] = played.busy_s.get(timestep, 0.0) + now_s - begun_s
    return played


def schedule_problems(
    events: Sequence[RTMEvent],
    times: StepTimes | None = None,
    *,
    stim_mode: str = "current",
    exposures_take_time: bool = True,
) -> list[Problem]:
    """Return a warning if timepoints would start late. Pure, any thread.

    Parameters
    ----------
    events
        The experiment.
    times
        How long the steps take; None counts the exposures only.
    stim_mode
        ``"current"`` or ``"previous"``.
    exposures_take_time
        Whether an exposure of 100 ms takes 100 ms.
    """
    steps = plan(events, stim_mode=stim_mode)
    known = times or StepTimes()
    played = play(steps, known, exposures_take_time=exposures_take_time)
    late_s = played.late_s()
    if not late_s:
        return []
    first, worst = next(iter(late_s)), max(late_s, key=lambda t: late_s[t])
    what = (
        f"{len(late_s)} of {len(played.planned_s)} timepoints would start late: "
        f"t={first} by {late_s[first]:.3g} s, at worst t={worst} by "
        f"{late_s[worst]:.3g} s."
    )
    return [Problem("time_plan", what, _remedy(played, worst), "warning")]


def _remedy(played: Played, timestep: int) -> str:
    """Return what would make the schedule fit."""
    longest = max(played.busy_s, key=lambda t: played.busy_s[t])
    busy_s, n_fovs = played.busy_s[longest], played.n_fovs[longest]
    starts_s = list(played.planned_s.values())
    position = list(played.planned_s).index(timestep)
    interval_s = starts_s[position] - starts_s[position - 1]
    needed_s = math.ceil(busy_s * 100) / 100
    fit = math.floor(n_fovs * interval_s / busy_s + 1e-9)
    if n_fovs > 1 and 0 < fit < n_fovs:
        batches = f"or take the positions in batches of {fit} ({n_fovs} are planned)"
    else:
        batches = "or expose for less time"
    return f"Plan an interval of {needed_s:g} s or more, {batches}."
