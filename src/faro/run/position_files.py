"""Positions that an experiment file takes from another file, put in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from faro.errors import Problem
from faro.experiment import ExperimentError, load_positions
from faro.experiment.document_values import place_of
from faro.experiment.refusal import nearest

if TYPE_CHECKING:
    from pathlib import Path

POSITIONS, FILE, Z_STAGE = "stage_positions", "file", "z_stage"
HOLDERS = ("sequence", "shared", "phases", "arms")
KEYS = (FILE, Z_STAGE)


def with_positions(
    words: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the words of a file with the positions of others, and what is wrong.

    Parameters
    ----------
    words
        What the file says. ``stage_positions = {file = "..."}`` names a file as of
        `load_positions`; ``z_stage`` is passed on.
    folder
        Where such files are looked for.
    """
    problems: list[Problem] = []
    return _filled(dict(words), (), folder, problems), problems


def _filled(
    value: Any, place: tuple[str, ...], folder: Path, problems: list[Problem]
) -> Any:
    """Return ``value`` with every named file read."""
    if isinstance(value, list):
        each = enumerate(value)
        return [_filled(v, (*place, str(i)), folder, problems) for i, v in each]
    if not isinstance(value, Mapping) or (place and place[0] not in HOLDERS):
        return value
    found = {}
    for name, inner in value.items():
        here = (*place, str(name))
        if name == POSITIONS and isinstance(inner, Mapping) and FILE in inner:
            found[name] = _read(inner, place_of("", here), folder, problems)
        else:
            found[name] = _filled(inner, here, folder, problems)
    return found


def _read(
    said: Mapping[str, Any], where: str, folder: Path, problems: list[Problem]
) -> list[dict[str, Any]]:
    """Return the positions of one file in the words of useq."""
    problems += _wrong_keys(said, where)
    path, z_stage = folder / str(said[FILE]), said.get(Z_STAGE)
    try:
        positions = load_positions(path, z_stage=z_stage)
    except ExperimentError as error:
        problems += [
            Problem(f"{where}.{FILE}", f"{p.where}: {p.what}", p.remedy)
            for p in error.problems
        ]
        return []
    kept = {"x", "y", "z", "name", "plate_row", "plate_col"}
    return [
        position.model_dump(include=kept, exclude_none=True) for position in positions
    ]


def _wrong_keys(said: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for key in said:
        if key not in KEYS:
            what = f"there is no {key!r}."
            yield Problem(f"{where}.{key}", what, nearest(str(key), KEYS))
