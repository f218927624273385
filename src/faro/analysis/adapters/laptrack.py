"""LapTrack (Fukai and Kawaguchi 2022) links a whole movie again, after the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from faro.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faro.analysis.tracking import Positions

Ints = npt.NDArray[np.int64]


class Relinked(NamedTuple):
    """Tracks of a whole movie, one entry per frame.

    Attributes
    ----------
    track_ids
        (n,) int64 >= 1, in the order of the cells.
    parents
        (n,) int64 id of the mother, 0 for none.
    """

    track_ids: tuple[Ints, ...]
    parents: tuple[Ints, ...]


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
        track_ids = tuple(np.zeros(len(places), np.int64) for places in yx)
        parents = tuple(np.zeros(len(places), np.int64) for places in yx)
        if not any(map(len, yx)):
            return Relinked(track_ids, parents)
        tree = self._laptrack().predict(yx)
        last_id = 0
        for frame, cell in sorted(tree.nodes):
            before = next(iter(tree.predecessors((frame, cell))), None)
            if before is not None and tree.out_degree(before) == 1:
                track_ids[frame][cell] = track_ids[before[0]][before[1]]
                parents[frame][cell] = parents[before[0]][before[1]]
                continue
            last_id += 1
            track_ids[frame][cell] = last_id
            if before is not None:
                parents[frame][cell] = track_ids[before[0]][before[1]]
        return Relinked(track_ids, parents)

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
