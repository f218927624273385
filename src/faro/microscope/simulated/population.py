"""The cells of one tile of the dish: who is there at the start, and keeping apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from faro.microscope.simulated.geometry import Box, Floats

Indices: TypeAlias = npt.NDArray[np.intp]
Numbers: TypeAlias = "dict[str, Floats]"
"""Name to (n,) float64, one value per cell; all in one order."""

RADIUS_UM = 8.6
NUCLEUS_UM = 5.0
ROOM = 1.08
"""Cells push each other when closer than this times the sum of their radii."""
PUSH_FRACTION = 0.2
"""How much of an overlap is undone in one step."""
SETTLING_STEPS = 80
SUNFLOWER_POINTS = 96


def settle(box: Box, count: int, random: np.random.Generator) -> Numbers:
    """Return ``count`` cells in ``box``, kept apart, with shapes and brightness.

    Columns: ``x``, ``y`` centre, ``radius`` of the cell and ``nucleus`` radius, all
    um; ``stretch`` long over short axis; ``angle`` of the long axis from x towards y,
    rad; ``marker`` and ``reporter`` brightness around 1; ``ratio`` of the reporter in
    cytoplasm over nucleus; ``dose`` received, ms of full light, mean over the cell;
    ``parent``, the id of the mother, 0 for none.
    """
    size = random.lognormal(0.0, 0.07, count)
    cells: Numbers = {
        "x": random.uniform(box.x0_um, box.x1_um, count),
        "y": random.uniform(box.y0_um, box.y1_um, count),
        "radius": RADIUS_UM * size,
        "nucleus": NUCLEUS_UM * size * random.lognormal(0.0, 0.04, count),
        "stretch": random.uniform(1.05, 1.5, count),
        "angle": random.uniform(0.0, np.pi, count),
        "marker": random.lognormal(0.0, 0.18, count),
        "reporter": random.lognormal(0.0, 0.18, count),
        "ratio": np.ones(count),
        "dose": np.zeros(count),
        "parent": np.zeros(count),
    }
    for _ in range(SETTLING_STEPS):
        keep_apart(cells, box)
    return cells


def shown(cells: Numbers, name: str) -> Floats:
    """Return column ``name`` (n,) times its factors, the columns ``name_*`` (n,).

    Examples
    --------
    >>> cells = {"radius": np.array([8.0]), "radius_growth": np.array([0.5])}
    >>> shown(cells, "radius").tolist()
    [4.0]
    """
    found = cells[name]
    for factor in [key for key in cells if key.startswith(f"{name}_")]:
        found = found * cells[factor]
    return found


def keep_apart(cells: Numbers, box: Box) -> None:
    """Move cells a little away from each other and from the edge of their tile.

    Changes columns ``x`` and ``y`` (n,) in place. A tile depends on nothing outside
    it, so that what a field shows does not depend on which other fields were seen.
    """
    if not cells["x"].size:
        return
    radius = shown(cells, "radius")
    first, second = _near_pairs(cells["x"], 2 * ROOM * float(radius.max()))
    apart = {axis: cells[axis][first] - cells[axis][second] for axis in "xy"}
    distance = np.maximum(np.hypot(apart["x"], apart["y"]), 1e-6)
    overlap = np.maximum(ROOM * (radius[first] + radius[second]) - distance, 0.0)
    push = PUSH_FRACTION * overlap / distance
    edges = ((box.x0_um, box.x1_um), (box.y0_um, box.y1_um))
    for name, (low, high) in zip("xy", edges, strict=True):
        step = push * apart[name]
        moved = np.bincount(first, step, radius.size)
        moved -= np.bincount(second, step, radius.size)
        position = cells[name] + moved
        position += PUSH_FRACTION * np.maximum(low + radius - position, 0.0)
        position -= PUSH_FRACTION * np.maximum(position - (high - radius), 0.0)
        cells[name] = np.clip(position, low, np.nextafter(high, low))


def _near_pairs(x: Floats, reach_um: float) -> tuple[Indices, Indices]:
    """Return every pair of cells, each (N,), that are within ``reach_um`` in x."""
    order = np.argsort(x, kind="stable")
    ordered = x[order]
    counts = np.searchsorted(ordered, ordered + reach_um) - np.arange(x.size) - 1
    first = np.repeat(np.arange(x.size), counts)
    start = np.repeat(np.cumsum(counts) - counts, counts)
    second = first + 1 + np.arange(first.size) - start
    return order[first], order[second]


def sunflower(count: int = SUNFLOWER_POINTS) -> tuple[Floats, Floats]:
    """Return points spread evenly over the unit disc: x (N,) and y (N,)."""
    index = np.arange(count) + 0.5
    distance, angle = np.sqrt(index / count), np.pi * (1 + 5**0.5) * index
    return distance * np.cos(angle), distance * np.sin(angle)


def points_in(cells: Numbers) -> tuple[Floats, Floats]:
    """Return points spread evenly over each cell: x (n, N) and y (n, N), in um."""
    along, across = sunflower()
    stretch = np.sqrt(cells["stretch"])[:, None]
    radius = shown(cells, "radius")[:, None]
    along, across = radius * stretch * along, radius / stretch * across
    cosine, sine = np.cos(cells["angle"])[:, None], np.sin(cells["angle"])[:, None]
    x = cells["x"][:, None] + cosine * along - sine * across
    y = cells["y"][:, None] + sine * along + cosine * across
    return x, y
