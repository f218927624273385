"""Cells that come and go: divisions and deaths in one tile of the dish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from faro.microscope.simulated.population import shown
from faro.microscope.simulated.responses import AtDivision

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from faro.microscope.simulated.population import Numbers
    from faro.microscope.simulated.responses import Response

    Ids = npt.NDArray[np.int64]

ENDS = ("divides", "gone")
APART = 0.55
"""How far from their mother's centre daughters begin, in her radii."""


@dataclass(frozen=True, slots=True)
class LifeEvent:
    """Something that happened once in the life of a cell.

    Attributes
    ----------
    cell_s
        Seconds of cell life since the dish was made.
    cell_id, parent_id
        Who; the parent is 0 for cells that were there at the begin.
    kind
        ``"born"``, ``"divided"`` or ``"died"``.
    """

    cell_s: float
    cell_id: int
    parent_id: int
    kind: Literal["born", "divided", "died"]


def turned_over(
    ids: Ids,
    cells: Numbers,
    newest: int,
    random: np.random.Generator,
    responses: Sequence[Response],
) -> tuple[Ids, Numbers]:
    """Return ids (n,) and columns (n,) after those divided or went who are about to.

    Daughters come last, in pairs; each takes over its mother's columns, with
    ``parent``, half of her dose of light being no less: a dose is a mean over the cell.

    Parameters
    ----------
    ids, cells
        (n,) int64 and columns (n,); not changed.
    newest
        Highest id so far; daughters get the next ones.
    random
        Of this step.
    responses
        Told of the division.
    """
    divides, gone = (cells.get(name, np.zeros(ids.size)) > 0 for name in ENDS)
    mothers = np.flatnonzero(divides & ~gone)
    stays = np.flatnonzero(~divides & ~gone)
    twice = np.repeat(mothers, 2)
    order = np.concatenate([stays, twice])
    after = {name: values[order] for name, values in cells.items()}
    new = newest + 1 + np.arange(twice.size, dtype=np.int64)
    if not mothers.size:
        return ids[order], after
    places = np.arange(stays.size, order.size)
    after["parent"][places] = ids[twice]
    angle = np.repeat(random.uniform(0.0, np.pi, mothers.size), 2)
    side = np.tile([1.0, -1.0], mothers.size)
    step_um = APART * shown(cells, "radius")[twice] * side
    after["x"][places] += step_um * np.cos(angle)
    after["y"][places] += step_um * np.sin(angle)
    for response in responses:
        if isinstance(response, AtDivision):
            response.divided(after, places, random)
    return np.concatenate([ids[stays], new]), after


def life_events(
    before: Ids, after: Ids, cells: Numbers, parents: Numbers, cell_s: float
) -> list[LifeEvent]:
    """Return what happened between ids ``before`` (n,) and ``after`` (m,).

    ``cells`` and ``parents`` are the columns, (n,) and (m,), of each.
    """
    events = []
    gone = cells.get("gone", np.zeros(before.size)) > 0
    for place in np.flatnonzero(~np.isin(before, after)):
        kind: Literal["divided", "died"] = "died" if gone[place] else "divided"
        parent = int(cells["parent"][place])
        events.append(LifeEvent(cell_s, int(before[place]), parent, kind))
    for place in np.flatnonzero(~np.isin(after, before)):
        parent = int(parents["parent"][place])
        events.append(LifeEvent(cell_s, int(after[place]), parent, "born"))
    return events
