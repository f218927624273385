"""Libraries that an extra brings, imported on use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from faro.errors import MissingExtraError


def imported(module: str, *, extra: str) -> Any:
    """Return a module of a library that an extra brings.

    Raises
    ------
    MissingExtraError
        If the library is not installed.
    """
    library = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != library:
            raise
        raise MissingExtraError(library, extra=extra) from error
