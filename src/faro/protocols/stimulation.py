"""What decides where light goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model import Stack, Stimulus
    from faro.protocols.analysis import Cells, Labels


@dataclass(frozen=True, slots=True, eq=False)
class StimulationContext:
    """Everything a stimulator may look at; of one frame of one FOV.

    Attributes
    ----------
    stack
        The images (C, Y, X), times and metadata of the frame.
    cells
        Cells of the main segmenter with track ids and the features asked for by
        ``needs``; None for a stimulator that needs only the image.
    labels
        Label images (Y, X) int32 by the name of their segmenter.
    metadata
        What the experiment says about this event (arm, treatment, ...).
    previous
        What was decided for the frame before, None if nothing.
    """

    stack: Stack
    cells: Cells | None = None
    labels: Mapping[str, Labels] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    previous: Stimulus | None = None

    @property
    def fov(self) -> int:
        """Position index."""
        return self.stack.fov

    @property
    def timestep(self) -> int:
        """Time index."""
        return self.stack.timestep

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the camera image."""
        return self.stack.shape


@runtime_checkable
class Stimulator(Protocol):
    """Decides where light goes. A function ``stimulate(context)`` works as well.

    Called in frame order per FOV, on a worker thread. Optional attributes:
    ``needs`` (names of feature columns that must be ready) and ``required_metadata``
    (names that stimulation events must carry).
    """

    def stimulate(self, context: StimulationContext, /) -> object:
        """Return None (no light), True (whole field), a mask (Y, X) or a Stimulus.

        A mask is bool or uint8 (0 to 255) in camera pixels.
        """
        ...
