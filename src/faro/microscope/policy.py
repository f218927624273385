"""How patient the engine is with each device: data, one set per rig."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from faro.errors import HardwareError
from faro.microscope.missed import DeviceFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Pause = Callable[[float], object]

T = TypeVar("T")

SLM_ON_VALUES: Mapping[str, int] = MappingProxyType(
    {"MightexPolygon1000": 255, "Mosaic3": 1, "GenericSLM": 255}
)
"""Pixel value that means "on", by device name; 255 for a device not listed."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often something is tried, and how long to wait in between.

    Attributes
    ----------
    tries
        At least 1.
    delay_s
        Pause between two tries, seconds.
    """

    tries: int = 3
    delay_s: float = 0.1

    def attempt(self, what: str, action: Callable[[], T], pause: Pause) -> T:
        """Return what ``action`` returns, tried again when it raises.

        Parameters
        ----------
        what
            What is tried, for the error: a noun phrase.
        action
            Called without arguments.
        pause
            Called with the seconds to wait before the next try.

        Raises
        ------
        DeviceFailedError
            If the last try failed too.
        """
        for left in range(self.tries - 1, -1, -1):
            try:
                return action()
            except Exception as error:
                if left == 0:
                    problem = f"{what} failed {self.tries} times: {error}."
                    remedy = "Check the device, its cable and its limits."
                    raise DeviceFailedError(problem, remedy=remedy) from error
            pause(self.delay_s)
        problem = f"{what} was to be tried {self.tries} times."
        raise HardwareError(problem, remedy="Allow at least one try.")


class Wait(StrEnum):
    """What is waited for."""

    BUSY = "busy"
    SKIP = "skip"
    DELAY = "delay"
    POSITION = "position"


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """When a device counts as ready.

    Attributes
    ----------
    how
        ``busy``: it says it is not busy. ``skip``: at once. ``delay``: after
        ``settle_s``. ``position``: the stage reads what it was sent to, whatever
        its busy flag says.
    deadline_s
        Longest wait; DeviceFailedError after that.
    poll_s
        Pause between two looks.
    settle_s
        Extra pause after a device was moved or set.
    tolerance_um
        How near is near enough, for ``position``.
    """

    how: Wait = Wait.BUSY
    deadline_s: float = 10.0
    poll_s: float = 0.001
    settle_s: float = 0.0
    tolerance_um: float = 1.0


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """The quirks of one rig, as data.

    Attributes
    ----------
    settings
        Retries of presets, properties, exposure, positions and SLM commands.
    snap
        Retries of a failed exposure; never used where a mask was shown, since the
        sample may have got its light already.
    moves
        Retries of a move of a stage; None for those of ``settings``.
    wait
        How to wait for a device that is not in ``waits``.
    waits
        How to wait for a device, by its label or its name in its library.
    slm_on_values
        Pixel value that means "on", by label or device name of the SLM.
    slm_exposure_ms
        SLM exposure where neither the mask nor the event gives one.
    drives_z
        False where only the hardware autofocus moves the focus.
    reads_position
        Whether the stage is read back after a move, for the metadata.
    starvation_s
        How long a run may wait for its next event with a light on; then the sample
        is made dark until the event comes.
    longest_snap_s
        Longer exposures are taken as a sequence of one image, which can be stopped,
        with a C++ camera; so are shorter ones, above 0.1 s, where a light is in the
        camera's own adapter library. Infinite for a camera that is always to be
        snapped.
    buffered_images
        How many images of a camera that streams, as in live mode or in a burst, the
        core holds from the next run on until somebody takes them out; 1 GB at most.
    for_runs, between_runs
        (device, property, value) that are set when a run begins, and when it ends.
    """

    settings: RetryPolicy = RetryPolicy()
    snap: RetryPolicy = RetryPolicy(tries=2)
    moves: RetryPolicy | None = None
    wait: WaitPolicy = WaitPolicy()
    waits: Mapping[str, WaitPolicy] = field(default_factory=dict)
    slm_on_values: Mapping[str, int] = field(default_factory=lambda: SLM_ON_VALUES)
    slm_exposure_ms: float = 1000.0
    drives_z: bool = True
    reads_position: bool = True
    starvation_s: float = 30.0
    longest_snap_s: float = 1.0
    buffered_images: int = 8
    for_runs: tuple[tuple[str, str, str], ...] = ()
    between_runs: tuple[tuple[str, str, str], ...] = ()
