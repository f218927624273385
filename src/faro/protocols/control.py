"""What turns a measured feature of every cell into a dose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.model import TrackValues

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ControlInput:
    """The cells of one frame, as a controller sees them.

    Attributes
    ----------
    time_s
        Planned time of the frame since the run started.
    track_id
        (n,) int64.
    measured
        (n,) float64 of the feature; NaN where it could not be measured.
    reference
        ``reference(time_s)`` returns what the feature should be then, (n,); NaN for a
        cell that is not to be controlled.
    parent_id
        (n,) int64, 0 for none: a new track inherits its parent's state. None to begin
        anew at divisions.
    """

    time_s: float
    track_id: Ints
    measured: Floats
    reference: Callable[[float], Floats]
    parent_id: Ints | None = None


@runtime_checkable
class FeedbackController(Protocol):
    """Decides how much light each cell gets. Pure: all it remembers is in the state.

    Called once per frame, in frame order per FOV.
    """

    def step(
        self, now: ControlInput, state: TrackValues, /
    ) -> tuple[Floats, TrackValues]:
        """Return doses (n,) from 0 (none) to 1 (full light), and the new state.

        A cell without a reference gets 0; one that could not be measured keeps its
        last dose.
        """
        ...


@runtime_checkable
class Reference(Protocol):
    """What the feature of each cell should be."""

    def at(self, time_s: float, fov: int, track_id: Ints, /) -> Floats:
        """Return the set-points (n,) at ``time_s``; NaN for cells without one."""
        ...
