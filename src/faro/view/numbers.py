"""All numbers of a report, computed once for the page, the picture, the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.view import journal as told
from faro.view.answer import Answer, Question, answer_of
from faro.view.grouping import grouping_of
from faro.view.taken import (
    images_of,
    keeps_journal,
    last_everywhere,
    planned_s_of,
    taken_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faro.model import CellTable
    from faro.storage import Run
    from faro.view.journal import Floats, Line
    from faro.view.taken import Taken

TRACK_KEY = ("fov", "track_id")


@dataclass(frozen=True, slots=True)
class Header:
    """What run this is.

    Attributes
    ----------
    name, folder
        What the run is called, and its folder; often the same.
    started
        UTC, ISO 8601; empty where unknown.
    duration_s
        From the first to the last line of the journal.
    versions
        Library to version.
    """

    name: str
    folder: str
    ending: told.Ending
    started: str
    duration_s: float | None
    seed: int | None
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is.

    Attributes
    ----------
    cells
        Rows of the cell table: one per cell and frame.
    tracks
        Cells that were followed, over all FOVs.
    frames
        Exposures stored, of all roles.
    timepoints, planned_timepoints
        Acquired in at least one FOV, and planned.
    """

    cells: int
    tracks: int
    frames: int
    fovs: int
    timepoints: int
    planned_timepoints: int


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What a report says about a run.

    Attributes
    ----------
    last
        Last timepoint that every FOV reached, None if nothing was taken.
    planned_s
        Timepoint to its planned second.
    """

    header: Header
    counts: Counts
    light: told.Light
    loop: told.LoopTimes
    lateness: told.Lateness
    last: int | None
    planned_s: Mapping[int, float]
    errors: tuple[told.ErrorGroup, ...]
    answer: Answer

    @property
    def n_errors(self) -> int:
        """How many errors were recorded."""
        return sum(group.count for group in self.errors)


def facts_of(
    run: Run,
    *,
    arms: str | None = None,
    compare: tuple[str, str] | None = None,
) -> Facts:
    """Return all numbers of a stored run.

    Parameters
    ----------
    run
        An opened run; it may be unfinished or hold no cells.
    arms
        Name in the metadata of a FOV that says which arm it belongs to; None for the
        usual one, see `faro.view.grouping`.
    compare
        Names of the treated arm and of the control; None for the usual ones.
    """
    journal, cells, events = run.journal, run.cells, run.events
    said: Mapping[str, Any] = run.info.get("description") or {}
    grouped = grouping_of(said, events, run.fovs, key=arms, compare=compare)
    description = {**said, "fov_metadata": grouped.metadata}
    light = told.light_of(journal)
    taken = taken_of(run, journal)
    last = last_everywhere(taken)
    question = Question(grouped.key, grouped.compare, light.first_from, last)
    scale = run.pixel_size_um or description.get("pixel_size_um")
    return Facts(
        header=_header_of(run, journal),
        counts=_counts_of(run, cells, taken),
        light=light,
        loop=told.loop_times_of(journal),
        lateness=told.lateness_of(journal),
        last=last,
        planned_s=planned_s_of(journal, events),
        errors=told.errors_of(journal),
        answer=answer_of(cells, description, run.fovs, question, scale_um_per_px=scale),
    )


def percentile(values: Floats, rank_percent: float) -> float | None:
    """Return a percentile of the known ones of ``values`` (n,), None if there are none.

    >>> percentile(np.array([1.0, np.nan, 3.0]), 50)
    2.0
    """
    known = values[np.isfinite(values)]
    return float(np.percentile(known, rank_percent)) if known.size else None


def _header_of(run: Run, journal: Sequence[Line]) -> Header:
    """Return what run this is."""
    info = run.info
    first = str(journal[0].get("wall", "")) if journal else ""
    description = info.get("description") or {}
    return Header(
        name=str(description.get("name") or run.path.name),
        folder=run.path.name,
        ending=told.ending_of(journal, keeps_journal(run, journal)),
        started=str(info.get("created") or first),
        duration_s=told.duration_s(journal),
        seed=description.get("seed"),
        versions=info.get("versions") or {},
    )


def _counts_of(run: Run, cells: CellTable, taken: Sequence[Taken]) -> Counts:
    """Return how much there is."""
    return Counts(
        cells=len(cells),
        tracks=_count_tracks(cells),
        frames=sum(one.n_exposures for one in taken),
        fovs=len(run.fovs),
        timepoints=len({one.timestep for one in images_of(taken)}),
        planned_timepoints=run.n_timepoints,
    )


def _count_tracks(cells: CellTable) -> int:
    """Return the number of different (fov, track_id), ids from 1 on."""
    if not set(TRACK_KEY) <= set(cells.names):
        return 0
    pairs = np.column_stack([cells[name].astype(np.int64) for name in TRACK_KEY])
    return len(np.unique(pairs[pairs[:, 1] >= 1], axis=0))
