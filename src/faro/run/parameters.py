"""Parameters of components, checked against what their makers take."""

from __future__ import annotations

import inspect
import json
import sys
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
from pydantic import ValidationError as WrongTypeError

from faro.errors import FaroError, Problem
from faro.experiment.refusal import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
)

PLAIN_WORDS = {
    "Give a array": "Give a list",
    "Give a integer": "Give a whole number",
    "Give a string": "Give text, in quotes",
    "Give a boolean": "Give true or false",
    "Input should be": "Give",
    "Field required": "Give as many values as it takes",
}


def parameters_of(
    maker: Callable[..., object], given_later: int = 0
) -> dict[str, inspect.Parameter]:
    """Return what ``maker`` takes by name.

    Parameters
    ----------
    maker
        A class or a function.
    given_later
        Number of leading arguments that the run gives, not the file.
    """
    try:
        signature = inspect.signature(maker)
    except ValueError:  # made in C without saying what it takes
        return {}
    listed = list(signature.parameters.values())[given_later:]
    return {p.name: p for p in listed if p.kind not in POSITIONAL}


def check_parameters(
    maker: Callable[..., object],
    given: Mapping[str, Any],
    place: str,
    given_later: int = 0,
    unread: Container[str] = (),
) -> tuple[dict[str, Any], list[Problem]]:
    """Return ``given`` in the types that ``maker`` declares, and what is wrong.

    Parameters
    ----------
    maker
        A class or a function.
    given
        The parameters as a file says them, made of JSON types.
    place
        Where they stand in the file.
    given_later
        Number of leading arguments that the run gives, not the file.
    unread
        Names whose values are made elsewhere; only the names are checked.
    """
    known = parameters_of(maker, given_later)
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    name_of_maker = getattr(maker, "__name__", type(maker).__name__)
    for name, value in given.items():
        if name not in known and not _takes_any(maker):
            what = f"{name_of_maker} takes no {name!r}."
            remedy = nearest(name, known) if known else "Leave it out."
            problems.append(Problem(f"{place}.{name}", what, remedy))
            continue
        if name in unread:
            continue
        try:
            values[name] = _converted(maker, known.get(name), value)
        except WrongTypeError as error:
            what = f"{json.dumps(value)[:60]} is not what {name_of_maker} takes."
            problems.append(Problem(f"{place}.{name}", what, _expected(error)))
        except FaroError as error:
            problems.append(Problem(f"{place}.{name}", error.problem, error.remedy))
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in given:
            what = f"{name_of_maker} needs {name!r}, which is missing."
            remedy = f"Add {name} = ...{_kind_of(parameter)}"
            problems.append(Problem(f"{place}.{name}", what, remedy))
    return values, problems


def defaults_of(maker: Callable[..., object], given_later: int = 0) -> dict[str, Any]:
    """Return the defaults of ``maker`` that a file can say; None is left out."""
    found = {}
    for name, parameter in parameters_of(maker, given_later).items():
        value = parameter.default
        if value is parameter.empty or value is None:
            continue
        try:
            plain = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            continue
        found[name] = plain
    return found


def _takes_any(maker: Callable[..., object]) -> bool:
    """Return whether ``maker`` takes names that it does not declare."""
    try:
        kinds = [p.kind for p in inspect.signature(maker).parameters.values()]
    except ValueError:
        return True
    return inspect.Parameter.VAR_KEYWORD in kinds


def _kind_of(parameter: inspect.Parameter) -> str:
    kind = parameter.annotation
    if kind is parameter.empty:
        return "."
    return f" ({kind if isinstance(kind, str) else getattr(kind, '__name__', kind)})."


def _converted(
    maker: Callable[..., object], parameter: inspect.Parameter | None, value: Any
) -> Any:
    """Return ``value`` in the declared type; as it is where none can be read."""
    if parameter is None or parameter.annotation is parameter.empty:
        return value
    module = sys.modules.get(getattr(maker, "__module__", ""))
    holder = type("Holder", (), {"__annotations__": {"it": parameter.annotation}})
    try:
        hint = get_type_hints(holder, globalns=vars(module) if module else {})["it"]
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
        text = json.dumps(value)
    except (NameError, TypeError, SyntaxError, AttributeError):
        return value
    except (PydanticSchemaGenerationError, PydanticUserError):
        return value
    return adapter.validate_json(text, strict=True)


def _expected(error: WrongTypeError) -> str:
    """Return what would be right, each thing once."""
    said = (detail["msg"].removesuffix(".") for detail in error.errors())
    text = "; ".join(dict.fromkeys(said)).replace("Input should be a valid", "Give a")
    for theirs, ours in PLAIN_WORDS.items():
        text = text.replace(theirs, ours)
    return f"{text}."
