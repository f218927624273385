"""The writers of OME-Zarr: a collection of positions, or a plate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from faro.storage import disk
from faro.storage.collection import Collection
from faro.storage.plate import Plate, well_problems
from faro.storage.writer import RunWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from faro.errors import Problem
    from faro.model import RunNeeds
    from faro.storage.disk import AskedDurability
    from faro.storage.layout import Layout


class OmeZarrWriter(RunWriter):
    """Writes one run as OME-Zarr, each position an image of its own. Thread-safe.

    What a method has returned from is readable, also after the process was killed.
    A folder that holds something is never touched.

    Parameters
    ----------
    path
        The run folder; absent or empty.
    durability
        ``"process"``: acknowledged data outlives the process. ``"power-loss"``: every
        frame, label and row is on the device before its method returns. ``"auto"``:
        the latter where the devices are real.
    free_bytes
        Returns the free bytes where a path is or would be.
    """

    layout: ClassVar[Layout] = "collection"

    def _image_tree(self, needs: RunNeeds, *, uuid: str, created: str) -> Collection:
        del needs
        images = self._layout.images
        return Collection(images, self._durability, uuid=uuid, created=created)


class OmeZarrWriterPlate(RunWriter):
    """Writes one run as an OME-Zarr plate: rows, columns, fields. Thread-safe.

    Every position is a field of the well of its plate plan, or else of the well that
    its name begins with ("B3", "B3_0001").
    Stacks that differ from the planned ones, read-outs of the stimulation and reference
    frames are no fields; they lie in ``images.ome.zarr/others.ome.zarr``.

    Parameters
    ----------
    path
        The run folder; absent or empty.
    wells
        Position index to the name of its well, where the name of the position does not
        say it.
    durability, free_bytes
        As of `OmeZarrWriter`.
    """

    layout: ClassVar[Layout] = "plate"

    def __init__(
        self,
        path: str | Path,
        *,
        wells: Mapping[int, str] | None = None,
        durability: AskedDurability = "auto",
        free_bytes: Callable[[Path], int] = disk.free_bytes,
    ) -> None:
        super().__init__(path, durability=durability, free_bytes=free_bytes)
        self._wells = dict(wells or {})

    def _settings(self) -> dict[str, Any]:
        return {"wells": self._wells}

    def _layout_problems(self, needs: RunNeeds) -> list[Problem]:
        return well_problems(needs, self._wells)

    def _image_tree(self, needs: RunNeeds, *, uuid: str, created: str) -> Plate:
        del needs
        wells, images = self._wells, self._layout.images
        return Plate(images, wells, self._durability, uuid=uuid, created=created)
