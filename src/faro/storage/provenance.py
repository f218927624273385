"""What is written down when a run starts, to know later what made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.storage import disk
from faro.storage.environment import environment
from faro.storage.jsontext import document
from faro.storage.sources import sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.storage.layout import RunLayout


def write_provenance(
    layout: RunLayout, info: Mapping[str, Any], texts: Mapping[str, str]
) -> None:
    """Write software, host, and the user's own code, on the device when this returns.

    Each file is there whole or not at all.

    Parameters
    ----------
    layout
        Of the run.
    info
        What ``run.json`` says; a copy of it is left.
    texts
        Name to content of further files.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    folder = layout.environment.parent
    disk.make_folder(folder)
    for name, text in texts.items():
        disk.write_atomic(folder / name, text.encode())
    disk.write_atomic(layout.environment, document(environment()))
    disk.write_atomic(layout.run_copy, document(info))
    disk.write_atomic(layout.sources, document(sources(info["description"])))
