"""Which pairs of cells are daughters of one mother."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from faro.analysis.linking import Places
    from faro.protocols.analysis import Floats

_AREA_TOLERANCE = 0.7
_SCORE_LIMIT = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Divisions:
    """Mothers (rows of tracks) and their two daughters (rows of detections), (k,)."""

    mother: Places
    first: Places
    second: Places


@dataclass(frozen=True, slots=True, eq=False)
class Linked:
    """A frame after linking: where tracks were expected and what was found.

    Attributes
    ----------
    expected, found
        (n, 2) and (m, 2) y, x, px.
    track_of
        (m,) row of the track that each detection was linked to, -1 for none.
    may_divide
        (n,) tracks that were seen in the frame before.
    area_before, area_now
        (n,) and (m,) px, or None to look at positions only.
    """

    expected: Floats
    found: Floats
    track_of: Places
    may_divide: npt.NDArray[np.bool_]
    area_before: Floats | None = None
    area_now: Floats | None = None


def find_divisions(
    frame: Linked, reach_px: float, largest_offset_fraction: float
) -> Divisions:
    """Return the divisions of one frame, the most likely first; no cell in two.

    Two cells are daughters if at least one of them is new and the point midway between
    them lies where the mother was expected. The distance of that point from there, as
    a share of their separation, is 0 for daughters that part evenly and 0.5 for a
    newcomer beside a resting cell.

    Parameters
    ----------
    frame
        What was expected, found and linked.
    reach_px
        Largest separation of daughters.
    largest_offset_fraction
        Largest share accepted; 0.3 is a good value.
    """
    mother, first, second = _candidates(frame, reach_px)
    one, other = frame.found[first], frame.found[second]
    apart = np.linalg.norm(one - other, axis=1)
    aside = np.linalg.norm((one + other) / 2 - frame.expected[mother], axis=1)
    score = aside / np.maximum(apart, 1e-9) / largest_offset_fraction
    fit = score < 1
    if frame.area_now is not None and frame.area_before is not None:
        large, small = frame.area_now[first], frame.area_now[second]
        shares = np.log(large / small) / _AREA_TOLERANCE
        total = np.log((large + small) / frame.area_before[mother]) / _AREA_TOLERANCE
        score = np.square(score) + np.square(shares) + np.square(total)
        fit &= score < _SCORE_LIMIT
    order = np.flatnonzero(fit)[np.argsort(score[fit], kind="stable")]
    return _once_each(mother[order], first[order], second[order])


def _candidates(frame: Linked, reach_px: float) -> tuple[Places, Places, Places]:
    """Return (mother, new cell, other cell) of every pair that is near enough."""
    new = np.flatnonzero(frame.track_of < 0)
    nothing = np.empty(0, np.intp)
    if not len(new):
        return nothing, nothing, nothing
    pairs = KDTree(frame.found[new]).sparse_distance_matrix(
        KDTree(frame.found), reach_px, output_type="ndarray"
    )
    first, second = new[pairs["i"]], pairs["j"].astype(np.intp)
    mother = frame.track_of[second]
    both_new = mother < 0
    keep = ~both_new | (first < second)
    first, second, mother = first[keep], second[keep], mother[keep].copy()
    both_new = both_new[keep]
    linked = frame.track_of[frame.track_of >= 0]
    left_alone = frame.may_divide.copy()
    left_alone[linked] = False
    if left_alone.any() and both_new.any():
        rows = np.flatnonzero(left_alone)
        middle = (frame.found[first[both_new]] + frame.found[second[both_new]]) / 2
        mother[both_new] = rows[KDTree(frame.expected[rows]).query(middle)[1]]
    known = mother >= 0
    known[known] = frame.may_divide[mother[known]]
    return mother[known], first[known], second[known]


def _once_each(mother: Places, first: Places, second: Places) -> Divisions:
    """Return the divisions, in order, that share no mother and no daughter."""
    mothers: set[int] = set()
    daughters: set[int] = set()
    kept = []
    rows = zip(mother.tolist(), first.tolist(), second.tolist(), strict=True)
    for place, (one, a, b) in enumerate(rows):
        if one in mothers or a in daughters or b in daughters:
            continue
        mothers.add(one)
        daughters |= {a, b}
        kept.append(place)
    at = np.asarray(kept, np.intp)
    return Divisions(mother[at], first[at], second[at])
