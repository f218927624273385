"""Which pairs of cells are daughters of one mother: a second look at a linked frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import KDTree

from faro.analysis.linking import Edges, assign

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.analysis.linking import Places
    from faro.analysis.motion import Motion
    from faro.protocols.analysis import Floats

_APART_RADII = 1.35
_APART_SD = 0.5
_APART_SPACINGS = 0.35
_FURTHEST_SD = 2.5
_AREA_SD = 0.25
_UNEQUAL_SD = 4.0
_TOTAL_TAIL = 4.0
_APPEARED = 0.03
_ODDEST = 4.0
_POORLY_LINKED = 0.7
_REACH = 0.6
_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


class Divided(NamedTuple):
    """A frame with its divisions: links that stay, mothers and their daughters.

    Attributes
    ----------
    rows, places
        (k,) tracks and cells that are linked.
    mothers
        (d,) tracks that divided.
    daughters
        (d, 2) their cells.
    """

    rows: Places
    places: Places
    mothers: Places
    daughters: Places


@dataclass(frozen=True, slots=True, eq=False)
class Linked:
    """A frame after linking.

    Attributes
    ----------
    expected, blur
        (n, 2) y, x px where tracks were expected, and (n,) how unsure that is.
    found
        (m, 2) y, x, px.
    edges
        All links that were possible; a cost of 1 is that of leaving both alone.
    links
        Those that were made.
    limit
        What a cost of 1 is, in nats.
    may_divide
        (n,) tracks that can be mothers.
    area_before, area_now
        (n,) and (m,) px, or None to look at positions only.
    """

    expected: Floats
    blur: Floats
    found: Floats
    edges: Edges
    links: Edges
    limit: float
    may_divide: npt.NDArray[np.bool_]
    area_before: Floats | None = None
    area_now: Floats | None = None


def find_divisions(frame: Linked, motion: Motion, chance_fraction: float) -> Divided:
    """Return the links and divisions of a frame that together are likeliest.

    Two cells are daughters if that explains the frame better than the links do: the
    point midway between them lies where the mother was expected, their areas are alike
    and add up to hers, and they are as far apart as two cells that were one. What is
    gained is held against the links that must go, with the best that can be made of
    what they leave. Divisions are accepted one by one, the most telling first.

    Parameters
    ----------
    frame
        What was expected, found and linked.
    motion
        How the cells of this field move and look.
    chance_fraction
        Share of the cells that divide between two timepoints, roughly.
    """
    links = _Links(frame)
    found = _candidates(frame, motion, links, chance_fraction)
    for place in np.argsort(-found.gain, kind="stable").tolist():
        links.divide(found, place)
    rows = np.flatnonzero(links.cell_of >= 0)
    return Divided(
        rows,
        links.cell_of[rows],
        np.array(links.mothers, np.intp),
        np.array(links.daughters, np.intp).reshape(-1, 2),
    )


class _Candidates(NamedTuple):
    """Possible divisions: mother, daughters and what is gained, (d,) each, nats."""

    mother: Places
    first: Places
    second: Places
    gain: Floats

    def at(self, which: Places | npt.NDArray[np.bool_]) -> _Candidates:
        """Return some of them, by rows (n,) or a mask (n,)."""
        mother, first, second, gain = self
        return _Candidates(mother[which], first[which], second[which], gain[which])


def _candidates(
    frame: Linked, motion: Motion, links: _Links, chance_fraction: float
) -> _Candidates:
    """Return divisions that could be worth the links that stand in their way."""
    first, second, likely = _pairs(frame, motion, links)
    rows = np.flatnonzero(frame.may_divide)
    if not len(first) or not len(rows):
        nobody = np.empty(0, np.intp)
        return _Candidates(nobody, nobody, nobody, np.empty(0))
    middle = (frame.found[first] + frame.found[second]) / 2
    near = KDTree(frame.expected[rows]).sparse_distance_matrix(
        KDTree(middle), _REACH * motion.reach_px(), output_type="ndarray"
    )
    mother, pair = rows[near["i"]], near["j"].astype(np.intp)
    odd = motion.misplaced(near["v"], frame.blur[mother]) - likely[pair]
    first, second = first[pair], second[pair]
    if frame.area_now is not None and frame.area_before is not None:
        total = frame.area_now[first] + frame.area_now[second]
        change = np.log(total / frame.area_before[mother]) / _AREA_SD
        odd += (_TOTAL_TAIL + 1) / 2 * np.log1p(np.square(change) / _TOTAL_TAIL)
        odd += np.log(_AREA_SD / motion.look_sd[-1])
    gain = frame.limit - odd + np.log(chance_fraction)
    found = _Candidates(mother, first, second, gain)
    in_the_way = links.gain_of(found)
    return found.at((gain > 0) & (gain > in_the_way - frame.limit))


def _pairs(
    frame: Linked, motion: Motion, links: _Links
) -> tuple[Places, Places, Floats]:
    """Return cells that look like sisters (k,) twice, and how likely, (k,) nats.

    The log likelihood of sisters is relative to that of one cell that is linked and
    another that appeared, as `Motion.stake` counts it.
    """
    spacing_px = motion.spacing_px
    near = KDTree(frame.found).query_pairs(spacing_px, output_type="ndarray")
    first, second = near[:, 0].astype(np.intp), near[:, 1].astype(np.intp)
    # a pair that is well explained as it is cannot be worth more as sisters
    poor = links.gain_at_cell() < _POORLY_LINKED * frame.limit
    first, second = (
        first[poor[first] | poor[second]],
        second[poor[first] | poor[second]],
    )
    apart_px = np.linalg.norm(frame.found[first] - frame.found[second], axis=1)
    apart_px = np.maximum(apart_px, 1e-9)
    usual_px: Floats = np.full(len(first), _APART_SPACINGS * spacing_px)
    if frame.area_now is not None:
        radii_px = np.sqrt(frame.area_now / np.pi)
        usual_px = _APART_RADII * (radii_px[first] + radii_px[second])
    odd = np.log(apart_px / usual_px) / _APART_SD
    fits = np.abs(odd) < _FURTHEST_SD
    # a log-normal distance in any direction, as a density per area
    likely = -np.square(odd) / 2 - _HALF_LOG_2PI - np.log(_APART_SD)
    likely -= np.log(2 * np.pi * np.square(apart_px))
    likely -= np.log(_APPEARED / spacing_px**2)
    if frame.area_now is not None:
        shares, unequal = _alike(np.log(frame.area_now), first, second, motion)
        likely += shares
        fits &= ~unequal
    return first[fits], second[fits], likely[fits]


def _alike(
    log_area: Floats, first: Places, second: Places, motion: Motion
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return how much likelier areas (k,) are of sisters, nats, and if they cannot be.

    Held against any cell of this field for the one that would have appeared.
    """
    variety = motion.look_variety[-1]
    usual = np.square((log_area - np.median(log_area)) / variety) / 2
    rival = np.minimum(np.minimum(usual[first], usual[second]), _ODDEST)
    unequal = (log_area[first] - log_area[second]) / _AREA_SD
    likely = rival - np.square(unequal) / 2 + np.log(variety / _AREA_SD)
    return likely, np.abs(unequal) > _UNEQUAL_SD


