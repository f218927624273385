"""Events from a table with one row per position and timepoint (``df_acquire``)."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, TypeAlias

from faro.errors import Problem
from faro.experiment.channel import PowerChannel, channel_from
from faro.experiment.event import MORE, RTMEvent
from faro.experiment.refusal import ExperimentError
from faro.experiment.sources import number, plain, table_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faro.experiment.channel import Channel
    from faro.experiment.sources import Columns, Table

    Channels = tuple[Channel, ...]

Cells: TypeAlias = Mapping[str, object]
"""One row: column to cell; None where it is empty."""

NEEDED = ("fov", "timestep", "channels")
PLACES = ("fov", "timestep", "time", "fov_x", "fov_y", "fov_z", "fov_name", "pos_name")
ROLES = ("channels", "stim_channels", "ref_channels", "optocheck_channels")
SWITCHES = ("stim", "ref", "optocheck")
SWITCH = {"ref_channels": "ref", "optocheck_channels": "optocheck"}
LIGHT = ("stim_channel_name", "stim_channel_group", "stim_power", "stim_exposure")
OF_THE_RIG = (
    "stim_channel_device_name",
    "stim_channel_power_property_name",
    "device_name",
    "property_name",
    "power_property_name",
)
UNREAD = ("fov_object", *OF_THE_RIG)
READ = frozenset({*PLACES, *ROLES, *SWITCHES, *LIGHT, *UNREAD, *MORE})
YES_NO = {
    "true": True,
    "1": True,
    "1.0": True,
    "false": False,
    "0": False,
    "0.0": False,
}


def events_from_table(source: str | Path | Columns) -> tuple[RTMEvent, ...]:
    """Return one event for each row, in their order. Pure but for the file.

    Needs the columns ``fov``, ``timestep`` and ``channels``; reads ``time`` (s),
    ``fov_x``, ``fov_y``, ``fov_z`` (um), ``fov_name``, ``stim_channels`` and
    ``ref_channels``, switched by ``stim`` and ``ref`` where there are such columns
    (or ``optocheck_channels`` and ``optocheck``); an empty switch is off.
    Channels are names, or tables with config, exposure (ms), group and power. Light
    may also be said flat, in
    ``stim_channel_name``, ``stim_channel_group``, ``stim_exposure`` (ms) and
    ``stim_power``; ``stim_exposure`` replaces the exposure of ``stim_channels``. An
    exposure or a power of 0 is no light. Planes, focus, shutter and properties are in
    columns that are called as in ``events.json``. All further columns become metadata;
    empty cells say nothing.

    Parameters
    ----------
    source
        Path of a CSV file, its text, or columns by name (also of pandas or polars).

    Raises
    ------
    ExperimentError
        With every mistake, each with its row or line.

    Notes
    -----
    Columns that name the device and property of a light are passed over: they belong
    to the rig (``POWER_PROPERTIES``). So is ``fov_object``, which repeats the columns
    ``fov_x`` to ``fov_name``.

    Examples
    --------
    >>> columns = {"fov": [0], "timestep": [3], "channels": ["DAPI"], "drug": ["EGF"]}
    >>> [
    ...     (e.timestep, e.channels[0].config, e.metadata)
    ...     for e in events_from_table(columns)
    ... ]
    [(3, 'DAPI', {'drug': 'EGF'})]
    """
    table = table_from(source)
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        what = f"has no column {', '.join(missing)}, only: {', '.join(table.columns)}."
        remedy = "Give at least fov, timestep and channels."
        raise ExperimentError([Problem(table.name, what, remedy)])
    events: list[RTMEvent] = []
    problems: list[Problem] = []
    for index, row in enumerate(table.rows):
        where = table.where(index)
        try:
            events.append(_event(row, table))
        except ExperimentError as error:
            problems += [
                Problem(f"{where}/{p.where}", p.what, p.remedy) for p in error.problems
            ]
    if problems:
        raise ExperimentError(problems)
    return tuple(events)


def _event(row: Cells, table: Table) -> RTMEvent:
    """Return one row as an event.

    Raises
    ------
    ExperimentError
        With every mistake in the row.
    """
    problems: list[Problem] = []

    def read(column: str, reader: Callable[[object], object]) -> object:
        """Return a cell as ``reader`` reads it; None, and a problem, if it cannot."""
        try:
            return reader(row.get(column))
        except ExperimentError as error:
            problems.extend(error.problems)
        except ValueError as error:
            problems.append(Problem(column, f"{error}.", "Correct the cell."))
        return None

    cells = {name: read(name, number) for name in ("time", "fov_x", "fov_y", "fov_z")}
    index = {"t": read("timestep", _whole), "p": read("fov", _whole)}
    switched = {name: read(name, _yes_no) for name in SWITCHES if name in row}
    roles = {name: read(name, _channels) for name in ROLES}
    more = {name: read(name, _said) for name in MORE if row.get(name) is not None}
    light = read("stim_exposure", number), read("stim_power", number)
    if problems:
        raise ExperimentError(problems)
    refs, name = "ref_channels", row.get("fov_name") or row.get("pos_name")
    if not roles[refs]:
        refs = "optocheck_channels"
    return RTMEvent(
        index=index,
        channels=roles["channels"],
        stim_channels=_light(row, roles["stim_channels"], switched.get("stim"), light),
        ref_channels=roles[refs] if switched.get(SWITCH[refs], True) else (),
        x_pos=cells["fov_x"],
        y_pos=cells["fov_y"],
        z_pos=cells["fov_z"],
        pos_name=None if name is None else str(name),
        min_start_time=cells["time"],
        metadata=dict(_metadata(row, table)),
        **more,
    )


def _light(row: Cells, given: object, switched: object, light: object) -> Channels:
    """Return what gives light in a row; not switched at all counts as on.

    Raises
    ------
    ExperimentError
        If there should be light, and the row does not say which.
    """
    exposure_ms, power = light if isinstance(light, tuple) else (None, None)
    if switched is False or 0 in (exposure_ms, power):
        return ()
    channels = given if isinstance(given, tuple) else ()
    flat = row.get("stim_channel_name")
    if not channels and flat is not None:
        group = row.get("stim_channel_group")
        named = None if group is None else str(group)
        channels = (PowerChannel(str(flat), exposure_ms, named, power),)
        if exposure_ms is None:
            what = f"{flat} has no exposure."
            raise ExperimentError([Problem("stim_exposure", what, "Give ms.")])
    if not channels and switched:
        what = "there should be light, but no channel gives it."
        remedy = "Fill in stim_channels, or stim_channel_name and stim_exposure."
        raise ExperimentError([Problem("stim", what, remedy)])
    if exposure_ms is None:
        return channels
    return tuple(channel.exposed(exposure_ms) for channel in channels)


def _metadata(row: Cells, table: Table) -> Iterator[tuple[str, object]]:
    """Yield the cells that are not part of an event itself."""
    for name, cell in row.items():
        if name in READ or cell is None:
            continue
        from_text = table.lines is not None and isinstance(cell, str)
        yield name, _as_written(str(cell)) if from_text else _jsonable(cell)


def _as_written(text: str) -> object:
    """Return the number, list or truth that a cell of a CSV file says, else its text.

    >>> _as_written("2.5"), _as_written("True"), _as_written("3T3"), _as_written("NaN")
    (2.5, True, '3T3', 'NaN')
    >>> _as_written("A1_0001"), _as_written("12_3"), _as_written("[1, 2]")
    ('A1_0001', '12_3', [1, 2])
    """
    try:
        said = text if "_" in text else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        said = {"true": True, "false": False}.get(text.lower(), text)
    finite = not isinstance(said, float) or isfinite(said)
    known = isinstance(said, bool | int | float | list | tuple | dict)
    return _jsonable(said) if finite and known else text


def _jsonable(value: object) -> object:
    """Return tuples as lists, as they are after saving."""
    if isinstance(value, tuple | list):
        return [_jsonable(plain(item)) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _jsonable(plain(item)) for key, item in value.items()}
    return value


def _said(cell: object) -> object:
    """Return a cell, a list or table that is written as text as what it says.

    Raises
    ------
    ValueError
        If a text in brackets cannot be read.
    """
    return _opened(cell) if isinstance(cell, str) else _jsonable(plain(cell))


def _channels(cell: object) -> Channels:
    """Return the channels that a cell says: none, a name, a table, or a list of these.

    Raises
    ------
    ExperimentError
        If a channel is wrong.
    ValueError
        If a text in brackets cannot be read.
    """
    said = _opened(cell) if isinstance(cell, str) else plain(cell)
    if said is None:
        return ()
    listed = said if isinstance(said, list | tuple) else [said]
    return tuple(channel_from(_renamed(plain(item))) for item in listed)


def _opened(text: str) -> object:
    """Return a list or table that is written as text, in JSON or Python; else a name.

    Raises
    ------
    ValueError
        If it begins like one and cannot be read.
    """
    if not text.lstrip().startswith(("[", "(", "{")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        message = f"{text:.60} cannot be read"
        raise ValueError(message) from None


def _renamed(item: object) -> object:
    """Return a channel in the words of today; older tables call the preset a name."""
    if not isinstance(item, Mapping):
        return item
    words = {str(key): plain(value) for key, value in item.items()}
    if "config" not in words and "name" in words:
        words["config"] = words.pop("name")
    return {key: value for key, value in words.items() if key not in OF_THE_RIG}


def _whole(cell: object) -> int:
    """Return an index, 0 or more.

    Raises
    ------
    ValueError
        If it is none.
    """
    value = number(cell)
    if value is None or value < 0 or value != int(value):
        message = f"{cell!r} is not a whole number from 0"
        raise ValueError(message)
    return int(value)


def _yes_no(cell: object) -> bool:
    """Return whether a cell says yes; an empty one does not.

    Raises
    ------
    ValueError
        If it says neither yes nor no.
    """
    if cell is None:
        return False
    answer = YES_NO.get(str(cell).strip().lower())
    if answer is None:
        message = f"{cell!r} is neither true nor false"
        raise ValueError(message)
    return answer
