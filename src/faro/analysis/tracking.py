"""Follows cells from frame to frame; never looks back at the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from faro.analysis.divisions import Divided, Linked, find_divisions
from faro.analysis.drift import common_shift
from faro.analysis.linking import Edges, assign, edges_within
from faro.analysis.motion import Motion
from faro.analysis.tracks import Tracks, check_words
from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model.cells import Column
    from faro.protocols.analysis import Floats

Ints = npt.NDArray[np.int64]

_ENOUGH_LINKS = 10
_LONGEST_LEAP = 3
_SHIFT_SPACINGS = 3.0
_SMALLEST_FEATURE = 1e-6
_NEW_STEP_WEIGHT = 0.7
_SEEN_ADVANTAGE = 2.0
_NEWCOMER_DOUBT = 2.0
_NEW_LOOK_WEIGHT = 0.5


class Positions(Protocol):
    """What the tracker looks at; all cells of `faro.protocols.Cells` have it."""

    @property
    def y(self) -> Floats:
        """(n,) centroid rows, px."""
        ...

    @property
    def x(self) -> Floats:
        """(n,) centroid columns, px."""
        ...

    @property
    def area(self) -> Ints:
        """(n,) areas, px."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, feature: str) -> Column:
        """Return a further feature, (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class TrackEvents:
    """What happened to the tracks in one update, by id.

    Attributes
    ----------
    born
        Tracks that began without a mother.
    ended
        Tracks given up: missing for longer than the tracker remembers.
    divided
        Mother and her two daughters.
    """

    born: tuple[int, ...] = ()
    ended: tuple[int, ...] = ()
    divided: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """Where tracks were expected (n, 2) and what was found (m, 2), of one frame."""

    expected: Floats
    blur: Floats
    found: Floats
    looks: Floats
    shift: Floats
    elapsed: int
    tree: KDTree | None
    gate_px: float | None


class StreamingTracker:
    """Follows the cells of one FOV, frame by frame.

    What is remembered is the cells of the last few frames, so cost and memory do not
    grow. Ids start at 1 and are never used twice. Links maximise the likelihood of
    displacement (and area) under what this FOV has shown so far, against the chance
    that a cell was missed and another appeared; so nothing needs to be tuned to the
    speed of the cells. Stage jumps and drift are estimated from all cells together.
    One instance per FOV; not thread-safe.

    Parameters
    ----------
    max_distance_px
        Largest displacement between two timepoints; None adapts to the motion and the
        density of the cells.
    memory
        For how many timepoints a cell may be missing and keep its id.
    use_area
        Whether cells of like area are preferred.
    features
        Further columns to compare; they must be positive and measured already.
    division_fraction
        Share of the cells that divide between two timepoints, roughly; 0 finds no
        divisions. It hardly matters: what two cells look like decides.
    max_shift_px
        Largest stage jump looked for; None is three times the spacing of the cells.
    max_distance_um, max_shift_um
        The same in um, where the cells know the size of a pixel.

    Raises
    ------
    ContractError
        If a length is given in px and in um.
    """

    def __init__(  # noqa: PLR0913  each is a setting of its own
        self,
        max_distance_px: float | None = None,
        memory: int = 3,
        *,
        use_area: bool = True,
        features: tuple[str, ...] = (),
        division_fraction: float = 0.005,
        max_shift_px: float | None = None,
        max_distance_um: float | None = None,
        max_shift_um: float | None = None,
    ) -> None:
        _not_twice("max_distance", max_distance_px, max_distance_um)
        _not_twice("max_shift", max_shift_px, max_shift_um)
        if memory < 0:
            problem = f"memory is {memory} timepoints."
            raise ContractError(problem, remedy="Give 0 or more.")
        self.max_distance_um, self.max_shift_um = max_distance_um, max_shift_um
        self.max_distance_px, self.memory = max_distance_px, memory
        self.use_area, self.features = use_area, tuple(features)
        self.division_fraction, self.max_shift_px = division_fraction, max_shift_px
        self._motion = Motion()
        self._tracks = Tracks.none(len(self.features) + use_area)
        self._timestep: int | None = None
        self._last_id = 0
        self._parents: Ints = np.empty(0, np.int64)
        self._events = TrackEvents()

    @property
    def parents(self) -> Ints:
        """(n,) int64 mother's id of each cell of the last update, 0 for none."""
        return self._parents

    @property
    def events(self) -> TrackEvents:
        """What began, ended and divided in the last update."""
        return self._events

    def update(self, timestep: int, cells: Positions) -> Ints:
        """Return the track ids (n,) int64 >= 1 of the cells, in their order.

        Timesteps may be left out, frames may be empty.

        Raises
        ------
        ContractError
            If time does not go forward.
        """
        scene = self._scene(timestep, cells)
        edges, limit = self._edges(scene)
        links = self._linked(scene, edges)
        if self._motion.n_links == 0 and len(links.source) >= _ENOUGH_LINKS:
            # the first links are made blindly: learn from them, then link again
            self._learn(scene, links)
            edges, limit = self._edges(scene)
            links = self._linked(scene, edges)
        self._learn(scene, links)
        divided = self._divided(scene, (edges, limit), links)
        self._timestep = timestep
        return self._advanced(scene, divided)

    def state(self) -> dict[str, Any]:
        """Return the state, JSON-able; its size does not grow with time."""
        return {
            "timestep": self._timestep,
            "last_id": self._last_id,
            "motion": self._motion.state(),
            "tracks": self._tracks.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned.

        Raises
        ------
        ForeignStateError
            If another version, or a tracker with other features, returned it.
        """
        check_words(state, self.state(), "the tracker")
        motion = Motion.restored(state["motion"])
        n_looks = len(self.features) + self.use_area
        self._tracks = Tracks.restored(state["tracks"], n_looks)
        self._motion, self._timestep = motion, state["timestep"]
        self._last_id = int(state["last_id"])

    def _scene(self, timestep: int, cells: Positions) -> _Scene:
        """Return where the tracks are expected and what was found."""
        if self._timestep is not None and timestep <= self._timestep:
            problem = f"Timestep {timestep} came after {self._timestep}."
            raise ContractError(problem, remedy="Give the frames of a FOV in order.")
        elapsed = 1 if self._timestep is None else timestep - self._timestep
        columns = [np.asarray(cells[name], np.float64) for name in self.features]
        if self.use_area:
            columns.append(np.asarray(cells.area, np.float64))
        table = np.array(columns, np.float64).reshape(len(columns), len(cells)).T
        looks = np.log(np.maximum(table, _SMALLEST_FEATURE))
        found = np.stack([cells.y, cells.x], axis=1).astype(np.float64)
        tree = KDTree(found) if len(found) else None
        self._motion.see(_nearest_px(tree, found), looks)
        tracks, motion = self._tracks, self._motion
        ahead = motion.steps_ahead(min(elapsed, _LONGEST_LEAP))
        expected = tracks.yx + tracks.step * ahead
        n_steps = tracks.lost + elapsed
        moving: npt.NDArray[np.bool_] = np.any(tracks.step, axis=1)
        blur = motion.blur(np.minimum(n_steps, _LONGEST_LEAP), moving)
        seen = tracks.lost == 0
        reach_px = in_px(self.max_shift_px, self.max_shift_um, cells)
        reach_px = reach_px or _SHIFT_SPACINGS * motion.spacing_px
        shift = common_shift(expected[seen], found, motion.spacing_px, reach_px)
        gate_px = in_px(self.max_distance_px, self.max_distance_um, cells)
        return _Scene(
            expected + shift, blur, found, looks, shift, elapsed, tree, gate_px
        )

    def _edges(self, scene: _Scene) -> tuple[Edges, float]:
        """Return possible links, and what a cost of 1, both left alone, is in nats."""
        motion, tracks = self._motion, self._tracks
        limit, reach_px = motion.stake(), motion.reach_px()
        if scene.gate_px is not None:
            reach_px = scene.gate_px
            furthest = motion.misplaced(np.array([reach_px]), np.ones(1))
            limit = max(limit, float(furthest[0]) * 1.05)
        if scene.tree is None or not len(scene.expected):
            return Edges(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)), limit
        edges = edges_within(KDTree(scene.expected), scene.tree, reach_px)
        source = edges.source
        surprise = motion.misplaced(edges.cost, scene.blur[source])
        surprise += motion.changed(scene.looks[edges.target] - tracks.looks[source])
        # that a cell is found twice is likelier than that a missing one comes back
        surprise -= _SEEN_ADVANTAGE * (tracks.lost == 0)[source]
        # what came from nowhere, once, may not have been a cell
        newcomer = (tracks.seen == 1) & (tracks.parents == 0)
        surprise += _NEWCOMER_DOUBT * newcomer[source]
        return edges._replace(cost=surprise / limit), limit

    def _linked(self, scene: _Scene, edges: Edges) -> Edges:
        """Return the links of tracks and cells that belong together."""
        return assign(edges, len(scene.expected), len(scene.found))

    def _learn(self, scene: _Scene, links: Edges) -> None:
        """Let the motion model see the links of tracks seen in the last frame."""
        fresh = self._tracks.lost[links.source] == 0
        rows, places = links.source[fresh], links.target[fresh]
        found, before = scene.found[places], self._tracks.at(rows)
        self._motion.learn(
            misses=found - scene.expected[rows],
            steps=(found - before.yx - scene.shift) / scene.elapsed,
            last_steps=before.step,
            changes=scene.looks[places] - before.looks,
        )

    def _divided(
        self, scene: _Scene, possible: tuple[Edges, float], links: Edges
    ) -> Divided:
        """Return the links that stay, and mothers with their daughters."""
        if not (self.division_fraction > 0 and len(links.source)):
            nobody = np.empty(0, np.intp)
            return Divided(links.source, links.target, nobody, nobody.reshape(0, 2))
        sized = self.use_area
        edges, limit = possible
        frame = Linked(
            expected=scene.expected,
            blur=scene.blur,
            found=scene.found,
            edges=edges,
            links=links,
            limit=limit + _SEEN_ADVANTAGE,
            may_divide=self._tracks.lost == 0,
            area_before=np.exp(self._tracks.looks[:, -1]) if sized else None,
            area_now=np.exp(scene.looks[:, -1]) if sized else None,
        )
        return find_divisions(frame, self._motion, self.division_fraction)

    def _advanced(self, scene: _Scene, divided: Divided) -> Ints:
        """Take over what was found; return the ids (n,) of the cells."""
        old = self._tracks
        rows, places, mothers, daughters = divided
        now = Tracks.resting(scene.found, scene.looks)
        step = (scene.found[places] - old.yx[rows] - scene.shift) / scene.elapsed
        moved = old.step[rows].any(axis=1, keepdims=True)
        blend = np.where(moved, _NEW_STEP_WEIGHT, 1.0)
        now.step[places] = blend * step + (1 - blend) * old.step[rows]
        now.ids[places], now.parents[places] = old.ids[rows], old.parents[rows]
        now.seen[places] = old.seen[rows] + 1
        share = np.maximum(1 / now.seen[places], _NEW_LOOK_WEIGHT)[:, None]
        now.looks[places] = share * scene.looks[places] + (1 - share) * old.looks[rows]
        now.parents[daughters] = old.ids[mothers][:, None]
        new = now.ids == 0
        now.ids[new] = self._last_id + np.arange(1, np.count_nonzero(new) + 1)
        self._last_id += int(np.count_nonzero(new))
        gone = np.ones(len(old.ids), np.bool_)
        gone[rows] = gone[mothers] = False
        missing = old.at(gone)
        missing.yx = scene.expected[gone]
        missing.step = missing.step * self._motion.persistence ** min(
            scene.elapsed, _LONGEST_LEAP
        )
        missing.lost = missing.lost + scene.elapsed
        kept = missing.lost <= self.memory
        self._tracks = now.with_(missing.at(kept))
        self._parents = now.parents
        new[daughters] = False
        pairs = zip(mothers.tolist(), daughters.tolist(), strict=True)
        self._events = TrackEvents(
            born=tuple(now.ids[new].tolist()),
            ended=tuple(missing.ids[~kept].tolist()),
            divided=tuple(
                (int(old.ids[m]), int(now.ids[a]), int(now.ids[b]))
                for m, (a, b) in pairs
            ),
        )
        return now.ids.copy()


def _not_twice(name: str, length_px: float | None, length_um: float | None) -> None:
    """Raise ContractError where a length is given in two units."""
    if length_px is not None and length_um is not None:
        problem = f"{name}_px is {length_px:g} and {name}_um is {length_um:g}."
        raise ContractError(problem, remedy="Give one of them.")


def in_px(
    length_px: float | None, length_um: float | None, cells: object
) -> float | None:
    """Return a length in px, None where none is given.

    Raises
    ------
    ContractError
        If it is given in um and ``cells`` do not know the size of a pixel.
    """
    if length_um is None:
        return length_px
    size_um = getattr(cells, "pixel_size_um", None)
    if not size_um:
        problem = f"The tracker was given {length_um:g} um, but no pixel size is known."
        remedy = "Give px, or set the pixel size of the microscope."
        raise ContractError(problem, remedy=remedy)
    return length_um / float(size_um)


def _nearest_px(tree: KDTree | None, found: Floats) -> Floats:
    """Return the distance of each cell (n, 2) to its neighbour, (n,); empty for one."""
    if tree is None or len(found) < 2:
        return np.empty(0)
    distances = np.asarray(tree.query(found, k=2)[0], np.float64)
    return distances[:, 1]
