"""What the journal of a run tells: how it ended, light, latency, lateness, errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Line: TypeAlias = "Mapping[str, Any]"

COMPLETED = frozenset({"completed", "finished", "done"})


MASK = "stim_mask"


@dataclass(frozen=True, slots=True)
class Ending:
    """Whether and why a run ended.

    Attributes
    ----------
    reason
        As recorded, None where the run has no end.
    recorded
        Whether the run has a journal that could say so.
    """

    reason: str | None
    recorded: bool = True

    @property
    def complete(self) -> bool:
        """Whether everything planned was done."""
        return self.reason in COMPLETED

    @property
    def sentence(self) -> str:
        """What a reader must know about the end; empty for a completed run."""
        if self.complete:
            return ""
        if not self.recorded:
            return (
                "This recording has no journal: how it ended, whether its light fired, "
                "its errors and its times are not known."
            )
        if self.reason is None:
            return (
                "This run has no end: it was killed or is still running. "
                "Everything below is what was stored so far."
            )
        return (
            f"This run ended early ({self.reason}). "
            "Everything below is what was stored until then."
        )


@dataclass(frozen=True, slots=True, eq=False)
class LoopTimes:
    """How long the loop took.

    Attributes
    ----------
    timesteps
        (n,) int64, of every frame that went through it.
    to_mask_ms
        (n,) float64, frame in hand to mask ready; NaN where unknown.
    to_light_ms
        (m,) float64, frame in hand to mask displayed, of what was fired.
    stages_ms
        Stage to (n,) float64 in the order of the line, NaN where it was not passed.
    """

    timesteps: Ints
    to_mask_ms: Floats
    to_light_ms: Floats
    stages_ms: Mapping[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Lateness:
    """Actual minus planned start of each timepoint.

    Attributes
    ----------
    timesteps
        (n,) int64.
    late_ms
        (n,) float64, negative where early.
    """

    timesteps: Ints
    late_ms: Floats


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors that say the same; the first one stands for all.

    Attributes
    ----------
    stage, exc_type, message, traceback
        As recorded.
    where
        FOV and timepoint of the first.
    count
        How often it happened.
    """

    stage: str
    exc_type: str
    message: str
    traceback: str
    where: str
    count: int


