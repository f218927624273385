"""Values that every file format can say, and how their places are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, time
from math import isfinite
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator

from faro.errors import Problem
from faro.experiment.refusal import ExperimentError

FREE_WORDS = ("rtm_metadata", "metadata")
"""Words of a sequence whose values are the user's own."""
PLAIN_REMEDY = "Use text, a finite number, true/false, a list or a table."


def place_of(start: str, parts: Iterable[str | int]) -> str:
    """Return a place in a file, as people say it.

    >>> place_of("pipeline", ["segmenters", 0, "parameters", "sigma"])
    'pipeline.segmenters[0].parameters.sigma'
    """
    place = start
    for part in parts:
        if isinstance(part, int) or part.isdecimal():
            place += f"[{part}]"
        else:
            place += f".{part}" if place else part
    return place


def plain(value: object) -> Any:
    """Return ``value`` made of JSON types only; ranges and sets become lists.

    A model (`RTMSequence`, `Channel`, `Treatment`, of useq) becomes the table of what
    it says besides its defaults.

    Raises
    ------
    ExperimentError
        With every value that a file cannot say, and its place.
    """
    problems: list[Problem] = []
    found = _plain(value, (), problems)
    if problems:
        raise ExperimentError(problems)
    return found


def plain_table(value: object) -> dict[str, Any]:
    """Return a table made of JSON types only; see `plain`."""
    if not isinstance(value, Mapping | BaseModel):
        message = "Give a table: names and values"
        raise ValueError(message)  # noqa: TRY004  pydantic collects ValueError
    table: dict[str, Any] = plain(value)
    return table


Plain: TypeAlias = Annotated[dict[str, Any], BeforeValidator(plain_table)]
"""Field type: a table that every file format can say."""


def sequence_words(value: object) -> dict[str, Any]:
    """Return the words of a sequence, without those that say nothing (null)."""
    return without_nothing(plain_table(value))


Words: TypeAlias = Annotated[dict[str, Any], BeforeValidator(sequence_words)]
"""Field type: the words of one sequence."""


def without_nothing(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``words`` without keys whose value is None, at any depth.

    >>> without_nothing(
    ...     {"channels": [{"config": "DAPI", "group": None}], "setup": None}
    ... )
    {'channels': [{'config': 'DAPI'}]}
    """
    return {
        name: value if name in FREE_WORDS else _without_nothing(value)
        for name, value in words.items()
        if value is not None
    }


def _without_nothing(value: Any) -> Any:
    if isinstance(value, Mapping):
        return without_nothing(value)
    return [_without_nothing(v) for v in value] if isinstance(value, list) else value


def _plain(value: object, place: tuple[str, ...], problems: list[Problem]) -> Any:
    if isinstance(value, BaseModel):
        said = value.model_dump(mode="json", exclude_defaults=True)
        return _plain(said, place, problems)
    if isinstance(value, Mapping):
        return _plain_mapping(value, place, problems)
    if isinstance(value, AbstractSet):
        return _plain(sorted(value), place, problems)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(v, (*place, str(i)), problems) for i, v in enumerate(value)]
    if _is_plain(value):
        return value
    what = f"{value!r:.60} cannot be written in every format."
    remedy = PLAIN_REMEDY
    if isinstance(value, date | time):
        remedy = f'Put it in quotes: "{value}".'
    problems.append(Problem("/".join(place), what, remedy))
    return None


def _plain_mapping(
    value: Mapping[Any, object], place: tuple[str, ...], problems: list[Problem]
) -> dict[str, Any]:
    table = {}
    for key, inner in value.items():
        if isinstance(key, str) and _can_be_written(key):
            table[key] = _plain(inner, (*place, key), problems)
        else:
            what = f"the key {key!r} is not text."
            problem = Problem("/".join(place), what, f'Put it in quotes: "{key}".')
            problems.append(problem)
    return table


def _is_plain(value: object) -> bool:
    """Return whether every format can say a single value."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, str):
        return _can_be_written(value)
    return value is None or isinstance(value, bool | int)


def _can_be_written(text: str) -> bool:
    """Return whether ``text`` has no half of a character in it."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
