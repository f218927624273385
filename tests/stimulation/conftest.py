"""Frames of cells for the tests of stimulators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.analysis import PixelCells
from faro.model import Stack
from faro.protocols import StimulationContext
from faro.testing.movie import synthetic_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Frames = Callable[..., StimulationContext]


def frame_of(
    labels: npt.NDArray[np.int32], *, time_s: float = 0.0, **facts: Any
) -> StimulationContext:
    """Return the frame of a label image (Y, X); track ids are the labels.

    ``tracks``, ``parents``, ``features`` and ``memory`` replace what there is.
    """
    pixels = np.zeros((1, *labels.shape), np.uint16)
    size_um = facts.pop("pixel_size_um", 0.5)
    fov = facts.pop("fov", 0)
    stack = Stack(pixels, ("a",), fov, 0, planned_s=time_s, pixel_size_um=size_um)
    cells = PixelCells(labels)
    tracks = facts.pop("tracks", cells.label.astype(np.int64))
    cells.set_tracks(np.asarray(tracks, np.int64))
    parents = facts.pop("parents", np.zeros(len(cells), np.int64))
    cells.set_features({"parent_id": parents, **facts.pop("features", {})})
    memory = facts.pop("memory", {})
    return StimulationContext(
        stack, cells, {"nuclei": labels}, facts.pop("metadata", {}), memory=memory
    )


@pytest.fixture
def frame() -> Frames:
    """Return a maker of frames."""
    return frame_of


@pytest.fixture(scope="session")
def crowd() -> npt.NDArray[np.int32]:
    """Return the labels (Y, X) of some thirty cells, some of them touching."""
    return synthetic_stack((200, 240), 30, seed=7)[1]
