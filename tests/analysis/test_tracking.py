"""The tracker against true tracks, another program's links, and its contract."""

from __future__ import annotations

import copy
import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.analysis import PixelCells, StreamingTracker
from faro.errors import ContractError
from faro.testing.points import PointCells, PointMovie, Scenario, point_movie
from faro.testing.scoring import TrackScore, score_tracks
from faro.testing.tracker import check_tracker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faro.analysis.tracking import Positions
    from faro.testing.points import Ints

MESSY = Scenario(
    "messy", miss_fraction=0.03, false_fraction=0.02, division_fraction=0.004
)


def cells_at(*places: tuple[float, float], area: int = 100) -> PointCells:
    """Return cells at (y, x) of one area."""
    yx = np.array(places, np.float64).reshape(-1, 2)
    return PointCells(yx[:, 0], yx[:, 1], np.full(len(yx), area, np.int64))


def followed(tracker: StreamingTracker, movie: PointMovie) -> TrackScore:
    """Return how well the tracker does on a movie."""
    ids: list[Ints] = []
    mothers: dict[int, int] = {}
    for timestep, frame in enumerate(movie.frames):
        ids.append(tracker.update(timestep, frame))
        born = zip(ids[-1].tolist(), tracker.parents.tolist(), strict=True)
        mothers |= {daughter: mother for daughter, mother in born if mother}
    return score_tracks(movie, ids, mothers)


@pytest.mark.parametrize(
    "make",
    [StreamingTracker, lambda: StreamingTracker(12.0, memory=0, use_area=False)],
    ids=["default", "positions only"],
)
def test_the_tracker_keeps_the_contract(make: type[StreamingTracker]) -> None:
    check_tracker(make)


