"""A run on disk: images, labels, tables, journal; writing and reading.

Names are loaded when first used: the file formats take a moment to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faro.storage.layout import RunLayout, next_free
    from faro.storage.omezarr import OmeZarrWriter, OmeZarrWriterPlate
    from faro.storage.opening import open_source
    from faro.storage.public_faro import PublicFaroRun
    from faro.storage.reader import Run, open_run

_HOMES = {
    "OmeZarrWriter": "faro.storage.omezarr",
    "OmeZarrWriterPlate": "faro.storage.omezarr",
    "PublicFaroRun": "faro.storage.public_faro",
    "Run": "faro.storage.reader",
    "RunLayout": "faro.storage.layout",
    "next_free": "faro.storage.layout",
    "open_run": "faro.storage.reader",
    "open_source": "faro.storage.opening",
}

__all__ = [
    "OmeZarrWriter",
    "OmeZarrWriterPlate",
    "PublicFaroRun",
    "Run",
    "RunLayout",
    "next_free",
    "open_run",
    "open_source",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module 'faro.storage' has no attribute {name!r}"
    raise AttributeError(message)
