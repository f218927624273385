"""Which segmenter a worker is to make, said so that another process understands it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from importlib import import_module
from inspect import isroutine
from typing import TYPE_CHECKING, Any

from faro.analysis.method import FunctionSegmenter, as_segmenter
from faro.errors import ContractError, FaroError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.protocols import Segmenter

_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_OWN_FILE = "Put it into a module of its own and name it: 'my_module:MySegmenter'."


class NotMovableError(FaroError, TypeError):
    """A worker process cannot make this segmenter."""


@dataclass(frozen=True, slots=True)
class SegmenterSpec:
    """A segmenter by import path.

    Attributes
    ----------
    path
        ``module:Name`` of a class, an object with ``segment(pixels)``, or a function.
    parameters
        What the class or function takes by name; JSON types.
    """

    path: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def target(self) -> Any:
        """Import and return the class, object or function.

        Raises
        ------
        NotMovableError
            If the path does not load.
        """
        module, _, name = self.path.partition(":")
        try:
            found: Any = import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            problem = f"{self.path!r} does not load in the worker: {error}."
            raise NotMovableError(problem, remedy="Correct the path.") from error
        return found

    def make(self) -> Segmenter:
        """Import and return the segmenter.

        Raises
        ------
        NotMovableError
            If the path does not load.
        ContractError
            If it is no segmenter.
        """
        found = self.target()
        if isinstance(found, type):
            return as_segmenter(found(**self.parameters))
        if isroutine(found):
            given = dict(self.parameters)
            return as_segmenter(partial(found, **given) if given else found)
        if self.parameters:
            problem = f"{self.path} is made already; it takes no {[*self.parameters]}."
            raise ContractError(problem, remedy="Leave the parameters out.")
        return as_segmenter(found)


def spec_of(
    segmenter: object, parameters: Mapping[str, Any] | None = None
) -> SegmenterSpec:
    """Return how another process makes ``segmenter``.

    Parameters
    ----------
    segmenter
        ``"module:Name"``, a class, a function of a module, or a dataclass instance.
    parameters
        For a class or a function.

    Raises
    ------
    NotMovableError
        If another process could not make it.

    Examples
    --------
    >>> spec_of("my_module:MySegmenter", {"size_px": 3}).path
    'my_module:MySegmenter'
    """
    given = dict(parameters or {})
    if isinstance(segmenter, str):
        if not _PATH.fullmatch(segmenter):
            problem = f"{segmenter!r} does not name a segmenter."
            raise NotMovableError(problem, remedy="Write 'package.module:Name'.")
        return SegmenterSpec(segmenter, _plain(segmenter, given))
    target: Any = segmenter
    if isinstance(segmenter, FunctionSegmenter):
        target = segmenter.function
    if isinstance(target, partial) and not target.args:
        target, given = target.func, {**target.keywords, **given}
    if is_dataclass(target) and not isinstance(target, type):
        own = {f.name: getattr(target, f.name) for f in fields(target) if f.init}
        target, given = type(target), own | given
    path = _import_path(target)
    return SegmenterSpec(path, _plain(path, given))


def _import_path(target: object) -> str:
    """Return ``module:Name`` of a class or function, if others can import it."""
    module = getattr(target, "__module__", None)
    name = getattr(target, "__qualname__", None)
    if not (isinstance(module, str) and isinstance(name, str)):
        problem = f"A worker process cannot make {target!r}: it is an object."
        raise NotMovableError(problem, remedy="Give its class and its parameters.")
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if module == "__main__" or found is not target:
        problem = f"A worker process cannot import {module}.{name}."
        raise NotMovableError(problem, remedy=_OWN_FILE)
    return f"{module}:{name}"


def _plain(path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters as JSON types; NotMovableError names all that are none."""
    bad = [f"{n} ({type(v).__name__})" for n, v in parameters.items() if not _said(v)]
    if bad:
        problem = f"These parameters of {path} are no JSON: {', '.join(bad)}."
        remedy = "Give numbers, text and lists; an array as .tolist(), a path as text."
        raise NotMovableError(problem, remedy=remedy)
    plain: dict[str, Any] = json.loads(json.dumps(dict(parameters)))
    return plain


def _said(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
