"""What decides where light goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from faro.model import Stack, StimChannel, Stimulus
    from faro.protocols.analysis import Cells, Labels


class Waits(IntEnum):
    """What must be ready before a stimulator is asked; each includes those before."""

    NOTHING = 0
    IMAGE = 1
    LABELS = 2
    TRACKS = 3


_STEPS = {"image": Waits.IMAGE, "labels": Waits.LABELS, "tracks": Waits.TRACKS}


def needs_of(stimulator: object) -> tuple[str, ...]:
    """Return the ``needs`` of a stimulator; ``("tracks",)`` where it does not say."""
    named = getattr(stimulator, "needs", None)
    return ("tracks",) if named is None else tuple(named)


def waits_for(stimulator: object) -> Waits:
    """Return what must be ready before ``stimulator`` is asked.

    A feature column is measured on tracked cells.

    >>> waits_for(lambda context: True).name
    'TRACKS'
    """
    steps = [_STEPS.get(name, Waits.TRACKS) for name in needs_of(stimulator)]
    return max(steps, default=Waits.NOTHING)


def columns_needed(stimulator: object) -> frozenset[str]:
    """Return the feature columns that ``stimulator`` builds on."""
    return frozenset(needs_of(stimulator)) - frozenset(_STEPS)


@dataclass(frozen=True, slots=True, eq=False)
class StimulationContext:
    """Everything a stimulator may look at; of one frame of one FOV.

    Attributes
    ----------
    stack
        The images (C, Y, X), times and metadata of the frame.
    cells
        Cells of the main segmenter, with track ids and the features asked for by
        ``needs``; None for a stimulator that needs no labels.
    labels
        Label images (Y, X) int32 by the name of their segmenter.
    metadata
        What the experiment says about this event (arm, treatment, ...).
    previous_lights
        What was decided for the frame before, by channel; those that stayed dark are
        not in it.
    memory
        What this stimulator has noted on earlier frames of this FOV. It may write
        here: JSON-able values, arrays, or `faro.model.TrackValues`. The run keeps it.
    stim_channels
        The channels that it decides on, by their config name, in the order in which
        they fire: those of the event that fires this decision.
    """

    stack: Stack
    cells: Cells | None = None
    labels: Mapping[str, Labels] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    previous_lights: Mapping[str, Stimulus] = field(default_factory=dict)
    memory: MutableMapping[str, Any] = field(default_factory=dict)
    stim_channels: Mapping[str, StimChannel] = field(default_factory=dict)

    @property
    def previous(self) -> Stimulus | None:
        """What was decided for the frame before, of the first channel that was lit."""
        return next(iter(self.previous_lights.values()), None)

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

    @property
    def time_s(self) -> float:
        """Planned time of the frame since the run started; the same in a replay."""
        return self.stack.planned_s

    @property
    def pixel_size_um(self) -> float | None:
        """Edge of a camera pixel in the sample, None if unknown."""
        return self.stack.pixel_size_um


@runtime_checkable
class Stimulator(Protocol):
    """Decides where light goes. A function ``stimulate(context)`` works as well.

    Called in frame order per FOV, on a worker thread. Optional attributes:
    ``needs`` and ``required_metadata`` (names that stimulation events must carry).

    ``needs`` says what must be ready before it is asked: ``()`` nothing, ``"image"``,
    ``"labels"``, ``"tracks"``, or names of feature columns. What it does not name is
    not waited for, and may not be there. Without ``needs``, tracks are waited for.
    ``masked = False`` says that it lights the whole field or nothing: then a
    microscope without SLM will do.
    """

    def stimulate(self, context: StimulationContext, /) -> object:
        """Return None (no light), True (whole field), a mask (Y, X) or a Stimulus.

        A mask is bool or uint8 (0 to 255, grey levels are dose) in camera pixels. The
        answer holds for all ``context.stim_channels``; a mapping from their names to
        such answers gives each its own, and one that it leaves out stays dark.
        """
        ...
