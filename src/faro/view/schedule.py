"""What a plan does when and where, gathered into lanes and lines of text."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

from faro.experiment.waiting import wait_of
from faro.model import FrameRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from faro.experiment import PlannedEvent

PHASE_KEY = "phase"
"""Metadata that names what timepoints have in common."""
GROUP_KEYS = ("treatment", "arm", "group")
"""Metadata that names what positions have in common."""
ROLE_WORDS = {
    FrameRole.IMAGE: "image",
    FrameRole.STIM: "light",
    FrameRole.REF: "reference",
}


@dataclass(frozen=True, slots=True)
class Tick:
    """One exposure in a lane.

    Attributes
    ----------
    planned_s
        When it is planned.
    timestep
        Time index ``t``.
    exposure_ms
        Exposure, None where it is the camera's.
    power
        Light level, None where it is as the preset sets it.
    """

    planned_s: float
    timestep: int
    exposure_ms: float | None
    power: float | None

    @property
    def dose(self) -> float:
        """Exposure times power, as far as they are said; for the height of a tick."""
        exposure_ms = self.exposure_ms if self.exposure_ms is not None else 1.0
        return exposure_ms * (self.power if self.power is not None else 1.0)


@dataclass(frozen=True, slots=True)
class Lane:
    """Exposures of one role and channel."""

    role: FrameRole
    channel: str


@dataclass(slots=True)
class Row:
    """Positions that do the same at the same time.

    Attributes
    ----------
    fovs, names
        Their indices and names.
    group
        What the experiment calls them, empty where it does not.
    ticks
        Lane to its exposures, in order.
    """

    fovs: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    group: str = ""
    ticks: dict[Lane, list[Tick]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the row is called."""
        count = len(self.fovs)
        places = f"p{ranges(self.fovs)}"
        if self.group:
            return f"{self.group} ({places})"
        if self.names and count == 1:
            return f"{self.names[0]} ({places})"
        return places