@dataclass(frozen=True, slots=True)
class Shone:
    """Light that was given in one channel.

    Attributes
    ----------
    channel
        Config name of the stimulation channel.
    label
        The label image that holds its mask, None for the whole field.
    """

    channel: str
    label: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """What happened to the stimulations.

    Attributes
    ----------
    fired
        (fov, timestep) of every confirmed one, in order.
    skipped
        Reason to how often.
    shone
        (fov, timestep) to the channels that fired there, in order.
    first_from
        Timepoint whose frame the first armed mask was computed from, None if none.
    """

    fired: tuple[tuple[int, int], ...]
    skipped: Mapping[str, int]
    shone: Mapping[tuple[int, int], tuple[Shone, ...]]
    first_from: int | None

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that fired, in the order of their first light."""
        names = (s.channel for shone in self.shone.values() for s in shone)
        return tuple(dict.fromkeys(names))

    @property
    def n_skipped(self) -> int:
        """How many were not fired."""
        return sum(self.skipped.values())


def of_kind(journal: Iterable[Line], kind: str) -> list[Line]:
    """Return the lines of one kind, in order."""
    return [line for line in journal if line.get("kind") == kind]


def ending_of(journal: Sequence[Line], recorded: bool = True) -> Ending:  # noqa: FBT001, FBT002  a fact, not a switch
    """Return how the run ended; a run that was continued counts from its last start."""
    marks = {"run_started", "run_finished"}
    last = [line for line in journal if line.get("kind") in marks][-1:]
    if not last or last[0]["kind"] == "run_started":
        return Ending(None, recorded)
    return Ending(str(last[0].get("reason", "finished")))


def duration_s(journal: Sequence[Line]) -> float | None:
    """Return the seconds from the first to the last line, None where unknown."""
    walls = [str(line["wall"]) for line in journal if "wall" in line]
    if not walls:
        return None
    first, last = datetime.fromisoformat(walls[0]), datetime.fromisoformat(walls[-1])
    return (last - first).total_seconds()


def light_of(journal: Sequence[Line]) -> Light:
    """Return what was fired and what was not."""
    armed = of_kind(journal, "stim_armed")
    sources = [int(line.get("from_timestep", line["timestep"])) for line in armed]
    reasons = [str(line.get("reason", "")) for line in of_kind(journal, "stim_skipped")]
    return Light(
        fired=tuple(_place(line) for line in of_kind(journal, "stim_confirmed")),
        skipped=dict(Counter(reasons).most_common()),
        shone=_shone(armed, of_kind(journal, "stim_confirmed")),
        first_from=min(sources, default=None),
    )


def _shone(
    armed: Iterable[Line], confirmed: Iterable[Line]
) -> dict[tuple[int, int], tuple[Shone, ...]]:
    """Return which channels fired where; a mask without a name is an older one."""
    labels = {
        (_place(line), line.get("channel", "")): None
        if line.get("whole_field")
        else str(line.get("mask_label") or MASK)
        for line in armed
    }
    found: dict[tuple[int, int], tuple[Shone, ...]] = {}
    for line in confirmed:
        place, channel = _place(line), line.get("channel", "")
        shone = Shone(channel, labels.get((place, channel), MASK))
        found[place] = (*found.get(place, ()), shone)
    return found


def loop_times_of(journal: Sequence[Line]) -> LoopTimes:
    """Return how long each stage of the loop took for each frame."""
    lines = of_kind(journal, "latency")
    names = dict.fromkeys(name for line in lines for name in line.get("stages_ms", {}))
    lit = [*lines, *of_kind(journal, "stim_confirmed")]
    known = [line.get("frame_to_display_ms") for line in lit]
    shown = [ms for ms in known if ms is not None]
    return LoopTimes(
        timesteps=np.array([int(line["timestep"]) for line in lines], dtype=np.int64),
        to_mask_ms=_numbers(line.get("frame_to_mask_ms") for line in lines),
        to_light_ms=np.array(shown, dtype=np.float64),
        stages_ms={
            name: _numbers(line.get("stages_ms", {}).get(name) for line in lines)
            for name in names
        },
    )


def lateness_of(journal: Sequence[Line]) -> Lateness:
    """Return how late each timepoint was.

    Nothing for a run whose timepoints were all due at once, as in a replay: it has no
    schedule to be late for.
    """
    lines = [
        line
        for line in of_kind(journal, "timepoint")
        if line.get("lateness_s") is not None
    ]
    due = [line.get("planned_s") for line in lines]
    if len(due) > 1 and None not in due and len(set(due)) == 1:
        lines = []
    return Lateness(
        timesteps=np.array([int(line["timestep"]) for line in lines], dtype=np.int64),
        late_ms=_numbers(1e3 * float(line["lateness_s"]) for line in lines),
    )


def planned_s_of(journal: Sequence[Line]) -> dict[int, float]:
    """Return the planned second of each timepoint, where known."""
    planned: dict[int, float] = {}
    for line in journal:
        second = line.get("planned_s")
        if line.get("kind") in {"timepoint", "frame"} and second is not None:
            time = int(line["timestep"])
            planned[time] = min(float(second), planned.get(time, float(second)))
    return planned


def errors_of(journal: Sequence[Line]) -> tuple[ErrorGroup, ...]:
    """Return the errors, equal ones together, in the order of their first."""
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for line in of_kind(journal, "error"):
        key = (
            str(line.get("stage", "")),
            str(line.get("exc_type", "")),
            str(line.get("message", "")),
        )
        groups.setdefault(key, []).append(line)
    return tuple(
        ErrorGroup(
            *key,
            traceback=str(lines[0].get("traceback", "")),
            where=_where(lines[0]),
            count=len(lines),
        )
        for key, lines in groups.items()
    )


def _place(line: Line) -> tuple[int, int]:
    """Return (fov, timestep)."""
    return int(line["fov"]), int(line["timestep"])


def _where(line: Line) -> str:
    """Return "FOV 1, timepoint 2" as far as the line knows it."""
    known = {"FOV": line.get("fov"), "timepoint": line.get("timestep")}
    return ", ".join(f"{name} {v}" for name, v in known.items() if v is not None)


def _numbers(values: Iterable[float | None]) -> Floats:
    """Return (n,) float64, NaN for None."""
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
