"""A fake microscope with ready-made frames and a DMD: for tests and benchmarks."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faro.errors import HardwareError
from faro.microscope.abstract import AbstractMicroscope, RunThread
from faro.model import HardwareFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from useq import MDAEvent

    from faro.model.frame import PixelArray
    from faro.protocols import MaskWarp

    FrameMaker = Callable[[int, int, str], PixelArray]


@dataclass(frozen=True, slots=True, eq=False)
class Fired:
    """Light that was given.

    Attributes
    ----------
    fov, timestep, channel
        Of the stimulation event.
    pattern
        (Y, X) uint8 that the SLM showed, None where the event had none.
    power
        What the light level was set to, None if it was left.
    """

    fov: int
    timestep: int
    channel: str
    pattern: npt.NDArray[np.uint8] | None
    power: float | None


class CannedMicroscope(AbstractMicroscope):
    """Hands over frames made by a function, and remembers what it was told.

    Parameters
    ----------
    make_frame
        ``make_frame(fov, timestep, channel)`` -> (Y, X) uint8 or uint16.
    image_shape
        (Y, X) of the frames.
    channels
        Presets of the group "Channel"; those that end in "Stim" have a power.
    dmd
        Carries masks to the SLM; None for a microscope without one.
    fail
        ``fail(event)`` true: the event gives no frame.

    Attributes
    ----------
    fired
        What was shone, in order.
    seen
        (fov, timestep, role, channel) of all events, in order.
    dark
        Reasons of all calls of `go_dark`.
    """

    def __init__(
        self,
        make_frame: FrameMaker,
        image_shape: tuple[int, int],
        channels: tuple[str, ...] = ("miRFP", "mScarlet3", "CyanStim"),
        dmd: MaskWarp | None = None,
        fail: Callable[[MDAEvent], bool] = lambda _: False,
    ) -> None:
        self._make_frame, self._image_shape = make_frame, image_shape
        self._channels, self._fail = channels, fail
        self._cancelled = threading.Event()
        self.dmd = dmd
        self.fired: list[Fired] = []
        self.seen: list[tuple[int, int, str, str]] = []
        self.dark: list[str] = []

    def run_mda(self, events: Iterator[MDAEvent], /) -> RunThread:
        """Start taking ``events`` one by one on a thread of its own; return it."""
        self._cancelled.clear()
        thread = RunThread(
            target=self._acquire, args=(events,), name="faro-mda", daemon=True
        )
        thread.start()
        return thread

    def cancel_mda(self) -> None:
        """End the acquisition at the next event boundary."""
        self._cancelled.set()

    def go_dark(self, reason: str) -> None:
        """Remember that the sample was made dark."""
        self.dark.append(reason)

    def facts(self) -> HardwareFacts:
        """Return the presets and shapes it was made with."""
        return HardwareFacts(
            presets={"Channel": self._channels},
            channel_group="Channel",
            image_shape=self._image_shape,
            exposure_limits_ms=(1.0, 10_000.0),
            power_limits={
                name: (0.0, 100.0) for name in self._channels if name.endswith("Stim")
            },
            slm_shape=self.dmd.shape if self.dmd else None,
            dmd_calibrated=self.dmd is not None,
            pixel_size_um=0.65,
        )

    def describe(self) -> dict[str, Any]:
        """Return its name."""
        return {"name": "CannedMicroscope"}

    def resolve_power(self, channel: Any, /) -> tuple[str, str, float] | None:
        """Return the light level of ``channel``, None where it asks for none."""
        return None if channel.power is None else ("LED", "Level", channel.power)

    def _acquire(self, events: Iterator[MDAEvent]) -> None:
        try:
            self._take_all(events)
        except Exception as error:  # noqa: BLE001  told to whoever joins
            thread = threading.current_thread()
            if isinstance(thread, RunThread):
                thread.error = error

    def _take_all(self, events: Iterator[MDAEvent]) -> None:
        for event in events:
            if self._cancelled.is_set():
                return
            facts = event.metadata["faro"]
            place = (facts["fov"], facts["timestep"], facts["channel"])
            self.seen.append((*place[:2], facts["role"], facts["channel"]))
            if self._fail(event):
                error = HardwareError(f"No frame of {place}.", remedy="Look at it.")
                self.listeners.deliver_missing(event, error)
                continue
            metadata: dict[str, Any] = {}
            if facts["role"] == "stim":
                metadata["slm_displayed_monotonic_s"] = self._show(event)
            pixels = self._make_frame(*place)
            metadata["acquired_monotonic_s"] = time.perf_counter()
            self.listeners.deliver(pixels, event, metadata)

    def _show(self, event: MDAEvent) -> float:
        """Remember what a stimulation event shines; return when it was shown."""
        facts = event.metadata["faro"]
        pattern = None
        if event.slm_image is not None and self.dmd is not None:
            shown = np.broadcast_to(event.slm_image.data, self.dmd.shape)
            pattern = np.array(shown, np.uint8)
        power = event.properties[0].property_value if event.properties else None
        fov, timestep, channel = facts["fov"], facts["timestep"], facts["channel"]
        self.fired.append(Fired(fov, timestep, channel, pattern, power))
        return time.perf_counter()
