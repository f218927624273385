"""What was really in the dish while a run looked at it, as tables on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from faro.microscope.simulated.truth import Truth
    from faro.microscope.simulated.turnover import LifeEvent

CELLS, LIFE = "cells", "life"
LIFE_HEADER = "cell_s,id,parent,event"
PLACE = ("time_s", "cell_s", "stage_x_um", "stage_y_um", "id", "y_px", "x_px")


class TruthLog:
    """Appends to ``cells.csv`` and ``life.csv`` in a folder, line by line.

    ``cells.csv`` has a row for each cell in the field, once for each place and moment
    that was imaged: `PLACE`, then all columns of the cells, ``parent`` among them.
    ``life.csv`` has a row for each birth, division and death in the tiles of the dish
    that were looked at. A process that is killed has all rows but those of the frame
    that it was taking. Where there is a truth already, of another run or of one that
    goes on, a microscope begins ``cells-2.csv`` and ``life-2.csv``, and so on. Not
    thread-safe; its owner locks.

    Parameters
    ----------
    folder
        Made with the first row, where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._columns: tuple[str, ...] = ()
        self._last: tuple[float, float, float] | None = None
        self._number = 1

    def seen(
        self,
        time_s: float,
        cell_s: float,
        stage_um: tuple[float, float],
        truth: Truth,
        events: Iterable[LifeEvent],
    ) -> None:
        """Add what there is at a moment and place, unless it was the last one."""
        if not self._columns:
            self._begin(tuple(truth.columns))
        lines = [f"{e.cell_s:g},{e.cell_id},{e.parent_id},{e.kind}\n" for e in events]
        if lines:
            self._append(LIFE, "".join(lines))
        here = time_s, *stage_um
        if here == self._last:
            return
        self._last = here
        first = f"{time_s:.3f},{cell_s:.3f},{stage_um[0]:.3f},{stage_um[1]:.3f}"
        values = np.column_stack(
            [truth.y_px, truth.x_px, *(truth.columns[n] for n in self._columns)]
        )
        rows = (
            f"{first},{own},{','.join(f'{v:.16g}' for v in row)}\n"
            for own, row in zip(truth.ids.tolist(), values.tolist(), strict=True)
        )
        self._append(CELLS, "".join(rows))

    def _begin(self, columns: tuple[str, ...]) -> None:
        """Begin files of the next number."""
        self._columns = columns
        self._folder.mkdir(parents=True, exist_ok=True)
        while any(self._path(name).exists() for name in (CELLS, LIFE)):
            self._number += 1
        self._append(LIFE, LIFE_HEADER + "\n")
        self._append(CELLS, ",".join((*PLACE, *columns)) + "\n")

    def _path(self, name: str) -> Path:
        suffix = "" if self._number == 1 else f"-{self._number}"
        return self._folder / f"{name}{suffix}.csv"

    def _append(self, name: str, text: str) -> None:
        with self._path(name).open("a", encoding="utf-8", newline="") as file:
            file.write(text)
