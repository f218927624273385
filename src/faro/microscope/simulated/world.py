"""The dish: cells at every stage position, that live, and answer to light."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat

from faro.errors import FaroError
from faro.microscope.simulated.behaviour import (
    Behaviour,
    checked,
    responses_of,
    usual,
)
from faro.microscope.simulated.geometry import Box, Floats
from faro.microscope.simulated.population import (
    Numbers,
    keep_apart,
    points_in,
    settle,
    shown,
)
from faro.microscope.simulated.responses import CYAN, CellLight
from faro.microscope.simulated.turnover import (
    ENDS,
    LifeEvent,
    life_events,
    turned_over,
)
from faro.model import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from faro.microscope.simulated.responses import Response

    LightAt: TypeAlias = Callable[[Floats, Floats], Floats]

TILE_INDEX_LIMIT = 2**15
CELLS_PER_TILE_LIMIT = 2**20
REACH_UM = 14.0
"""No cell reaches further than this from its centre."""
SHAPE = ("stretch", "angle")


class WorldStateError(FaroError, ValueError):
    """A saved state belongs to another dish, or a place is off the dish."""


class WorldSettings(Schema):
    """What makes one dish differ from another.

    Attributes
    ----------
    seed
        Dishes of one seed are equal.
    cells_per_mm2
        Cell density.
    tile_um
        Edge of the squares that the dish is peopled by. No cell leaves its square;
        multiples of it are the middle of one.
    step_s
        Internal step of cell life.
    responses
        What cells do: names of `faro.microscope.simulated.behaviour.KINDS` with their
        parameters.
    """

    seed: NonNegativeInt = 0
    cells_per_mm2: PositiveFloat = 1000.0
    tile_um: PositiveFloat = 500.0
    step_s: PositiveFloat = 15.0
    responses: Annotated[Behaviour, AfterValidator(checked)] = Field(
        default_factory=usual
    )


@dataclass(slots=True, eq=False)
class Tile:
    """One square of the dish, at its own age, in steps of cell life.

    ``newest`` is the highest number that a cell of it has had.
    """

    place: tuple[int, int]
    box: Box
    ids: npt.NDArray[np.int64]
    cells: Numbers
    newest: int
    steps: int = 0


class World:
    """A dish without end, peopled where somebody looks.

    Every tile is a function of (seed, tile, light received): neither the order in
    which places are visited nor how often matters. Times are seconds of cell life
    since the dish was made; a tile never grows younger. Not thread-safe.

    Parameters
    ----------
    settings
        Seed, density and steps.
    responses
        What the cells do, in the order in which they do it; None for those that the
        settings name.
    """

    def __init__(
        self,
        settings: WorldSettings | None = None,
        responses: Sequence[Response] | None = None,
    ) -> None:
        self.settings = settings or WorldSettings()
        self._responses: tuple[Response, ...] = (
            responses_of(self.settings.responses)
            if responses is None
            else tuple(responses)
        )
        self._events: list[LifeEvent] = []
        self._tiles: dict[tuple[int, int], Tile] = {}

    def cells(self, box: Box, cell_s: float) -> tuple[npt.NDArray[np.int64], Numbers]:
        """Return ids (n,) int64 and columns (n,) of the cells in ``box`` at ``cell_s``.

        In a fixed order; copies.
        """
        tiles = list(self._aged(box, cell_s))
        inside = [box.holds(tile.cells["x"], tile.cells["y"]) for tile in tiles]
        pairs = list(zip(tiles, inside, strict=True))
        ids = np.concatenate([tile.ids[keep] for tile, keep in pairs])
        names = tiles[0].cells
        columns = {
            name: np.concatenate([tile.cells[name][keep] for tile, keep in pairs])
            for name in names
        }
        return ids, columns

    def events(self) -> list[LifeEvent]:
        """Return births, divisions and deaths since this was last asked."""
        found, self._events = self._events, []
        return found

    def expose(
        self, box: Box, cell_s: float, light_at: LightAt, line: str = CYAN
    ) -> None:
        """Shine light of a line on the cells in ``box`` at ``cell_s``.

        ``light_at(x_um, y_um)`` takes points (n, N) and returns their light (n, N), in
        ms of full light. Column ``dose`` is what a cell got of the stimulation line.
        """
        takers = [one for one in self._responses if line in one.lines]
        if line != CYAN and not takers:
            return
        reach = box.grown(REACH_UM)
        for tile in self._aged(reach, cell_s):
            near = reach.holds(tile.cells["x"], tile.cells["y"])
            light = replace(light_on(tile.cells, near, light_at), line=line)
            if line == CYAN:
                tile.cells["dose"] = tile.cells["dose"] + light.dose
            for response in takers:
                response.expose(tile.cells, light)

    def state(self) -> dict[str, Any]:
        """Return everything that time and light have changed.

        ``settings`` is JSON-able; ``tiles`` maps ``"i,j"`` to ``steps``, ``newest``
        and to the columns (n,) of its cells.
        """
        tiles = {
            f"{i},{j}": {
                "steps": tile.steps,
                "newest": tile.newest,
                "ids": tile.ids.copy(),
                "cells": {name: v.copy() for name, v in tile.cells.items()},
            }
            for (i, j), tile in self._tiles.items()
        }
        return {"settings": self.settings.model_dump(), "tiles": tiles}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned.

        Raises
        ------
        WorldStateError
            If it belongs to a dish of other settings.
        """
        mine = self.settings.model_dump()
        theirs = dict(state["settings"])
        if theirs != mine:
            problem = f"The saved dish was made with {theirs}, this one with {mine}."
            remedy = "Build the simulated microscope with the saved settings."
            raise WorldStateError(problem, remedy=remedy)
        tiles = {}
        for key, saved in state["tiles"].items():
            i, j = (int(part) for part in key.split(","))
            cells = {name: np.array(v, float) for name, v in saved["cells"].items()}
            ids = np.array(saved["ids"], np.int64)
            box, newest = self._box(i, j), int(saved["newest"])
            tiles[i, j] = Tile((i, j), box, ids, cells, newest, int(saved["steps"]))
        self._tiles = tiles

    def _aged(self, box: Box, cell_s: float) -> Iterator[Tile]:
        """Yield the tiles that ``box`` touches, brought to ``cell_s``."""
        steps = floor(cell_s / self.settings.step_s + 1e-6)
        edge = self.settings.tile_um
        first_i, last_i = floor(box.x0_um / edge + 0.5), floor(box.x1_um / edge + 0.5)
        first_j, last_j = floor(box.y0_um / edge + 0.5), floor(box.y1_um / edge + 0.5)
        furthest = max(-first_i, -first_j, last_i, last_j)
        if furthest >= TILE_INDEX_LIMIT:
            problem = f"There is no dish at {box}."
            limit_mm = TILE_INDEX_LIMIT * edge / 1000
            remedy = f"Stay within {limit_mm:g} mm of the origin."
            raise WorldStateError(problem, remedy=remedy)
        for i in range(first_i, last_i + 1):
            for j in range(first_j, last_j + 1):
                tile = self._tiles.get((i, j))
                if tile is None:
                    tile = self._tiles[i, j] = self._peopled(i, j)
                self._live(tile, steps)
                yield tile

    def _live(self, tile: Tile, steps: int) -> None:
        """Bring ``tile`` to the age of ``steps``."""
        step_s = self.settings.step_s
        while tile.steps < steps:
            tile.steps += 1
            random = self._random(*tile.place, tile.steps)
            for response in self._responses:
                response.step(tile.cells, step_s, random)
            if any(tile.cells[name].any() for name in ENDS if name in tile.cells):
                self._turn_over(tile, random)
            keep_apart(tile.cells, tile.box)

    def _turn_over(self, tile: Tile, random: np.random.Generator) -> None:
        """Let cells of ``tile`` divide and go."""
        ids, cells = tile.ids, tile.cells
        tile.ids, tile.cells = turned_over(
            ids, cells, tile.newest, random, self._responses
        )
        tile.newest = max(tile.newest, int(tile.ids.max(initial=0)))
        cell_s = tile.steps * self.settings.step_s
        self._events += life_events(ids, tile.ids, cells, tile.cells, cell_s)

    def _peopled(self, i: int, j: int) -> Tile:
        """Return the tile as it is at the beginning."""
        random, box = self._random(i, j, 0), self._box(i, j)
        area_mm2 = (self.settings.tile_um / 1000) ** 2
        count = int(random.poisson(self.settings.cells_per_mm2 * area_mm2))
        cells = settle(box, count, random)
        for response in self._responses:
            response.start(cells, random)
        index = (i + TILE_INDEX_LIMIT) * 2 * TILE_INDEX_LIMIT + j + TILE_INDEX_LIMIT
        ids = index * CELLS_PER_TILE_LIMIT + np.arange(1, count + 1, dtype=np.int64)
        newest = index * CELLS_PER_TILE_LIMIT + count
        return Tile((i, j), box, ids, cells, newest)

    def _box(self, i: int, j: int) -> Box:
        """Return where tile (i, j) lies; the first one around the origin."""
        edge = self.settings.tile_um
        x0_um, y0_um = (i - 0.5) * edge, (j - 0.5) * edge
        return Box(x0_um, y0_um, x0_um + edge, y0_um + edge)

    def _random(self, i: int, j: int, step: int) -> np.random.Generator:
        """Return the random numbers of one step of one tile."""
        place = (i + TILE_INDEX_LIMIT) * 2 * TILE_INDEX_LIMIT + j + TILE_INDEX_LIMIT
        key = np.array([self.settings.seed % 2**64, place], np.uint64)
        counter = np.array([0, 0, 0, step], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))


def light_on(
    cells: Numbers, near: npt.NDArray[np.bool_], light_at: LightAt
) -> CellLight:
    """Return how much light falls on each cell and on which side of it.

    ``near`` (n,) says which cells can be reached at all; ``light_at`` takes points
    (n, N) and returns their light (n, N).
    """
    close = {name: cells[name][near] for name in ("x", "y", *SHAPE)}
    close["radius"] = shown(cells, "radius")[near]
    x, y = points_in(close)
    light = light_at(x, y)
    total = np.maximum(light.sum(axis=1), 1e-12) * close["radius"]
    found = np.zeros((3, near.size))
    found[0, near] = light.mean(axis=1)
    found[1, near] = (light * (x - close["x"][:, None])).sum(axis=1) / total
    found[2, near] = (light * (y - close["y"][:, None])).sum(axis=1) / total
    return CellLight(*found)
