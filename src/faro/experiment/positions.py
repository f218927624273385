"""Positions from where people keep them: Micro-Manager, JSON, tables, MDA widgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import useq
from pydantic import ValidationError

from faro.errors import Problem
from faro.experiment.refusal import ExperimentError, problems_from, unknown_words
from faro.experiment.sources import (
    Columns,
    columns_of,
    entry_lines,
    json_from,
    number,
    table_from,
    text_of,
)
from faro.experiment.stage_list import is_stage_list, stage_list_positions
from faro.experiment.supported import plate_problems
from faro.experiment.tiles import (
    has_tiles,
    more_than_places,
    spots_on_stage,
    tile_problems,
)
from faro.experiment.unread import unread_in_position
from faro.experiment.wells import well_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faro.experiment.sources import Table

Source: TypeAlias = (
    str | Path | useq.MDASequence | useq.WellPlatePlan | Iterable[object] | Columns
)
"""Where positions come from."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "x": ("x", "x_um", "x_pos", "fov_x"),
    "y": ("y", "y_um", "y_pos", "fov_y"),
    "z": ("z", "z_um", "z_pos", "fov_z"),
    "name": ("name", "label", "pos_name", "fov_name"),
    "well": ("well",),
}
"""What a column of a table may be called, in small or capital letters."""

JSON_LIST = r"\A\s*\["
SEQUENCE_LIST = r'"stage_positions"\s*:\s*\['
EMPTY = "Choose positions first, in the MDA widget or in the file."


def load_positions(
    source: Source, *, z_stage: str | None = None
) -> list[useq.Position]:
    r"""Return positions for ``stage_positions``, x, y and z in um.

    Parameters
    ----------
    source
        A path: a position list of Micro-Manager (``.pos``, version 1.4 or 2), a JSON
        list of positions, a saved `useq.MDASequence`, or a CSV table. Or a value: the
        `useq.MDASequence` of an MDA widget, a `useq.WellPlatePlan`, a list of
        positions, the text of a CSV table, or columns by name.
    z_stage
        Micro-Manager only: the device that gives z; None for the default focus device
        of the list, or the only one in it. Further devices are not moved.

    Returns
    -------
    list of useq.Position
        Tiles of a grid are positions of their own, called ``name_0000``. A z that is
        not said is None, so the stage stays.

    Raises
    ------
    ExperimentError
        With every mistake, each with its file and line.

    Notes
    -----
    A table has the columns x, y, z, name and well, or x_um, x_pos, fov_x and so on.

    Examples
    --------
    >>> load_positions("name,x,y\nleft,1,2\n")
    [AbsolutePosition(x=1.0, y=2.0, name='left')]
    """
    named = isinstance(source, str) and "\n" not in source
    opened = Path(source) if named and isinstance(source, str) else source
    positions, problems = _found(opened, z_stage)
    where = opened.name if isinstance(opened, Path) else "positions"
    if z_stage is not None and not isinstance(opened, Path):
        what = f"{z_stage!r} is given, but there are no stages to choose from."
        problems.append(Problem("z_stage", what, "Give it with a .pos file only."))
    if not positions and not problems:
        problems = [Problem(where, "there is no position.", EMPTY)]
    if problems:
        raise ExperimentError(problems)
    return positions


def _found(
    source: object, z_stage: str | None
) -> tuple[list[useq.Position], list[Problem]]:
    """Return the positions of a source of any kind, and what is wrong with it."""
    if isinstance(source, Path):
        return _from_file(source, z_stage)
    if isinstance(source, useq.MDASequence):
        return _from_sequence(source, "positions")
    if isinstance(source, useq.WellPlatePlan):
        return _from_sequence(useq.MDASequence(stage_positions=source), "positions")
    if isinstance(source, str) or columns_of(source) is not None:
        return _from_table(table_from(source))
    if isinstance(source, Iterable) and not isinstance(source, Mapping | bytes):
        return _from_list(list(source), "positions")
    what = f"a {type(source).__name__} holds no positions."
    remedy = "Give a path, an MDASequence, a list, or columns by name."
    return [], [Problem("positions", what, remedy)]


def _from_file(
    path: Path, z_stage: str | None
) -> tuple[list[useq.Position], list[Problem]]:
    """Return the positions of a file; what it holds says of which kind it is."""
    text = text_of(path)
    said = json_from(text, path.name) if text.lstrip()[:1] in {"{", "["} else None
    if isinstance(said, Mapping) and is_stage_list(said):
        return stage_list_positions(said, text, path.name, z_stage)
    if z_stage is not None:
        what = f"{z_stage!r} is given, but {path.name} names no stages."
        return [], [Problem("z_stage", what, "Give it with a .pos file only.")]
    if said is None:
        return _from_table(table_from(path))
    if isinstance(said, list):
        return _from_list(said, path.name, entry_lines(text, JSON_LIST))
    return _from_saved(said, text, path.name)


