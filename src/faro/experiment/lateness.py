"""Whether the schedule can be kept: the plan played through with given step times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from faro.errors import Problem
from faro.experiment.document import StepTimes
from faro.experiment.plan import plan
from faro.experiment.waiting import WAIT
from faro.model import FrameRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faro.experiment.event import RTMEvent, Seconds
    from faro.experiment.plan import PlannedEvent

TOLERATED_FRACTION = 0.1
"""Of an interval; a start that is late by less is not worth a word."""


@dataclass(slots=True)
class Round:
    """What is planned for one moment.

    Attributes
    ----------
    timestep
        Time index of its first event.
    planned_s, started_s
        Its planned start, and the start that it would have; a wait for a person or a
        time of day takes no time here, and what is late before it is on time after.
        So is what is late where the clock restarts.
    busy_s
        How long its steps take, without waiting for a start.
    n_fovs
        How many positions it visits.
    """

    timestep: int
    planned_s: Seconds
    started_s: Seconds
    busy_s: Seconds = 0.0
    n_fovs: int = 0

    @property
    def late_s(self) -> Seconds:
        """How late it would start."""
        return self.started_s - self.planned_s


def play(
    planned: Iterable[PlannedEvent],
    times: StepTimes,
    *,
    exposures_take_time: bool = True,
) -> list[Round]:
    """Return how a plan would go, moment by moment. Pure, any thread.

    Parameters
    ----------
    planned
        From `plan`.
    times
        How long the steps take.
    exposures_take_time
        Whether an exposure of 100 ms takes 100 ms.
    """
    rounds: dict[Seconds, Round] = {}
    now_s = shift_s = 0.0
    last_fov: int | None = None
    mask_ready_s: dict[tuple[int, int], Seconds] = {}
    for event in planned:
        if event.first:
            if event.restarts_clock or WAIT in event.metadata:
                shift_s = max(shift_s, now_s - event.planned_s)
            now_s = max(now_s, event.planned_s + shift_s)
            start = Round(event.timestep, event.planned_s, now_s - shift_s)
            rounds.setdefault(event.planned_s, start).n_fovs += 1
        begun_s = now_s
        if last_fov not in (None, event.fov):
            now_s += times.stage_s
        last_fov = event.fov
        if event.mask_from is not None:
            now_s = max(now_s, mask_ready_s.get(event.mask_from, now_s))
        exposure_ms = event.channel.exposure or 0.0
        now_s += times.frame_s + exposures_take_time * exposure_ms / 1e3
        if event.role is FrameRole.IMAGE:
            mask_ready_s[event.fov, event.timestep] = now_s + times.analysis_s
        rounds[event.planned_s].busy_s += now_s - begun_s
    return list(rounds.values())


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
        As for `faro.experiment.plan`.
    exposures_take_time
        Whether an exposure of 100 ms takes 100 ms.
    """
    steps = plan(events, stim_mode=stim_mode)
    known = times or StepTimes()
    played = play(steps, known, exposures_take_time=exposures_take_time)
    late = [
        (now, now.planned_s - before.planned_s)
        for before, now in pairwise(played)
        if now.late_s > TOLERATED_FRACTION * (now.planned_s - before.planned_s) > 0
    ]
    if not late:
        return []
    first, (worst, interval_s) = late[0][0], max(late, key=lambda pair: pair[0].late_s)
    what = (
        f"{len(late)} of {len(played)} timepoints would start late: "
        f"t={first.timestep} by {first.late_s:.3g} s, at worst t={worst.timestep} by "
        f"{worst.late_s:.3g} s."
    )
    longest = max(played, key=lambda moment: moment.busy_s)
    remedy = _remedy(longest, interval_s)
    return [Problem("time_plan", what, remedy, "warning")]


def _remedy(longest: Round, interval_s: Seconds) -> str:
    """Return what would make the schedule fit."""
    needed_s = math.ceil(longest.busy_s * 100 - 1e-6) / 100
    fit = math.floor(longest.n_fovs * interval_s / longest.busy_s + 1e-9)
    batches = "or expose for less time"
    if 0 < fit < longest.n_fovs:
        time_s = longest.busy_s / longest.n_fovs
        batches = (
            f"or take {fit} of the {longest.n_fovs} positions at a time "
            f"(batching with time_per_fov_s = {time_s:.3g})"
        )
    return f"Plan an interval of {needed_s:g} s or more, {batches}."
