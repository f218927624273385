"""What the journal tells of a run that was ended, so that its writer can go on. Pure.

Only what is told counts: a file without its line was never acknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import TYPE_CHECKING, Any

from faro.model import FrameRole, RunNeeds, StackNeeds
from faro.storage.layout import SeriesKey, series_key
from faro.storage.ngff import SeriesFormat
from faro.storage.omexml import frames_by_series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.model import Stack
    from faro.storage.ngff import PositionUm

BY_FOV = ("fov_names", "fov_wells", "fov_positions_um", "stacks")
"""Parts of the needs whose keys are position indices, which are text in JSON."""


@dataclass(frozen=True, slots=True)
class ToldStack:
    """What the first stack of a series looked like.

    Attributes
    ----------
    key
        Which series.
    format
        Channels, shape and type of the stack.
    z_um, position_um
        Of the stack.
    """

    key: SeriesKey
    format: SeriesFormat
    z_um: tuple[float, ...]
    position_um: PositionUm


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What was stored of a run.

    Attributes
    ----------
    steps
        The first stack of every series, and every growth of the run, in order.
    n_timepoints
        Timepoints up to the last one of which something is stored.
    frames
        Name of a series to the lines of its stacks.
    labels
        Position index to the names of its label images.
    segments
        Parts of the cell table, to the bytes of each that count; in order.
    """

    steps: tuple[ToldStack | RunNeeds, ...]
    n_timepoints: int
    frames: Mapping[str, list[Mapping[str, Any]]]
    labels: Mapping[int, set[str]]
    segments: Mapping[str, int]


def told_by(lines: Iterable[Mapping[str, Any]]) -> Told:
    """Return what a journal tells of what is stored."""
    last: dict[tuple[object, ...], Mapping[str, Any]] = {}
    steps: dict[object, ToldStack | RunNeeds] = {}
    labels: dict[int, set[str]] = {}
    segments: dict[str, int] = {}
    n_timepoints = 0
    for number, line in enumerate(lines):
        match line["kind"]:
            case "frame":
                last[line["series"], line["timestep"]] = line
                steps.setdefault(line["series"], _stack_of(line))
            case "frame_lost":
                last.pop((line["series"], line["timestep"]), None)
            case "labels":
                labels.setdefault(line["fov"], set()).add(line["name"])
            case "cells" if line.get("n_bytes"):
                end = line["offset"] + line["n_bytes"]
                segments[line["file"]] = max(end, segments.get(line["file"], 0))
            case "extended":
                steps[number] = needs_from(line["needs"])
            case _:
                continue
        n_timepoints = max(n_timepoints, line.get("timestep", -1) + 1)
    return Told(
        tuple(steps.values()),
        n_timepoints,
        frames_by_series(last.values()),
        labels,
        segments,
    )


def needs_from(words: Mapping[str, Any]) -> RunNeeds:
    """Return the needs of a run, as ``run.json`` and the journal keep them."""
    known = {field.name for field in fields(RunNeeds)}
    given = {name: _tuples(value) for name, value in words.items() if name in known}
    for name in BY_FOV:
        given[name] = {int(fov): v for fov, v in (given.get(name) or {}).items()}
    given["stacks"] = {
        fov: tuple(StackNeeds(**stack) for stack in stacks)
        for fov, stacks in given["stacks"].items()
    }
    return RunNeeds(**given)


def _tuples(value: Any) -> Any:
    """Return lists as tuples, at every depth."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


def _stack_of(line: Mapping[str, Any]) -> ToldStack:
    shape = tuple(line["shape"])
    dtype = "uint8" if line["n_bytes"] == prod(shape) else "uint16"
    name = str(line["series"]).rpartition("/")[2]
    key = series_key(name) or SeriesKey(line["fov"], FrameRole(line["role"]))
    x_um, y_um, z_um = line.get("position_um") or (None, None, None)
    form = SeriesFormat(tuple(line["channels"]), shape[1:], dtype)
    return ToldStack(key, form, tuple(line.get("z_um") or ()), (x_um, y_um, z_um))


def frame_record(stack: Stack, series: str, indices: list[int]) -> dict[str, Any]:
    """Return the journal's record of a stored stack."""
    record: dict[str, Any] = {
        "fov": stack.fov,
        "timestep": stack.timestep,
        "role": stack.role,
        "series": series,
        "channels": stack.channels,
        "channel_indices": indices,
        "planned_s": stack.planned_s,
        "acquired_s": stack.acquired_s,
        "wall_ns": stack.wall_ns,
        "exposures_ms": stack.exposures_ms,
        "position_um": stack.position_um,
        "n_bytes": stack.pixels.nbytes,
        "shape": stack.pixels.shape,
    }
    if stack.z_um:
        record |= {"z_um": stack.z_um, "z_offsets_um": stack.z_offsets_um}
    if stack.metadata:
        record["metadata"] = stack.metadata
    return record
