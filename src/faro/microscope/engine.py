"""The engine that tells the truth: what cannot be done is raised, never skipped."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from useq import AcquireImage, HardwareAutofocus

from faro.errors import HardwareError
from faro.microscope.autofocus import Autofocus
from faro.microscope.demands import check_exposure
from faro.microscope.exposure import Exposure
from faro.microscope.missed import (
    DeviceFailedError,
    MissedFrame,
    missed_if_refused,
)
from faro.microscope.mmcore import MDAEngine, SkipEvent
from faro.microscope.moving import moves_of
from faro.microscope.policy import EnginePolicy, RetryPolicy
from faro.microscope.presets import Presets
from faro.microscope.slm import SlmDriver
from faro.microscope.turns import SlmTurns
from faro.microscope.waiting import DeviceWaiter, Touched, whereabouts_um

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from useq import MDAEvent, MDASequence

    from faro.microscope.mmcore import CMMCorePlus
    from faro.model.frame import PixelArray
    from faro.protocols import FrameCallback, MissingCallback

logger = logging.getLogger(__name__)

REFUSE_S = 0.5

Metadata = dict[str, Any]


def _ignore(*_: object) -> None:
    """Nobody listens."""


class FaroEngine(MDAEngine):
    """Carries out one event at a time, strictly.

    A setting, an autofocus or an exposure that fails is tried again and then reported
    with `on_missing`; no frame ever takes the place of another. After a failed
    autofocus, so are all exposures at its position until it succeeds. What can never be
    done, and light that cannot be switched off, end the run. A mask is shown only after
    the SLM was blanked, and blanked again after the exposure. Nothing is restored at
    the end: the session makes the sample dark.

    The frame's metadata holds ``acquired_monotonic_s`` (`time.perf_counter` at the
    end of the exposure), ``acquired_wall_ns`` (UTC), ``runner_time_ms``,
    ``exposure_ms``, ``position_um`` (x, y, z as read after the last move) and, for a
    mask, ``slm_displayed_monotonic_s`` (light on), ``slm_dark_monotonic_s`` and
    ``slm_exposure_ms``.

    Parameters
    ----------
    core
        The core to drive.
    policy
        The rig's quirks.
    clock
        Monotonic seconds; must be the clock of the run.
    """

    def __init__(
        self,
        core: CMMCorePlus,
        policy: EnginePolicy | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(
            core, use_hardware_sequencing=False, restore_initial_state=False
        )
        self.policy = policy or EnginePolicy()
        self.on_frame: FrameCallback = _ignore
        self.on_missing: MissingCallback = _ignore
        self.exposure_s = 0.0
        self._clock = clock
        self._cancelled = threading.Event()
        self._light = threading.Lock()
        self.slm_turns = SlmTurns()
        self._slm = SlmDriver(core, self.policy, self._cancelled.wait)
        self._waiter = DeviceWaiter(core, self.policy, self._cancelled, clock)
        self._focus = Autofocus(core, self.policy, self._cancelled, self._waiter)
        self._exposure = Exposure(core, self.policy, self._cancelled)
        self.presets = Presets(core, self._set)
        self._forget()

    def _forget(self) -> None:
        self.presets.forget()
        self._position_um: tuple[float | None, ...] = (None, None, None)
        self._focus.forget()
        self._autoshutter = False

    def begin(self, on_frame: FrameCallback, on_missing: MissingCallback) -> None:
        """Deliver the frames of the coming run, by direct calls on its thread."""
        self.slm_turns.begin_run()
        self.on_frame, self.on_missing = on_frame, on_missing
        self._cancelled.clear()

    def end(self) -> None:
        """Forget whom to deliver to."""
        self.on_frame, self.on_missing = _ignore, _ignore
        self.exposure_s = 0.0
        self.slm_turns.end_run()

    def forget_preset(self) -> None:
        """Set the preset of the next event anew: somebody changed the light."""
        self.presets.changed()

    def refuse(self) -> None:
        """Switch no light on any more, and stop waiting: the run is cancelled.

        Light that is on is not switched off here, but none comes on after this.
        """
        locked = self._light.acquire(timeout=REFUSE_S)
        self._cancelled.set()
        if locked:
            self._light.release()

    @property
    def beside_camera(self) -> frozenset[str]:
        """Labels of the devices in the camera's own library, in the latest run."""
        return self._exposure.beside_camera

    def let_camera_stop(self) -> None:
        """Note, after `refuse`, that the sample is dark: a camera may be stopped."""
        self._exposure.let_stop()

    # ------------------------------------------------------------ hooks of the runner

    def setup_sequence(self, sequence: MDASequence) -> Any:
        """Look at the devices before a run; see `MDAEngine.setup_sequence`."""
        core = self.mmcore
        self._forget()
        self._autoshutter = core.getAutoShutter()
        summary = super().setup_sequence(sequence)
        self._waiter.prepare()
        if not core.getCameraDevice():
            problem = "No camera is selected."
            raise HardwareError(problem, remedy="Select one in the configuration.")
        if (cameras := core.getNumberOfCameraChannels()) != 1:
            problem = f"The camera {core.getCameraDevice()!r} gives {cameras} images."
            raise HardwareError(problem, remedy="Select a camera with one channel.")
        core.setAutoShutter(False)
        self._exposure.begin_run()
        self.set_all(self.policy.for_runs)
        self._read_position()
        return summary

    def before_event(self, event: MDAEvent) -> None:
        """Do what is due before ``event`` is set up; nothing by default."""

    def setup_event(self, event: MDAEvent) -> None:
        """Set what ``event`` asks for and wait until every device is ready.

        Raises
        ------
        HardwareError
            If ``event`` asks for what can never be done.
        SkipEvent
            If the run was cancelled, a setting failed at every try, a device was not
            ready in time, or the autofocus of this position failed; the event is
            reported as missing.
        """
        try:
            self.before_event(event)
            self._skip_if_cancelled(event)
            if not isinstance(event.action, HardwareAutofocus):
                self._skip_if_unfocused(event)
            self._prepare(event)
        except DeviceFailedError as error:
            self.presets.changed()
            self.slm_turns.leave()
            self._missed(event, error)
            raise SkipEvent(reason=str(error)) from error
        self._skip_if_cancelled(event)

    def _prepare(self, event: MDAEvent) -> None:
        """Set what ``event`` asks for, and load its mask."""
        if event.slm_image is not None:
            self.slm_turns.take()
            self._slm.blank(self._slm.device(event.slm_image))
        touched = Touched()
        self._move(event, touched)
        if event.channel is not None:
            touched.devices |= self.presets.set(
                event.channel.group, event.channel.config
            )
        self._set_properties(event, touched)
        self._set_camera(event)
        self._waiter.wait(touched)
        if touched.targets_um and self.policy.reads_position:
            self._read_position()
        if event.slm_image is not None:
            self._slm_ms = self._slm.load(event.slm_image, event.exposure)

    def _missed(self, event: MDAEvent, error: HardwareError) -> None:
        logger.warning("%s gives no frame: %s", dict(event.index), error)
        self.on_missing(event, error)

    def exec_event(self, event: MDAEvent) -> Iterator[Any]:
        """Take one frame and hand it over; yields None where there is none."""
        if isinstance(event.action, HardwareAutofocus):
            if (failed := self._autofocus(event)) is not None:
                self.on_missing(event, failed.cause)
            return
        if not isinstance(event.action, AcquireImage | None):
            problem = f"The event asks for the action {event.action!r}."
            raise HardwareError(problem, remedy="Remove it: it would do nothing.")
        metadata: Metadata = {}
        try:
            pixels = self._expose(event, metadata)
        except MissedFrame as missed:
            self._missed(event, missed.cause)
            yield None
            return
        event.metadata.pop("runner_t0", None)
        self.on_frame(pixels, event, metadata)
        yield pixels, event, metadata

    def teardown_event(self, event: MDAEvent) -> None:
        """Nothing is left to do: the shutter is closed with the exposure."""

    def teardown_sequence(self, sequence: MDASequence) -> None:  # noqa: ARG002  a hook
        """Give the shutter back to the core; nothing else is restored."""
        core = self.mmcore
        self._exposure.stop()
        try:
            core.setAutoShutter(self._autoshutter and bool(core.getShutterDevice()))
            self.set_all(self.policy.between_runs)
        except Exception:
            logger.exception("The shutter, or between_runs, could not be set back.")

    def set_all(self, settings: Iterable[tuple[str, str, str | float]]) -> None:
        """Set each (device, property, value); raises what fails at every try."""
        for device, prop, value in settings:
            what = f"Setting {device}.{prop} to {value!r}"
            self._set(what, partial(self.mmcore.setProperty, device, prop, value))
            self.presets.note_light(device, prop, value)

    def _set(
        self, what: str, action: Callable[[], object], retry: RetryPolicy | None = None
    ) -> None:
        (retry or self.policy.settings).attempt(what, action, self._cancelled.wait)

    def _move(self, event: MDAEvent, touched: Touched) -> None:
        shift_um = self._focus.shift_um(event) if self.policy.drives_z else None
        for what, move in moves_of(self.mmcore, event, shift_um, touched):
            self._set(what, move, self.policy.moves)

    def _set_properties(self, event: MDAEvent, touched: Touched) -> None:
        for setting in event.properties or ():
            self.presets.changed()
            self.set_all([setting])
            touched.devices.add(setting[0])

    def _set_camera(self, event: MDAEvent) -> None:
        core, roi = self.mmcore, event.roi
        if roi is not None:
            box = (roi.offset_x, roi.offset_y, roi.width, roi.height)
            self._set("Clearing the camera ROI", core.clearROI)
            self._set(f"Setting the camera ROI {box}", lambda: core.setROI(*box))
        if event.exposure is not None:
            exposure_ms = float(event.exposure)
            what = f"Setting the exposure {exposure_ms:g} ms"
            self._set(what, lambda: core.setExposure(exposure_ms))
            check_exposure(core.getExposure(), exposure_ms)

    def _autofocus(self, event: MDAEvent) -> MissedFrame | None:
        """Focus; return why that failed at every try, None if it did not."""
        failed: MissedFrame | None = None
        try:
            self._focus.run(event)
        except MissedFrame as missed:
            logger.warning("%s is out of focus: %s", dict(event.index), missed.cause)
            failed = missed
        if self.policy.reads_position:
            self._read_position()
        return failed

    def _skip_if_unfocused(self, event: MDAEvent) -> None:
        """Expose nothing where the autofocus failed; at another visit try it again."""
        lost, shutter = self._focus.lost(event), self._shutter()
        if lost is not None and shutter is not None:
            self._close_shutter(shutter)
        if (again := self._focus.again(event)) is not None:
            self._prepare(again)
            self._autofocus(again)
            lost = self._focus.lost(event)
        if lost is not None:
            self.on_missing(event, lost)
            raise SkipEvent(reason=str(lost))

    def _expose(self, event: MDAEvent, metadata: Metadata) -> PixelArray:
        """Return a frame (Y, X), tried again where nothing was shone on purpose."""
        tries = 1 if event.slm_image is not None else self.policy.snap.tries
        for left in range(tries - 1, -1, -1):
            try:
                pixels = self._lit_snap(event, metadata)
            except MissedFrame:
                if left == 0 or self._cancelled.is_set():
                    raise
                self._cancelled.wait(self.policy.snap.delay_s)
            else:
                return pixels
        raise MissedFrame.cancelled()

    def _lit_snap(self, event: MDAEvent, metadata: Metadata) -> PixelArray:
        slm = event.slm_image
        exposure_ms = float(self.mmcore.getExposure())
        self.exposure_s = exposure_ms / 1e3
        metadata["exposure_ms"] = exposure_ms
        metadata["position_um"] = self._position_um
        shutter = self._shutter()
        try:
            self._exposure.prepare(self.exposure_s)
            try:
                with missed_if_refused():
                    self._switch_on(event, shutter)
                if slm is not None:
                    metadata["slm_displayed_monotonic_s"] = self._clock()
                    metadata["slm_exposure_ms"] = self._slm_ms
                self._snap(event, metadata)
            finally:
                if shutter is not None and not event.keep_shutter_open:
                    self._close_shutter(shutter)
        finally:
            if slm is not None:
                self._slm.blank(self._slm.device(slm))
                metadata["slm_dark_monotonic_s"] = self._clock()
                self.slm_turns.leave()
        return self._exposure.image()

    def _snap(self, event: MDAEvent, metadata: Metadata) -> None:
        self._exposure.take(self.exposure_s)
        now = self._clock()
        metadata["acquired_monotonic_s"] = now
        metadata["acquired_wall_ns"] = time.time_ns()
        start = event.metadata.get("runner_t0") or now
        metadata["runner_time_ms"] = (now - start) * 1e3

    def _shutter(self) -> str | None:
        """Return the current shutter, if it is to open for exposures only."""
        label = self.mmcore.getShutterDevice() if self._autoshutter else ""
        return str(label) or None

    def _switch_on(self, event: MDAEvent, shutter: str | None) -> None:
        """Show the mask, open the shutter; not once the run is cancelled."""
        core = self.mmcore
        with self._light:
            if self._cancelled.is_set():
                raise MissedFrame.cancelled()
            if event.slm_image is not None:
                self._slm.show(event.slm_image)
            if shutter is not None:
                what = f"Opening the shutter {shutter!r}"
                self._set(what, lambda: core.setShutterOpen(shutter, True))  # noqa: FBT003
                logger.info("shutter %r open", shutter)
        if shutter is not None:
            self._waiter.wait_for(shutter)

    def _close_shutter(self, label: str) -> None:
        core, what = self.mmcore, f"Closing the shutter {label!r}"
        self._set(what, lambda: core.setShutterOpen(label, False))  # noqa: FBT003
        logger.info("shutter %r closed", label)

    def _read_position(self) -> None:
        self._position_um = whereabouts_um(self.mmcore)

    def _skip_if_cancelled(self, event: MDAEvent) -> None:
        if self._cancelled.is_set():
            self.on_missing(event, MissedFrame.cancelled().cause)
            raise SkipEvent(reason="the run was cancelled")
