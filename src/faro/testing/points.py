"""Seeded movies of points with true tracks and divisions, for tracker tests.

Cells push each other apart as those of the simulated microscope do
(`faro.microscope.simulated`); they walk at random with a memory of their last step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from faro.microscope.simulated.geometry import Box
from faro.microscope.simulated.population import keep_apart
from faro.testing.movie import scattered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.protocols.analysis import Floats

Ints = npt.NDArray[np.int64]
_AREA_PX = 320.0
_MEASURED_SD = 0.06
_CELLS_SD = 0.3
_GROWTH = 0.03


@dataclass(frozen=True, slots=True)
class Scenario:
    """How the cells of a movie behave and how badly they are seen.

    Attributes
    ----------
    name
        What it tests.
    n_cells, n_frames, shape
        Cells at the start, frames, and the field (Y, X), px.
    speed_px
        Root mean square displacement per frame.
    persistence_fraction
        Share of the displacement kept from frame to frame, 0 to 1.
    miss_fraction, longest_gap
        Share of detections missing, in gaps of 1 to ``longest_gap`` frames.
    false_fraction
        Detections of nothing, per cell.
    division_fraction
        Chance of a cell to divide, per frame.
    jump_px, jump_every
        The stage jumps that far, that often (frames); 0 for never.
    """

    name: str
    n_cells: int = 300
    n_frames: int = 60
    shape: tuple[int, int] = (1024, 1024)
    speed_px: float = 3.0
    persistence_fraction: float = 0.6
    miss_fraction: float = 0.0
    longest_gap: int = 1
    false_fraction: float = 0.0
    division_fraction: float = 0.0
    jump_px: float = 0.0
    jump_every: int = 0


_MESSY = Scenario(
    "misses and divisions",
    miss_fraction=0.03,
    false_fraction=0.02,
    division_fraction=0.004,
)
SCENARIOS = (
    Scenario("easy"),
    _MESSY,
    replace(_MESSY, name="long gaps", longest_gap=3),
    replace(_MESSY, name="stage jumps", jump_px=28.0, jump_every=11),
    replace(_MESSY, name="fast", speed_px=14.1),
    replace(_MESSY, name="dense", n_cells=1000),
)
"""What trackers are compared on; fast cells move 10 px per frame and axis."""


@dataclass(frozen=True, slots=True, eq=False)
class PointCells:
    """The cells of one frame as points: what a tracker looks at.

    Attributes
    ----------
    y, x
        (n,) centres, px.
    area
        (n,) px.
    columns
        Further features by name, (n,) each.
    truth
        (n,) id of the true cell, 0 for a false detection.
    """

    y: Floats
    x: Floats
    area: Ints
    columns: Mapping[str, Floats] = field(default_factory=dict)
    truth: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.y)

    def __contains__(self, feature: object) -> bool:
        return feature in self.columns

    def __getitem__(self, feature: str) -> Floats:
        return self.columns[feature]


@dataclass(frozen=True, slots=True, eq=False)
class PointMovie:
    """The frames of a scenario, and the mother of each daughter by true id."""

    frames: tuple[PointCells, ...]
    mothers: Mapping[int, int]


class _Colony:
    """The true cells of a movie at one moment."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self._plan, self._rng = scenario, rng
        spacing = np.sqrt(np.prod(scenario.shape) / scenario.n_cells)
        self.yx = scattered(rng, scenario.shape, scenario.n_cells, 0.5 * spacing)
        self._field = Box(0.0, 0.0, scenario.shape[1], scenario.shape[0])
        n = len(self.yx)
        self.step = rng.normal(0, scenario.speed_px / np.sqrt(2), (n, 2))
        self.log_area = np.log(_AREA_PX) + rng.normal(0, _CELLS_SD, n)
        self.log_bright = rng.normal(0, _CELLS_SD, n)
        self.full_size = self.log_area.copy()
        self.ids = np.arange(1, n + 1)
        self.hidden = np.zeros(n, np.int64)
        self.shift = np.zeros(2)
        self.mothers: dict[int, int] = {}
        self._n_ids = n

    def advance(self, frame: int) -> None:
        """Move, grow, divide; jump with the stage."""
        plan, rng = self._plan, self._rng
        keep = plan.persistence_fraction
        fresh = rng.normal(0, plan.speed_px / np.sqrt(2), self.step.shape)
        self.step = keep * self.step + np.sqrt(1 - keep**2) * fresh
        self.yx = self.yx + self.step
        field_size = np.asarray(plan.shape, float)
        outside = (self.yx < 0) | (self.yx > field_size)
        self.step[outside] *= -1
        self.yx = np.clip(self.yx, 0, field_size)
        self.log_area = np.minimum(self.log_area + _GROWTH, self.full_size)
        self._divide()
        self._keep_apart()
        if plan.jump_every and frame % plan.jump_every == 0:
            angle = rng.uniform(0, 2 * np.pi)
            length = plan.jump_px * rng.uniform(0.67, 1.33)
            self.shift = self.shift + length * np.array([np.sin(angle), np.cos(angle)])

    def _keep_apart(self) -> None:
        """Push cells that overlap away from each other, as the simulated dish does."""
        radius = np.sqrt(np.exp(self.log_area) / np.pi)
        crowd = {"y": self.yx[:, 0], "x": self.yx[:, 1], "radius": radius}
        keep_apart(crowd, self._field)
        self.yx = np.stack([crowd["y"], crowd["x"]], axis=1)

    def _divide(self) -> None:
        rng = self._rng
        chosen = rng.random(len(self.ids)) < self._plan.division_fraction
        chosen &= self.log_area >= self.full_size
        if not chosen.any():
            return
        n = int(chosen.sum())
        angle = rng.uniform(0, np.pi, n)
        apart = np.stack([np.sin(angle), np.cos(angle)], axis=1)
        apart *= np.sqrt(np.exp(self.log_area[chosen]) / np.pi)[:, None]
        new = np.arange(self._n_ids + 1, self._n_ids + 2 * n + 1)
        self._n_ids += 2 * n
        mothers = np.tile(self.ids[chosen], 2)
        self.mothers |= dict(zip(new.tolist(), mothers.tolist(), strict=True))
        stays = ~chosen

        def grown(values: Floats, daughters: Floats) -> Floats:
            return np.concatenate([values[stays], daughters])

        def twice(values: Floats) -> Floats:
            return np.concatenate([values[chosen], values[chosen]])

        self.yx = grown(
            self.yx, np.concatenate([self.yx[chosen] + apart, self.yx[chosen] - apart])
        )
        self.step = grown(self.step, twice(self.step))
        self.log_area = grown(self.log_area, twice(self.log_area) - np.log(2))
        self.log_bright = grown(self.log_bright, twice(self.log_bright))
        self.full_size = grown(self.full_size, twice(self.full_size))
        self.ids = np.concatenate([self.ids[stays], new])
        self.hidden = np.concatenate([self.hidden[stays], np.zeros(2 * n, np.int64)])

    def seen(self) -> PointCells:
        """Return what is detected now, in random order."""
        plan, rng = self._plan, self._rng
        mean_gap = (1 + plan.longest_gap) / 2
        chance = plan.miss_fraction / (mean_gap * (1 - plan.miss_fraction))
        self.hidden = np.maximum(self.hidden - 1, 0)
        vanishing = (self.hidden == 0) & (rng.random(len(self.ids)) < chance)
        gaps = rng.integers(1, plan.longest_gap + 1, len(self.ids))
        self.hidden = np.where(vanishing, gaps, self.hidden)
        here = self.hidden == 0
        n_false = rng.binomial(len(self.ids), plan.false_fraction)
        false_yx = rng.uniform((0, 0), plan.shape, (n_false, 2))
        yx = np.concatenate([self.yx[here], false_yx]) + self.shift
        size = np.concatenate(
            [self.log_area[here], np.log(_AREA_PX) + rng.normal(0, 0.5, n_false)]
        )
        bright = np.concatenate([self.log_bright[here], rng.normal(0, 0.5, n_false)])
        truth = np.concatenate([self.ids[here], np.zeros(n_false, np.int64)])
        order = rng.permutation(len(truth))
        noise = rng.normal(0, _MEASURED_SD, (2, len(truth)))
        area = np.rint(np.exp(size + noise[0])).astype(np.int64)
        mean = np.exp(bright + noise[1]) * 1000
        return PointCells(
            y=yx[order, 0],
            x=yx[order, 1],
            area=area[order],
            columns={"mean": mean[order]},
            truth=truth[order].astype(np.int64),
        )


def point_movie(scenario: Scenario, seed: int) -> PointMovie:
    """Return the movie of a scenario; the same seed gives the same movie.

    >>> movie = point_movie(Scenario("easy", n_cells=9, n_frames=3), seed=0)
    >>> [len(frame) for frame in movie.frames]
    [9, 9, 9]
    """
    colony = _Colony(scenario, np.random.default_rng(seed))
    frames = [colony.seen()]
    for number in range(1, scenario.n_frames):
        colony.advance(number)
        frames.append(colony.seen())
    return PointMovie(tuple(frames), colony.mothers)
