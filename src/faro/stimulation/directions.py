"""Where each cell points: in the image, along its axis, where it moves, to a point."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from faro.errors import ContractError
from faro.model import TrackValues

if TYPE_CHECKING:
    from faro.protocols import Cells, StimulationContext

Floats: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = tuple[float, float]
Direction: TypeAlias = Vector | Literal["major_axis", "movement"]
End: TypeAlias = Literal["front", "rear"]

ROUND = 1.15
"""Ratio of axes below which a cell has no axis of its own."""
STEP_PX = 2.0
"""A cell that moved less has not moved."""
SAME_PLACE_PX = 0.5
_AXIS, _MOVED = "directions along axes", "directions of movement"


def checked_direction(
    direction: object, towards_px: Vector | None, where: str
) -> tuple[str, ...]:
    """Return what a stimulator with this direction needs, or raise ContractError.

    Parameters
    ----------
    direction
        (dy, dx), not both zero, or a word of `Direction`.
    towards_px
        (y, x) in camera pixels, instead of a direction.
    where
        For the error.
    """
    if towards_px is not None and not np.isfinite(towards_px).all():
        problem = f"{where} was given the point {towards_px}."
        raise ContractError(problem, remedy="Give (y, x) in camera pixels.")
    if towards_px is not None:
        return ("labels",)
    if direction in {"major_axis", "movement"}:
        return ("tracks",)
    if not isinstance(direction, str):
        length = math.hypot(*cast("Vector", direction))
        if math.isfinite(length) and length > 0:
            return ("labels",)
    problem = f"{where} was given the direction {direction!r}."
    remedy = (
        "Give (dy, dx), not both zero; (-1, 0) is up. Or 'major_axis' or 'movement'."
    )
    raise ContractError(problem, remedy=remedy)


def directions(
    context: StimulationContext,
    cells: Cells,
    direction: Direction,
    towards_px: Vector | None = None,
    end: End = "front",
) -> Floats:
    """Return (dy, dx) of every cell, (n, 2); NaN for a cell that points nowhere.

    One direction for all cells is returned as (2,).

    Parameters
    ----------
    context, cells
        Of this frame; what is known of tracks is kept in the memory of the context.
    direction, towards_px
        See `checked_direction`.
    end
        Which end; the rear is opposite.
    """
    sign = -1.0 if end == "rear" else 1.0
    if towards_px is not None:
        return sign * _towards(cells, towards_px)
    if direction == "major_axis":
        return sign * _along_axis(context, cells)
    if direction == "movement":
        return sign * _of_movement(context, cells)
    return sign * np.asarray(direction, np.float64)


def _towards(cells: Cells, point: Vector) -> Floats:
    """Return the directions (n, 2) from the cells to a point (y, x)."""
    apart = np.stack([point[0] - cells.y, point[1] - cells.x], axis=1)
    apart[np.hypot(*apart.T) < SAME_PLACE_PX] = np.nan
    return apart


def _along_axis(context: StimulationContext, cells: Cells) -> Floats:
    """Return the long axes (n, 2), each with the sign that it had before.

    An axis has two ends. A track's first is the upper one, the right one where it
    lies level; from then on the end that is nearest to the last one. A round cell
    keeps its last direction.
    """
    kept = context.memory.get(_AXIS) or TrackValues()
    tracks, parents = cells.track_id, _parents(cells)
    axis, ratio = principal_axes(cells)
    old = np.stack(
        [kept.of(tracks, name, parent_id=parents) for name in ("dy", "dx")], axis=1
    )
    known = ~np.isnan(old[:, 0])
    against = (axis * np.nan_to_num(old)).sum(axis=1) < 0
    level = np.abs(axis[:, 0]) < 1e-9
    downward = np.where(level, axis[:, 1] < 0, axis[:, 0] > 0)
    axis[np.where(known, against, downward)] *= -1
    stays = known & (ratio < ROUND)
    axis[stays] = old[stays]
    columns = {"dy": axis[:, 0], "dx": axis[:, 1]}
    context.memory[_AXIS] = kept.updated(tracks, columns)
    return axis


def _of_movement(context: StimulationContext, cells: Cells) -> Floats:
    """Return where the cells move, (n, 2); NaN until a cell has moved.

    A direction is taken anew once the cell is `STEP_PX` away from where it was taken
    last, so the jitter of a resting cell does not turn it.
    """
    kept = context.memory.get(_MOVED) or TrackValues()
    tracks, parents = cells.track_id, _parents(cells)
    names = ("y", "x", "dy", "dx")
    y, x, dy, dx = (kept.of(tracks, name, parent_id=parents) for name in names)
    step = np.stack([cells.y - y, cells.x - x], axis=1)
    far = np.hypot(*step.T)
    moved = far >= STEP_PX
    direction = np.stack([dy, dx], axis=1)
    direction[moved] = step[moved] / far[moved, None]
    anew = moved | np.isnan(y)
    columns = {
        "y": np.where(anew, cells.y, y),
        "x": np.where(anew, cells.x, x),
        "dy": direction[:, 0],
        "dx": direction[:, 1],
    }
    context.memory[_MOVED] = kept.updated(tracks, columns)
    return direction


def principal_axes(cells: Cells) -> tuple[Floats, Floats]:
    """Return the long axes (n, 2), (dy, dx) of length 1, and the ratio of axes (n,).

    From the second moments of the pixels, as `skimage.measure.regionprops` does; the
    ratio is 1 for a disc. Either end of an axis may be given.
    """
    _, cell, row, column = cells.pixels
    n, y, x = len(cells), cells.y, cells.x
    dy, dx = row - y[cell], column - x[cell]
    area = np.maximum(cells.area, 1)
    yy = np.bincount(cell, dy * dy, n) / area + 1 / 12
    xx = np.bincount(cell, dx * dx, n) / area + 1 / 12
    yx = np.bincount(cell, dy * dx, n) / area
    angle = 0.5 * np.arctan2(2 * yx, xx - yy)
    middle, half = (yy + xx) / 2, np.hypot((xx - yy) / 2, yx)
    ratio = np.sqrt((middle + half) / np.maximum(middle - half, 1e-12))
    return np.stack([np.sin(angle), np.cos(angle)], axis=1), ratio


def _parents(cells: Cells) -> npt.NDArray[np.int64] | None:
    """Return the parents' track ids (n,), 0 for none; None where nothing is known."""
    if "parent_id" not in cells:
        return None
    return np.asarray(cells["parent_id"], np.int64)
