"""Position lists of Micro-Manager: ``.pos`` files of version 1.4 and of version 2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import useq

from faro.errors import Problem
from faro.experiment.refusal import ExperimentError, nearest
from faro.experiment.sources import entry_lines, number
from faro.experiment.wells import well_index

Numbers: TypeAlias = list[float]
"""Stage coordinates, um."""

OLD_LIST = r'"POSITIONS"\s*:\s*\['
NEW_LIST = r'"StagePositions"\s*:\s*\{[^\[\]]*"array"\s*:\s*\['
WELL_LABEL = re.compile(r"([A-Z]{1,2}\d{1,2})-Site_\d+")
SAVE_AGAIN = "Save the position list again in Micro-Manager."
AXES = {1: ("X",), 2: ("X", "Y")}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One position as Micro-Manager holds it; device to coordinates in um."""

    label: str
    xy_stage: str
    z_stage: str
    devices: dict[str, Numbers]


def is_stage_list(said: object) -> bool:
    """Return whether parsed JSON is a position list of Micro-Manager."""
    if not isinstance(said, Mapping):
        return False
    new = said.get("map")
    return "POSITIONS" in said or (isinstance(new, Mapping) and "StagePositions" in new)


def stage_list_positions(
    said: Mapping[str, object], text: str, name: str, z_stage: str | None
) -> tuple[list[useq.Position], list[Problem]]:
    """Return the positions of a parsed position list, and what is wrong with it.

    Parameters
    ----------
    said, text, name
        What the file says, its text, and its name.
    z_stage
        Device that gives z; None for the default focus device of the list.
    """
    new = said.get("map")
    listed = said.get("POSITIONS")
    if isinstance(new, Mapping):
        listed = _array(new, "StagePositions")
    if not isinstance(listed, list):
        return [], [Problem(name, "holds no list of positions.", SAVE_AGAIN)]
    read = _new_entry if isinstance(new, Mapping) else _old_entry
    lines = entry_lines(text, NEW_LIST if isinstance(new, Mapping) else OLD_LIST)
    positions: list[useq.Position] = []
    problems: list[Problem] = []
    for number_, entry in enumerate(listed):
        line = f"line {lines[number_]}" if number_ < len(lines) else f"{number_}"
        where = f"{name}/{line}"
        try:
            positions.append(_position(read(entry), where, z_stage))
        except ExperimentError as error:
            problems += error.problems
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            what = f"is not understood: {reason}."
            problems.append(Problem(where, what, SAVE_AGAIN))
    return positions, problems


def _position(entry: _Entry, where: str, z_stage: str | None) -> useq.Position:
    """Return one entry as a position in um."""
    planes = {n: c for n, c in entry.devices.items() if len(c) == len(AXES[2])}
    depths = {n: c for n, c in entry.devices.items() if len(c) == len(AXES[1])}
    xy_stage = entry.xy_stage if entry.xy_stage in planes else ""
    xy = _chosen(planes, xy_stage, None, f"{where}/{entry.label}/xy")
    z = _chosen(depths, entry.z_stage, z_stage, f"{where}/{entry.label}/z")
    if xy is None and z is None:
        what = "holds the coordinates of no stage."
        raise ExperimentError([Problem(f"{where}/{entry.label}", what, SAVE_AGAIN)])
    label = WELL_LABEL.fullmatch(entry.label)
    row, column = (label and well_index(label[1])) or (None, None)
    return useq.Position(
        x=xy[0] if xy else None,
        y=xy[1] if xy else None,
        z=z[0] if z else None,
        name=entry.label or None,
        plate_row=row,
        plate_col=column,
    )


def _chosen(
    devices: Mapping[str, Numbers], default: str, wanted: str | None, where: str
) -> Numbers | None:
    """Return the coordinates of the stage that counts; None if there is none.

    Raises
    ------
    ExperimentError
        If the stage that is wanted is not there, or others are. An offset of a focus
        lock taken for a z would drive the objective somewhere else.
    """
    if wanted is not None:
        if wanted not in devices:
            what = f"there is no stage {wanted!r}."
            raise ExperimentError([Problem(where, what, nearest(wanted, devices))])
        return devices[wanted]
    if default in devices:
        return devices[default]
    if len(devices) > 1 or (default and devices):
        what = f"which stage is meant? The default is {default!r}, "
        what += f"the list has {', '.join(map(repr, devices))}."
        remedy = "Choose the default stage in Micro-Manager, or give z_stage='...'."
        raise ExperimentError([Problem(where, what, remedy)])
    return next(iter(devices.values()), None)


def _old_entry(entry: Mapping[str, object]) -> _Entry:
    """Return an entry of version 1.4; a stage with one axis keeps it in ``X``."""
    devices: dict[str, Numbers] = {}
    for device in _mappings(entry["DEVICES"]):
        axes = device["AXES"]
        if axes not in AXES:
            message = f"a stage with {axes!r} axes"
            raise ValueError(message)
        keys = AXES[axes]
        devices[str(device["DEVICE"])] = _numbers([device[key] for key in keys])
    return _Entry(
        label=str(entry.get("LABEL") or ""),
        xy_stage=str(entry.get("DEFAULT_XY_STAGE") or ""),
        z_stage=str(entry.get("DEFAULT_Z_STAGE") or ""),
        devices=devices,
    )


def _new_entry(entry: Mapping[str, object]) -> _Entry:
    """Return an entry of version 2, a property map; the length tells the axes."""
    devices: dict[str, Numbers] = {}
    for device in _mappings(_array(entry, "DevicePositions")):
        found = _numbers(_array(device, "Position_um"))
        if len(found) not in AXES:
            message = f"a stage with {len(found)} axes"
            raise ValueError(message)
        devices[_scalar(device, "Device")] = found
    return _Entry(
        label=_scalar(entry, "Label"),
        xy_stage=_scalar(entry, "DefaultXYStage"),
        z_stage=_scalar(entry, "DefaultZStage"),
        devices=devices,
    )


def _array(said: Mapping[str, object], key: str) -> object:
    """Return the list under ``key`` of a property map."""
    inside = said[key]
    return inside["array"] if isinstance(inside, Mapping) else None


def _scalar(said: Mapping[str, object], key: str) -> str:
    """Return the text under ``key`` of a property map; empty if there is none."""
    inside = said.get(key)
    return str(inside.get("scalar") or "") if isinstance(inside, Mapping) else ""


def _mappings(listed: object) -> Iterator[Mapping[str, object]]:
    if not isinstance(listed, list):
        message = f"{listed!r} is no list of stages"
        raise TypeError(message)
    yield from listed


def _numbers(listed: object) -> Numbers:
    """Return coordinates in um.

    Raises
    ------
    ValueError
        If one is missing or no number.
    """
    found = [number(cell) for cell in listed] if isinstance(listed, list) else [None]
    if None in found:
        message = "a coordinate is missing"
        raise ValueError(message)
    return [value for value in found if value is not None]
