"""Where a run is, folded from its journal, line by line; pure but for the reading."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from faro.storage.held import is_held
from faro.storage.layout import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from faro.storage import Run

Line: TypeAlias = "Mapping[str, Any]"
Changes: TypeAlias = dict[str, Any]
State = Literal[
    "starting", "running", "waiting", "paused", "lacking", "finished", "killed"
]
EXTENDED: Final = "experiment_extended"
PROGRESS: Final = frozenset(
    {
        *("run_started", "run_resumed", "schedule_resumed", "timepoint", "frame"),
        *("frame_missing", "resumed", "continued", EXTENDED),
    }
)
"""What counts as progress; errors and latencies do not."""
BEGINNING_S: Final = 5.0
"""A run folder without a line is not held yet for so long."""
NS_PER_S: Final = 1e9
RUNS: Final[Changes] = {"state": "running", "doing": "", "until_wall_s": None}


@dataclass(frozen=True)
class Plan:
    """What a run has before it.

    Attributes
    ----------
    due_s
        Planned seconds of each event, ascending; those without a time are left out.
    n_events, n_timepoints
        Positions and timepoints, in all.
    """

    due_s: tuple[float, ...] = ()
    n_events: int = 0
    n_timepoints: int = 0

    @classmethod
    def of(cls, run: Run) -> Plan:
        """Return the plan of a run, with what was added later."""
        events = run.events
        due = [e.min_start_time for e in events if e.min_start_time is not None]
        times = {event.timestep for event in events}
        return cls(tuple(sorted(due)), len(events), len(times))

    def next_due_s(self, after_s: float) -> float | None:
        """Return the first planned second after another, None if nothing follows."""
        place = bisect_right(self.due_s, after_s + 1e-6)
        return self.due_s[place] if place < len(self.due_s) else None

    @cached_property
    def usual_s(self) -> float:
        """The usual time between planned starts, 0 if there is none."""
        gaps = [b - a for a, b in pairwise(self.due_s) if b > a]
        return float(median(gaps)) if gaps else 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """Where a run is.

    Attributes
    ----------
    state, doing
        What it does, and in words what holds it up or how it ended.
    timestep, fov
        What was begun last; -1 before the first.
    n_stacks, n_missing, n_errors, n_fired, n_skipped
        Imaging stacks stored, frames that never came, failures, stimulations.
    n_unfocused
        How often the autofocus failed.
    lateness_s
        Actual minus planned start of the newest timepoint.
    planned_s, shift_s
        When that was planned, and by how much waits have moved the schedule.
    started_wall_s, progress_wall_s, line_wall_s
        UTC seconds since 1970 of the start, of the last progress and of the last line;
        None before.
    gap_s
        The longest time between two steps of progress while it ran.
    until_wall_s
        UTC seconds since 1970 until which it waits, None if it waits for no time.
    last_error
        In one line.
    """

    state: State = "starting"
    doing: str = ""
    timestep: int = -1
    fov: int = -1
    n_stacks: int = 0
    n_missing: int = 0
    n_unfocused: int = 0
    n_errors: int = 0
    n_fired: int = 0
    n_skipped: int = 0
    lateness_s: float = 0.0
    planned_s: float = 0.0
    shift_s: float = 0.0
    started_wall_s: float | None = None
    progress_wall_s: float | None = None
    line_wall_s: float | None = None
    gap_s: float = 0.0
    until_wall_s: float | None = None
    last_error: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        return self.state in ("finished", "killed")


@dataclass(slots=True)
class StatusFold:
    """Folds journal lines into a status; each line is looked at once.

    Attributes
    ----------
    status
        After the lines so far.
    n_extended
        How often the plan has grown.
    """

    status: Status = field(default_factory=Status)
    n_extended: int = 0

    def take(self, lines: Iterable[Line]) -> Status:
        """Return the status after more lines."""
        for line in lines:
            self.n_extended += line["kind"] == EXTENDED
            self.status = _after(self.status, line)
        return self.status


class Watched:
    """A run that is looked at again and again; each look costs what is new.

    Parameters
    ----------
    run
        May be written meanwhile.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.plan = run, Plan.of(run)
        self._fold, self._n_lines, self._n_extended = StatusFold(), 0, 0

    def look(self) -> Status:
        """Return the status now; `plan` is then up to date too."""
        alive = is_held(self.run.path)
        lines = self.run.journal
        now = self._fold.take(lines[self._n_lines :])
        if self._n_lines and self._n_extended != self._fold.n_extended:
            self.plan = Plan.of(self.run)
        self._n_lines, self._n_extended = len(lines), self._fold.n_extended
        if alive or now.ended:
            return now
        if not lines and _age_s(self.run.path / "run.json") < BEGINNING_S:
            return now
        is_ours = self.run.info.get("format") == FORMAT
        if self.run.summary is not None or not is_ours:
            return replace(now, state="finished", doing="nothing is written any more")
        return replace(now, state="killed", doing="its process has ended")