class _Links:
    """Who is linked to whom, and what each link gains over leaving both alone, nats."""

    def __init__(self, frame: Linked) -> None:
        self._frame = frame
        n_tracks, n_cells = len(frame.expected), len(frame.found)
        self.cell_of: Places = np.full(n_tracks, -1, np.intp)
        self.track_of: Places = np.full(n_cells, -1, np.intp)
        self.gain: Floats = np.zeros(n_tracks)
        self.mothers: list[int] = []
        self.daughters: list[tuple[int, int]] = []
        self._made(frame.links)
        self._is_mother: npt.NDArray[np.bool_] = np.zeros(n_tracks, np.bool_)
        self._is_daughter: npt.NDArray[np.bool_] = np.zeros(n_cells, np.bool_)

    def gain_at_cell(self) -> Floats:
        """Return what the link of each cell gains, (m,); 0 without one."""
        return np.where(self.track_of >= 0, self.gain[self.track_of], 0.0)

    def gain_of(self, found: _Candidates) -> Floats:
        """Return what the links in the way of each division gain, (d,)."""
        total: Floats = self.gain[found.mother].copy()
        at_cell = self.gain_at_cell()
        for cell in (found.first, found.second):
            total += np.where(self.track_of[cell] != found.mother, at_cell[cell], 0.0)
        return total

    def divide(self, found: _Candidates, place: int) -> None:
        """Accept a division if it gains more than the links that it takes away."""
        mother = int(found.mother[place])
        cells = int(found.first[place]), int(found.second[place])
        pair = list(cells)
        if self._is_mother[mother] or self._is_daughter[pair].any():
            return
        others = {int(t) for t in self.track_of[pair] if t >= 0} - {mother}
        rows = [mother, *sorted(others)]
        lost = float(self.gain[rows].sum())
        freed = {int(self.cell_of[mother])} - {-1, *cells}
        again = self._remade(mother, cells, others, freed)
        limit = self._frame.limit
        regained = float((1 - again.cost).sum()) * limit
        if float(found.gain[place]) + regained <= lost:
            return
        linked = self.cell_of[rows]
        self.track_of[linked[linked >= 0]] = -1
        self.cell_of[rows], self.gain[rows] = -1, 0.0
        self._made(again)
        self._is_mother[mother] = self._is_daughter[pair] = True
        self.mothers.append(mother)
        self.daughters.append(cells)

    def _made(self, links: Edges) -> None:
        """Take links over."""
        self.cell_of[links.source], self.track_of[links.target] = links[1], links[0]
        self.gain[links.source] = (1 - links.cost) * self._frame.limit

    def _remade(
        self, mother: int, cells: tuple[int, int], others: set[int], freed: set[int]
    ) -> Edges:
        """Return the best links for the tracks and the cell that a division frees."""
        edges = self._frame.edges
        if not others and not freed:
            return edges.at(slice(0, 0))
        track: npt.NDArray[np.bool_] = (self.cell_of < 0) & ~self._is_mother
        cell: npt.NDArray[np.bool_] = (self.track_of < 0) & ~self._is_daughter
        freed_track, freed_cell = np.zeros_like(track), np.zeros_like(cell)
        freed_track[list(others)] = freed_cell[list(freed)] = True
        track[mother] = cell[list(cells)] = False
        source, target = edges.source, edges.target
        theirs = freed_track[source] & (cell[target] | freed_cell[target])
        theirs |= track[source] & freed_cell[target]
        return assign(edges.at(theirs), len(track), len(cell))
