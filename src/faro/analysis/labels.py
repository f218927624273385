"""What a segmenter gets and what it may return: checked, in one dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from faro.errors import ContractError

if TYPE_CHECKING:
    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

_LARGEST = 2**31 - 1


def normalise_labels(
    result: object, shape: tuple[int, int], name: str = "the segmenter"
) -> Labels:
    """Return what a segmenter gave as labels (Y, X) int32, read-only.

    Parameters
    ----------
    result
        Labels of any integer dtype, 0 background; a bool mask is labelled, pixels that
        touch (also at a corner) becoming one cell.
    shape
        (Y, X) that the labels must have.
    name
        What to call the segmenter in an error.

    Raises
    ------
    ContractError
        If it is no such image.

    Examples
    --------
    >>> normalise_labels(np.array([[True, False, True]]), (1, 3)).tolist()
    [[1, 0, 2]]
    """
    if not isinstance(result, np.ndarray):
        problem = f"{name} returned {type(result).__name__}, not an array."
        raise ContractError(problem, remedy="Return labels (Y, X), 0 background.")
    if result.shape != shape:
        problem = (
            f"{name} returned an array of shape {result.shape} and dtype "
            f"{result.dtype} for an image of {shape}."
        )
        raise ContractError(problem, remedy="Return labels (Y, X), 0 background.")
    labels = _as_int32(result, name)
    labels.setflags(write=False)
    return labels


def _as_int32(result: npt.NDArray[np.generic], name: str) -> Labels:
    """Return ``result`` (Y, X) as int32 of its own memory where it must change."""
    if result.dtype == np.bool_:
        mask = np.ascontiguousarray(result).view(np.uint8)
        labelled: Labels = cv2.connectedComponentsWithAlgorithm(
            mask, 8, cv2.CV_32S, cv2.CCL_SAUF
        )[1].astype(np.int32, copy=False)
        return labelled
    if not np.issubdtype(result.dtype, np.integer):
        problem = (
            f"{name} returned an array of shape {result.shape} and dtype "
            f"{result.dtype}; labels are whole numbers."
        )
        raise ContractError(problem, remedy="Return an integer or bool array (Y, X).")
    low, high = (int(result.min()), int(result.max())) if result.size else (0, 0)
    if low < 0 or high > _LARGEST:
        problem = f"{name} returned labels from {low} to {high} ({result.dtype})."
        remedy = f"Use 0 for the background and labels from 1 to {_LARGEST}."
        raise ContractError(problem, remedy=remedy)
    return np.ascontiguousarray(result, np.int32).view()


def one_plane(pixels: PixelArray, name: str) -> PixelArray:
    """Return ``pixels`` (Y, X) or (1, Y, X) as (Y, X), contiguous.

    Raises
    ------
    ContractError
        If it is anything else; ``name`` is the segmenter that was given it.
    """
    plane = pixels[0] if pixels.ndim == 3 and len(pixels) == 1 else pixels
    if plane.ndim != 2 or plane.dtype not in (np.uint8, np.uint16):
        problem = (
            f"{name} was given an image of shape {pixels.shape} and dtype "
            f"{pixels.dtype}; it takes one channel, (Y, X), uint8 or uint16."
        )
        remedy = "Choose one with use_channel=, by name or index."
        raise ContractError(problem, remedy=remedy)
    return np.ascontiguousarray(plane)