def _age_s(path: Path) -> float:
    """Return the seconds since a file was written; many if it is not there."""
    try:
        return datetime.now(UTC).timestamp() - path.stat().st_mtime
    except OSError:
        return float("inf")


def _after(status: Status, line: Line) -> Status:
    """Return the status after one line."""
    kind = str(line["kind"])
    changes = FOLDS[kind](status, line) if kind in FOLDS else {}
    changes["line_wall_s"] = wall_s(line)
    if kind in PROGRESS:
        now, before = changes["line_wall_s"], status.progress_wall_s
        changes["progress_wall_s"] = now
        if before is not None and status.state == "running":
            changes["gap_s"] = max(status.gap_s, now - before)
    return replace(status, **changes)


def _started(status: Status, line: Line) -> Changes:  # noqa: ARG001  one of many
    wall_ns = line.get("wall_ns")
    started = wall_s(line) if wall_ns is None else float(wall_ns) / NS_PER_S
    return {**RUNS, "started_wall_s": started}


def _timepoint(status: Status, line: Line) -> Changes:
    names = {"timestep", "fov", "lateness_s", "planned_s"} & set(line)
    shift_s = line.get("shift_s", status.shift_s)
    changes = {name: line[name] for name in names}
    return {**changes, **RUNS, "shift_s": shift_s}


def _frame(status: Status, line: Line) -> Changes:
    return {"n_stacks": status.n_stacks + (line.get("role") == "image")}


def _missing(status: Status, line: Line) -> Changes:  # noqa: ARG001  one of many
    return {"n_missing": status.n_missing + 1}


def _unfocused(status: Status, line: Line) -> Changes:  # noqa: ARG001  one of many
    return {"n_unfocused": status.n_unfocused + 1}


def _error(status: Status, line: Line) -> Changes:
    text = f"{line['stage']}: {line['message']}"
    return {"n_errors": status.n_errors + 1, "last_error": text}


def _fired(status: Status, line: Line) -> Changes:  # noqa: ARG001  one of many
    return {"n_fired": status.n_fired + 1}


def _skipped(status: Status, line: Line) -> Changes:  # noqa: ARG001  one of many
    return {"n_skipped": status.n_skipped + 1}


def _waits(status: Status, line: Line) -> Changes:  # noqa: ARG001  one of many
    at = datetime.fromisoformat(str(line["start_at"]))
    doing = f"until {at:%H:%M:%S on %d %B}"
    return {"state": "waiting", "doing": doing, "until_wall_s": at.timestamp()}


def _held_up(status: Status, line: Line) -> Changes:  # noqa: ARG001  one of many
    why = str(line.get("reason", ""))
    return {**RUNS, "state": "paused", "doing": why}


def _lacks(status: Status, line: Line) -> Changes:  # noqa: ARG001  one of many
    return {**RUNS, "state": "lacking", "doing": str(line.get("reason", ""))}


def _goes_on(status: Status, line: Line) -> Changes:
    shift_s = line.get("shift_s", status.shift_s)
    return {**RUNS, "shift_s": shift_s}


def _finished(status: Status, line: Line) -> Changes:  # noqa: ARG001  one of many
    return {"state": "finished", "doing": str(line.get("reason", ""))}


FOLDS: Final[dict[str, Callable[[Status, Line], Changes]]] = {
    "run_started": _started,
    "timepoint": _timepoint,
    "frame": _frame,
    "frame_missing": _missing,
    "autofocus_failed": _unfocused,
    "error": _error,
    "stim_confirmed": _fired,
    "stim_skipped": _skipped,
    "waiting": _waits,
    "paused": _held_up,
    "room_lacking": _lacks,
    "resumed": _goes_on,
    "run_resumed": _goes_on,
    "schedule_resumed": _goes_on,
    "clock_restarted": _goes_on,
    "continued": _goes_on,
    "run_finished": _finished,
}


def wall_s(line: Line) -> float:
    """Return when a line was written, UTC seconds since 1970."""
    return datetime.fromisoformat(str(line["wall"])).timestamp()


def due_wall_s(status: Status, plan: Plan) -> float | None:
    """Return when something is due, UTC seconds since 1970, None if it is unknown.

    A run that has come to its last position is due when that is stored.
    """
    if status.until_wall_s is not None:
        return status.until_wall_s
    if status.started_wall_s is None:
        return None
    due_s = plan.next_due_s(status.planned_s)
    if due_s is None:
        return status.progress_wall_s
    return status.started_wall_s + due_s + status.shift_s


def left_s(status: Status, plan: Plan, now_wall_s: float) -> float | None:
    """Return the seconds until the last position is due, None where unknown."""
    if status.started_wall_s is None or not plan.due_s or status.ended:
        return None
    end = status.started_wall_s + plan.due_s[-1] + status.shift_s
    return max(0.0, end + max(0.0, status.lateness_s) - now_wall_s)
