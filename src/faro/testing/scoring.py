"""How well a tracker found the true tracks of a movie of points."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from faro.testing.points import Ints, PointMovie

Detection = tuple[int, int]
"""Frame and place in the frame."""


class TrackScore(NamedTuple):
    """How well true links were found; 1 is perfect.

    ``link_f1`` counts links between a cell's consecutive detections, and from a mother
    to her daughters; ``switches`` how often a true cell changes its id;
    ``complete_fraction`` the share of true cells that keep one id which no other has;
    ``division_f1`` counts divisions with both daughters, NaN where there is none.
    """

    link_f1: float
    switches: int
    complete_fraction: float
    division_f1: float


def score_tracks(
    movie: PointMovie, track_ids: Sequence[Ints], mothers: Mapping[int, int]
) -> TrackScore:
    """Return how well a tracker did.

    Parameters
    ----------
    movie
        With the true ids.
    track_ids
        What the tracker gave for each frame, (n,) int64.
    mothers
        Track id of a daughter to that of her mother.
    """
    truth = [frame.truth for frame in movie.frames]
    true_tracks = _tracks(truth)
    true_tracks.pop(0, None)
    found_tracks = _tracks(track_ids)
    true_links = _links(true_tracks, movie.mothers)
    found_links = _links(found_tracks, mothers)
    followed = [
        [int(track_ids[frame][place]) for frame, place in detections]
        for detections in true_tracks.values()
    ]
    complete = sum(
        found_tracks[ids[0]] == detections
        for ids, detections in zip(followed, true_tracks.values(), strict=True)
    )
    true_divisions = _divisions(true_tracks, movie.mothers)
    found_divisions = _divisions(found_tracks, mothers)
    return TrackScore(
        link_f1=_f1(true_links, found_links),
        switches=sum(a != b for ids in followed for a, b in pairwise(ids)),
        complete_fraction=complete / max(len(true_tracks), 1),
        division_f1=_f1(true_divisions, found_divisions),
    )


def _tracks(ids: Sequence[Ints]) -> dict[int, list[Detection]]:
    """Return the detections of each id, in order of time."""
    tracks: dict[int, list[Detection]] = {}
    for frame, numbers in enumerate(ids):
        for place, number in enumerate(numbers.tolist()):
            tracks.setdefault(number, []).append((frame, place))
    return tracks


def _links(
    tracks: Mapping[int, list[Detection]], mothers: Mapping[int, int]
) -> set[tuple[Detection, Detection]]:
    """Return the links along the tracks and from mothers to daughters."""
    along = {pair for detections in tracks.values() for pair in pairwise(detections)}
    born = {
        (tracks[mother][-1], tracks[daughter][0])
        for daughter, mother in mothers.items()
        if daughter in tracks and mother in tracks
    }
    return along | born


def _divisions(
    tracks: Mapping[int, list[Detection]], mothers: Mapping[int, int]
) -> set[tuple[Detection, frozenset[Detection]]]:
    """Return the last detection of each mother and the first of both daughters."""
    daughters: dict[int, list[Detection]] = {}
    for daughter, mother in mothers.items():
        if daughter in tracks and mother in tracks:
            daughters.setdefault(mother, []).append(tracks[daughter][0])
    return {
        (tracks[mother][-1], frozenset(pair))
        for mother, pair in daughters.items()
        if len(pair) == 2
    }


def _f1(true: AbstractSet[Hashable], found: AbstractSet[Hashable]) -> float:
    """Return the harmonic mean of precision and recall, NaN where nothing is true."""
    if not true:
        return float("nan")
    return 2 * len(true & found) / (len(true) + len(found))
