"""What is wrong with a run that should be going on: progress is expected, not life."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.view.journal import COMPLETED
from faro.view.status import due_wall_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model import CellTable
    from faro.view.status import Plan, Status

LEAST_S: Final = 5.0
"""A stall is told after this,"""
INTERVALS: Final = 3.0
"""or after as many expected intervals, where that is later."""
CLOSING_S: Final = 60.0
"""So long a run that has all its frames may write down the rest."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person should know.

    Attributes
    ----------
    kind
        ``"stall"``, ``"crash"``, ``"end"``, ``"late"``, ``"errors"``, ``"focus"``,
        ``"disk"`` or ``"feature"``.
    what
        In words.
    """

    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of a run.

    Attributes
    ----------
    late_s
        A timepoint may start so many seconds late; None: as long as a stall may last.
    errors
        So many failures may come before it is told; 0: every one is told once.
    disk_bytes
        So much must stay free.
    features
        Column to the lowest and highest median of its newest timepoint.
    """

    late_s: float | None = None
    errors: int = 0
    disk_bytes: int = 0
    features: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(slots=True)
class Watchdog:
    """Says what is new and wrong; pure: time and facts are given.

    Each alarm is given once, and again only after what it tells of was over.

    Parameters
    ----------
    expected
        What is called wrong.
    every_s
        Seconds between two looks: a stall is told so much earlier, in time.
    """

    expected: Expected = field(default_factory=Expected)
    every_s: float = 0.0
    _told: set[str] = field(default_factory=set)
    _n_errors: int = 0
    _n_unfocused: int = 0

    def look(
        self,
        status: Status,
        plan: Plan,
        now_wall_s: float,
        *,
        free_bytes: int | None = None,
        cells: CellTable | None = None,
    ) -> list[Alarm]:
        """Return the alarms that are new.

        Parameters
        ----------
        now_wall_s
            UTC seconds since 1970.
        free_bytes
            On the disk of the run, None if it is not asked.
        cells
            Its rows so far, if features are expected.
        """
        allowed_s = silent_s(status, plan)
        late = self.expected.late_s
        found = [
            *_ends(status),
            *_stall(status, plan, now_wall_s, allowed_s - self.every_s),
            *_late(status, allowed_s if late is None else late),
            *_disk(status, free_bytes, self.expected.disk_bytes),
            *_features(cells, self.expected.features),
        ]
        new = [alarm for alarm in found if _key(alarm) not in self._told]
        self._told = {_key(alarm) for alarm in found}
        return new + self._counted(status)

    def _counted(self, status: Status) -> list[Alarm]:
        """Return what is told each time that more of it has come."""
        new = []
        if status.n_errors > max(self._n_errors, self.expected.errors):
            n = status.n_errors - self._n_errors
            what = f"{n} new errors, the last: {status.last_error}"
            new.append(Alarm("errors", what))
            self._n_errors = status.n_errors
        if status.n_unfocused > self._n_unfocused:
            n = status.n_unfocused - self._n_unfocused
            what = f"the autofocus failed {n} times, at t {status.timestep}"
            new.append(Alarm("focus", what))
            self._n_unfocused = status.n_unfocused
        return new


def silent_s(status: Status, plan: Plan) -> float:
    """Return how long nothing may happen.

    Three times the expected interval, and 5 s at least. Expected is the usual interval
    of the plan; where that has no times, the longest that the run has shown.
    """
    return max(LEAST_S, INTERVALS * (plan.usual_s or status.gap_s))


def _key(alarm: Alarm) -> str:
    return alarm.what if alarm.kind == "feature" else alarm.kind


def _ends(status: Status) -> list[Alarm]:
    """Return that a run ended otherwise than planned."""
    if status.state == "killed":
        return [Alarm("crash", f"the run's process is gone, at t {status.timestep}")]
    if status.state == "finished" and status.doing not in COMPLETED:
        return [Alarm("end", f"the run ended: {status.doing}")]
    return []


def _stall(
    status: Status, plan: Plan, now_wall_s: float, allowed_s: float
) -> list[Alarm]:
    """Return that nothing happened although something was due.

    What is due one interval after the last progress has the rest of the time.
    """
    if status.state not in ("running", "waiting") or status.progress_wall_s is None:
        return []
    due = due_wall_s(status, plan) or 0.0
    limit = max(status.progress_wall_s + allowed_s, due + allowed_s - plan.usual_s)
    if status.n_stacks + status.n_missing >= plan.n_events > 0:
        limit = max(limit, (status.line_wall_s or 0.0) + CLOSING_S)
    if now_wall_s <= limit:
        return []
    quiet_s = now_wall_s - status.progress_wall_s
    what = f"nothing has happened for {quiet_s:.0f} s, the last was t {status.timestep}"
    return [Alarm("stall", what)]


def _late(status: Status, most_s: float) -> list[Alarm]:
    if status.lateness_s <= most_s or status.ended:
        return []
    what = f"timepoint {status.timestep} started {status.lateness_s:.1f} s late"
    return [Alarm("late", what)]


def _disk(status: Status, free_bytes: int | None, least: int) -> list[Alarm]:
    """Return that the disk is nearly full, or that the run waits for room."""
    if status.state == "lacking":
        return [Alarm("disk", f"the run is paused: {status.doing}")]
    if free_bytes is None or free_bytes >= least:
        return []
    return [Alarm("disk", f"{free_bytes / 1e9:.2f} GB are left on the disk")]


def _features(
    cells: CellTable | None, wanted: Mapping[str, tuple[float, float]]
) -> list[Alarm]:
    """Return features whose median in the newest timepoint is out of range."""
    if cells is None or not wanted or not len(cells):
        return []
    newest = cells["timestep"] == cells["timestep"].max()
    alarms = []
    for name, (low, high) in wanted.items():
        if name not in cells:
            alarms.append(Alarm("feature", f"there is no column {name!r}"))
            continue
        values: Any = np.asarray(cells[name][newest], np.float64)
        known = values[np.isfinite(values)]
        if known.size and not low <= float(np.median(known)) <= high:
            what = f"the median of {name!r} is out of {low:g} to {high:g}"
            alarms.append(Alarm("feature", what))
    return alarms
