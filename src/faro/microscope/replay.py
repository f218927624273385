"""A microscope whose camera is a stored run: the same loop, over recorded frames."""

from __future__ import annotations

import logging
import threading
import time
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Literal

from useq import HardwareAutofocus

from faro.errors import FaroError, HardwareError, RunStateError
from faro.microscope.abstract import AbstractMicroscope, RunThread
from faro.microscope.feed import Feed
from faro.model import FrameRole, HardwareFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from useq import MDAEvent

    from faro.model.frame import PixelArray
    from faro.protocols import FrameSource, MaskWarp
    from faro.protocols.microscope import PowerChannelLike

logger = logging.getLogger(__name__)

CHANNEL_GROUP = "Channel"
JOIN_S = 5.0
ENDLESS = (0.0, float("inf"))


class ReplayedError(FaroError):
    """A stimulation event of a replay: the recorded cells cannot get new light.

    Not a fault of the hardware: the frames that follow show what the recorded light
    did. Delivered in the place of the frame, with ``reason`` "replayed".
    """

    reason = "replayed"

    def __init__(self, channel: str) -> None:
        problem = f"The light of {channel!r} was not given: this is a replay."
        super().__init__(problem, remedy="")


class ReplayMicroscope(AbstractMicroscope):
    """Gives the frames of a stored run, by position, timepoint and channel.

    An event is answered with the frame that was stored for it, never with another
    one and never with made-up pixels: what was not stored is reported as missing.
    Stimulation events give no light and no frame; they are reported with
    `ReplayedError`.

    Parameters
    ----------
    source
        The stored frames. Used on the acquisition thread only.
    speed
        ``"recorded"``: events are due when they were, and a frame comes after the
        exposure time of its event. A number: so many times faster. ``"fast"``: frames
        are there when they are asked for, and nothing is waited for.
    presets
        Further channel names that may be asked for, such as those of stimulation.
    dmd
        Carries masks to SLM pixels, where the masks are to be made as well.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        speed: Literal["fast", "recorded"] | float = "fast",
        presets: Sequence[str] = (),
        dmd: MaskWarp | None = None,
    ) -> None:
        self._pace = _pace_of(speed)
        self._source = source
        named = (getattr(source, f"{kind}_channels", ()) for kind in ("ref", "stim"))
        self._more = tuple(presets) or tuple(name for names in named for name in names)
        self.dmd = dmd
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._feed: Feed[MDAEvent] | None = None
        self._thread: RunThread | None = None
        self._closed = False

    def run_mda(self, events: Iterator[MDAEvent], /) -> RunThread:
        """Start answering ``events`` one by one on a thread of its own; return it.

        Raises
        ------
        RunStateError
            While another acquisition runs, or after `shutdown`.
        """
        with self._lock:
            if self._closed:
                problem = "This replay was shut down."
                raise RunStateError(problem, remedy="Make a new one.")
            if self._thread is not None and self._thread.is_alive():
                problem = "This replay is running."
                raise RunStateError(problem, remedy="Wait, or call cancel_mda() first.")
            feed = Feed(events)
            thread = RunThread(
                target=self._replay, args=(feed,), name="faro-replay", daemon=True
            )
            self._feed, self._thread = feed, thread
            self._cancelled.clear()
            thread.start()
        return thread

    def _replay(self, feed: Feed[MDAEvent]) -> None:
        try:
            for event in feed:
                self._answer(event)
                if self._cancelled.is_set():
                    break
        except BaseException as error:
            logger.exception("The replay ended with an error.")
            thread = threading.current_thread()
            if isinstance(thread, RunThread):
                thread.error = error
        finally:
            feed.close()

    def _answer(self, event: MDAEvent) -> None:
        if isinstance(event.action, HardwareAutofocus):
            return  # it gives no frame, and what was recorded is in focus or not
        wanted = event.metadata.get("faro")
        if wanted is None:
            problem = f"The event {dict(event.index)} does not say which frame it is."
            raise HardwareError(problem, remedy="Run it with a Controller.")
        channel = str(wanted["channel"])
        role = FrameRole(wanted["role"])
        if role is FrameRole.STIM:
            self.listeners.deliver_missing(event, ReplayedError(channel))
            return
        if event.exposure and isfinite(self._pace):
            self._cancelled.wait(event.exposure / 1e3 / self._pace)
        place = int(wanted["fov"]), int(wanted["timestep"])
        try:
            pixels = self._frame(place, channel, role, event.index.get("z"))
        except FaroError as error:
            self.listeners.deliver_missing(event, error)
            return
        metadata = {
            "acquired_monotonic_s": time.perf_counter(),
            "acquired_wall_ns": time.time_ns(),
            "exposure_ms": event.exposure,
            "replayed": True,
        }
        self.listeners.deliver(pixels, event, metadata)

    def _frame(
        self, place: tuple[int, int], channel: str, role: FrameRole, z: int | None
    ) -> PixelArray:
        pixels = self._source.frame(*place, channel, role=role, z=z)
        if pixels.shape != self._source.image_shape:
            problem = f"The stored frame is {pixels.shape}, not as announced."
            remedy = f"Repair the recording: {self._source.image_shape} was announced."
            raise HardwareError(problem, remedy=remedy)
        if pixels.flags.writeable:
            pixels = pixels.view()
            pixels.setflags(write=False)
        return pixels

    def cancel_mda(self) -> None:
        """End the replay; a blocked iterator is left where it is."""
        self._cancelled.set()
        if self._feed is not None:
            self._feed.close()

    def go_dark(self, reason: str) -> None:
        """Nothing to do: a replay has no light."""

    def resolve_power(
        self,
        channel: PowerChannelLike,  # noqa: ARG002  the recorded power is what it was
        /,
    ) -> tuple[str, str, float] | None:
        """Return None: the light of a recording cannot be changed."""
        return None

    def facts(self) -> HardwareFacts:
        """Return what the recording holds; it has no SLM."""
        source = self._source
        presets = tuple(dict.fromkeys((*source.channels, *self._more)))
        return HardwareFacts(
            presets={CHANNEL_GROUP: presets},
            channel_group=CHANNEL_GROUP,
            image_shape=source.image_shape,
            image_dtype=source.image_dtype,
            power_limits=dict.fromkeys(presets, ENDLESS),
            slm_shape=None if self.dmd is None else self.dmd.shape,
            dmd_calibrated=self.dmd is not None,
            pixel_size_um=source.pixel_size_um,
            pace=self._pace,
        )

    def describe(self) -> dict[str, Any]:
        """Return what is replayed, JSON-able."""
        source = self._source
        path = getattr(source, "path", None)
        return {
            "name": self.name,
            "source": type(source).__name__,
            "path": None if path is None else str(path),
            "pace": self._pace if isfinite(self._pace) else "fast",
            "channels": list(source.channels),
            "fovs": list(source.fovs),
            "n_timepoints": source.n_timepoints,
            "image_shape": list(source.image_shape),
        }

    def shutdown(self) -> None:
        """End the replay. Safe to call twice."""
        self._closed = True
        self.cancel_mda()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_S)


def _pace_of(speed: object) -> float:
    """Return how much faster than recorded a replay is.

    >>> _pace_of("recorded"), _pace_of(8), _pace_of("fast")
    (1.0, 8.0, inf)
    """
    named = {"fast": inf, "recorded": 1.0}
    if isinstance(speed, str) and speed in named:
        return named[speed]
    if isinstance(speed, int | float) and not isinstance(speed, bool) and speed > 0:
        return float(speed)
    problem = f"There is no replay speed {speed!r}."
    raise HardwareError(problem, remedy="Use 'fast', 'recorded' or a number above 0.")
