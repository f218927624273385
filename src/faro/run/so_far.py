"""What a run had done when it was ended: its state, folded from its journal. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from faro.model import FrameRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Line = dict[str, Any]
Place = tuple[int, int]
"""(fov, timestep)."""
Light = tuple[int, int, str]
"""(fov, timestep, channel) of a stimulation."""

ARMED: Final = "armed"
LIGHTS: Final = {
    "stim_armed": ARMED,
    "stim_confirmed": "fired",
    "stim_skipped": "skipped",
    "stim_not_executed": "not executed",
    "stim_unconfirmed": "possibly fired",
}
"""Kinds of lines that say what became of a stimulation."""


@dataclass(slots=True, eq=False)
class SoFar:
    """What the journal of a run tells.

    Attributes
    ----------
    started_ns
        UTC of the first exposure in nanoseconds since 1970, None if there was none.
    last_s
        Seconds of the run at the last line.
    shift_s
        By how much pauses had moved the schedule.
    finished
        Why the run ended, empty if it was killed.
    extensions
        Words of the events that were added to the plan, each time, in order.
    counts
        Lines of each kind.
    n_rows
        Rows of the cell table.
    channels
        (fov, timestep, role) to the channels that are stored.
    places
        The (fov, timestep) of which imaging frames are stored.
    missed
        (fov, timestep, role) of frames that the camera did not give.
    lights
        What became of the stimulations that were reached.
    light_lines
        The ``stim_armed`` lines, in order, each with ``shift_s`` of that moment.
    unanalysed
        Frames whose analysis was left out, as the journal says.
    decided
        (fov, timestep, channel) to the reason of the decision.
    labels, cells
        What of each frame is stored: names of label images; whether rows.
    """

    started_ns: int | None = None
    last_s: float = 0.0
    shift_s: float = 0.0
    finished: str = ""
    extensions: list[list[Line]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    n_rows: int = 0
    channels: dict[tuple[int, int, str], set[str]] = field(
        default_factory=lambda: defaultdict(set)
    )
    places: set[Place] = field(default_factory=set)
    missed: set[tuple[int, int, str]] = field(default_factory=set)
    lights: dict[Light, str] = field(default_factory=dict)
    light_lines: list[Line] = field(default_factory=list)
    unanalysed: set[Place] = field(default_factory=set)
    decided: dict[Light, str] = field(default_factory=dict)
    labels: dict[Place, set[str]] = field(default_factory=lambda: defaultdict(set))
    cells: set[Place] = field(default_factory=set)

    def stored(self, fov: int, timestep: int, role: FrameRole) -> set[str]:
        """Return the channels that are stored of a moment."""
        return self.channels.get((fov, timestep, str(role)), set())

    def is_over(
        self, fov: int, timestep: int, role: FrameRole, channels: set[str]
    ) -> bool:
        """Return whether images of ``channels`` need not be taken (again)."""
        missed = (fov, timestep, str(role)) in self.missed
        return missed or channels <= self.stored(fov, timestep, role)

    @property
    def unconfirmed(self) -> list[Light]:
        """Stimulations that may have fired: they were armed, and nothing was said."""
        return [light for light, what in self.lights.items() if what == ARMED]


def folded(lines: Iterable[Mapping[str, Any]]) -> SoFar:
    """Return what the lines of a journal tell, in their order."""
    so_far = SoFar()
    for line in lines:
        kind = line["kind"]
        so_far.counts[kind] += 1
        so_far.last_s = max(so_far.last_s, line.get("run_s") or 0.0)
        so_far.shift_s = line.get("shift_s", so_far.shift_s)
        if kind in LIGHTS:
            _take_light(so_far, kind, line)
        elif kind in _TAKE:
            _TAKE[kind](so_far, line)
    return so_far


def _take_light(so_far: SoFar, kind: str, line: Mapping[str, Any]) -> None:
    light = line["fov"], line["timestep"], line["channel"]
    if kind != "stim_unconfirmed" or so_far.lights.get(light) == ARMED:
        so_far.lights[light] = LIGHTS[kind]
    if kind == "stim_armed":
        so_far.light_lines.append({**line, "shift_s": so_far.shift_s})


def _take_frame(so_far: SoFar, line: Mapping[str, Any]) -> None:
    so_far.channels[_moment(line)].update(line["channels"])
    if line["role"] == FrameRole.IMAGE:
        so_far.places.add((line["fov"], line["timestep"]))
    so_far.counts[f"stacks_{line['role']}"] += 1
    so_far.last_s = max(so_far.last_s, line.get("acquired_s") or 0.0)


def _take_lost(so_far: SoFar, line: Mapping[str, Any]) -> None:
    """Forget a frame that is to be taken again; one that was lost is over."""
    if line.get("again"):
        so_far.channels.pop(_moment(line), None)
        if line["role"] == FrameRole.IMAGE:
            so_far.places.discard((line["fov"], line["timestep"]))


def _take_missing(so_far: SoFar, line: Mapping[str, Any]) -> None:
    if not line.get("ended"):
        so_far.missed.add(_moment(line))


def _take_decision(so_far: SoFar, line: Mapping[str, Any]) -> None:
    light = line["fov"], line["timestep"], line.get("channel", "")
    so_far.decided[light] = line["reason"]


def _take_cells(so_far: SoFar, line: Mapping[str, Any]) -> None:
    so_far.cells.add((line["fov"], line["timestep"]))
    so_far.n_rows += line["rows"]


def _take_labels(so_far: SoFar, line: Mapping[str, Any]) -> None:
    so_far.labels[line["fov"], line["timestep"]].add(line["name"])


def _take_start(so_far: SoFar, line: Mapping[str, Any]) -> None:
    if so_far.started_ns is None:
        so_far.started_ns = line["wall_ns"]
    so_far.finished = ""


def _take_end(so_far: SoFar, line: Mapping[str, Any]) -> None:
    so_far.finished = line["reason"]


def _take_resumed(so_far: SoFar, line: Mapping[str, Any]) -> None:
    del line
    so_far.finished = ""


def _take_unanalysed(so_far: SoFar, line: Mapping[str, Any]) -> None:
    so_far.unanalysed.add((line["fov"], line["timestep"]))


def _take_events(so_far: SoFar, line: Mapping[str, Any]) -> None:
    so_far.extensions.append(line["events"])


def _moment(line: Mapping[str, Any]) -> tuple[int, int, str]:
    return line["fov"], line["timestep"], line["role"]


_TAKE: Final = {
    "frame": _take_frame,
    "frame_lost": _take_lost,
    "frame_missing": _take_missing,
    "stack_incomplete": _take_missing,
    "stim_decided": _take_decision,
    "cells": _take_cells,
    "labels": _take_labels,
    "run_started": _take_start,
    "run_resumed": _take_resumed,
    "run_finished": _take_end,
    "analysis_skipped": _take_unanalysed,
    "experiment_extended": _take_events,
}
"""What the other kinds of lines say."""
