"""Brings a run back to where it was when it was ended.

State is taken from the newest one that was stored of each position; frames that came
after it are analysed again from disk, in their order. Light that may have fired is
never fired again: a stimulation that was armed and not confirmed is recorded as
possibly fired.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from faro.errors import FaroError
from faro.experiment.waiting import wait_of
from faro.model import Decision, FrameRole, Stamps, Stimulus
from faro.run.gate import shift_by
from faro.run.in_useq import PAST, exposure, slm_image
from faro.run.jobs import BackgroundError, FrameJob
from faro.run.recorder import mask_sha256
from faro.run.reliving import Reliving
from faro.storage.kept import kept_mask, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from useq import MDAEvent

    from faro.experiment import RTMEvent
    from faro.protocols import Microscope
    from faro.run.analyst import Analyst
    from faro.run.board import DecisionBoard
    from faro.run.clock import RunClock
    from faro.run.gate import Gate
    from faro.run.jobs import Segmented
    from faro.run.lanes import Lanes
    from faro.run.late import Substitutes
    from faro.run.past import Past
    from faro.run.pipeline import ImageProcessingPipeline
    from faro.run.recorder import Recorder
    from faro.run.so_far import Light

NO_DECISION = "failed: the decision was lost when the run was ended"
READ_OUT_LOST = "its read-out was lost when the run was ended"


@dataclass(frozen=True, slots=True)
class Analysis:
    """What analyses the frames of a run."""

    pipeline: ImageProcessingPipeline
    analyst: Analyst
    lanes: Lanes[FrameJob, Segmented]


class Recovery:
    """Brings one run back; used before its first event, by one thread.

    Parameters
    ----------
    past
        What there is of it.
    microscope, clock, recorder, board
        Of the run that goes on.
    analysis
        Of it; None where nothing is analysed.
    """

    def __init__(
        self,
        past: Past,
        microscope: Microscope,
        clock: RunClock,
        recorder: Recorder,
        board: DecisionBoard,
        analysis: Analysis | None,
    ) -> None:
        self._past, self._microscope, self._clock = past, microscope, clock
        self._recorder, self._board, self._analysis = recorder, board, analysis
        self._masks: dict[Light, Stimulus] = {}
        so_far = past.so_far
        recorder.go_on(so_far)
        if so_far.started_ns is not None:
            clock.go_on(so_far.started_ns, so_far.last_s)
        if analysis is not None:
            analysis.analyst.cells_seen = so_far.n_rows

    @property
    def begun(self) -> bool:
        """Whether the run had begun, so that its clock goes on."""
        return self._past.so_far.started_ns is not None

    def restore(self, done: list[str], timeout_s: float) -> None:
        """Bring state, decisions and masks back; frames behind them are analysed.

        Parameters
        ----------
        done
            What the writer had to set aside, for the record.
        timeout_s
            How long the analysis may take.
        """
        past, so_far = self._past, self._past.so_far
        left = past.left
        facts = {"n_left": len(left), "set_aside": done, "clock": past.clock}
        downtime_s = self._clock.now_s() - so_far.last_s if self.begun else 0.0
        self._recorder.note("run_resumed", **facts, downtime_s=downtime_s)
        for fov, timestep, channel in so_far.unconfirmed:
            facts = {"fov": fov, "timestep": timestep, "channel": channel}
            self._recorder.note("stim_unconfirmed", **facts)
        self._note_lost_read_outs()
        if self._analysis is not None:
            self._analyse(self._analysis, timeout_s)
        self._decide()
        self._restore_masks()

    def begin(self, gate: Gate) -> None:
        """Let the schedule go on as the clock policy says."""
        past, so_far = self._past, self._past.so_far
        left = past.left
        gate.shift_s = so_far.shift_s
        if left and past.clock == "shift":
            due_s = left[0].planned_s + so_far.shift_s
            gate.shift_s += shift_by(due_s, so_far.last_s, self._clock.now_s())
        places = {(step.fov, step.timestep) for step in left}
        for step in past.steps:
            wait = wait_of(step) if step.first else None
            begun = (step.fov, step.timestep) not in places
            if wait is not None and wait.start_at is not None and begun:
                gate.passed(wait.start_at)
        shift = {"shift_s": gate.shift_s, "clock": past.clock}
        self._recorder.note("schedule_resumed", **shift)

    def remind(self, substitutes: Substitutes) -> None:
        """Tell what fired last at every position, for a mask that will be late."""
        if not substitutes.remembers:
            return
        last = {(x["fov"], x["channel"]): x for x in self._past.so_far.light_lines}
        for (fov, channel), line in last.items():
            stimulus = self._stimulus_of(line)
            if stimulus is not None:
                substitutes.fired(fov, channel, stimulus)

    def _note_lost_read_outs(self) -> None:
        """Record stimulations that are confirmed and whose image is not stored."""
        so_far = self._past.so_far
        for (fov, timestep, channel), what in so_far.lights.items():
            role = FrameRole.STIM
            if what != "fired" or channel in so_far.stored(fov, timestep, role):
                continue
            if (fov, timestep, str(role)) not in so_far.missed:
                facts = {"fov": fov, "timestep": timestep, "role": str(role)}
                facts |= {"channel": channel, "reason": READ_OUT_LOST}
                self._recorder.note("frame_missing", **facts)

    def _analyse(self, analysis: Analysis, timeout_s: float) -> None:
        """Restore the state of each position, and analyse what came after it."""
        past = self._past
        known: dict[int, int] = {}
        for fov in sorted({fov for fov, _ in past.so_far.places}):
            state = state_of(past.run, fov)
            if state and (fov, state["timestep"]) in past.so_far.places:
                analysis.analyst.restore(fov, state)
                known[fov] = state["timestep"]
        for event in past.plan.events:
            place = event.fov, event.timestep
            if place not in past.so_far.places or place in past.so_far.unanalysed:
                continue
            if event.timestep > known.get(event.fov, -1):
                self._analyse_again(analysis, event)
        self._see_again(analysis)
        if not analysis.lanes.drain(timeout_s):
            error = TimeoutError(f"frames were not analysed again in {timeout_s:g} s")
            self._recorder.error(BackgroundError.of(error, stage="analysis"))

    def _see_again(self, analysis: Analysis) -> None:
        """Give references that are still to come the cells of their moment."""
        if not analysis.pipeline.reference_features:
            return
        main = analysis.pipeline.segmenters[0].name
        due = {(s.fov, s.timestep) for s in self._past.left if s.role is FrameRole.REF}
        for fov, timestep in due & self._past.so_far.cells:
            cells = self._past.cells(fov, timestep, main)
            if cells is not None:
                analysis.analyst.see_again(timestep, fov, cells)

    def _analyse_again(self, analysis: Analysis, event: RTMEvent) -> None:
        """Hand a stored frame to the analysis, in order per position."""
        light = self._past.plan.asked.get((event.fov, event.timestep), {})
        try:
            moment = self._past.moment(event)
        except FaroError as error:
            place = {"fov": event.fov, "timestep": event.timestep}
            self._recorder.error(BackgroundError.of(error, stage="storage", **place))
            return
        stamps = Stamps(self._clock.now_s, {"acquired": self._clock.now_s()})
        z = analysis.pipeline.z
        job = FrameJob(moment, stamps, light, z=z, recovered=True)
        analysis.analyst.announce(job)
        analysis.lanes.submit(event.fov, job)

    def _decide(self) -> None:
        """Publish the decisions that are still to fire and came before the end."""
        so_far = self._past.so_far
        coming = {
            (s.fov, s.timestep) for s in self._past.left if s.role is FrameRole.IMAGE
        }
        for step in self._past.left:
            if step.mask_from is None or step.mask_from in coming:
                continue
            (fov, timestep), name = step.mask_from, step.channel.config
            reason = so_far.decided.get((fov, timestep, name), NO_DECISION)
            stimulus = self._lights_of(fov).get(name) if reason == "ok" else None
            if reason == "ok" and stimulus is None:
                reason = NO_DECISION
            now_s = self._clock.now_s()
            self._board.publish(
                Decision(fov, timestep, stimulus, reason, now_s, channel=name)
            )

    def _lights_of(self, fov: int) -> Mapping[str, Stimulus]:
        return {} if self._analysis is None else self._analysis.analyst.lights_of(fov)

    def _restore_masks(self) -> None:
        """Store masks that were armed and are not stored yet."""
        stored = self._past.so_far.labels
        for line in self._past.so_far.light_lines:
            place, label = (line["fov"], line["timestep"]), line.get("mask_label")
            if label is None or label in stored.get(place, ()):
                continue
            stimulus = self._decided_for(line)
            if stimulus is None or stimulus.mask is None:
                what = "the mask of a stimulation was lost when the run was ended"
                error = FaroError(what, remedy="Its SHA-256 is in the journal.")
                at = {"fov": line["fov"], "timestep": line["timestep"]}
                self._recorder.error(BackgroundError.of(error, stage="storage", **at))
                continue
            self._masks[*place, line["channel"]] = stimulus
            self._recorder.labels(label, *place, stimulus.mask)

    def _decided_for(self, line: Mapping[str, Any]) -> Stimulus | None:
        """Return the light that a ``stim_armed`` line tells of, if it is known."""
        fov, channel = line["fov"], line["channel"]
        decision = self._board.wait(fov, line["from_timestep"], channel, 0.0)
        found = [decision.stimulus if decision else None]
        found.append(self._lights_of(fov).get(channel))
        kept = kept_mask(self._past.run, line["mask_label"], fov, line["timestep"])
        found.append(None if kept is None else Stimulus(kept))
        for stimulus in found:
            if stimulus and mask_sha256(stimulus.mask) == line["mask_sha256"]:
                return stimulus
        return None

    def _stimulus_of(self, line: Mapping[str, Any]) -> Stimulus | None:
        """Return the light of a ``stim_armed`` line, restored or as it is stored."""
        restored = self._masks.get((line["fov"], line["timestep"], line["channel"]))
        return restored or self._past.mask(line)

    def relived(self, events: Iterator[MDAEvent]) -> Iterator[MDAEvent]:
        """Return ``events``, with the past light of a sample that is made anew."""
        if "simulation" not in self._microscope.describe():
            return events
        order: dict[tuple[int, int], int] = {}
        for step in self._past.steps:
            order.setdefault((step.fov, step.timestep), len(order))
        return Reliving(events, self._lights(), order)

    def _lights(self) -> Iterator[MDAEvent]:
        """Yield the stimulations of the past, at the times that were planned then."""
        steps = {
            (s.fov, s.timestep, s.channel.config): s
            for s in self._past.steps
            if s.role is FrameRole.STIM
        }
        at = {
            event.fov: event.position_um
            for event in self._past.plan.events
            if event.x_pos is not None
        }
        microscope = self._microscope
        for line in self._past.so_far.light_lines:
            step = steps.get((line["fov"], line["timestep"], line["channel"]))
            stimulus = self._stimulus_of(line)
            if step is None or stimulus is None:
                continue
            x_um, y_um, _ = at.get(step.fov, step.position_um)
            placed = replace(
                step,
                channel=step.channel.exposed(line["exposure_ms"]),
                position_um=(x_um, y_um, step.z_um),
                planned_s=step.planned_s + line["shift_s"],
            )
            image = slm_image(stimulus, microscope.dmd, line["exposure_ms"])
            yield exposure(placed, microscope, PAST, image)
