"""From the plan to events, and from frames to stacks: the camera side of the loop.

`EventFeed` is the iterator that the acquisition thread pulls from. It waits for the
due time of each event itself (`faro.run.gate`), so that it can be ended at any moment,
and it waits for a decision only where a stimulation needs one. No light without a
confirmed mask.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import useq

from faro.model import Decision
from faro.run.assembler import AUTOFOCUS
from faro.run.dosing import DoseCeilingError
from faro.run.in_useq import exposure, shortened, slm_image
from faro.run.recorder import mask_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from faro.experiment import PlannedEvent
    from faro.experiment.plan import PositionUm
    from faro.model import Stimulus
    from faro.protocols import Microscope
    from faro.run.assembler import Assembler
    from faro.run.board import DecisionBoard
    from faro.run.clock import RunClock
    from faro.run.dosing import LightMeter
    from faro.run.gate import Gate
    from faro.run.late import Substitutes
    from faro.run.losses import Losses
    from faro.run.notices import Notices
    from faro.run.recorder import Recorder

logger = logging.getLogger(__name__)

NO_EXPOSURE = -1
"""Number of the events that are no exposures."""


@dataclass(frozen=True, slots=True)
class LoopParts:
    """What the camera side shares with the rest of a run."""

    microscope: Microscope
    clock: RunClock
    board: DecisionBoard
    recorder: Recorder
    notices: Notices
    gate: Gate
    substitutes: Substitutes
    losses: Losses
    mask_label: Callable[[str], str]
    settle_s: float
    meter: LightMeter


class EventFeed:
    """Iterator of useq events, in the order of the plan; used by one thread.

    Parameters
    ----------
    planned
        The plan, lazily.
    parts
        What the run shares.
    assembler
        Told which event is under way.
    mask_deadline_s
        How long the stimulations of an event wait for their masks, counted from the
        first; then what is not there is skipped and recorded.
    """

    def __init__(
        self,
        planned: Iterable[PlannedEvent],
        parts: LoopParts,
        assembler: Assembler,
        mask_deadline_s: float,
    ) -> None:
        self._parts, self._assembler = parts, assembler
        self._mask_deadline_s = mask_deadline_s
        self._closed = threading.Event()
        self._seq = 0
        self._place: PositionUm = (None, None, None)
        self._properties: tuple[useq.PropertyTuple, ...] = ()
        self._timestep: int | None = None
        self._due: tuple[tuple[int, int], float] = ((-1, -1), 0.0)
        self.exhausted, self.lateness_s = False, 0.0
        self._events = self._run(planned)

    def __iter__(self) -> Iterator[useq.MDAEvent]:
        return self

    def __next__(self) -> useq.MDAEvent:
        if self._closed.is_set():
            raise StopIteration
        return next(self._events)

    def close(self) -> None:
        """End the feed now, also while it waits; any thread."""
        self._closed.set()
        self._parts.gate.close()
        self._parts.board.close()

    def _run(self, planned: Iterable[PlannedEvent]) -> Iterator[useq.MDAEvent]:
        gate = self._parts.gate
        for said in planned:
            if (said.first or gate.halted) and not gate.enter(said):
                return
            event = replace(said, planned_s=said.planned_s + gate.shift_s)
            if event.first:
                self._parts.recorder.settle(self._parts.settle_s)
                self._begin(event)
            if event.autofocus is not None:
                yield self._focusing(event, event.autofocus)
            if (ready := self._ready(event)) is not None:
                yield ready
            if self._closed.is_set():
                return
        self.exhausted = True

    def _begin(self, event: PlannedEvent) -> None:
        """Say that a position is begun now."""
        parts = self._parts
        started_s = parts.clock.now_s()
        self.lateness_s = parts.gate.late_s(event.planned_s)
        self._assembler.started(event, started_s, self.lateness_s)
        parts.recorder.count("positions_begun")
        parts.notices.tell(parts.notices.acquiring.emit, event.timestep, event.fov)
        if event.timestep != self._timestep:
            self._timestep = event.timestep
            parts.recorder.note(
                "timepoint",
                timestep=event.timestep,
                fov=event.fov,
                planned_s=event.planned_s,
                started_s=started_s,
                lateness_s=self.lateness_s,
                shift_s=parts.gate.shift_s,
            )

    def _ready(self, event: PlannedEvent) -> useq.MDAEvent | None:
        """Return what is sent for ``event``, None if it is left out."""
        if event.mask_from is not None:
            return self._stimulation(event, *event.mask_from)
        refused = self._parts.meter.allow(event).refused
        ready = self._send(event)
        if not refused:
            return ready
        error = DoseCeilingError(refused, remedy="Raise limits.dose_ceilings.")
        self._assembler.missing(ready, error)
        return None

    def _stimulation(
        self, event: PlannedEvent, fov: int, timestep: int
    ) -> useq.MDAEvent | None:
        """Return the event that fires the mask of a frame, None if nothing fires."""
        channel = event.channel.config
        asked_s = self._parts.clock.now_s()
        due_s = self._due_s(event, asked_s)
        board, most_s = self._parts.board, max(0.0, due_s - asked_s)
        decision = board.wait(fov, timestep, channel, most_s)
        if self._closed.is_set():
            self._assembler.left_out(event, ended=True)
            return None
        facts: dict[str, Any] = {
            "fov": event.fov,
            "timestep": event.timestep,
            "from_timestep": timestep,
            "channel": channel,
            "asked_s": asked_s,
            "due_s": due_s,
        }
        if decision is None:
            reason = f"no mask within {self._mask_deadline_s:g} s"
            decision = Decision(fov, timestep, None, reason, channel=channel)
        if decision.stimulus is not None:
            return self._arm(event, decision.stimulus, facts)
        return self._substitute(event, decision, facts)

    def _due_s(self, event: PlannedEvent, asked_s: float) -> float:
        """Return when the masks of an event are late: all channels at one time."""
        place = event.fov, event.timestep
        if self._due[0] != place:
            self._due = place, asked_s + self._mask_deadline_s
        return self._due[1]

    def _skip(self, event: PlannedEvent, facts: dict[str, Any]) -> None:
        """Record that a stimulation is left out, and why."""
        self._parts.recorder.note("stim_skipped", **facts)
        self._assembler.left_out(event)

    def _substitute(
        self, event: PlannedEvent, decision: Decision, facts: dict[str, Any]
    ) -> useq.MDAEvent | None:
        """Return what fires where there is no mask, by the declared policy."""
        parts, reason = self._parts, decision.reason
        if not decision.wanted:
            self._skip(event, {**facts, "reason": reason})
            return None
        instead = parts.substitutes.instead(
            event.fov, event.timestep, event.channel.config, reason
        )
        facts |= {"policy": instead.policy, "reason": reason}
        if instead.stimulus is None:
            self._skip(event, facts)
            return None
        return self._arm(event, instead.stimulus, facts)

    def _arm(
        self, event: PlannedEvent, stimulus: Stimulus, facts: dict[str, Any]
    ) -> useq.MDAEvent | None:
        """Record what is about to fire, then return the event that fires it."""
        parts, dmd = self._parts, self._parts.microscope.dmd
        if dmd is None and not stimulus.whole_field:
            self._skip(event, {**facts, "reason": "no calibrated DMD"})
            return None
        event = shortened(event, stimulus)
        firing = parts.meter.allow(event, stimulus, substitute="policy" in facts)
        if firing.refused:
            self._skip(event, {**facts, "reason": firing.refused})
            return None
        event, stimulus = firing.event, firing.stimulus or stimulus
        facts |= firing.facts
        image = slm_image(stimulus, dmd, event.channel.exposure)
        label = parts.mask_label(event.channel.config)
        if stimulus.mask is not None:
            parts.recorder.light(label, event.fov, event.timestep, stimulus.mask)
        parts.recorder.note(
            "stim_armed",
            **facts,
            exposure_ms=event.channel.exposure,
            power=getattr(event.channel, "power", None),
            whole_field=stimulus.whole_field,
            lit_fraction=stimulus.lit_fraction,
            mask_label=None if stimulus.whole_field else label,
            mask_sha256=mask_sha256(stimulus.mask),
            armed_s=parts.clock.now_s(),
        )
        parts.substitutes.fired(event.fov, event.channel.config, stimulus)
        return self._send(event, image)

    def _focusing(
        self, event: PlannedEvent, action: useq.HardwareAutofocus
    ) -> useq.MDAEvent:
        """Return the autofocus before ``event``; it gives no frame."""
        x_um, y_um, _ = event.position_um
        index: Any = {"t": event.timestep, "p": event.fov}
        facts = {"fov": event.fov, "timestep": event.timestep}
        self._parts.recorder.note("autofocus", **facts)
        return useq.MDAEvent(
            index=index,
            x_pos=x_um,
            y_pos=y_um,
            z_pos=event.focus_z_um,
            pos_name=event.pos_name,
            properties=list(event.properties) or None,
            action=action,
            metadata={"faro": {"seq": NO_EXPOSURE, "role": AUTOFOCUS, **facts}},
        )

    def _placed(self, event: PlannedEvent) -> PlannedEvent:
        """Return ``event`` with its whole place where one before it failed.

        Else what failed to move would be imaged, or lit, where it was before.
        """
        said, before = event.position_um, self._place
        x_um, y_um, z_um = (
            b if a is None else a for a, b in zip(said, before, strict=True)
        )
        self._place = (x_um, y_um, z_um)
        self._properties = event.properties or self._properties
        losses = self._parts.losses
        astray, losses.astray = losses.astray, False
        if not astray:
            return event
        return replace(event, position_um=self._place, properties=self._properties)

    def _send(
        self, event: PlannedEvent, image: useq.SLMImage | None = None
    ) -> useq.MDAEvent:
        """Return ``event`` in the words of useq and remember that it is under way."""
        event = self._placed(event)
        self._seq += 1
        self._assembler.expect(self._seq, event)
        return exposure(event, self._parts.microscope, self._seq, image)
