"""Grids: every tile is a position, where useq itself would image it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import useq

from faro.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GRIDS = (useq.GridRowsColumns, useq.GridWidthHeight, useq.GridFromEdges)


def has_tiles(sequence: useq.MDASequence) -> bool:
    """Return whether a grid makes tiles of some position."""
    return bool(sequence.grid_plan) or has_own_tiles(sequence)


def has_own_tiles(sequence: useq.MDASequence) -> bool:
    """Return whether a position has a grid of its own."""
    return any(p.sequence and p.sequence.grid_plan for p in sequence.stage_positions)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the stage stands for one FOV.

    Attributes
    ----------
    position
        The place; of a tile, the place of the tile.
    p, g
        Indices of useq: of the position, and of the tile (None without a grid).
    """

    position: useq.Position
    p: int = 0
    g: int | None = None


def spots(sequence: useq.MDASequence) -> list[Spot]:
    """Return the FOVs of ``sequence``: each position, or each tile of a grid.

    Tiles are called ``name_0000``, or ``p0_0000`` after a position without a name. The
    positions of a plate say no z: useq would fill in 0, which may be inside the sample.
    """
    positions = [*sequence.stage_positions]
    if isinstance(sequence.stage_positions, useq.WellPlatePlan):
        positions = [position.replace(z=None) for position in positions]
    if not has_tiles(sequence):
        return [Spot(position, p) for p, position in enumerate(positions)]
    return list(_tiles(positions, sequence))


def spots_on_stage(sequence: useq.MDASequence) -> list[useq.Position]:
    """Return the places of `spots`."""
    return [spot.position for spot in spots(sequence)]


def tile_problems(sequence: useq.MDASequence, where: str) -> Iterator[Problem]:
    """Yield grids whose tiles would not be where they look.

    Parameters
    ----------
    sequence
        Any sequence.
    where
        Prefix of the places that are named; empty or ending with a slash.
    """
    positions = sequence.stage_positions
    grids = {f"{where}grid_plan": sequence.grid_plan}
    for number, position in enumerate(positions):
        if position.sequence:
            place = f"{where}stage_positions/{number}/sequence"
            grids[f"{place}/grid_plan"] = position.sequence.grid_plan
    for place, grid in grids.items():
        if isinstance(grid, GRIDS) and None in (grid.fov_width, grid.fov_height):
            what = "without the size of a field the tiles are 1 um apart."
            yield Problem(place, what, "Give fov_width and fov_height in um.")
        if isinstance(grid, useq.RandomPoints) and grid.random_seed is None:
            what = "random points without a seed are elsewhere each time."
            yield Problem(place, what, "Give RandomPoints(random_seed=1).")
    if sequence.grid_plan and not sequence.grid_plan.is_relative and len(positions):
        what = "the grid says where its tiles are, and so does stage_positions."
        remedy = "Leave stage_positions out, or give a grid in rows and columns."
        yield Problem(f"{where}grid_plan", what, remedy)


def more_than_places(sequence: useq.MDASequence, where: str) -> Iterator[Problem]:
    """Yield positions that ask for more than a place and a grid.

    Of a sequence from which only the places are taken; ``where`` as in `tile_problems`.
    """
    for number, position in enumerate(sequence.stage_positions):
        sub = position.sequence
        if sub is None:
            continue
        plans = (sub.time_plan, sub.z_plan, sub.autofocus_plan, sub.channels)
        rest = (sub.metadata, sub.keep_shutter_open_across, sub.setup)
        if any(map(bool, (*plans, *rest, len(sub.stage_positions)))):
            place = f"{where}stage_positions/{number}/sequence"
            what = "a sub-sequence with more than a grid would be lost."
            remedy = "Give the sequence as it is to RTMSequence(stage_positions=...)."
            yield Problem(place, what, remedy)


def _tiles(
    positions: Sequence[useq.Position], sequence: useq.MDASequence
) -> Iterator[Spot]:
    """Yield each tile."""
    bare = [_only_grid(position) for position in positions]
    plans = {"stage_positions": bare, "grid_plan": sequence.grid_plan}
    for event in useq.MDASequence.model_validate(plans):
        fov, tile = event.index.get("p", 0), event.index.get("g")
        well = positions[fov] if positions else useq.Position()
        name = positions[fov].name if positions else None
        place = useq.Position(
            x=event.x_pos,
            y=event.y_pos,
            z=event.z_pos,
            name=name if tile is None else f"{name or f'p{fov}'}_{tile:04d}",
            plate_row=well.plate_row,
            plate_col=well.plate_col,
        )
        yield Spot(place, fov, tile)


def _only_grid(position: useq.Position) -> useq.Position:
    """Return a position that asks for nothing but its grid."""
    grid = position.sequence.grid_plan if position.sequence else None
    sub = useq.MDASequence(grid_plan=grid) if grid else None
    return position.replace(sequence=sub, properties=None)
