"""From the cell table to the answer: tracks, responses and tests of the arms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from faro.view.response import (
    UP,
    Span,
    arms_of,
    change,
    compared,
    displacement,
    paths_of,
    unit_vector,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faro.model import CellTable
    from faro.view.response import Arm, Comparison, Path, Response

ERK_RATIO = "cnr"
"""Column of the ERK reporter: cytoplasm over nucleus."""

MOST_FEATURES = 2
"""Columns that are shown where there is no ERK ratio."""

PLACES = {"fov", "timestep", "label", "track_id", "parent_id", "y", "x", "z", "area"}
FIXED = PLACES | {"area_nuc", "time", "fov_timestep", "time_acquired"}
"""Columns that say where and when, and not how a cell answers."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a run.

    Attributes
    ----------
    arms
        Name in the metadata of a FOV that says which arm it belongs to.
    compare
        Names of the treated arm and of the control.
    start
        Last frame before light, None if no light was armed.
    end
        Last timepoint that every FOV reached, None if unknown.
    """

    arms: str
    compare: tuple[str, str]
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """How the arms of a run answered.

    Attributes
    ----------
    span
        The timepoints that count, None without cells.
    direction
        Where cells should go, a unit vector (y, x).
    unit
        Of lengths, "\N{MICRO SIGN}m" or "px".
    paths
        Tracks from a common origin.
    responses
        Displacement first; none without cells.
    """

    arms: tuple[Arm, ...]
    compare: tuple[str, str]
    span: Span | None
    direction: tuple[float, float]
    unit: str
    paths: tuple[Path, ...]
    responses: tuple[Response, ...]

    @property
    def main(self) -> tuple[Response, Comparison] | None:
        """The first response, treated arm against control; None if not tested."""
        for response in self.responses[:1]:
            for comparison in response.comparisons[:1]:
                if comparison.arm == self.compare[0]:
                    return response, comparison
        return None


def answer_of(
    cells: CellTable,
    description: Mapping[str, Any],
    fovs: Sequence[int],
    question: Question,
    *,
    scale_um_per_px: float | None,
) -> Answer:
    """Return what the cell table says about the question.

    ``description`` is what the run wrote about itself: ``fov_metadata`` and
    ``stim_direction``.
    """
    arms = tuple(arms_of(description, fovs, question.arms))
    direction = unit_vector(description.get("stim_direction") or UP)
    unit = "\N{MICRO SIGN}m" if scale_um_per_px else "px"
    span = span_of(cells, question)
    paths: list[Path] = []
    responses: list[Response] = []
    if span is not None:
        order = tuple(sorted(fovs))
        paths = paths_of(cells, span, scale_um_per_px or 1.0)
        moved = displacement(paths, order, span, direction, unit) if paths else None
        changes = [change(cells, name, order, span) for name in asked_of(cells)]
        responses = [r for r in (moved, *changes) if r is not None]
    tested = [
        replace(r, comparisons=compared(r, arms, *question.compare)) for r in responses
    ]
    return Answer(
        arms, question.compare, span, direction, unit, tuple(paths), tuple(tested)
    )


def asked_of(cells: CellTable) -> list[str]:
    """Return the columns whose change is shown: the ERK ratio, else the first ones."""
    if ERK_RATIO in cells:
        return [ERK_RATIO]
    numbers = [n for n in cells.names if cells[n].dtype.kind == "f" and n not in FIXED]
    return [n for n in numbers if not n.startswith("dose_")][:MOST_FEATURES]


def span_of(cells: CellTable, question: Question) -> Span | None:
    """Return the timepoints that count, None if no cell was ever found."""
    if "timestep" not in cells or not len(cells):
        return None
    first, last = int(cells["timestep"].min()), int(cells["timestep"].max())
    start = first if question.start is None else max(first, question.start)
    end = last if question.end is None else min(last, question.end)
    return Span(start, end if end >= start else max(last, start))
