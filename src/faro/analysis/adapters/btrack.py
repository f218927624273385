"""btrack (Ulicna et al. 2021) links a whole movie again, after the run."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis.adapters.relinked import Relinked, relinked
from faro.errors import FaroError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faro.analysis.adapters.relinked import Place
    from faro.analysis.tracking import Positions

_DEADLINE_MS = 600_000
_HYPOTHESES = ("P_FP", "P_init", "P_term", "P_link", "P_branch")


class BrokenLibraryError(FaroError, OSError):
    """A library is installed, and its compiled part does not load here."""

    __str__ = Exception.__str__


@dataclass(frozen=True, slots=True)
class BtrackLinker:
    """Links the cells of a stored movie with btrack, by position.

    For re-analysis only: it looks at the whole movie at once. A Kalman filter of
    constant velocity makes tracklets, and an integer program joins them, over gaps and
    at divisions. btrack finds divisions by the look of mitotic cells; positions alone
    show it few. Needs the extra ``btrack``.

    Parameters
    ----------
    max_distance_px
        Largest displacement between two frames.
    memory
        For how many frames a cell may be missing and keep its id.
    noise_px
        Standard deviation of a measured position.
    """

    max_distance_px: float = 25.0
    memory: int = 3
    noise_px: float = 2.0

    def link(self, frames: Sequence[Positions]) -> Relinked:
        """Return the tracks of a movie, given the cells of each frame.

        Raises
        ------
        MissingExtraError
            If btrack is not installed.
        BrokenLibraryError
            If its compiled library does not load on this machine.
        """
        n_cells = [len(frame) for frame in frames]
        places = [(t, row) for t, n in enumerate(n_cells) for row in range(n)]
        if not places:
            return relinked(n_cells, ())
        return relinked(n_cells, self._links(frames, places))

    def _links(
        self, frames: Sequence[Positions], places: list[Place]
    ) -> Iterator[tuple[Place, Place]]:
        """Yield the links; btrack numbers the cells in the order of ``places``."""
        btrack = btrack_library()
        y, x = (
            np.concatenate([np.asarray(getattr(f, axis), float) for f in frames])
            for axis in "yx"
        )
        table = np.stack([[t for t, _ in places], x, y, np.zeros(len(x))], axis=1)
        with _its_own_warnings(), _tracker(btrack) as tracker:
            self._configure(btrack, tracker)
            tracker.volume = ((0.0, float(x.max()) + 1), (0.0, float(y.max()) + 1))
            tracker.append(table)
            tracker.track(step_size=len(frames))
            tracker.optimise({"tm_lim": _DEADLINE_MS, "msg_lev": "GLP_MSG_OFF"})
            tracks = {track.ID: track for track in tracker.tracks}
            for track in tracks.values():
                found = [places[ref] for ref in track.refs if ref >= 0]
                yield from pairwise(found)
                mother = tracks.get(track.parent)
                if mother is not None and mother is not track and found:
                    last = [places[ref] for ref in mother.refs if ref >= 0][-1]
                    yield last, found[0]

    def _configure(self, btrack: Any, tracker: Any) -> None:
        """Give btrack a constant velocity, and what may happen to a track."""
        models, reach = btrack.models, self.max_distance_px
        velocity = np.eye(6) + np.eye(6, k=3)
        error = (reach / 3) * np.array([0.5, 0.5, 0.5, 1.0, 1.0, 1.0])
        motion = models.MotionModel(
            measurements=3,
            states=6,
            A=velocity,
            H=np.eye(3, 6),
            P=np.diag([reach] * 3 + [reach**2] * 3),
            G=error,
            R=np.eye(3) * self.noise_px**2,
            accuracy=7.5,
            prob_not_assign=0.1,
            max_lost=self.memory,
        )
        events = models.HypothesisModel(
            hypotheses=list(_HYPOTHESES),
            lambda_time=5.0,
            lambda_dist=3.0,
            lambda_link=reach / 2,
            lambda_branch=reach,
            eta=1e-10,
            theta_dist=reach,
            theta_time=5.0,
            dist_thresh=2 * reach,
            time_thresh=float(self.memory + 1),
            apop_thresh=5,
            segmentation_miss_rate=0.05,
            apoptosis_rate=0.001,
            relax=True,
        )
        tracker.configure(
            {
                "motion_model": motion,
                "hypothesis_model": events,
                "max_search_radius": reach,
            }
        )


@contextmanager
def _its_own_warnings() -> Iterator[None]:
    """Keep what btrack uses that is deprecated from those who warn of such."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def btrack_library() -> Any:
    """Return btrack, or raise MissingExtraError."""
    try:
        with _its_own_warnings():
            import btrack  # noqa: PLC0415  optional, and slow to load
    except ImportError as error:
        library = "btrack"
        raise MissingExtraError(library, extra=library) from error
    return btrack


def _tracker(btrack: Any) -> Any:
    """Return btrack's tracker, or raise BrokenLibraryError."""
    try:
        return btrack.BayesianTracker(verbose=False)
    except OSError as error:
        problem = f"The compiled library of btrack does not load: {error}."
        remedy = (
            "On Linux its wheel needs the libstdc++ of GCC 13: use a newer system, "
        )
        remedy += "conda-forge, or compile it from its source (see .ci/run)."
        raise BrokenLibraryError(problem, remedy=remedy) from error
