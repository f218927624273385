"""The writer of a run that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.storage.omezarr import OmeZarrWriter, OmeZarrWriterPlate
from faro.storage.reader import open_own_run
from faro.storage.tiff import TiffWriter

if TYPE_CHECKING:
    from pathlib import Path

    from faro.storage.writer import RunWriter


def writer_of(path: Path) -> RunWriter:
    """Return a writer for the run in the folder ``path``, to be reopened.

    Raises
    ------
    StorageError
        If there is no run of ours.
    """
    info = open_own_run(path.absolute()).info
    settings: dict[str, Any] = dict(info.get("writer") or {})
    given: dict[str, Any] = {"durability": info.get("durability", "auto")}
    if info.get("layout") == "tiff":
        given |= {k: settings[k] for k in ("compression",) if k in settings}
        return TiffWriter(path, **given)
    if info.get("layout") == "plate":
        wells = settings.get("wells") or {}
        given["wells"] = {int(fov): str(well) for fov, well in wells.items()}
        return OmeZarrWriterPlate(path, **given)
    return OmeZarrWriter(path, **given)
