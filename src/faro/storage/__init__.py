"""A run on disk: images, labels, tables, journal; writing and reading.

Names are loaded when first used: the file formats take a moment to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faro.storage.checking import held_by, verify
    from faro.storage.converting import convert
    from faro.storage.export import export_ome_tiff
    from faro.storage.layout import RunLayout, next_free
    from faro.storage.mending import repair
    from faro.storage.omezarr import OmeZarrWriter, OmeZarrWriterPlate
    from faro.storage.opening import open_run
    from faro.storage.packing import pack
    from faro.storage.reader import Run
    from faro.storage.tiff import TiffWriter
    from faro.storage.writers import writer_of

_HOMES = {
    "OmeZarrWriter": "faro.storage.omezarr",
    "OmeZarrWriterPlate": "faro.storage.omezarr",
    "Run": "faro.storage.reader",
    "RunLayout": "faro.storage.layout",
    "TiffWriter": "faro.storage.tiff",
    "convert": "faro.storage.converting",
    "export_ome_tiff": "faro.storage.export",
    "held_by": "faro.storage.checking",
    "next_free": "faro.storage.layout",
    "open_run": "faro.storage.opening",
    "pack": "faro.storage.packing",
    "repair": "faro.storage.mending",
    "verify": "faro.storage.checking",
    "writer_of": "faro.storage.writers",
}

__all__ = [
    "OmeZarrWriter",
    "OmeZarrWriterPlate",
    "Run",
    "RunLayout",
    "TiffWriter",
    "convert",
    "export_ome_tiff",
    "held_by",
    "next_free",
    "open_run",
    "pack",
    "repair",
    "verify",
    "writer_of",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module 'faro.storage' has no attribute {name!r}"
    raise AttributeError(message)
