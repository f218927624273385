"""What every microscope has: the verbs, and who is told about frames."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from faro.errors import HardwareError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from useq import MDAEvent

    from faro.errors import Problem
    from faro.model import HardwareFacts
    from faro.model.frame import PixelArray
    from faro.protocols import FrameCallback, MaskWarp
    from faro.protocols.microscope import MissingCallback, PowerChannelLike


class RunThread(threading.Thread):
    """The thread of one acquisition.

    Attributes
    ----------
    error
        What ended the acquisition before its iterator did, None if nothing.
    """

    error: BaseException | None = None


class Listeners:
    """Who is told about frames, and about frames that are missing.

    Told in the order of connecting, on the thread of the acquisition. Connecting and
    disconnecting may happen on any thread.
    """

    def __init__(self) -> None:
        self.frame: tuple[FrameCallback, ...] = ()
        self.missing: tuple[MissingCallback, ...] = ()

    def deliver(
        self, pixels: PixelArray, event: MDAEvent, metadata: Mapping[str, Any]
    ) -> None:
        """Hand one frame (Y, X) to every listener; what one raises is raised."""
        for callback in self.frame:
            callback(pixels, event, metadata)

    def deliver_missing(self, event: MDAEvent, error: Exception) -> None:
        """Tell every listener that ``event`` gave no frame."""
        for callback in self.missing:
            callback(event, error)


class AbstractMicroscope(ABC):
    """A microscope: real, simulated or replayed.

    A subclass gives `run_mda`, `cancel_mda`, `go_dark`, `facts` and `describe`, and
    hands frames to `listeners`. Use it in a ``with`` block: leaving it releases the
    devices.
    """

    dmd: MaskWarp | None = None
    """Carries masks from camera to SLM pixels; None where there is no DMD."""

    _listeners: Listeners | None = None

    @property
    def listeners(self) -> Listeners:
        """Who is told about frames."""
        if self._listeners is None:
            self._listeners = Listeners()
        return self._listeners

    def connect_frame(self, callback: FrameCallback, /) -> None:
        """Have ``callback(pixels, event, metadata)`` called with every frame.

        On the thread of the acquisition, in order; what it raises ends the run.
        """
        self.listeners.frame += (callback,)

    def disconnect_frame(self, callback: FrameCallback, /) -> None:
        """Undo `connect_frame`; unknown callbacks are ignored."""
        kept = tuple(known for known in self.listeners.frame if known != callback)
        self.listeners.frame = kept

    def connect_missing(self, callback: MissingCallback, /) -> None:
        """Have ``callback(event, error)`` called for every event without a frame.

        On the thread of the acquisition, in the place of the frame.
        """
        self.listeners.missing += (callback,)

    def disconnect_missing(self, callback: MissingCallback, /) -> None:
        """Undo `connect_missing`; unknown callbacks are ignored."""
        kept = tuple(known for known in self.listeners.missing if known != callback)
        self.listeners.missing = kept

    def init_scope(self) -> None:  # noqa: B027  a hook that a rig may leave
        """Get the instrument ready; nothing to do by default."""

    @abstractmethod
    def run_mda(self, events: Iterator[MDAEvent], /) -> RunThread:
        """Start taking ``events`` one by one on a thread of its own; return it."""

    @abstractmethod
    def cancel_mda(self) -> None:
        """End the running acquisition at the next event boundary, and go dark."""

    @abstractmethod
    def go_dark(self, reason: str) -> None:
        """Stimulation level 0, SLM blank, shutter closed, other levels 0."""

    @abstractmethod
    def facts(self) -> HardwareFacts:
        """Return what the instrument can do, read now."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return name, configuration and device state for the record, JSON-able."""

    def frame_shape(self) -> tuple[int, int] | None:
        """Take one frame in the dark and return its (Y, X); None if none is taken."""
        return None

    def validate_hardware(self) -> tuple[Problem, ...]:
        """Return what is wrong with the rig itself; an empty tuple if nothing is."""
        return ()

    def resolve_group(self, config: str, /) -> str:
        """Return the config group that holds the preset ``config``.

        The channel group is looked at first, then the others in order.

        Raises
        ------
        HardwareError
            If no group holds it; the error lists the presets there are.
        """
        facts = self.facts()
        return group_of(config, facts.presets, facts.channel_group)

    def resolve_power(
        self, channel: PowerChannelLike, /
    ) -> tuple[str, str, float] | None:
        """Return (device, property, value) that sets the power of ``channel``.

        None where the channel asks for no power.

        Raises
        ------
        HardwareError
            If it asks for a power that this microscope cannot set.
        """
        if channel.power is None:
            return None
        problem = f"The power of {channel.config!r} cannot be set on {self.name}."
        raise HardwareError(problem, remedy="Leave the power of this channel out.")

    @property
    def name(self) -> str:
        """Name of the rig."""
        return type(self).__name__

    def post_experiment(self) -> None:  # noqa: B027  a hook that a rig may leave
        """Do what is due between experiments; nothing by default."""

    def shutdown(self) -> object:
        """Go dark and release every device. Safe to call twice."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()


def group_of(
    config: str, presets: Mapping[str, tuple[str, ...]], channel_group: str
) -> str:
    """Return the group of ``presets`` that holds ``config``, the channel group first.

    Raises
    ------
    HardwareError
        If none does.

    Examples
    --------
    >>> group_of("DAPI", {"Camera": ("HighRes",), "Channel": ("DAPI",)}, "Channel")
    'Channel'
    """
    order = sorted(presets, key=lambda group: group != channel_group)
    for group in order:
        if config in presets[group]:
            return group
    known = "; ".join(f"{g}: {', '.join(presets[g]) or 'none'}" for g in order)
    problem = f"No config group holds a preset {config!r}."
    raise HardwareError(problem, remedy=f"Use one of {known or '(there is none)'}.")
