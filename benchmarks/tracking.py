"""Trackers against true tracks, and what a frame costs them.

    pip install -c constraints.txt -c .ci/constraints-trackers.txt \
        -e '.[tracking-reference]'
    python benchmarks/tracking.py [--seeds 401 402 403] [--only NAME] [--cost]

The scenarios and their truth come from `faro.testing.points`. trackpy runs as the
public project uses it (50 px, memory 3), laptrack with 25 px, which suits it best here.
TRA and LNK are those of the Cell Tracking Challenge, by py-ctcmetrics, over the cells
that were seen; false detections are in them for all trackers alike. The table is valid
where trackpy is within 0.01 of what was measured when the scenarios were designed.
"""

from __future__ import annotations

import argparse
import platform
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ctc_metrics.metrics import lnk, tra
from ctc_metrics.utils.representations import (
    count_acyclic_graph_correction_operations,
)

from faro.analysis import LapTrackLinker, Relinked, StreamingTracker, TrackpyTracker
from faro.testing.points import SCENARIOS, PointMovie, Scenario, point_movie
from faro.testing.scoring import score_tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faro.testing.points import Ints

MEASURED = (1.0, 0.989, 0.986, 0.950, 0.895, 0.989)
"""Link F1 of trackpy, by scenario, when the scenarios were designed."""

TOLERANCE = 0.01
COST_FRAMES = 25
COSTS = (
    ("300 cells", 300, 1024),
    ("1,000 cells, dense", 1000, 1024),
    ("5,000 cells", 5000, 4180),
)


class Score(NamedTuple):
    """How well one tracker did on one movie."""

    link_f1: float
    switches: float
    complete: float
    division_f1: float
    tra: float
    lnk: float


def streamed(tracker: StreamingTracker | TrackpyTracker, movie: PointMovie) -> Relinked:
    """Return the tracks of a tracker that sees frame by frame."""
    ids, parents = [], []
    for timestep, frame in enumerate(movie.frames):
        ids.append(tracker.update(timestep, frame))
        mothers = getattr(tracker, "parents", None)
        parents.append(np.zeros(len(frame), np.int64) if mothers is None else mothers)
    return Relinked(tuple(ids), tuple(parents))


TRACKERS: dict[str, Callable[[PointMovie], Relinked]] = {
    "trackpy": lambda movie: streamed(TrackpyTracker(), movie),
    "laptrack": lambda movie: LapTrackLinker().link(movie.frames),
    "FARO, positions": lambda m: streamed(StreamingTracker(use_area=False), m),
    "FARO (default)": lambda movie: streamed(StreamingTracker(), movie),
    "FARO, area + mean": lambda m: streamed(StreamingTracker(features=("mean",)), m),
}


def mothers_of(tracks: Relinked) -> dict[int, int]:
    """Return the mother of each daughter, by track id."""
    pairs = zip(tracks.track_ids, tracks.parents, strict=True)
    return {
        daughter: mother
        for ids, parents in pairs
        for daughter, mother in zip(ids.tolist(), parents.tolist(), strict=True)
        if mother
    }


def unbroken(
    ids: Sequence[Ints], mothers: Mapping[int, int]
) -> tuple[list[Ints], np.ndarray]:
    """Return ids without gaps, and rows of label, first and last frame, parent.

    In the challenge's format a track that was lost for a while is two tracks, the
    first the parent of the second.
    """
    rows: list[list[int]] = []
    latest: dict[int, int] = {}
    names: list[Ints] = []
    for frame, numbers in enumerate(ids):
        named = []
        for number in numbers.tolist():
            row = latest.get(number)
            if row is None or rows[row][2] < frame - 1:
                parent = latest.get(mothers.get(number, 0)) if row is None else row
                latest[number] = row = len(rows)
                rows.append(
                    [row + 1, frame, frame, 0 if parent is None else parent + 1]
                )
            rows[row][2] = frame
            named.append(row + 1)
        names.append(np.asarray(named, np.int64))
    return names, np.asarray(rows)


