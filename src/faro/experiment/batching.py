"""More positions than one interval can hold: some wait until the others are done."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING

from faro.errors import Problem
from faro.experiment.phase import Phase, interval_after_s
from faro.experiment.refusal import ExperimentError
from faro.experiment.waiting import WAIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faro.experiment.event import RTMEvent, Seconds

SAME_MOMENT_S = 1e-6


@dataclass(slots=True)
class _Course:
    """When one position is visited; starts_s counts from the experiment's start."""

    fov: int
    starts_s: list[Seconds] = field(default_factory=list)

    @property
    def first_s(self) -> Seconds:
        return min(self.starts_s)

    @property
    def last_s(self) -> Seconds:
        return max(self.starts_s)


def check_fov_batching(
    events: Iterable[RTMEvent], time_per_fov_s: float, n_parallel: int | None = None
) -> list[Problem]:
    """Return why the positions do not all fit into the interval. Pure, any thread.

    Only positions that run at the same time share an interval: positions one after the
    other (``"ptcz"``) always fit. Without an interval nothing can be too late.

    Parameters
    ----------
    events
        The experiment.
    time_per_fov_s
        Seconds that one position takes at one timepoint, > 0: stage, images,
        analysis, light. `faro.run.time_per_fov_s` measures it in a stored run.
    n_parallel
        How many positions may share an interval; None for as many as fit.

    Raises
    ------
    ExperimentError
        If ``time_per_fov_s`` or ``n_parallel`` is out of range.

    Examples
    --------
    >>> from faro.experiment import RTMSequence
    >>> sequence = RTMSequence(
    ...     channels=["DAPI"],
    ...     stage_positions=[(x, 0) for x in range(5)],
    ...     time_plan={"interval": 60, "loops": 10},
    ... )
    >>> check_fov_batching(sequence, 10)
    []
    >>> print(*check_fov_batching(sequence, 20))
    stage_positions: 5 positions of 20 s need 100 s; the interval is 60 s. ...
    """
    _refuse_senseless(time_per_fov_s, n_parallel)
    courses = _courses(tuple(events))
    interval_s = _interval_s(courses)
    if interval_s is None:
        return []
    problems = _capacity_problems(interval_s, time_per_fov_s, n_parallel)
    if problems:
        return problems
    room = n_parallel or _room(interval_s, time_per_fov_s)
    busiest = _most_at_once(courses, time_per_fov_s)
    if busiest <= room:
        return []
    need_s = busiest * time_per_fov_s
    what = f"{busiest} positions of {time_per_fov_s:g} s need {need_s:g} s; "
    what += f"the interval is {interval_s:g} s."
    if n_parallel:
        what = f"{busiest} positions run at the same time, {n_parallel} may."
    remedy = (
        f"Use apply_fov_batching ({ceil(len(courses) / room)} batches of up to {room}),"
        f" an interval of {need_s:g} s, or fewer positions."
    )
    return [Problem("stage_positions", what, remedy)]


def apply_fov_batching(
    events: Iterable[RTMEvent], time_per_fov_s: float, n_parallel: int | None = None
) -> tuple[RTMEvent, ...]:
    """Return the events with as many positions at a time as the interval holds.

    The first batch of positions keeps its clock; every further batch starts when the
    one before has finished its last timepoint. Timesteps stay, so ``t=3`` is the
    fourth timepoint of every position, whenever its batch runs. Where all positions
    fit, the events come back as they are. What comes before a wait is done by all
    batches before it, so that a drug is added once, for all.

    Parameters
    ----------
    events, time_per_fov_s, n_parallel
        As for `check_fov_batching`.

    Raises
    ------
    ExperimentError
        If not even one position fits into the interval, or a value is out of range.

    Examples
    --------
    >>> from faro.experiment import RTMSequence
    >>> sequence = RTMSequence(
    ...     channels=["DAPI"],
    ...     stage_positions=[(0, 0), (1, 0)],
    ...     time_plan={"interval": 60, "loops": 2},
    ... )
    >>> events = apply_fov_batching(sequence, 40)
    >>> [(e.fov, e.timestep, e.min_start_time) for e in events]
    [(0, 0, 0.0), (0, 1, 60.0), (1, 0, 100.0), (1, 1, 160.0)]
    """
    listed = Phase(events, interval_after_s(events))
    if not check_fov_batching(listed, time_per_fov_s, n_parallel):
        return listed
    courses = _courses(listed)
    interval_s = _interval_s(courses) or time_per_fov_s
    problems = _capacity_problems(interval_s, time_per_fov_s, n_parallel)
    if problems:
        raise ExperimentError(problems)
    room = n_parallel or _room(interval_s, time_per_fov_s)
    moved: list[RTMEvent] = []
    free_s = 0.0
    for part in _between_waits(listed):
        ordered = sorted(
            _courses(part), key=lambda course: (course.first_s, course.fov)
        )
        for i in range(0, len(ordered), room):
            batch = ordered[i : i + room]
            shift_s = max(0.0, free_s - min(course.first_s for course in batch))
            moved += _shifted(part, batch, shift_s)
            last_s = max(course.last_s for course in batch) + shift_s
            free_s = last_s + len(batch) * time_per_fov_s
    return Phase(moved, listed.interval_s)


