"""Where positions are: in wells, in blocks of wells, by name or by number."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from faro.errors import Problem
from faro.experiment.refusal import nearest
from faro.experiment.tiles import spots_on_stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import useq

Place: TypeAlias = str | int
"""A well ("A1"), a block of wells ("A1:B6"), a position by name, or by index."""

Value = TypeVar("Value")
if TYPE_CHECKING:
    Table: TypeAlias = Mapping[str, Value] | Mapping[int, Value] | Mapping[Place, Value]

WELL = re.compile(r"([A-Z]{1,2})0*([1-9][0-9]*)")
WELL_FACTS = ("well", "row", "column", "field")
"""What the metadata of an event says about its well."""

LETTERS = 26
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Spot:
    """One position and what it is called.

    Attributes
    ----------
    fov
        Position index ``p``.
    name
        Name of the position.
    well
        Name of its well, like ``"A1"``; None away from a plate.
    """

    fov: int
    name: str | None = None
    well: str | None = None

    @property
    def place(self) -> Place:
        """What a person would call it: its name, else its well, else its index."""
        return self.name or self.well or self.fov


@dataclass(frozen=True, slots=True)
class Spread(Generic[Value]):
    """A table of places, spread over the positions.

    Attributes
    ----------
    by_fov
        Position index to what the table says about it.
    problems
        Places that do not exist, and positions that are named twice or never.
    """

    by_fov: dict[int, Value]
    problems: list[Problem]


def well_name(row: int, column: int) -> str:
    """Return the name of the well at 0-based ``row`` and ``column``.

    >>> well_name(0, 0), well_name(7, 11), well_name(26, 0)
    ('A1', 'H12', 'AA1')
    """
    return f"{_row_name(row)}{column + 1}"


def well_index(name: str) -> tuple[int, int] | None:
    """Return the 0-based (row, column) of a well name, None if it is none.

    >>> well_index("A1"), well_index("h012"), well_index("Pos3")
    ((0, 0), (7, 11), None)
    """
    match = WELL.fullmatch(name.strip().upper())
    if match is None:
        return None
    row = 0
    for letter in match[1]:
        row = row * LETTERS + ord(letter) - ord("A") + 1
    return row - 1, int(match[2]) - 1


def well_facts(positions: Iterable[useq.Position]) -> list[dict[str, str | int]]:
    """Return what is said about the well of each position; nothing away from a plate.

    ``well`` and ``row`` are named as printed on the plate ("B3", "B"), ``column``
    counts from 1 as printed, ``field`` counts the positions of a well from 0.

    >>> import useq
    >>> well_facts([useq.Position(plate_row=1, plate_col=2), useq.Position(x=4)])
    [{'well': 'B3', 'row': 'B', 'column': 3, 'field': 0}, {}]
    """
    seen: Counter[str] = Counter()
    facts: list[dict[str, str | int]] = []
    for position in positions:
        row, column = position.plate_row, position.plate_col
        if row is None or column is None:
            facts.append({})
            continue
        well = well_name(row, column)
        said: dict[str, str | int] = {"well": well, "row": _row_name(row)}
        facts.append({**said, "column": column + 1, "field": seen[well]})
        seen[well] += 1
    return facts


def spots_of(sequence: useq.MDASequence) -> list[Spot]:
    """Return the positions of ``sequence``; one without a name if it has none."""
    positions = spots_on_stage(sequence)
    if not positions:
        return [Spot(0)]
    wells = [facts.get("well") for facts in well_facts(positions)]
    pairs = enumerate(zip(positions, wells, strict=True))
    return [Spot(i, p.name, str(well) if well else None) for i, (p, well) in pairs]


def places(sequence: useq.MDASequence) -> tuple[Place, ...]:
    """Return what can be treated on its own: the wells, or the positions.

    Wells if every position is in one; else each position by its name, or by its index
    where it has no name or shares it.

    Raises
    ------
    ExperimentError
        If ``sequence`` is refused.

    Examples
    --------
    >>> import useq
    >>> places(useq.MDASequence(stage_positions=[{"name": "left"}, {"x": 5}]))
    ('left', 1)
    """
    spots = spots_of(sequence)
    if all(spot.well for spot in spots):
        return tuple(dict.fromkeys(spot.well for spot in spots if spot.well))
    uses = Counter(spot.place for spot in spots)
    return tuple(s.place if uses[s.place] == 1 else s.fov for s in spots)


def spread(where: str, table: Table[Value], spots: Sequence[Spot]) -> Spread[Value]:
    """Return what ``table`` says about each of ``spots``, and what is wrong with it."""
    by_fov: dict[int, Value] = {}
    said_by: dict[int, Place] = {}
    problems: list[Problem] = []
    for place, value in table.items():
        fovs = list(_fovs_at(place, spots))
        if not fovs:
            known = [str(name) for s in spots for name in (s.name, s.well) if name]
            remedy = nearest(str(place), dict.fromkeys([*known, "0"]))
            what = "there is no such well or position."
            problems.append(Problem(f"{where}/{place}", what, remedy))
        for fov in fovs:
            if fov in by_fov and by_fov[fov] != value:
                what = f"says {value!r}; {said_by[fov]!r} says {by_fov[fov]!r}."
                remedy = "Say it once for each well or position."
                problem = Problem(f"{where}/{place}", what, remedy)
                problems += [problem] if problem not in problems else []
            by_fov[fov], said_by[fov] = value, place
    left = dict.fromkeys(str(s.well or s.place) for s in spots if s.fov not in by_fov)
    if left:
        what = f"says nothing about {_few(list(left))}."
        remedy = "Name every well or position, or a block of wells like 'A1:B6'."
        problems.append(Problem(where, what, remedy))
    return Spread(by_fov, problems)


def _fovs_at(place: Place, spots: Sequence[Spot]) -> Iterator[int]:
    """Yield the positions at ``place``."""
    if isinstance(place, int):
        yield from (s.fov for s in spots if s.fov == place and place is not True)
        return
    named = [s.fov for s in spots if place in (s.name, s.well)]
    if named:
        yield from named
        return
    first, _, last = place.partition(":")
    corners = well_index(first), well_index(last or first)
    if corners[0] is None or corners[1] is None:
        return
    (top, left), (bottom, right) = corners[0], corners[1]
    for spot in spots:
        index = well_index(spot.well) if spot.well else None
        if index and top <= index[0] <= bottom and left <= index[1] <= right:
            yield spot.fov


def _row_name(row: int) -> str:
    """Return the letters of a 0-based row: A to Z, then AA."""
    name = ""
    while row >= 0:
        row, letter = divmod(row, LETTERS)
        name, row = chr(ord("A") + letter) + name, row - 1
    return name


def _few(items: list[str]) -> str:
    more = f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    return ", ".join(items[:MOST_NAMED]) + more
