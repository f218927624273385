"""Series as fields of the wells of an HCS plate (NGFF 0.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from faro.errors import Problem
from faro.model import FrameRole
from faro.storage import ngff
from faro.storage.collection import Collection
from faro.storage.layout import OTHERS
from faro.storage.zarrseries import ZarrSeries, write_node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from faro.model import RunNeeds
    from faro.storage.disk import Durability
    from faro.storage.layout import SeriesKey
    from faro.storage.ngff import ImageFacts, Json
    from faro.storage.omexml import SeriesFacts

WELL: Final = re.compile(r"([A-Z]{1,2})0*([1-9][0-9]*)(?![0-9A-Za-z])")
ACQUISITION: Final = 0
ROW_GROUP: Final = {"zarr_format": 3, "node_type": "group", "attributes": {}}


@dataclass(frozen=True, slots=True)
class Well:
    """A well by the names of its row and column, as printed on the plate.

    >>> well_in("B03_0001"), well_in("Pos1")
    (Well(row='B', column=3), None)
    """

    row: str
    column: int

    @property
    def path(self) -> str:
        """Its group in the plate."""
        return f"{self.row}/{self.column}"

    @property
    def order(self) -> tuple[int, str, int]:
        """Sorts wells as on the plate: A to Z, AA to AZ, then by column."""
        return len(self.row), self.row, self.column


def well_in(name: str) -> Well | None:
    """Return the well that the name of a position begins with, None if it has none."""
    match = WELL.match(name.strip())
    return Well(match[1], int(match[2])) if match else None


def well_problems(needs: RunNeeds, given: Mapping[int, str]) -> list[Problem]:
    """Return which positions of a run cannot be put on a plate.

    Parameters
    ----------
    given
        Position index to the name of its well; where it says nothing, the plan of the
        plate does, and then the name of the position.
    """
    known = {**needs.fov_names, **needs.fov_wells, **given}
    names = {fov: known.get(fov, "") for fov in needs.fovs}
    lost = [f"{fov} ({name!r})" for fov, name in names.items() if not well_in(name)]
    if not lost:
        return []
    shown = ", ".join(lost[:5]) + (", ..." if len(lost) > len(lost[:5]) else "")
    what = f"{len(lost)} positions are in no well: {shown}."
    remedy = "Name them by their well (A1, A1_0001), give wells={0: 'A1', ...}, "
    remedy += "or store the run as a collection (OmeZarrWriter)."
    return [Problem("writer/wells", what, remedy)]


class Plate:
    """A plate whose fields are the ordinary series; others lie beside the wells.

    The fields of a plate are read as one mosaic, so all have the same channels, shape,
    type and number of timepoints. What differs (read-outs of the stimulation,
    references, another ROI, a position without a well) goes into a collection of its
    own inside the plate, ``others.ome.zarr``. Only rows and columns with positions in
    them are declared.

    Parameters
    ----------
    path
        The group of the plate.
    given
        Position index to the name of its well, where the name of the position does not
        begin with it.
    uuid, created
        Of the run.
    """

    equal_t: Final = True

    def __init__(
        self,
        path: Path,
        given: Mapping[int, str],
        durability: Durability,
        *,
        uuid: str,
        created: str,
    ) -> None:
        self.path, self._given, self._durability = path, given, durability
        self._created = created
        self._wells: dict[int, Well] = {}
        self._fields: dict[int, str] = {}
        self._n_listed = 0
        self._others = Collection(
            path / OTHERS, durability, uuid=uuid, created=created, prefix=f"{OTHERS}/"
        )

    def create(
        self, key: SeriesKey, facts: ImageFacts, n_timepoints: int
    ) -> ZarrSeries:
        """Create the group of a field, or of a series beside the wells."""
        said = self._given.get(key.fov) or facts.faro["well"] or facts.faro["name"]
        well = well_in(str(said))
        if well is None or key.role is not FrameRole.IMAGE or key.number:
            return self._others.create(key, facts, n_timepoints)
        number = sum(p.startswith(f"{well.path}/") for p in self._fields.values())
        name = f"{well.path}/{number}"
        place = self.path / name
        made = ZarrSeries(place, name, facts, n_timepoints, self._durability)
        self._fields[key.fov], self._wells[key.fov] = name, well
        return made

    def list_series(self, series: Sequence[SeriesFacts]) -> None:
        """Write rows, columns, wells and fields, and what lies beside them."""
        others = [facts for facts in series if facts.name.startswith(OTHERS)]
        if others:
            self._others.list_series(others)
        if len(self._fields) > self._n_listed:
            wells = set(self._wells.values())
            for well in wells:
                write_node(self.path / well.row, ROW_GROUP, self._durability)
                fields = [p for p in self._fields.values() if _is_in(p, well)]
                write_node(self.path / well.path, _well_group(fields), self._durability)
            self._write_plate(wells)
            self._n_listed = len(self._fields)

    def _write_plate(self, wells: set[Well]) -> None:
        ordered = sorted(wells, key=lambda well: well.order)
        rows = sorted({well.row for well in wells}, key=lambda row: (len(row), row))
        columns = sorted({well.column for well in wells})
        n_fields = max(
            sum(_is_in(p, well) for p in self._fields.values()) for well in wells
        )
        start_s = int(datetime.fromisoformat(self._created).timestamp())
        plate = {
            "name": self.path.parent.name,
            "rows": [{"name": row} for row in rows],
            "columns": [{"name": str(column)} for column in columns],
            "wells": [
                {
                    "path": well.path,
                    "rowIndex": rows.index(well.row),
                    "columnIndex": columns.index(well.column),
                }
                for well in ordered
            ],
            "field_count": n_fields,
            "acquisitions": [
                {
                    "id": ACQUISITION,
                    "name": self.path.parent.name,
                    "starttime": start_s,
                    "maximumfieldcount": n_fields,
                }
            ],
        }
        fields = {str(fov): path for fov, path in self._fields.items()}
        group = ngff.group({"plate": plate}, faro={"fields": fields})
        write_node(self.path, group, self._durability)


def _is_in(field: str, well: Well) -> bool:
    return field.startswith(f"{well.path}/")


def _well_group(fields: Iterable[str]) -> Json:
    images = [
        {"path": field.rpartition("/")[2], "acquisition": ACQUISITION}
        for field in fields
    ]
    return ngff.group({"well": {"images": images}})
