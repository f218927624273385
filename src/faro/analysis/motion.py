"""How the cells of one FOV move and change, learned while they are followed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faro.analysis.tracks import check_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.protocols.analysis import Floats

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_FIRST_SPACING_PX = 50.0
_FIRST_SPREAD = 0.1
_LARGEST_SPREAD = 0.35
_SMALLEST_SPREAD_PX = 0.5
_FIRST_LOOK_SD = 0.2
_SMALLEST_LOOK_SD = 0.03
_MOST_KEPT = 0.9
_TAIL = 8.0
_LOOK_TAIL = 4.0
_MISSED = 0.03
_APPEARED = 0.03
_REMEMBERED = 300.0
_RAYLEIGH_MEDIAN = 1.1774
_MAD_TO_SD = 1.4826


@dataclass(slots=True)
class Motion:
    """What is known of the motion; updated from the links of every frame.

    Attributes
    ----------
    spacing_px
        Typical distance between neighbours.
    spread_px
        Standard deviation, per axis, of where cells are found about where they were
        expected.
    persistence
        Share of the last displacement that cells repeat, 0 to 1.
    look_sd, look_variety
        Per compared feature (logarithms): how much it changes from frame to frame,
        and how much it differs between cells.
    n_links
        Links learned from, up to a limit: what came before counts that much.
    """

    spacing_px: float = _FIRST_SPACING_PX
    spread_px: float = 0.0
    persistence: float = 0.0
    look_sd: list[float] = field(default_factory=list)
    look_variety: list[float] = field(default_factory=list)
    n_links: float = 0.0

    def see(self, nearest_px: Floats, looks: Floats) -> None:
        """Take the distance of each cell to its neighbour (n,) and its looks (n, f)."""
        if len(nearest_px) > 1:
            spacing = max(2.0 * float(np.median(nearest_px)), 1.0)
            known = self.spread_px > 0
            self.spacing_px += (spacing - self.spacing_px) * (0.2 if known else 1.0)
            middle = np.median(looks, axis=0)
            variety = _MAD_TO_SD * np.median(np.abs(looks - middle), axis=0)
            self.look_variety = np.maximum(variety, _SMALLEST_LOOK_SD).tolist()
        if not self.spread_px:
            self.spread_px = _FIRST_SPREAD * self.spacing_px
        if not self.look_sd:
            self.look_sd = [_FIRST_LOOK_SD] * looks.shape[1]
        if not self.look_variety:
            self.look_variety = [_FIRST_LOOK_SD] * looks.shape[1]

    def stake(self) -> float:
        """Return how unlikely a link may be before "missed and another appeared" wins.

        A difference of log likelihoods: the expected density of a true link, against
        that of a missed cell and a new one anywhere.
        """
        crowding = 2 * np.pi * (self.spread_px / self.spacing_px) ** 2
        stake = -np.log(crowding * _MISSED * _APPEARED)
        for sd, variety in zip(self.look_sd, self.look_variety, strict=True):
            stake += np.log(max(variety / sd, 1.0))
        return max(float(stake), 1.0)

    def reach_px(self) -> float:
        """Return the displacement beyond which no link is likely enough."""
        tail = np.expm1(2 * self.stake() / (_TAIL + 2))
        return float(self.spread_px * np.sqrt(_TAIL * tail))

    def steps_ahead(self, n_steps: int) -> float:
        """Return the sum of the next ``n_steps`` steps, as a multiple of the last."""
        return float(np.sum(self.persistence ** np.arange(1, n_steps + 1)))

    def blur(self, n_steps: Ints, moving: Bools) -> Floats:
        """Return how much less sure places (n,) are than one step ahead, 1 or more.

        Steps are an autoregression of order one: the error of the sum of several is
        that of each, times what still follows from it. Without a last step, all of
        the variance of a step is unknown.

        Parameters
        ----------
        n_steps
            (n,) since each was seen.
        moving
            (n,) whether its last step is known.
        """
        kept = min(self.persistence, _MOST_KEPT)
        follows = np.cumsum(kept ** np.arange(int(n_steps.max(initial=1))))
        variance = np.cumsum(np.square(follows))[n_steps - 1]
        first = np.square(follows)[n_steps - 1] * kept**2 / (1 - kept**2)
        blur: Floats = np.sqrt(variance + np.where(moving, 0.0, first))
        return blur

    def misplaced(self, distance_px: Floats, blur: Floats) -> Floats:
        """Return minus the log likelihood of places (m,), relative to a perfect one.

        Parameters
        ----------
        distance_px
            (m,) from where the cell was expected.
        blur
            (m,) how much less sure that place is than one step ahead.
        """
        far = np.square(distance_px / (blur * self.spread_px)) / _TAIL
        surprise: Floats = (_TAIL + 2) / 2 * np.log1p(far) + 2 * np.log(blur)
        return surprise

    def changed(self, changes: Floats) -> Floats:
        """Return minus the log likelihood of looks (m,), relative to unchanged ones.

        Parameters
        ----------
        changes
            (m, f) of the logarithms of the compared features.
        """
        surprise: Floats = np.zeros(len(changes))
        for column, sd in zip(changes.T, self.look_sd, strict=True):
            odd = np.square(column / sd) / _LOOK_TAIL
            surprise = surprise + (_LOOK_TAIL + 1) / 2 * np.log1p(odd)
        return surprise

    def learn(
        self, misses: Floats, steps: Floats, last_steps: Floats, changes: Floats
    ) -> None:
        """Take what the links of a frame show.

        Parameters
        ----------
        misses
            (k, 2) found minus expected, px.
        steps, last_steps
            (k, 2) this displacement and the one that was expected to repeat, px.
        changes
            (k, f) of the logarithms of the compared features.
        """
        n = len(misses)
        if n < 3:
            return
        weight = n / (n + self.n_links)
        self.n_links = min(self.n_links + n, _REMEMBERED)
        spread = float(np.median(np.linalg.norm(misses, axis=1))) / _RAYLEIGH_MEDIAN
        spread = min(spread, _LARGEST_SPREAD * self.spacing_px)
        self.spread_px += weight * (max(spread, _SMALLEST_SPREAD_PX) - self.spread_px)
        moved = float(np.square(last_steps).sum())
        if moved > 0:
            kept = float((steps * last_steps).sum()) / moved
            self.persistence += weight * (min(max(kept, 0.0), 1.0) - self.persistence)
        sd = _MAD_TO_SD * np.median(np.abs(changes), axis=0)
        sd = np.maximum(sd, _SMALLEST_LOOK_SD)
        old = np.asarray(self.look_sd)
        self.look_sd = (old + weight * (sd - old)).tolist()

    def state(self) -> dict[str, Any]:
        """Return everything that is known, JSON-able."""
        return asdict(self)

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Motion:
        """Return what `state` was taken from.

        Raises
        ------
        ForeignStateError
            If it was taken from something else.
        """
        check_words(state, (f.name for f in fields(cls)), "the motion of the tracks")
        return cls(**state)