def _between_waits(events: Iterable[RTMEvent]) -> list[list[RTMEvent]]:
    """Return the events in parts, each of which begins with a wait but the first."""
    parts: list[list[RTMEvent]] = [[]]
    for event in events:
        if WAIT in event.metadata and parts[-1]:
            parts.append([])
        parts[-1].append(event)
    return parts


def _shifted(
    events: Sequence[RTMEvent], batch: Sequence[_Course], shift_s: Seconds
) -> list[RTMEvent]:
    """Return the events of ``batch``, in their order, ``shift_s`` later."""
    starts = {course.fov: iter(course.starts_s) for course in batch}
    own = [event for event in events if event.fov in starts]
    if not shift_s:
        return own
    pairs = [(event, next(starts[event.fov]) + shift_s) for event in own]
    return [e.model_copy(update={"min_start_time": start_s}) for e, start_s in pairs]


def _courses(events: Sequence[RTMEvent]) -> list[_Course]:
    """Return when each position is visited; an unplanned start is that of before."""
    courses: dict[int, _Course] = {}
    for event in events:
        course = courses.setdefault(event.fov, _Course(event.fov))
        before_s = course.starts_s[-1] if course.starts_s else 0.0
        planned_s = event.min_start_time
        course.starts_s.append(before_s if planned_s is None else planned_s)
    return list(courses.values())


def _interval_s(courses: Iterable[_Course]) -> Seconds | None:
    """Return the shortest time between two timepoints; 0 s is no deadline."""
    gaps_s = (
        later - earlier
        for course in courses
        for earlier, later in pairwise(course.starts_s)
    )
    return min((gap for gap in gaps_s if gap > SAME_MOMENT_S), default=None)


def _room(interval_s: Seconds, time_per_fov_s: float) -> int:
    """Return how many positions an interval holds."""
    return floor(interval_s / time_per_fov_s + SAME_MOMENT_S)


def _most_at_once(courses: Iterable[_Course], time_per_fov_s: float) -> int:
    """Return how many positions are under way at the busiest moment."""
    changes: list[tuple[Seconds, int]] = []
    for course in courses:
        end_s = course.last_s + time_per_fov_s - SAME_MOMENT_S
        changes += [(course.first_s, 1), (end_s, -1)]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _capacity_problems(
    interval_s: Seconds, time_per_fov_s: float, n_parallel: int | None
) -> list[Problem]:
    """Return why not even one batch fits into the interval."""
    room = _room(interval_s, time_per_fov_s)
    if room < 1:
        what = f"one position takes {time_per_fov_s:g} s; "
        what += f"the interval is {interval_s:g} s."
        remedy = f"Use an interval of {time_per_fov_s:g} s or more."
        return [Problem("time_plan", what, remedy)]
    if n_parallel is not None and n_parallel > room:
        need_s = n_parallel * time_per_fov_s
        what = f"{n_parallel} positions need {need_s:g} s; "
        what += f"the interval is {interval_s:g} s."
        return [Problem("n_parallel", what, f"Use {room} or fewer.")]
    return []


def _refuse_senseless(time_per_fov_s: float, n_parallel: int | None) -> None:
    """Raise if a number cannot be meant."""
    problems: list[Problem] = []
    if not (isfinite(time_per_fov_s) and time_per_fov_s > 0):
        what = f"{time_per_fov_s:g} s is no duration."
        problems.append(Problem("time_per_fov_s", what, "Give seconds above 0."))
    if n_parallel is not None and n_parallel < 1:
        what = f"{n_parallel} positions are none."
        problems.append(Problem("n_parallel", what, "Give 1 or more, or leave it out."))
    if problems:
        raise ExperimentError(problems)
