"""Other projects' trackers keep our contract; without them the extra is named."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.analysis import BtrackLinker, LapTrackLinker, TrackpyTracker
from faro.analysis.adapters.btrack import BrokenLibraryError, btrack_library
from faro.errors import ContractError, MissingExtraError
from faro.testing.points import SCENARIOS, PointCells, Scenario, point_movie
from faro.testing.scoring import score_tracks
from faro.testing.tracker import check_tracker

if TYPE_CHECKING:
    from faro.analysis import Relinked
    from faro.testing.points import Ints, PointMovie
    from faro.testing.scoring import TrackScore

needs_trackpy = pytest.mark.skipif(not find_spec("trackpy"), reason="needs trackpy")
needs_btrack = pytest.mark.skipif(not find_spec("btrack"), reason="needs btrack")
needs_laptrack = pytest.mark.skipif(not find_spec("laptrack"), reason="needs laptrack")
SMALL = Scenario(
    "small",
    n_cells=40,
    n_frames=12,
    shape=(400, 400),
    miss_fraction=0.05,
    longest_gap=2,
    division_fraction=0.01,
)


def ids_alone(tracker: TrackpyTracker, seed: int) -> list[list[int]]:
    frames = point_movie(SMALL, seed).frames
    return [tracker.update(t, frame).tolist() for t, frame in enumerate(frames)]


@needs_trackpy
def test_trackpy_keeps_the_contract_of_a_tracker() -> None:
    check_tracker(TrackpyTracker)


@needs_trackpy
def test_fields_of_view_that_take_turns_get_the_ids_they_get_alone() -> None:
    alone = [ids_alone(TrackpyTracker(), seed) for seed in (1, 2)]
    trackers = [TrackpyTracker(), TrackpyTracker()]
    mixed: list[list[list[int]]] = [[], []]
    movies = [point_movie(SMALL, seed).frames for seed in (1, 2)]
    for t in range(SMALL.n_frames):
        for fov, tracker in enumerate(trackers):
            mixed[fov].append(tracker.update(t, movies[fov][t]).tolist())
    assert mixed == alone
    assert alone[0][0] == list(range(1, len(alone[0][0]) + 1))


@needs_trackpy
def test_the_simulator_is_as_hard_for_trackpy_as_it_was_when_it_was_measured() -> None:
    for scenario, link_f1 in zip(SCENARIOS[:2], (1.0, 0.989), strict=True):
        movie, tracker = point_movie(scenario, seed=41), TrackpyTracker()
        ids = [tracker.update(t, frame) for t, frame in enumerate(movie.frames)]
        assert score_tracks(movie, ids, {}).link_f1 == pytest.approx(link_f1, abs=0.01)


@needs_trackpy
def test_trackpy_wants_time_to_go_forward() -> None:
    tracker = TrackpyTracker()
    tracker.update(5, PointCells(np.ones(1), np.ones(1), np.ones(1, np.int64)))
    with pytest.raises(ContractError, match="Timestep 5 came after 5"):
        tracker.update(5, PointCells(np.ones(1), np.ones(1), np.ones(1, np.int64)))


def score_of(movie: PointMovie, found: Relinked) -> TrackScore:
    """Return how good tracks are, once they are known to be tracks."""
    mothers: dict[int, int] = {}
    for ids, parents in zip(found.track_ids, found.parents, strict=True):
        assert (ids >= 1).all()
        assert len(set(ids.tolist())) == len(ids)
        born = zip(ids.tolist(), parents.tolist(), strict=True)
        mothers |= {daughter: mother for daughter, mother in born if mother}
    assert [len(ids) for ids in found.track_ids] == [len(f) for f in movie.frames]
    return score_tracks(movie, found.track_ids, mothers)


@needs_laptrack
def test_laptrack_links_a_movie_and_finds_its_divisions() -> None:
    movie = point_movie(SMALL, seed=3)
    score = score_of(movie, LapTrackLinker().link(movie.frames))
    assert score.link_f1 > 0.95
    assert score.division_f1 > 0.2
    no_divisions = LapTrackLinker(max_division_distance_px=0).link(movie.frames)
    assert not any(parents.any() for parents in no_divisions.parents)


@needs_btrack
def test_btrack_links_a_movie_over_gaps() -> None:
    movie = point_movie(SMALL, seed=3)
    found = BtrackLinker().link(movie.frames)
    assert score_of(movie, found).link_f1 > 0.98
    again = BtrackLinker().link(movie.frames)
    assert [ids.tolist() for ids in again.track_ids] == [
        ids.tolist() for ids in found.track_ids
    ]


@needs_btrack
def test_btrack_finds_divisions() -> None:
    scenario = replace(SCENARIOS[1], n_cells=100, n_frames=30, shape=(600, 600))
    movie = point_movie(scenario, seed=41)
    score = score_of(movie, BtrackLinker().link(movie.frames))
    assert score.link_f1 > 0.99
    assert score.division_f1 > 0


@needs_btrack
def test_a_library_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*, verbose: bool) -> None:
        message = f"GLIBCXX not found {verbose}"
        raise OSError(message)

    monkeypatch.setattr(btrack_library(), "BayesianTracker", broken)
    cells = PointCells(np.ones(1), np.ones(1), np.ones(1, np.int64))
    with pytest.raises(BrokenLibraryError, match=r"GLIBCXX not found.*GCC 13"):
        BtrackLinker().link([cells])


def test_a_movie_without_cells_has_no_tracks() -> None:
    empty = PointCells(np.empty(0), np.empty(0), np.empty(0, np.int64))
    for linker in (LapTrackLinker(), BtrackLinker()):
        found = linker.link([empty, empty])
        assert [ids.tolist() for ids in found.track_ids] == [[], []]


@pytest.mark.parametrize("library", ["trackpy", "laptrack", "btrack"])
def test_what_is_missing_is_named(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    cells = PointCells(np.ones(1), np.ones(1), np.ones(1, np.int64))
    with pytest.raises(MissingExtraError, match=rf"faro-microscopy\[{library}\]"):
        _link(library, cells)


def _link(library: str, cells: PointCells) -> Ints:
    if library == "trackpy":
        return TrackpyTracker().update(0, cells)
    linker = LapTrackLinker() if library == "laptrack" else BtrackLinker()
    return linker.link([cells]).track_ids[0]
