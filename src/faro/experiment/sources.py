"""Text, tables and JSON from outside, each value with the line it stands in."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from math import isfinite, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from faro.errors import Problem
from faro.experiment.refusal import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Frame(Protocol):
    """A table of pandas or polars: names of columns, and ``table[name]``."""

    @property
    def columns(self) -> Iterable[object]:
        """Names of the columns."""


Columns: TypeAlias = Mapping[str, Iterable[object]] | Frame
"""Columns by name."""

SEPARATORS = "\t;,"
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
MISSING = frozenset({"NAType", "NaTType"})
FEWEST_COLUMNS = "Separate the columns by commas, semicolons or tabs."


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of named cells, and where they stand.

    Attributes
    ----------
    name
        Name of the file, or ``"table"``.
    columns
        Names of the columns, in order.
    rows
        Column to cell; empty cells are None.
    lines
        Line of each row in the file, counted from 1; None where there is no file.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, object], ...]
    lines: tuple[int, ...] | None = None

    def where(self, row: int) -> str:
        """Return where row number ``row`` (from 0) stands."""
        if self.lines is None:
            return f"{self.name}/row {row}"
        return f"{self.name}/line {self.lines[row]}"


def table_from(source: object) -> Table:
    """Return ``source`` as a table.

    Parameters
    ----------
    source
        Path of a CSV file (comma, semicolon or tab), its text, or columns by name.

    Raises
    ------
    ExperimentError
        If it is none of these, or its rows or columns have different lengths.
    """
    if isinstance(source, Path):
        return _from_csv(text_of(source), source.name)
    if isinstance(source, str):
        is_text = "\n" in source
        return _from_csv(source, "table") if is_text else table_from(Path(source))
    columns = columns_of(source)
    if columns is None:
        what = f"a {type(source).__name__} is not a table."
        remedy = "Give a CSV file, its text, or a mapping of columns."
        raise ExperimentError([Problem("table", what, remedy)])
    cells = {name: [plain(cell) for cell in column] for name, column in columns.items()}
    lengths = {name: len(column) for name, column in cells.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        what = f"the columns have different lengths ({said})."
        raise ExperimentError([Problem("table", what, "Give one cell for each row.")])
    rows = zip(*cells.values(), strict=True)
    named = tuple(dict(zip(cells, row, strict=True)) for row in rows)
    return Table("table", tuple(cells), named)


def columns_of(source: object) -> Mapping[str, Iterable[object]] | None:
    """Return the columns of a mapping, or of a pandas or polars table; None else."""
    if isinstance(source, Mapping):
        listed = (isinstance(cells, Iterable) for cells in source.values())
        text = (isinstance(cells, str | bytes) for cells in source.values())
        return source if source and all(listed) and not any(text) else None
    names, item = getattr(source, "columns", None), getattr(source, "__getitem__", None)
    if not isinstance(names, Iterable) or item is None:
        return None
    return {str(name): item(name) for name in names}


def plain(cell: object) -> object:
    """Return a cell without the type of the library it comes from; None if empty."""
    tolist = getattr(cell, "tolist", None) or getattr(cell, "to_list", None)
    value = tolist() if callable(tolist) else cell
    if type(value).__name__ in MISSING or value == "":
        return None
    if isinstance(value, float) and isnan(value):
        return None
    return value


def number(cell: object) -> float | None:
    """Return a cell as a number, None if it is empty.

    Raises
    ------
    ValueError
        If it is not a finite number.

    Examples
    --------
    >>> number("1,5"), number(" 2e3 "), number(None)
    (1.5, 2000.0, None)
    """
    if cell is None or cell == "":
        return None
    if isinstance(cell, str) and DECIMAL_COMMA.fullmatch(cell.strip()):
        cell = cell.replace(",", ".")
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        message = f"{cell!r} is not a number"
        raise ValueError(message)  # noqa: TRY004  one error for all that is no number
    value = float(cell)
    if not isfinite(value):
        message = f"{cell!r} is not finite"
        raise ValueError(message)
    return value


def text_of(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises
    ------
    ExperimentError
        If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        what = f"cannot be read: {error.strerror or type(error).__name__}."
        remedy = "Check the path."
        raise ExperimentError([Problem(str(path), what, remedy)]) from error
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 text (byte {error.start})."
        remedy = "Save it as text, in UTF-8."
        raise ExperimentError([Problem(str(path), what, remedy)]) from error


def json_from(text: str, name: str) -> object:
    """Return what a JSON text says.

    Raises
    ------
    ExperimentError
        If it is not JSON; names the line.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        what = f"is not JSON: {error.msg} (column {error.colno})."
        where = f"{name}/line {error.lineno}"
        raise ExperimentError([Problem(where, what, "Save the file again.")]) from error


def entry_lines(text: str, opening: str) -> list[int]:
    r"""Return the lines in which the entries of a JSON list begin, counted from 1.

    Parameters
    ----------
    text
        Valid JSON.
    opening
        Pattern that ends with the bracket of the list; the first match counts.

    Examples
    --------
    >>> entry_lines('{"a": 1, "list": [\n 1,\n {}]}', r'"list"\s*:\s*\[')
    [2, 3]
    """
    match = re.search(opening, text)
    if match is None:
        return []
    decoder, lines, at = json.JSONDecoder(), [], _skip_blank(text, match.end())
    while text[at] != "]":
        lines.append(text.count("\n", 0, at) + 1)
        _, at = decoder.raw_decode(text, at)
        at = _skip_blank(text, at)
        at = _skip_blank(text, at + 1) if text[at] == "," else at
    return lines


def _skip_blank(text: str, at: int) -> int:
    while text[at].isspace():
        at += 1
    return at


def _from_csv(text: str, name: str) -> Table:
    """Return a CSV text as a table."""
    header, _, _ = text.lstrip().partition("\n")
    separator = max(SEPARATORS, key=header.count)
    reader = csv.reader(StringIO(text.lstrip("\ufeff")), delimiter=separator)
    read = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    if not read:
        raise ExperimentError([Problem(name, "holds no table.", FEWEST_COLUMNS)])
    names = [cell.strip() for cell in read[0][1]]
    problems = list(_shape_problems(name, names, read))
    if problems:
        raise ExperimentError(problems)
    rows: Iterator[dict[str, object]] = (
        {n: cell.strip() or None for n, cell in zip(names, cells, strict=True)}
        for _, cells in read[1:]
    )
    lines = tuple(line for line, _ in read[1:])
    return Table(name, tuple(names), tuple(rows), lines)


def _shape_problems(
    name: str, names: Sequence[str], read: Sequence[tuple[int, list[str]]]
) -> Iterator[Problem]:
    """Yield columns without a name of their own, and rows of another length."""
    for column in dict.fromkeys(names):
        if not column or names.count(column) > 1:
            what = f"{names.count(column)} columns are called {column!r}."
            remedy = "Give each column a name of its own."
            yield Problem(f"{name}/line {read[0][0]}", what, remedy)
    for line, cells in read[1:]:
        if len(cells) != len(names):
            what = f"has {len(cells)} cells for {len(names)} columns."
            yield Problem(f"{name}/line {line}", what, "Give a cell for each column.")
