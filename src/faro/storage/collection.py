"""Series as one image each, beside each other: the bioformats2raw layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faro.storage import disk, ngff
from faro.storage.omexml import ome_xml
from faro.storage.zarrseries import ZarrSeries, write_node

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from faro.storage.disk import Durability
    from faro.storage.layout import SeriesKey
    from faro.storage.ngff import ImageFacts
    from faro.storage.omexml import SeriesFacts


class Collection:
    """A bioformats2raw collection of series, with OME-XML.

    Parameters
    ----------
    path
        Its folder, inside the folder of the images or the same.
    prefix
        Path of ``path`` in the folder of the images, ``""`` for the same.
    uuid, created
        Of the run, for the OME-XML.
    """

    equal_t: Final = False

    def __init__(
        self,
        path: Path,
        durability: Durability,
        *,
        uuid: str,
        created: str,
        prefix: str = "",
    ) -> None:
        self.path, self._durability, self._prefix = path, durability, prefix
        self._uuid, self._created = uuid, created

    def create(
        self, key: SeriesKey, facts: ImageFacts, n_timepoints: int
    ) -> ZarrSeries:
        """Create the image group of a series."""
        place = self.path / key.name
        name = f"{self._prefix}{key.name}"
        return ZarrSeries(place, name, facts, n_timepoints, self._durability)

    def list_series(self, series: Sequence[SeriesFacts]) -> None:
        """Write which series there are: for NGFF and as OME-XML."""
        synced = self._durability == "power-loss"
        disk.make_folder(self.path / "OME", synced=synced)
        if series:
            names = [facts.name.removeprefix(self._prefix) for facts in series]
            xml = ome_xml(
                series, uuid=self._uuid, created=self._created, inside=self._prefix
            )
            disk.write_atomic(
                self.path / "OME" / "METADATA.ome.xml", xml, synced=synced
            )
            write_node(
                self.path / "OME", ngff.group({"series": names}), self._durability
            )
        if not (self.path / "zarr.json").exists():
            # Last, so that what has a root has all that it names.
            collection = ngff.group({"bioformats2raw.layout": 3})
            write_node(self.path, collection, self._durability)