def ctc_measures(movie: PointMovie, tracks: Relinked) -> tuple[float, float]:
    """Return TRA and LNK; every true detection is matched to itself."""
    seen = [frame.truth > 0 for frame in movie.frames]
    truth = [f.truth[here] for f, here in zip(movie.frames, seen, strict=True)]
    true_ids, true_rows = unbroken(truth, movie.mothers)
    found_ids, found_rows = unbroken(tracks.track_ids, mothers_of(tracks))
    matched = [
        (true[order], found[here][order])
        for true, found, here in zip(true_ids, found_ids, seen, strict=True)
        for order in (np.argsort(true),)
    ]
    counts = count_acyclic_graph_correction_operations(
        true_rows,
        found_rows,
        [np.sort(numbers).tolist() for numbers in true_ids],
        [np.sort(numbers).tolist() for numbers in found_ids],
        [true.tolist() for true, _ in matched],
        [found.tolist() for _, found in matched],
    )
    return float(tra(**counts)[0]), float(lnk(**counts))


def scored(movie: PointMovie, tracks: Relinked) -> Score:
    """Return all measures of one movie."""
    ours = score_tracks(movie, tracks.track_ids, mothers_of(tracks))
    return Score(*ours, *ctc_measures(movie, tracks))


def accuracy(seeds: Sequence[int], only: str = "") -> bool:
    """Print the table; return whether it is valid and no tracker is ahead of ours."""
    print("| scenario | tracker | " + " | ".join(Score._fields) + " |")
    print("| --- | --- |" + " ---: |" * len(Score._fields))
    good = True
    for scenario, measured in zip(SCENARIOS, MEASURED, strict=True):
        if only not in scenario.name:
            continue
        movies = [point_movie(scenario, seed) for seed in seeds]
        table = {
            name: np.mean([scored(m, track(m)) for m in movies], axis=0)
            for name, track in TRACKERS.items()
        }
        for name, values in table.items():
            score = Score(*values.tolist())
            print(
                f"| {scenario.name} | {name} | {score.link_f1:.4f} | "
                f"{score.switches:.1f} | {score.complete:.2f} | "
                f"{score.division_f1:.2f} | {score.tra:.4f} | {score.lnk:.4f} |"
            )
        ours = table["FARO (default)"]
        behind = [
            name
            for name in ("trackpy", "laptrack")
            if table[name][0] > ours[0] or table[name][1] < ours[1]
        ]
        valid = abs(table["trackpy"][0] - measured) <= TOLERANCE
        good &= valid and not behind
        if behind or not valid:
            print(f"\n{scenario.name}: valid {valid}, behind {behind}\n")
    return good


def cost_ms(make: Callable[[], Any], scenario: Scenario) -> tuple[float, float]:
    """Return CPU ms a frame of the second half of a movie: best and median."""
    movie = point_movie(scenario, seed=9)
    tracker = make()
    spent = []
    for timestep, frame in enumerate(movie.frames):
        begin = time.thread_time()
        tracker.update(timestep, frame)
        spent.append((time.thread_time() - begin) * 1e3)
    late = spent[len(spent) // 2 :]
    return min(late), float(np.median(late))


def cost() -> None:
    """Print what one frame costs."""
    print("\n| CPU ms per frame, best / median | " + " | ".join(c[0] for c in COSTS))
    print("| --- |" + " ---: |" * len(COSTS))
    makes: dict[str, Callable[[], Any]] = {
        "trackpy, 50 px": TrackpyTracker,
        "trackpy, 25 px": lambda: TrackpyTracker(25.0),
        "FARO": StreamingTracker,
    }
    for name, make in makes.items():
        cells = []
        for _, n_cells, size in COSTS:
            plan = Scenario(
                "cost",
                n_cells=n_cells,
                n_frames=COST_FRAMES,
                shape=(size, size),
                miss_fraction=0.03,
                false_fraction=0.02,
                division_fraction=0.004,
            )
            cells.append("{:.1f} / {:.1f}".format(*cost_ms(make, plan)))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[401, 402, 403])
    parser.add_argument("--cost", action="store_true", help="Only what a frame costs.")
    parser.add_argument("--only", default="", help="Scenarios of this name.")
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, seeds {given.seeds}\n")
    good = given.cost or accuracy(given.seeds, given.only)
    cost()
    if not good:
        message = "The table is not valid, or a tracker is ahead of ours."
        raise SystemExit(message)


if __name__ == "__main__":
    main()
