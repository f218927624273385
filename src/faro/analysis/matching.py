"""How well two label images agree: objects matched by overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from faro.errors import ContractError

if TYPE_CHECKING:
    from typing import Any

    from faro.protocols.analysis import Floats

Ints = npt.NDArray[np.int64]


class Matching(NamedTuple):
    """Objects of two label images that are the same.

    Attributes
    ----------
    truth, found
        (k,) labels of the matched objects, in pairs.
    iou
        (k,) intersection over union of each pair.
    n_truth, n_found
        Objects in each image.
    """

    truth: Ints
    found: Ints
    iou: Floats
    n_truth: int
    n_found: int

    @property
    def f1(self) -> float:
        """Matched objects as a share of all, 0 to 1; 1 where both are empty."""
        total = self.n_truth + self.n_found
        return 2 * len(self.iou) / total if total else 1.0

    @property
    def precision(self) -> float:
        """Share of the found objects that are true; 1 where none was found."""
        return len(self.iou) / self.n_found if self.n_found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true objects that were found; 1 where there are none."""
        return len(self.iou) / self.n_truth if self.n_truth else 1.0

    @property
    def average_precision(self) -> float:
        """Matched / (matched + missed + invented), as in the Data Science Bowl 2018."""
        union = self.n_truth + self.n_found - len(self.iou)
        return len(self.iou) / union if union else 1.0


def match_labels(
    truth: npt.NDArray[np.integer[Any]],
    found: npt.NDArray[np.integer[Any]],
    least_overlap_fraction: float = 0.5,
) -> Matching:
    """Return which objects of two label images (Y, X) are the same.

    Two objects are the same if intersection over union is more than
    ``least_overlap_fraction``; from a half on that is true of one pair at most
    (Kirillov et al. 2019, Panoptic Segmentation). The F1 of the matching is the
    measure of Caicedo et al. 2019, Cytometry A 95:952.

    Parameters
    ----------
    truth, found
        (Y, X) labels of any integer dtype, 0 background, of the same shape.
    least_overlap_fraction
        0.5 to 1.

    Raises
    ------
    ContractError
        If the shapes differ or the overlap is less than 0.5.

    Examples
    --------
    >>> a = np.array([[1, 1, 1, 0], [2, 2, 0, 0]])
    >>> b = np.array([[7, 7, 0, 0], [0, 0, 0, 9]])
    >>> match = match_labels(a, b)
    >>> match.truth.tolist(), match.found.tolist(), match.f1
    ([1], [7], 0.5)
    """
    if truth.shape != found.shape:
        problem = f"The label images differ in shape: {truth.shape}, {found.shape}."
        raise ContractError(problem, remedy="Compare images of the same frame.")
    if not 0.5 <= least_overlap_fraction <= 1:
        problem = f"An overlap of {least_overlap_fraction} does not make pairs unique."
        raise ContractError(problem, remedy="Use 0.5 to 1.")
    labels_a, area_a = np.unique(truth[truth != 0], return_counts=True)
    labels_b, area_b = np.unique(found[found != 0], return_counts=True)
    both = (truth != 0) & (found != 0)
    row = np.searchsorted(labels_a, truth[both]).astype(np.int64)
    column = np.searchsorted(labels_b, found[both]).astype(np.int64)
    pair, overlap = np.unique(row * len(labels_b) + column, return_counts=True)
    row, column = np.divmod(pair, max(len(labels_b), 1))
    iou = overlap / (area_a[row] + area_b[column] - overlap)
    same = iou > least_overlap_fraction
    return Matching(
        truth=labels_a[row[same]].astype(np.int64),
        found=labels_b[column[same]].astype(np.int64),
        iou=iou[same],
        n_truth=len(labels_a),
        n_found=len(labels_b),
    )