def _from_saved(
    said: object, text: str, name: str
) -> tuple[list[useq.Position], list[Problem]]:
    """Return the positions of a sequence that was saved as JSON."""
    if not (isinstance(said, Mapping) and "stage_positions" in said):
        what = "holds neither POSITIONS, StagePositions nor stage_positions."
        remedy = "Give a .pos file, a saved MDASequence, or a list of positions."
        return [], [Problem(name, what, remedy)]
    listed = said["stage_positions"]
    if isinstance(listed, list):
        found = _from_list(listed, name, entry_lines(text, SEQUENCE_LIST))
        if found[1]:
            return found
    try:
        sequence = useq.MDASequence.model_validate(said)
    except ValidationError as error:
        problems = problems_from(error, said, {})
        return [], [_inside(name, problem) for problem in problems]
    return _from_sequence(sequence, name)


def _from_sequence(
    sequence: useq.MDASequence, where: str
) -> tuple[list[useq.Position], list[Problem]]:
    """Return the positions of a sequence, each tile as one of its own."""
    listed = sequence.stage_positions
    problems: list[Problem] = []
    if isinstance(listed, useq.WellPlatePlan):
        problems += plate_problems(listed)
    problems += tile_problems(sequence, f"{where}/") if has_tiles(sequence) else []
    problems += more_than_places(sequence, f"{where}/")
    return [] if problems else spots_on_stage(sequence), problems


def _from_list(
    listed: Sequence[object], where: str, lines: Sequence[int] = ()
) -> tuple[list[useq.Position], list[Problem]]:
    """Return positions from entries in any spelling of useq."""
    positions: list[useq.Position] = []
    problems: list[Problem] = []
    for number_, entry in enumerate(listed):
        line = f"line {lines[number_]}" if number_ < len(lines) else f"{number_}"
        place = f"{where}/{line}"
        if isinstance(entry, Mapping):
            problems += unread_in_position(entry, place)
        value = tuple(entry) if isinstance(entry, list) else entry
        value = dict(value) if isinstance(value, Mapping) else value
        try:
            positions.append(useq.Position.model_validate(value))
        except ValidationError as error:
            found = problems_from(error, {}, {})
            problems += [_inside(place, problem) for problem in found]
        else:
            problems += _endless(positions[-1], place)
    return positions, problems


def _from_table(table: Table) -> tuple[list[useq.Position], list[Problem]]:
    """Return a position for each row."""
    aliases = {alias: word for word, names in COLUMNS.items() for alias in names}
    problems = list(unknown_words(map(str.lower, table.columns), aliases, table.name))
    words = {name: aliases.get(name.lower()) for name in table.columns}
    said = [word for word in words.values() if word]
    for word in dict.fromkeys(said):
        if said.count(word) > 1:
            what = f"{said.count(word)} columns say {word!r}."
            problems.append(Problem(table.name, what, "Keep one of them."))
    if not problems and not {"x", "y"} <= set(said):
        what = f"has no columns x and y, only: {', '.join(table.columns)}."
        problems.append(Problem(table.name, what, "Name two columns x and y."))
    if problems:
        return [], problems
    positions: list[useq.Position] = []
    for index, row in enumerate(table.rows):
        cells = {word: row[name] for name, word in words.items() if word}
        try:
            positions.append(_from_row(cells))
        except ValueError as error:
            remedy = "Give x, y and z in um, and wells like 'A1'."
            problems.append(Problem(table.where(index), f"{error}.", remedy))
    return positions, problems


def _from_row(cells: Mapping[str, object]) -> useq.Position:
    """Return one row as a position.

    Raises
    ------
    ValueError
        If a cell is no number, or no well.
    """
    well = cells.get("well")
    index = None if well is None else well_index(str(well))
    if well is not None and index is None:
        message = f"{well!r} is not a well"
        raise ValueError(message)
    if cells["x"] is None or cells["y"] is None:
        message = "x or y is empty"
        raise ValueError(message)
    name = cells.get("name")
    row, column = index or (None, None)
    return useq.Position(
        x=number(cells["x"]),
        y=number(cells["y"]),
        z=number(cells.get("z")),
        name=None if name is None else str(name),
        plate_row=row,
        plate_col=column,
    )


def _endless(position: useq.Position, where: str) -> Iterator[Problem]:
    """Yield coordinates that are not finite."""
    for axis in ("x", "y", "z"):
        value = getattr(position, axis)
        if value is not None and not isfinite(value):
            what = f"{value} is no place."
            yield Problem(f"{where}/{axis}", what, "Give um, or leave it out.")


def _inside(where: str, problem: Problem) -> Problem:
    return Problem(f"{where}/{problem.where}", problem.what, problem.remedy)
