"""Which microscope a host is to build, said so that another process understands it."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from faro.errors import FaroError
from faro.microscope.abstract import AbstractMicroscope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODULE_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
OWN_FILE = "Put the class into a module of its own and import it from there."


class NotHostableError(FaroError, TypeError):
    """A device host cannot build this microscope in another process."""


def spec_of(microscope: object) -> str:
    """Return ``module:Class`` for what the user named.

    Raises
    ------
    NotHostableError
        If another process could not import it: it is an object, or defined in
        ``__main__``, in a function or in a lambda.
    """
    if isinstance(microscope, str):
        return _checked_text(microscope)
    if not isinstance(microscope, type):
        problem = f"host() was given {microscope!r}, which is no class."
        remedy = "Give the class and its arguments: host(Moench, ...)."
        raise NotHostableError(problem, remedy=remedy)
    module, name = microscope.__module__, microscope.__qualname__
    if module == "__main__":
        raise _in_main(name)
    if _found(module, name) is not microscope:
        problem = f"{module}.{name} cannot be imported under that name."
        raise NotHostableError(problem, remedy=OWN_FILE)
    return f"{module}:{name}"


def _checked_text(text: str) -> str:
    if not MODULE_CLASS.fullmatch(text):
        problem = f"{text!r} does not name a class."
        raise NotHostableError(problem, remedy="Write 'package.module:Class'.")
    module, _, name = text.partition(":")
    if module == "__main__":
        raise _in_main(name)
    return text


def _in_main(name: str) -> NotHostableError:
    problem = (
        f"{name} is defined in __main__ (a script, a notebook or the prompt),"
        " where the device host cannot import it."
    )
    return NotHostableError(problem, remedy=OWN_FILE)


def _found(module: str, name: str) -> object:
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def checked_arguments(args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    """Raise NotHostableError naming every argument that JSON cannot carry."""
    named = {f"argument {n}": value for n, value in enumerate(args, 1)} | {
        f"{name}=": value for name, value in kwargs.items()
    }
    bad = [f"{name} ({type(v).__name__})" for name, v in named.items() if not _plain(v)]
    if bad:
        problem = f"These cannot be sent to the device host: {', '.join(bad)}."
        remedy = (
            "Give numbers, text, lists and dicts: an array as .tolist(), a path as"
            " str(path)."
        )
        raise NotHostableError(problem, remedy=remedy)


def _plain(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def microscope_class(spec: str) -> type[AbstractMicroscope]:
    """Return the class that ``module:Class`` names; imports its module.

    Raises
    ------
    NotHostableError
        If there is none, or it is no microscope.
    """
    module, _, name = spec.partition(":")
    try:
        found: object = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        problem = f"{spec!r} cannot be imported: {error}."
        raise NotHostableError(problem, remedy="Correct the name.") from error
    if not (isinstance(found, type) and issubclass(found, AbstractMicroscope)):
        problem = f"{spec!r} is no AbstractMicroscope."
        raise NotHostableError(problem, remedy="Derive it from PyMMCoreMicroscope.")
    return found
