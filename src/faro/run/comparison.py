"""How labels and features of a replay agree with those that were recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis import match_labels
from faro.errors import MissingFrameError
from faro.run.differences import mask_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.analysis import Matching
    from faro.model import CellTable
    from faro.storage import Run

    Floats = npt.NDArray[np.float64]

LABEL_NAMES = ("nuclei", "labels")
"""What the main segmentation is called: ours, and the public project's."""

FEATURES = ("area", "cnr", "cnr_median")
"""Columns that are compared where both tables have them."""


@dataclass(slots=True)
class _Tally:
    """What was found in all frames."""

    matchings: list[Matching] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    pairs: dict[str, list[tuple[Floats, Floats]]] = field(default_factory=dict)
    rows_without: int = 0


def compare_with_recording(run: Run, recorded: Run) -> dict[str, dict[str, Any]]:
    """Return how a replay agrees with the recording; empty if nothing was recorded.

    Cells are matched by overlap (IoU > 0.5). Features are compared between matched
    cells, as the median of the relative difference and the correlation.

    Returns
    -------
    numbers
        ``"labels"``: frames compared, recorded and replayed cells, matched share of
        the recorded ones, F1, median IoU. ``"features"``: per column, cells compared,
        median relative difference in percent, correlation. ``"masks"``: those that
        were fired beside those that were computed now.
    """
    ours, theirs = _main_labels(run), _main_labels(recorded)
    if ours is None or theirs is None:
        return {}
    tally = _Tally()
    for fov in recorded.fovs:
        for timestep in range(recorded.n_timepoints):
            _compare_frame(run, recorded, (ours, theirs), (fov, timestep), tally)
    numbers = {}
    if tally.matchings:
        numbers = {
            "labels": _label_numbers(tally),
            "features": _feature_numbers(tally),
        }
    masks = mask_numbers(run, recorded)
    return {**numbers, "masks": masks} if masks else numbers


def _main_labels(source: Run) -> str | None:
    """Return the name of the label image that holds the cells."""
    return next((name for name in LABEL_NAMES if name in source.label_names), None)


def _compare_frame(
    run: Run,
    recorded: Run,
    names: tuple[str, str],
    place: tuple[int, int],
    tally: _Tally,
) -> None:
    """Add one frame to ``tally``; a frame that either lacks is left out."""
    try:
        found = run.labels(names[0], *place)
        truth = recorded.labels(names[1], *place)
    except MissingFrameError:
        return
    matching = match_labels(truth, found)
    tally.matchings.append(matching)
    tally.compared.append(f"fov {place[0]} t {place[1]}")
    their_rows = _rows(recorded.cells, place)
    our_rows = _rows(run.cells, place)
    known = [
        (our_rows[b], their_rows[a])
        for a, b in zip(matching.truth.tolist(), matching.found.tolist(), strict=True)
        if a in their_rows and b in our_rows
    ]
    tally.rows_without += len(matching.truth) - len(known)
    if not known:
        return
    our_index, their_index = np.transpose(known)
    for name in FEATURES:
        if name in run.cells and name in recorded.cells:
            pair = (
                run.cells[name][our_index].astype(float),
                recorded.cells[name][their_index].astype(float),
            )
            tally.pairs.setdefault(name, []).append(pair)


def _rows(cells: CellTable, place: tuple[int, int]) -> dict[int, int]:
    """Return label to row of one frame."""
    if "label" not in cells:
        return {}
    here = (cells["fov"] == place[0]) & (cells["timestep"] == place[1])
    rows = np.flatnonzero(here)
    return dict(zip(cells["label"][rows].tolist(), rows.tolist(), strict=True))


def _label_numbers(tally: _Tally) -> dict[str, Any]:
    """Return the agreement of all label images together."""
    matched = sum(len(m.iou) for m in tally.matchings)
    n_truth = sum(m.n_truth for m in tally.matchings)
    n_found = sum(m.n_found for m in tally.matchings)
    iou = np.concatenate([m.iou for m in tally.matchings])
    return {
        "frames compared": _listed(tally.compared),
        "cells recorded": n_truth,
        "cells replayed": n_found,
        "recorded cells found again (%)": _rounded(100 * matched / max(n_truth, 1)),
        "F1 at IoU 0.5": _rounded(2 * matched / max(n_truth + n_found, 1), 3),
        "median IoU of matched cells": _rounded(np.median(iou), 3) if matched else None,
        "matched cells that a table lacks": tally.rows_without,
    }


def _feature_numbers(tally: _Tally) -> dict[str, Any]:
    """Return the agreement of every compared column."""
    numbers = {}
    for name, pairs in tally.pairs.items():
        ours = np.concatenate([a for a, _ in pairs])
        theirs = np.concatenate([b for _, b in pairs])
        both = np.isfinite(ours) & np.isfinite(theirs) & (theirs != 0)
        if both.sum() < 2:
            continue
        relative = np.abs(ours[both] - theirs[both]) / np.abs(theirs[both])
        numbers[name] = {
            "cells": int(both.sum()),
            "median difference (%)": _rounded(100 * np.median(relative), 2),
            "correlation": _correlation(ours[both], theirs[both]),
        }
    return numbers


def _correlation(ours: Floats, theirs: Floats) -> float | None:
    """Return that of two columns (n,); None where one of them is constant."""
    if not np.ptp(ours) or not np.ptp(theirs):
        return None
    return _rounded(np.corrcoef(ours, theirs)[0, 1], 4)


def _listed(frames: list[str]) -> str:
    """Return which frames were compared; how many, where they are many."""
    few = 12
    return ", ".join(frames) if len(frames) <= few else f"all {len(frames)}"


def _rounded(value: Any, digits: int = 1) -> float:
    return round(float(value), digits)