@dataclass(frozen=True, slots=True)
class Stop:
    """A wait for a time of day or a person.

    Attributes
    ----------
    planned_s
        Planned start of what follows it.
    text
        What is waited for.
    """

    planned_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole plan.

    Attributes
    ----------
    rows
        Positions by what they do.
    lanes
        All roles and channels: images, light, references.
    starts_s
        Distinct planned starts, ascending.
    n_timepoints, n_fovs, n_exposures
        How many of each.
    stops
        What is waited for beyond the schedule, in order.
    phases
        (name, first start) of what the experiment calls its phases, in order.
    """

    rows: tuple[Row, ...]
    lanes: tuple[Lane, ...]
    starts_s: tuple[float, ...]
    n_timepoints: int
    n_fovs: int
    n_exposures: int
    stops: tuple[Stop, ...] = ()
    phases: tuple[tuple[str, float], ...] = ()


def schedule_of(planned: Iterable[PlannedEvent]) -> Schedule:
    """Return a plan, gathered by position, role and channel."""
    fovs: dict[int, Row] = {}
    lanes: dict[Lane, None] = {}
    starts_s: dict[float, None] = {}
    timesteps: set[int] = set()
    stops: list[Stop] = []
    phases: dict[str, float] = {}
    count = 0
    for event in planned:
        lane, channel = Lane(event.role, event.channel.config), event.channel
        row = fovs.setdefault(event.fov, Row([event.fov]))
        if event.pos_name and not row.names:
            row.names.append(event.pos_name)
        row.group = row.group or _group_of(event)
        tick = Tick(event.planned_s, event.timestep, channel.exposure, channel.power)
        row.ticks.setdefault(lane, []).append(tick)
        lanes[lane] = starts_s[event.planned_s] = None
        timesteps.add(event.timestep)
        stops += _stops_before(event)
        if PHASE_KEY in event.metadata:
            phases.setdefault(str(event.metadata[PHASE_KEY]), event.planned_s)
        count += 1
    order = list(ROLE_WORDS)
    ordered = sorted(lanes, key=lambda lane: order.index(lane.role))
    rows = tuple(_merged(fovs[fov] for fov in sorted(fovs)))
    starts = tuple(sorted(starts_s))
    counts = len(timesteps), len(fovs), count
    named = tuple(phases.items())
    return Schedule(rows, tuple(ordered), starts, *counts, tuple(stops), named)


def _stops_before(event: PlannedEvent) -> Iterable[Stop]:
    """Yield what is waited for before an event."""
    wait = wait_of(event) if event.first else None
    if wait is not None and wait.start_at is not None:
        yield Stop(event.planned_s, f"wait until {wait.start_at}")
    if wait is not None and wait.pause_before is not None:
        yield Stop(event.planned_s, f"pause: {wait.pause_before}")


def _group_of(event: PlannedEvent) -> str:
    named = (event.metadata.get(key) for key in GROUP_KEYS)
    return next((str(name) for name in named if name is not None), "")


def _merged(rows: Iterable[Row]) -> Iterable[Row]:
    """Return the rows, those that do the same at the same time as one."""
    found: dict[object, Row] = {}
    for row in rows:
        said = tuple((lane, tuple(ticks)) for lane, ticks in row.ticks.items())
        key = (row.group, frozenset(said))
        if key in found:
            found[key].fovs += row.fovs
            found[key].names += row.names
        else:
            found[key] = row
    return found.values()


def schedule_lines(schedule: Schedule) -> list[str]:
    """Return a plan as lines of text."""
    span_s = schedule.starts_s[-1] if schedule.starts_s else 0.0
    gaps_s = {round(b - a, 6) for a, b in pairwise(schedule.starts_s)}
    every = f", every {span_text(gaps_s.pop())}" if len(gaps_s) == 1 else ""
    counts = (
        _count(schedule.n_fovs, "position"),
        f"{_count(schedule.n_timepoints, 'timepoint')} in {span_text(span_s)}{every}",
        _count(schedule.n_exposures, "exposure"),
    )
    lines = [f"{'; '.join(counts)}."]
    for lane in schedule.lanes:
        ticks = [t for row in schedule.rows for t in row.ticks.get(lane, ())]
        lines.append(f"  {lane_text(lane, ticks)}")
    lines += [f"  at {span_text(s.planned_s)}: {s.text}" for s in schedule.stops]
    if any(lane.role is not FrameRole.IMAGE for lane in schedule.lanes):
        lines += [f"  {row.label}: {_row_text(row)}" for row in schedule.rows]
    return lines


def lane_text(lane: Lane, ticks: Sequence[Tick]) -> str:
    """Return what a lane is: role, channel, exposures and powers."""
    words = [f"{ROLE_WORDS[lane.role]} {lane.channel}"]
    exposures = [t.exposure_ms for t in ticks if t.exposure_ms is not None]
    powers = [t.power for t in ticks if t.power is not None]
    if exposures:
        words.append(f"{_between(exposures)} ms")
    if powers:
        words.append(f"power {_between(powers)}")
    return ", ".join(words)


def _row_text(row: Row) -> str:
    parts = []
    for lane, ticks in row.ticks.items():
        if lane.role is not FrameRole.IMAGE:
            when = ranges(sorted({tick.timestep for tick in ticks}))
            parts.append(f"{lane_text(lane, ticks)} at t={when}")
    return "; ".join(parts) or "images only"


def ranges(numbers: Sequence[int], most: int = 6) -> str:
    """Return whole numbers, ascending, as ranges; steps are said too.

    >>> ranges([0, 1, 2, 5]), ranges([0, 5, 10, 15])
    ('0-2, 5', '0, 5, ..., 15')
    """
    steps = {b - a for a, b in pairwise(numbers)}
    if len(numbers) > 3 and len(steps) == 1 and steps != {1}:
        return f"{numbers[0]}, {numbers[1]}, ..., {numbers[-1]}"
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1] = [found[-1][0], number]
        else:
            found.append([number])
    texts = ["-".join(str(end) for end in run) for run in found]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def span_text(span_s: float) -> str:
    """Return a duration as people say it.

    >>> span_text(1.5), span_text(300), span_text(86400)
    ('1.5 s', '5 min', '24 h')
    """
    for unit_s, unit, most_s in ((1, "s", 120), (60, "min", 7200), (3600, "h", inf)):
        if span_s < most_s:
            return f"{span_s / unit_s:.4g} {unit}"
    return f"{span_s:g} s"


def _between(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
