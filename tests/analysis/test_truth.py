"""Synthetic movies are seeded and true, and the scorer scores what is known."""

from __future__ import annotations

import numpy as np
import pytest

from faro.analysis import PixelCells
from faro.testing.movie import scattered, synthetic_stack
from faro.testing.points import PointCells, PointMovie, Scenario, point_movie
from faro.testing.scoring import score_tracks


def test_the_same_seed_gives_the_same_image() -> None:
    pixels, labels = synthetic_stack(seed=3)
    again, labels_again = synthetic_stack(seed=3)
    assert np.array_equal(pixels, again)
    assert np.array_equal(labels, labels_again)
    assert not np.array_equal(pixels, synthetic_stack(seed=4)[0])


def test_labelled_cells_are_brighter_than_the_rest() -> None:
    pixels, labels = synthetic_stack((200, 300), n_cells=20, seed=1)
    cells = PixelCells(labels)
    assert pixels.shape == (2, 200, 300)
    assert len(cells) == 20
    assert (cells.mean(pixels[0]) > 2 * np.median(pixels[0][labels == 0])).all()
    ring = cells.ring(2, 5)
    ratio = ring.mean(pixels[1]) / cells.mean(pixels[1])
    assert ratio.min() < 0.9
    assert ratio.max() > 1.1


def test_points_keep_their_distance_or_find_no_place() -> None:
    rng = np.random.default_rng(0)
    yx = scattered(rng, (100, 100), 500, 12.0)
    apart = np.linalg.norm(yx[:, None] - yx[None], axis=2) + 1e9 * np.eye(len(yx))
    assert 20 < len(yx) < 500
    assert apart.min() >= 12.0


def test_a_scenario_has_the_misses_and_divisions_it_says() -> None:
    plan = Scenario(
        "messy",
        miss_fraction=0.1,
        longest_gap=3,
        false_fraction=0.05,
        division_fraction=0.01,
    )
    movie = point_movie(plan, seed=0)
    truth = [frame.truth for frame in movie.frames]
    n_true = sum(np.count_nonzero(t) for t in truth)
    n_false = sum(np.count_nonzero(t == 0) for t in truth)
    assert n_false / n_true == pytest.approx(0.055, abs=0.01)
    assert len(movie.mothers) > 100
    assert len(movie.mothers) == 2 * len(set(movie.mothers.values()))
    calm = point_movie(Scenario("calm", miss_fraction=0.1, longest_gap=3), seed=0)
    seen = sum(len(frame) for frame in calm.frames) / (300 * 60)
    assert seen == pytest.approx(0.9, abs=0.02)


def small_movie() -> PointMovie:
    """Return a mother (1) with daughters 2 and 3, and a bystander (4)."""
    truths = ([1, 4], [1, 4], [2, 3, 4], [2, 0, 3, 4])

    def frame(truth: list[int]) -> PointCells:
        zeros = np.zeros(len(truth))
        area = np.ones(len(truth), np.int64)
        return PointCells(zeros, zeros, area, truth=np.array(truth, np.int64))

    return PointMovie(tuple(map(frame, truths)), {2: 1, 3: 1})


@pytest.mark.parametrize(
    ("ids", "mothers", "score"),
    [
        (([7, 9], [7, 9], [1, 2, 9], [1, 8, 2, 9]), {1: 7, 2: 7}, (1, 0, 1, 1)),
        (([7, 9], [7, 9], [1, 2, 9], [1, 8, 2, 9]), {}, (12 / 14, 0, 1, 0)),
        (([7, 9], [7, 9], [1, 2, 9], [2, 8, 1, 9]), {1: 7, 2: 7}, (0.75, 2, 0.5, 1)),
        (([7, 9], [9, 7], [1, 2, 7], [1, 8, 2, 7]), {1: 9, 2: 9}, (0.75, 2, 0.5, 1)),
    ],
)
def test_tracks_are_scored_against_the_truth(
    ids: tuple[list[int], ...],
    mothers: dict[int, int],
    score: tuple[float, int, float, float],
) -> None:
    arrays = [np.array(numbers, np.int64) for numbers in ids]
    assert score_tracks(small_movie(), arrays, mothers) == pytest.approx(score)


def test_without_divisions_there_is_no_division_score() -> None:
    movie = point_movie(Scenario("easy", n_cells=4, n_frames=3), seed=0)
    score = score_tracks(movie, [frame.truth for frame in movie.frames], {})
    assert score[:3] == (1, 0, 1)
    assert np.isnan(score.division_f1)
