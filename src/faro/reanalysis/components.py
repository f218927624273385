"""Components that answer with what a run has stored, in the place of computing it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis import SegmentationMethod
from faro.analysis.labels import normalise_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from faro.model import Stack
    from faro.protocols.analysis import Cells, Labels
    from faro.storage import Run


def _not_asked(*_: object) -> npt.NDArray[Any]:
    """Stand for a segmenter that is not asked; labels (Y, X) are read."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class StoredLabels(SegmentationMethod):
    """A segmentation that was stored.

    Parameters
    ----------
    run
        Holds the labels under ``name``.
    """

    run: Run | None = None

    @classmethod
    def of(cls, method: SegmentationMethod, run: Run) -> StoredLabels:
        """Return the stored labels of a segmentation."""
        where = method.use_channel
        return cls(method.name, _not_asked, where, method.seeds, method.cleaning, run)

    def labels_of(self, stack: Stack, known: Mapping[str, Labels]) -> Labels:  # noqa: ARG002  as the method it stands for
        """Return the stored labels (Y, X) int32 of a stack, read-only."""
        assert self.run is not None
        stored = self.run.labels(self.name, stack.fov, stack.timestep)
        labels = normalise_labels(stored, stack.shape, self.name)
        labels.setflags(write=False)
        return labels


@dataclass(slots=True)
class StoredTracks:
    """A tracker that gives the ids that were stored for the same labels.

    Parameters
    ----------
    run
        Holds the cell table.
    fov
        Position index.
    """

    run: Run
    fov: int
    parents: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.empty(0, np.int64)
    )
    _rows: dict[int, npt.NDArray[np.intp]] = field(default_factory=dict)

    def __deepcopy__(self, memo: dict[int, Any]) -> StoredTracks:
        return replace(self, _rows={})

    def update(self, timestep: int, cells: Cells) -> npt.NDArray[np.int64]:
        """Return the stored track ids (n,) of the cells of a frame."""
        table = self.run.cells
        if not self._rows and "label" in table:
            here = np.flatnonzero(table["fov"] == self.fov)
            order = here[np.lexsort((table["label"][here], table["timestep"][here]))]
            times, first = np.unique(table["timestep"][order], return_index=True)
            parts = np.split(order, first[1:])
            self._rows = dict(zip(times.tolist(), parts, strict=True))
        rows = self._rows.get(timestep, np.empty(0, np.intp))
        if not np.array_equal(table["label"][rows], cells.label):
            problem = f"{self.run.path} has no tracks of fov {self.fov}, t {timestep}."
            raise LookupError(problem)
        self.parents = table["parent_id"][rows].astype(np.int64)
        ids: npt.NDArray[np.int64] = table["track_id"][rows].astype(np.int64)
        return ids

    def state(self) -> dict[str, Any]:
        """Return nothing: what is stored needs no state."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""
