"""Puts the frames of one FOV and timepoint together; on the camera's thread."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faro.errors import HardwareError
from faro.model import FrameRole, Stack, Stamps
from faro.model.frame import Z_AXIS_NDIM
from faro.run.buffers import StackBuffers
from faro.run.in_useq import PAST
from faro.run.jobs import BackgroundError
from faro.run.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from useq import MDAEvent

    from faro.experiment import PlannedEvent
    from faro.model.frame import PixelArray
    from faro.run.clock import RunClock
    from faro.run.notices import Notices
    from faro.run.recorder import Recorder

logger = logging.getLogger(__name__)

AUTOFOCUS = "autofocus"
"""Role of the events that are no exposures."""
StackKey = tuple[int, int, FrameRole]


@dataclass(slots=True)
class _Part:
    """Channels that have as many planes as one another, and still wait for frames."""

    pixels: PixelArray
    exposures_ms: dict[int, float | None] = field(default_factory=dict)
    channels: dict[int, str] = field(default_factory=dict)
    order: dict[int, int] = field(default_factory=dict)
    z_um: dict[int, float | None] = field(default_factory=dict)
    z_offsets_um: dict[int, float] = field(default_factory=dict)
    n_frames: int = 0
    latest: PlannedEvent | None = None

    def put(self, planned: PlannedEvent, pixels: PixelArray) -> None:
        """Take one frame (Y, X)."""
        row, z = planned.row, planned.z_index
        self.pixels[(row, z) if planned.n_z else row] = pixels
        self.channels[row] = planned.channel.config
        self.order[row] = planned.channel_index
        self.exposures_ms[row] = planned.channel.exposure
        self.z_offsets_um[row] = planned.z_offset_um
        at_um = planned.z_um
        self.z_um[z] = None if at_um is None else at_um - planned.z_offset_um
        self.n_frames += 1
        self.latest = planned

    def came(self) -> _Part:
        """Return the channels that have come, without the rows of the others."""
        rows = sorted(self.channels)
        if len(rows) == len(self.pixels):
            return self
        part = _Part(self.pixels[rows], z_um=self.z_um, n_frames=self.n_frames)
        for row, old in enumerate(rows):
            part.channels[row] = self.channels[old]
            part.order[row] = self.order[old]
            part.exposures_ms[row] = self.exposures_ms[old]
            part.z_offsets_um[row] = self.z_offsets_um[old]
        return part

    @property
    def complete(self) -> bool:
        """Whether all frames have come, each once."""
        n_z = self.pixels.shape[1] if self.pixels.ndim == Z_AXIS_NDIM else 1
        return self.n_frames == len(self.pixels) * n_z


class Assembler:
    """Collects frames into stacks and hands complete ones on.

    All methods are called on the acquisition's thread. A frame is copied once, into
    its stack.

    Parameters
    ----------
    clock, recorder, notices
        Of the run.
    deliver
        Takes a complete moment of imaging frames with its time stamps.
    give_up
        Told (fov, timestep, reason) of imaging frames that cannot be completed.
    pixel_size_um
        Written into the stacks.
    """

    def __init__(
        self,
        clock: RunClock,
        recorder: Recorder,
        notices: Notices,
        deliver: Callable[[Moment, Stamps], None],
        give_up: Callable[[int, int, str], None],
        pixel_size_um: float | None,
    ) -> None:
        self._clock, self._recorder, self._notices = clock, recorder, notices
        self._deliver, self._give_up = deliver, give_up
        self._pixel_size_um = pixel_size_um
        self._expected: dict[int, PlannedEvent] = {}
        self._buffers = StackBuffers()
        self._unfinished: dict[StackKey, dict[int, _Part]] = {}
        self._position_um: tuple[float | None, ...] = (None, None, None)
        self._last_s = 0.0
        self._begun: dict[int, dict[str, float]] = {}
        self._acquired_s_of: dict[int, tuple[int, float]] = {}

    @property
    def n_unfinished(self) -> int:
        """Stacks of which some frames have come, and not all."""
        return len(self._unfinished)

    def started(self, event: PlannedEvent, started_s: float, lateness_s: float) -> None:
        """Note when the first event of a FOV and timepoint began, and how late."""
        times = {"started_s": started_s, "lateness_s": lateness_s}
        self._begun[event.fov] = times

    def expect(self, seq: int, event: PlannedEvent) -> None:
        """Note that event number ``seq`` is under way; one is at a time.

        Stacks of other moments that are not complete by now will not be any more.
        """
        self._abandon(but=(event.fov, event.timestep, event.role))
        self._expected.clear()
        self._expected[seq] = event
        moved = zip(event.position_um, self._position_um, strict=True)
        self._position_um = tuple(b if a is None else a for a, b in moved)

    def close(self) -> None:
        """Record what is not complete; nothing comes any more."""
        self._expected.clear()
        self._abandon(ended=True)

    def _abandon(self, but: StackKey | None = None, *, ended: bool = False) -> None:
        """Let go of the stacks of all moments but one, and record each.

        Frames of light that was given are stored: it is not given again.
        """
        for key in [key for key in self._unfinished if key != but]:
            lit = next((p.latest for p in self._unfinished[key].values()), None)
            if lit is not None and lit.role is FrameRole.STIM:
                self._finish(key, lit, self._last_s)
            else:
                self._incomplete(key, self._unfinished.pop(key), ended=ended)

    def frame(
        self, pixels: PixelArray, event: MDAEvent, metadata: Mapping[str, Any]
    ) -> None:
        """Take one frame (Y, X) from the camera."""
        planned = self._planned(event)
        if planned is None:
            return
        acquired_s = self._last_s = self._when_s(metadata)
        if planned.role is FrameRole.STIM:
            self._confirm(planned, acquired_s, metadata)
        key = (planned.fov, planned.timestep, planned.role)
        parts = self._unfinished.setdefault(key, {})
        if planned.n_z not in parts:
            planes = (planned.n_z,) if planned.n_z else ()
            shape = (planned.n_rows, *planes, *pixels.shape)
            parts[planned.n_z] = _Part(self._buffers.array(shape, pixels.dtype))
        part = parts[planned.n_z]
        if part.pixels.shape[-2:] != pixels.shape:
            self._reshaped(planned, pixels.shape, part.pixels.shape[-2:])
            self._give_up(planned.fov, planned.timestep, "failed: image shape")
        else:
            part.put(planned, pixels)
        x_um, y_um, z_um = self._position_um
        z_um = z_um if planned.z_um is None else planned.z_um
        self._position_um = (x_um, y_um, z_um)
        if planned.last:
            self._finish(key, planned, acquired_s)

    def left_out(self, planned: PlannedEvent, *, ended: bool = False) -> None:
        """Note that a stimulation gives no light, so that it gives no frame.

        Parameters
        ----------
        ended
            Whether no other channel of its event follows either.
        """
        if planned.last or ended:
            key = (planned.fov, planned.timestep, planned.role)
            self._finish(key, planned, self._last_s)

    def missing(self, event: MDAEvent, error: Exception) -> None:
        """Record that an event gave no frame; its stack cannot be completed."""
        facts = event.metadata.get("faro", {})
        if facts.get("role") == AUTOFOCUS:
            self._unfocused(facts["fov"], facts["timestep"], error)
            return
        planned = self._planned(event)
        if planned is None:
            return
        replayed = getattr(error, "reason", "") == "replayed"
        kind = "stim_not_executed" if replayed else "frame_missing"
        self._recorder.note(
            kind,
            fov=planned.fov,
            timestep=planned.timestep,
            role=str(planned.role),
            channel=planned.channel.config,
            reason=str(error),
        )
        if not replayed:
            failure = BackgroundError.of(
                error, stage="hardware", fov=planned.fov, timestep=planned.timestep
            )
            self._recorder.error(failure)
        if planned.role is FrameRole.IMAGE:
            reason = f"failed: no frame of {planned.channel.config!r}"
            self._give_up(planned.fov, planned.timestep, reason)
        if planned.last:
            key = (planned.fov, planned.timestep, planned.role)
            self._finish(key, planned, self._clock.now_s())

    def _unfocused(self, fov: int, timestep: int, error: Exception) -> None:
        """Record that the autofocus failed; what follows there is missing."""
        place = {"fov": fov, "timestep": timestep}
        self._recorder.note("autofocus_failed", **place, reason=str(error))
        failure = BackgroundError.of(error, stage="hardware", **place)
        self._recorder.error(failure)

    def _planned(self, event: MDAEvent) -> PlannedEvent | None:
        facts = event.metadata.get("faro")
        planned = self._expected.get(facts["seq"]) if facts else None
        if planned is None and not (facts and facts["seq"] == PAST):
            logger.warning("A frame arrived that this run did not ask for: %s", event)
        return planned

    def _when_s(self, metadata: Mapping[str, Any]) -> float:
        """Return the end of the exposure in seconds of the run."""
        reading = metadata.get("acquired_monotonic_s")
        if reading is None:
            return self._clock.now_s()
        return self._clock.since_start_s(float(reading))

    def _confirm(
        self, planned: PlannedEvent, acquired_s: float, metadata: Mapping[str, Any]
    ) -> None:
        """Record that light was given, and when the mask was on the SLM."""
        reading = metadata.get("slm_displayed_monotonic_s")
        shown_s = None if reading is None else self._clock.since_start_s(reading)
        timestep, seen_s = self._acquired_s_of.get(planned.fov, (-1, 0.0))
        to_display_ms = None
        if shown_s is not None and planned.mask_from == (planned.fov, timestep):
            to_display_ms = (shown_s - seen_s) * 1e3
        self._recorder.note(
            "stim_confirmed",
            fov=planned.fov,
            timestep=planned.timestep,
            channel=planned.channel.config,
            fired_s=acquired_s,
            displayed_s=shown_s,
            frame_to_display_ms=to_display_ms,
        )
        self._notices.tell(self._notices.stimulated.emit, planned.timestep, planned.fov)

    def _finish(self, key: StackKey, planned: PlannedEvent, acquired_s: float) -> None:
        """Hand the stacks of a moment on, if all their frames came.

        Of light, what came is all there is: a channel that is left out is on record.
        """
        parts = self._unfinished.pop(key, {})
        if planned.role is FrameRole.STIM:
            parts = {n: part.came() for n, part in parts.items() if part.channels}
        seen = {c for part in parts.values() for c in part.order.values()}
        whole = planned.role is FrameRole.STIM or len(seen) == planned.n_channels
        complete = whole and all(part.complete for part in parts.values())
        if not complete or not parts:
            self._incomplete(key, parts)
            return
        stacks = tuple(self._stack(p, planned, acquired_s) for p in parts.values())
        where = {
            channel: (number, row)
            for number, part in enumerate(parts.values())
            for row, channel in part.order.items()
        }
        stamps = Stamps(self._clock.now_s, {"acquired": acquired_s})
        stamps.mark("assembled")
        times = self._begun.get(planned.fov, {})
        if planned.role is FrameRole.IMAGE:
            self._acquired_s_of[planned.fov] = (planned.timestep, acquired_s)
        if planned.role in (FrameRole.IMAGE, FrameRole.REF):
            order = tuple(where[channel] for channel in sorted(where))
            self._recorder.announce(stacks)
            self._deliver(Moment(stacks, order), stamps)
        for stack in stacks:
            self._recorder.stack(stack, times)

    def _incomplete(
        self, key: StackKey, parts: dict[int, _Part], *, ended: bool = False
    ) -> None:
        """Record that some frames of a stack came and others did not.

        Where the run ``ended`` meanwhile, they are taken when it goes on.
        """
        if not parts:
            return
        fov, timestep, role = key
        named = [c for p in parts.values() for c in p.channels.values()]
        place = {"fov": fov, "timestep": timestep, "role": str(role)}
        self._recorder.note("stack_incomplete", **place, channels=named, ended=ended)
        if role is FrameRole.IMAGE:
            self._give_up(fov, timestep, "failed: not all images came")

    def _stack(self, part: _Part, planned: PlannedEvent, acquired_s: float) -> Stack:
        """Return the frames of channels with as many planes as one another."""
        part.pixels.setflags(write=False)
        rows = range(len(part.pixels))
        planes = [part.z_um[z] for z in sorted(part.z_um)]
        known = [z for z in planes if z is not None]
        x_um, y_um, z_um = self._position_um
        with_z = part.pixels.ndim == Z_AXIS_NDIM
        offsets = tuple(part.z_offsets_um[row] for row in rows)
        return Stack(
            pixels=part.pixels,
            channels=tuple(part.channels[row] for row in rows),
            fov=planned.fov,
            timestep=planned.timestep,
            role=planned.role,
            planned_s=planned.planned_s,
            acquired_s=acquired_s,
            wall_ns=self._clock.wall_ns_at(acquired_s),
            exposures_ms=tuple(part.exposures_ms[row] for row in rows),
            pixel_size_um=self._pixel_size_um,
            position_um=(x_um, y_um, known[0] if known else z_um),
            metadata=planned.metadata,
            z_um=tuple(known) if with_z else (),
            z_offsets_um=offsets if any(offsets) else (),
        )

    def _reshaped(
        self, planned: PlannedEvent, got: tuple[int, ...], expected: tuple[int, ...]
    ) -> None:
        """Record a frame whose shape changed within its stack."""
        problem = f"Channel {planned.channel.config!r} gave {got}, expected {expected}."
        error = HardwareError(problem, remedy="Set ROI and binning before the run.")
        self._recorder.error(
            BackgroundError.of(
                error, stage="hardware", fov=planned.fov, timestep=planned.timestep
            )
        )
