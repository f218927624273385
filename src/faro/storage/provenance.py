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


def write_provenance(layout: RunLayout, description: Mapping[str, Any]) -> None:
    """Write software, host, and the user's own code, on the device when this returns.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    disk.make_folder(layout.environment.parent)
    disk.write_atomic(layout.environment, document(environment()))
    disk.write_atomic(layout.sources, document(sources(description)))
