"""What is wrong with an experiment file, each with its place in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from faro.errors import Problem
from faro.experiment.document import ExperimentFile
from faro.experiment.document_values import place_of
from faro.experiment.refusal import ExperimentError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic_core import ErrorDetails

UNKNOWN = re.compile(r"there is no '(?P<word>[^']*)'\.")
SAME = {
    "policy": "limits",
    "policies": "limits",
    "deadlines": "limits",
    "rig": "microscope",
    "scope": "microscope",
    "experiment": "sequence",
    "writer": "storage",
    "output": "storage",
    "groups": "treatments",
    "description": "notes",
}
"""Other words for the parts of a file."""
TYPE_WORDS = {
    "string_type": "Give text, in quotes.",
    "string_too_short": "Give a name.",
    "tuple_type": "Give a list: [...].",
    "model_type": "Give a table: names and values.",
    "float_type": "Give a number.",
    "float_parsing": "Give a number, without quotes.",
    "finite_number": "Give a finite number.",
    "too_short": "Give at least one, or leave the key out.",
}


def checked(
    data: object, model: type[BaseModel] = ExperimentFile, start: str = ""
) -> tuple[Any, list[Problem]]:
    """Return ``data`` as a model, or None, and everything that is wrong with it.

    Parameters
    ----------
    data
        What the file says.
    model
        `ExperimentFile` or a part of it.
    start
        Place of that part.
    """
    if not isinstance(data, Mapping):
        what = f"{_shown(data)} is not allowed."
        problem = Problem(start or "file", what, TYPE_WORDS["model_type"])
        return None, [] if data is None and start else [problem]
    keys = [key for key in data if not isinstance(key, str)]
    if keys:
        what = f"the key {keys[0]!r} is not text."
        return None, [Problem(start or "file", what, f'Put it in quotes: "{keys[0]}".')]
    try:
        return model.model_validate(dict(data)), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        found = [p for d in details for p in _problems(d, model, start)]
        return None, [p for p in found if not _follows(p, found)]


def _follows(problem: Problem, found: Sequence[Problem]) -> bool:
    """Return whether a list is called empty only because its parts are wrong."""
    inside = any(p.where.startswith(f"{problem.where}[") for p in found)
    return inside and problem.remedy == TYPE_WORDS["too_short"]


def moved(problems: Iterable[Problem], start: str) -> list[Problem]:
    """Return problems of the words of a sequence, placed in the file.

    >>> from faro.errors import Problem
    >>> found = Problem("settings", "there is no 'stim_framez'.", "")
    >>> moved([found], "phases[1]")[0].where
    'phases[1].stim_framez'
    """
    return [
        Problem(_place_in(start, p), p.what, p.remedy, p.severity) for p in problems
    ]


def _place_in(start: str, problem: Problem) -> str:
    parts = [part for part in problem.where.split("/") if part]
    unknown = UNKNOWN.match(problem.what)
    if parts and parts[-1] == "settings":
        parts.pop()
    if unknown:
        parts.append(unknown["word"])
    return place_of(start, parts)


def _problems(
    detail: ErrorDetails, model: type[BaseModel], start: str
) -> Sequence[Problem]:
    """Return one error of pydantic as problems."""
    place = place_of(start, detail["loc"]) or "file"
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, ExperimentError):
        return moved(cause.problems, place)
    if detail["type"] == "extra_forbidden":
        word = str(detail["loc"][-1])
        known = _fields_at(model, detail["loc"][:-1])
        same = SAME.get(word.casefold(), "")
        remedy = f"Did you mean {same!r}?" if same in known else nearest(word, known)
        return [Problem(place, f"there is no {word!r}.", remedy)]
    if detail["type"] == "missing":
        return [Problem(place, "is missing.", _missing_remedy(place))]
    message = detail["msg"].removeprefix("Value error, ").rstrip(".")
    remedy = TYPE_WORDS.get(detail["type"], f"{message}.")
    if detail["type"] == "greater_than_equal":
        remedy = f"Give a number of {detail['ctx']['ge']} or more."
    if detail["type"] == "literal_error":
        remedy = f"Use {detail['ctx']['expected']}."
    if place == "file":
        return [Problem(place, "does not say in one way what to do.", remedy)]
    return [Problem(place, f"{_shown(detail['input'])} is not allowed.", remedy)]


def _missing_remedy(place: str) -> str:
    if place == "microscope":
        return 'Name one: microscope = "simulated".'
    if place.endswith(".component"):
        return 'Name it: component = "Name" or "module:Name".'
    return "Give it."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fields_at(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Return the keys that are known at a place of the schema."""
    found = model
    for part in loc:
        if isinstance(part, str) and part in found.model_fields:
            found = _model_in(found.model_fields[part].annotation) or found
    return list(found.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model that a type is made of, None if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(part) for part in get_args(annotation))
    return next((model for model in inner if model is not None), None)
