"""Where the cell table of a run comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from faro.storage.cellread import as_cell_table, open_segments, read_cells
from faro.storage.references import read_references, with_references

if TYPE_CHECKING:
    from pathlib import Path

    from faro.model import CellTable
    from faro.storage.layout import RunLayout


class CellSource(Protocol):
    """Reads the cell table of a run."""

    def state(self) -> object:
        """Return something that differs when the table does."""
        ...

    def read(self) -> CellTable:
        """Return all rows so far."""
        ...


class OwnCells:
    """The cell table of a run of ours."""

    def __init__(self, layout: RunLayout) -> None:
        self._layout = layout

    def state(self) -> object:
        """Return something that differs when the table does."""
        files = [self._layout.cells, *open_segments(self._layout)]
        return [(file.name, _size(file)) for file in files]

    def read(self) -> CellTable:
        """Return all rows so far."""
        table = with_references(read_cells(self._layout), read_references(self._layout))
        return as_cell_table(table)


def _size(path: Path) -> int:
    """Return the bytes of a file, 0 if it is not there (any more)."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
