"""LapTrack (Fukai and Kawaguchi 2022) links a whole movie again, after the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis.adapters.relinked import Relinked, relinked
from faro.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faro.analysis.tracking import Positions


@dataclass(frozen=True, slots=True)
class LapTrackLinker:
    """Links the cells of a stored movie with LapTrack, by position.

    For re-analysis only: it looks at the whole movie at once. Needs the extra
    ``laptrack``.

    Parameters
    ----------
    max_distance_px
        Largest displacement between two frames.
    memory
        For how many frames a cell may be missing and keep its id.
    max_gap_distance_px, max_division_distance_px
        Largest displacement over a gap and from mother to daughter; None is
        ``max_distance_px``, 0 closes no gaps or finds no divisions.
    """

    max_distance_px: float = 25.0
    memory: int = 3
    max_gap_distance_px: float | None = None
    max_division_distance_px: float | None = None

    def link(self, frames: Sequence[Positions]) -> Relinked:
        """Return the tracks of a movie, given the cells of each frame.

        Raises
        ------
        MissingExtraError
            If laptrack is not installed.
        """
        yx = [np.stack([f.y, f.x], axis=1).astype(np.float64) for f in frames]
        n_cells = [len(places) for places in yx]
        links = self._laptrack().predict(yx).edges if any(n_cells) else ()
        return relinked(n_cells, links)

    def _laptrack(self) -> Any:
        """Return LapTrack with our parameters; its costs are squared distances."""
        try:
            from laptrack import LapTrack  # noqa: PLC0415  optional, and slow to load
        except ImportError as error:
            library = "laptrack"
            raise MissingExtraError(library, extra="laptrack") from error
        gap, division = self.max_gap_distance_px, self.max_division_distance_px
        reach = self.max_distance_px
        return LapTrack(
            cutoff=reach**2,
            gap_closing_cutoff=(reach if gap is None else gap) ** 2 or False,
            gap_closing_max_frame_count=self.memory,
            splitting_cutoff=(reach if division is None else division) ** 2 or False,
            merging_cutoff=False,
        )