@pytest.mark.parametrize(
    ("scenario", "link_f1", "division_f1"),
    [
        (Scenario("easy", n_frames=30), 0.999, None),
        (replace(MESSY, n_frames=30), 0.997, 0.85),
        (replace(MESSY, name="gaps", n_frames=30, longest_gap=3), 0.997, 0.85),
        (
            replace(MESSY, name="jumps", n_frames=30, jump_px=30.0, jump_every=5),
            0.997,
            0.85,
        ),
        (replace(MESSY, name="fast", n_frames=30, speed_px=14.1), 0.97, 0.8),
        (replace(MESSY, name="dense", n_cells=1000, n_frames=20), 0.996, 0.85),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_true_tracks_are_found(
    scenario: Scenario, link_f1: float, division_f1: float | None
) -> None:
    score = followed(StreamingTracker(), point_movie(scenario, seed=21))
    assert score.link_f1 >= link_f1
    assert division_f1 is None or score.division_f1 >= division_f1


def test_further_features_help() -> None:
    scenario = replace(MESSY, name="fast", n_frames=20, speed_px=10.0)
    movie = point_movie(scenario, seed=22)
    blind = followed(StreamingTracker(use_area=False), movie)
    seeing = followed(StreamingTracker(features=("mean",)), movie)
    assert seeing.switches < blind.switches / 3


def trackmate_links(folder: Path, name: str) -> tuple[PointMovie, set[frozenset[int]]]:
    """Return the spots of TrackMate by frame (truth = spot id), and its links."""
    with (folder / f"trackmate_tracks_{name}_spots.csv").open() as file:
        rows = list(csv.DictReader(file))
    frames = []
    for number in range(max(int(row["frame"]) for row in rows) + 1):
        here = [row for row in rows if int(row["frame"]) == number]
        frames.append(
            PointCells(
                y=np.array([float(row["position_y"]) for row in here]),
                x=np.array([float(row["position_x"]) for row in here]),
                area=np.ones(len(here), np.int64),
                truth=np.array([int(row["id"]) for row in here], np.int64),
            )
        )
    with (folder / f"trackmate_tracks_{name}_edges.csv").open() as file:
        links = {
            frozenset({int(row["spot_source_id"]), int(row["spot_target_id"])})
            for row in csv.DictReader(file)
        }
    return PointMovie(tuple(frames), {}), links


@pytest.mark.parametrize("max_distance_px", [15.0, None])
@pytest.mark.parametrize(
    ("name", "memory", "division_fraction", "n_links", "least"),
    [
        ("without_gap_closing", 0, 0.0, 127, 127),
        ("with_gap_closing", 2, 0.0, 128, 128),
        ("with_splitting", 2, 0.005, 130, 128),
    ],
)
def test_trackmates_links_are_reproduced(
    shared_data: Path,
    name: str,
    memory: int,
    division_fraction: float,
    n_links: int,
    least: int,
    max_distance_px: float | None,
) -> None:
    movie, expected = trackmate_links(shared_data / "trackmate_reference", name)
    tracker = StreamingTracker(
        max_distance_px,
        memory,
        use_area=False,
        division_fraction=division_fraction,
    )
    last: dict[int, int] = {}
    found: set[frozenset[int]] = set()
    for timestep, frame in enumerate(movie.frames):
        ids = tracker.update(timestep, frame).tolist()
        for spot, number, mother in zip(
            frame.truth.tolist(), ids, tracker.parents.tolist(), strict=True
        ):
            before = last.get(number, last.get(mother) if mother else None)
            if before is not None:
                found.add(frozenset({before, spot}))
            last[number] = spot
    assert len(expected) == n_links
    assert len(found & expected) >= least
    assert len(found - expected) == 0


def test_ids_start_at_one_and_go_on() -> None:
    tracker = StreamingTracker()
    first = tracker.update(0, cells_at((10, 10), (50, 50)))
    second = tracker.update(1, cells_at((51, 50), (90, 20), (11, 10)))
    assert first.tolist() == [1, 2]
    assert first.dtype == np.int64
    assert second.tolist() == [2, 3, 1]


def test_a_missing_cell_keeps_its_id_as_long_as_it_is_remembered() -> None:
    for gap, expected in ((1, 1), (3, 1), (4, 2)):
        tracker = StreamingTracker(memory=3)
        tracker.update(0, cells_at((10, 10)))
        for timestep in range(1, gap + 1):
            assert len(tracker.update(timestep, cells_at())) == 0
        assert tracker.update(gap + 1, cells_at((10, 10))).tolist() == [expected]


def test_nothing_links_beyond_the_largest_distance() -> None:
    near, far = cells_at((10, 10), (80, 80)), cells_at((22, 10), (80, 80))
    for distance_px, expected in ((13.0, [1, 2]), (11.0, [3, 2])):
        tracker = StreamingTracker(distance_px, use_area=False)
        tracker.update(0, near)
        assert tracker.update(1, far).tolist() == expected


def test_the_largest_distance_can_be_said_in_um() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[10:14, 10:14] = 1
    for size_um, same in ((1.0, False), (0.5, True)):  # 10 um are 10 or 20 px
        tracker = StreamingTracker(max_distance_um=10.0, use_area=False)
        first = tracker.update(0, PixelCells(labels, size_um))
        moved = PixelCells(np.roll(labels, 15, axis=1), size_um)
        assert (tracker.update(1, moved) == first).all() == same
    with pytest.raises(ContractError, match=r"10 um, but no pixel size is known"):
        StreamingTracker(max_distance_um=10.0).update(2, PixelCells(labels))
    with pytest.raises(ContractError, match="max_shift_px is 3 and max_shift_um is 4"):
        StreamingTracker(max_shift_px=3, max_shift_um=4)


def test_daughters_get_new_ids_and_know_their_mother() -> None:
    tracker = StreamingTracker()
    still = [(100.0, 20.0 * i) for i in range(1, 9)]
    for timestep in range(3):
        tracker.update(timestep, cells_at((40, 40), *still))
    ids = tracker.update(3, cells_at((34, 40), (46, 40), *still, area=60))
    assert ids.tolist() == [10, 11, *range(2, 10)]
    assert tracker.parents.tolist() == [1, 1, *[0] * 8]
    assert tracker.events.divided == ((1, 10, 11),)
    later = tracker.update(4, cells_at((33, 40), (47, 40), *still, area=60))
    assert later.tolist() == ids.tolist()
    assert tracker.parents.tolist() == [1, 1, *[0] * 8]
    assert not tracker.events.divided


def test_a_newcomer_beside_a_resting_cell_is_no_daughter() -> None:
    tracker = StreamingTracker()
    still = [(100.0, 20.0 * i) for i in range(1, 9)]
    for timestep in range(3):
        tracker.update(timestep, cells_at((40, 40), *still))
    ids = tracker.update(3, cells_at((40, 40), (40, 52), *still))
    assert ids.tolist() == [1, 10, *range(2, 10)]
    assert tracker.events.born == (10,)


def test_divisions_can_be_switched_off() -> None:
    tracker = StreamingTracker(division_fraction=0.0)
    for timestep in range(3):
        tracker.update(timestep, cells_at((40, 40)))
    tracker.update(3, cells_at((34, 40), (46, 40), area=60))
    assert tracker.parents.tolist() == [0, 0]


def test_what_began_and_ended_is_told() -> None:
    tracker = StreamingTracker(memory=1)
    tracker.update(0, cells_at((10, 10), (90, 90)))
    assert tracker.events.born == (1, 2)
    tracker.update(1, cells_at((10, 10)))
    assert not tracker.events.ended
    tracker.update(2, cells_at((10, 10)))
    assert tracker.events.ended == (2,)


def test_time_goes_forward() -> None:
    tracker = StreamingTracker()
    tracker.update(5, cells_at((1, 1)))
    with pytest.raises(ContractError, match="Timestep 5 came after 5"):
        tracker.update(5, cells_at((1, 1)))


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    cut=st.integers(0, 11),
    steps=st.lists(st.integers(1, 3), min_size=12, max_size=12),
)
def test_a_restored_tracker_goes_on_as_if_nothing_happened(
    seed: int, cut: int, steps: list[int]
) -> None:
    scenario = replace(MESSY, n_cells=20, n_frames=12, shape=(200, 200))
    frames = point_movie(scenario, seed).frames
    times = np.cumsum(steps).tolist()
    tracker, resumed = StreamingTracker(), StreamingTracker()
    seen: set[int] = set()
    top = 0
    for number, (timestep, frame) in enumerate(zip(times, frames, strict=True)):
        if number == cut:
            resumed.restore(json.loads(json.dumps(tracker.state())))
        ids = tracker.update(timestep, frame)
        if number >= cut:
            assert resumed.update(timestep, frame).tolist() == ids.tolist()
            assert resumed.parents.tolist() == tracker.parents.tolist()
        fresh = set(ids.tolist()) - seen
        assert all(number > top for number in fresh)
        assert len(set(ids.tolist())) == len(frame)
        seen |= fresh
        top = max(seen, default=0)


def test_copies_do_not_share_ids() -> None:
    prototype = StreamingTracker()
    first, second = copy.deepcopy(prototype), copy.deepcopy(prototype)
    assert first.update(0, cells_at((1, 1), (9, 9))).tolist() == [1, 2]
    assert second.update(0, cells_at((1, 1))).tolist() == [1]


def test_the_state_stays_small() -> None:
    tracker = StreamingTracker()
    movie = point_movie(replace(MESSY, n_cells=60, n_frames=90), seed=1)
    sizes = []
    for timestep, frame in enumerate(movie.frames):
        tracker.update(timestep, frame)
        sizes.append(len(json.dumps(tracker.state())) / len(frame))
    assert max(sizes[60:]) < 1.3 * max(sizes[:30])


def test_cells_of_a_label_image_are_followed() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[10:18, 10:18], labels[40:50, 30:40] = 7, 3
    tracker = StreamingTracker()
    for timestep in range(4):
        moved = PixelCells(np.roll(labels, timestep, axis=1))
        moved.set_tracks(tracker.update(timestep, moved))
        assert moved.track_id.tolist() == [1, 2]


class Forgetful(StreamingTracker):
    """Breaks every promise of a tracker."""

    counter = 0

    def update(self, timestep: int, cells: Positions) -> Ints:
        """Return other ids every time, (n,), and 0."""
        del timestep
        Forgetful.counter = (Forgetful.counter + 1) % 3
        return np.arange(len(cells)) + Forgetful.counter

    def state(self) -> dict[str, Any]:
        """Return ever more."""
        Forgetful.counter += 1
        return {"history": list(range(40 * Forgetful.counter))}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Forget."""


def test_the_contract_lists_every_broken_promise() -> None:
    with pytest.raises(ContractError) as caught:
        check_tracker(Forgetful)
    for promise in (
        "Forgetful breaks its contract",
        "Cells that rest keep their ids.",
        "Return one integer >= 1 per cell",
    ):
        assert promise in str(caught.value)
