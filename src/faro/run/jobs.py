"""What one stack carries on its way through the loop, and what went wrong on it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model import Stack, Stamps, StimChannel
    from faro.protocols.analysis import Labels
    from faro.run.moments import Moment


@dataclass(frozen=True, slots=True)
class BackgroundError:
    """A component that failed on one frame; the run went on.

    Attributes
    ----------
    fov, timestep
        The frame; -1 where no single frame is to blame.
    stage
        For example ``"segment/nuclei"``, ``"track"``, ``"features/0"``,
        ``"stimulate"``, ``"storage"``, ``"hardware"``.
    exc_type, message, traceback
        The exception.
    """

    fov: int
    timestep: int
    stage: str
    exc_type: str
    message: str
    traceback: str

    @classmethod
    def of(
        cls, error: BaseException, *, stage: str, fov: int = -1, timestep: int = -1
    ) -> BackgroundError:
        """Return the record of ``error``."""
        text = "".join(traceback.format_exception(error))
        return cls(fov, timestep, stage, type(error).__name__, str(error), text)


@dataclass(slots=True)
class FrameJob:
    """One stack on its way.

    Attributes
    ----------
    moment
        The images.
    stamps
        Times of the stages so far.
    light
        The channels whose light is decided on this frame, by their name, in the order
        in which they fire; empty if no stimulation uses it.
    stage
        The component that has the stack now.
    failed_at
        The last component that failed on it, empty if none did.
    z
        How planes become the one that is analysed.
    recovered
        Whether it was stored before its run was ended, and is analysed again.
    """

    moment: Moment
    stamps: Stamps
    light: Mapping[str, StimChannel] = field(default_factory=dict)
    stage: str = ""
    failed_at: str = ""
    z: str | int = "max"
    recovered: bool = False

    @property
    def stack(self) -> Stack:
        """What is analysed, (C, Y, X)."""
        return self.moment.flat(self.z)


@dataclass(slots=True)
class Segmented:
    """Label images of one stack.

    Attributes
    ----------
    labels
        Name to (Y, X) int32, of the segmenters that succeeded.
    failed
        The stage that failed on the first segmenter, empty if none did.
    """

    labels: dict[str, Labels] = field(default_factory=dict)
    failed: str = ""
