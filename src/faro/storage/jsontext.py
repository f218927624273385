"""JSON as every reader takes it: no NaN, numpy numbers as numbers, paths as text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def plain(value: object) -> Any:
    """Return ``value`` as dicts, lists, text, numbers, booleans and None.

    Not-a-number and infinity become None; what is unknown becomes its text.

    >>> plain({"a": np.float32(1.5), 2: (np.nan, 1 + 2j)})
    {'a': 1.5, '2': [None, '(1+2j)']}
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return str(value)


def one_line(value: Mapping[str, Any]) -> bytes:
    """Return ``value`` as one line of JSON, with its end."""
    return json.dumps(plain(value), separators=(",", ":")).encode() + b"\n"


def document(value: Mapping[str, Any]) -> bytes:
    """Return ``value`` as a JSON file for people."""
    return json.dumps(plain(value), indent=2).encode() + b"\n"


def read_document(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises
    ------
    StorageError
        If there is no such file, or it holds something else.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        problem = f"{path} cannot be read: {error}."
        raise StorageError(problem, remedy="Check that the run is complete.") from error
    if not isinstance(found, dict):
        problem = f"{path} holds a {type(found).__name__}, not a JSON object."
        raise StorageError(problem, remedy="Check that the run is complete.")
    return found
