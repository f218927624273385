"""The verbs of a microscope, real, simulated or replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    import numpy as np
    import numpy.typing as npt
    from useq import MDAEvent

    from faro.errors import Problem
    from faro.model import HardwareFacts
    from faro.model.frame import PixelArray

    FrameCallback: TypeAlias = Callable[[PixelArray, MDAEvent, Mapping[str, Any]], None]
    MissingCallback: TypeAlias = Callable[[MDAEvent, Exception], None]
else:
    FrameCallback = MissingCallback = object


class AcquisitionThread(Protocol):
    """The thread of one acquisition."""

    @property
    def error(self) -> BaseException | None:
        """What ended the acquisition before its events did, None if nothing."""
        ...

    def is_alive(self) -> bool:
        """Whether the acquisition is going on."""
        ...

    def join(self, timeout_s: float | None = None, /) -> None:
        """Wait for its end, at most ``timeout_s``."""
        ...


class PowerChannelLike(Protocol):
    """What `Microscope.resolve_power` looks at."""

    @property
    def config(self) -> str:
        """Name of the preset."""
        ...

    @property
    def group(self) -> str | None:
        """Config group, None for the channel group."""
        ...

    @property
    def power(self) -> float | None:
        """Light level, None to leave it as the preset sets it."""
        ...


class MaskWarp(Protocol):
    """Carries a mask from camera pixels to SLM pixels."""

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the SLM."""
        ...

    def warp(self, mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return ``mask`` (Y, X) in camera pixels as (Y, X) uint8 in SLM pixels."""
        ...


class Microscope(Protocol):
    """What a run needs from an instrument."""

    @property
    def dmd(self) -> MaskWarp | None:
        """The calibrated DMD, None where there is none."""
        ...

    def run_mda(self, events: Iterator[MDAEvent], /) -> AcquisitionThread:
        """Start taking ``events`` one by one on a thread of its own; return it.

        The next event is asked for only when the one before is done. The run ends
        when the iterator ends or `cancel_mda` is called.
        """
        ...

    def connect_frame(self, callback: FrameCallback, /) -> None:
        """Have ``callback(pixels, event, metadata)`` called with every frame.

        On the thread of the acquisition, in order, by a direct call: an exception in
        it ends the run.
        """
        ...

    def disconnect_frame(self, callback: FrameCallback, /) -> None:
        """Undo `connect_frame`; unknown callbacks are ignored."""
        ...

    def connect_missing(self, callback: MissingCallback, /) -> None:
        """Have ``callback(event, error)`` called for every event without a frame.

        On the thread of the acquisition, in the place of the frame: every event that
        the run feeds gives either a frame or this.
        """
        ...

    def disconnect_missing(self, callback: MissingCallback, /) -> None:
        """Undo `connect_missing`; unknown callbacks are ignored."""
        ...

    def cancel_mda(self) -> None:
        """End the running acquisition at the next event boundary."""
        ...

    def go_dark(self, reason: str) -> None:
        """Stimulation level 0, SLM blank, shutter closed, other levels 0."""
        ...

    def resolve_group(self, config: str, /) -> str:
        """Return the config group that holds the preset ``config``."""
        ...

    def resolve_power(
        self, channel: PowerChannelLike, /
    ) -> tuple[str, str, float] | None:
        """Return (device, property, value) that sets the power of ``channel``."""
        ...

    def facts(self) -> HardwareFacts:
        """Return what the instrument can do, read now."""
        ...

    def frame_shape(self) -> tuple[int, int] | None:
        """Take one frame in the dark and return its (Y, X); None if none is taken.

        Between runs only; the settings of the camera are left as they are.
        """
        ...

    def validate_hardware(self) -> Sequence[Problem]:
        """Return what is wrong with the instrument itself, empty if nothing is."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return name, configuration and device state for the record, JSON-able."""
        ...

    def post_experiment(self) -> None:
        """Do what is due between experiments."""
        ...

    def shutdown(self) -> object:
        """Go dark and release every device. Safe to call twice."""
        ...
