"""One run from the first event to the last byte written."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faro import settings
from faro.model import Decision, FrameRole
from faro.policies.fold import totals_by_channel
from faro.run.acquisition import EventFeed, LoopParts
from faro.run.analyst import Analyst
from faro.run.assembler import Assembler
from faro.run.board import DecisionBoard
from faro.run.clock import RunClock
from faro.run.dose_record import new_meter
from faro.run.gate import Gate
from faro.run.jobs import BackgroundError, FrameJob, Segmented
from faro.run.lanes import LaneLimits, Lanes, Taken, Work
from faro.run.late import Substitutes
from faro.run.losses import Losses
from faro.run.recorder import Recorder
from faro.run.recovery import Analysis, Recovery
from faro.run.room import DiskRoom
from faro.run.summary import COMPLETED, RunProgress, RunSummary, counted, plain
from faro.run.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from useq import MDAEvent

    from faro.experiment import RTMEvent
    from faro.model import Stamps
    from faro.protocols import Microscope, Sink
    from faro.run.growing import GrowingPlan
    from faro.run.limits import RunLimits
    from faro.run.moments import Moment
    from faro.run.notices import Notices
    from faro.run.past import Past
    from faro.run.pipeline import ImageProcessingPipeline
    from faro.run.state import StateMachine

logger = logging.getLogger(__name__)

WAKE_S = 0.25
"""The main thread wakes this often, so that Ctrl-C is seen on Windows too."""


@dataclass(frozen=True, slots=True)
class RunParts:
    """What a run is made of, as given to the controller; its state is moved."""

    microscope: Microscope
    pipeline: ImageProcessingPipeline | None
    sink: Sink | None
    limits: RunLimits
    notices: Notices
    state: StateMachine


class OneRun:
    """The threads, queues and records of one run, in one phase or several.

    Parameters
    ----------
    parts
        As given to the controller.
    plan
        What is taken; it may grow.
    pixel_size_um
        Written into the stacks.
    past
        What there is of the run already, if it was ended and goes on.

    Attributes
    ----------
    recorder
        Everything it writes down.
    gate
        Where it waits and is paused.
    plan
        As given.
    finished
        Whether nothing follows.
    """

    def __init__(
        self,
        parts: RunParts,
        plan: GrowingPlan,
        pixel_size_um: float | None,
        past: Past | None = None,
    ) -> None:
        pipeline, sink, limits = parts.pipeline, parts.sink, parts.limits
        notices, microscope = parts.notices, parts.microscope
        self._microscope, self._limits, self._sink = microscope, limits, sink
        self._pipeline, self._notices, self._state = pipeline, notices, parts.state
        self._clock = RunClock()
        self.plan, self._pixel_size_um = plan, pixel_size_um
        self._stop_reason, self._begun, self.finished = "", False, False
        self._feed: EventFeed | None = None
        self._acquisition_error: BaseException | None = None
        self._lock = threading.Lock()
        self.recorder = Recorder(
            sink, self._clock, self._storage_failed, limits.writing, self._undecided
        )
        self._board = DecisionBoard(self.recorder.look_again)
        known = self.recorder, self._clock, microscope.facts()
        self._meter = new_meter(limits.dose, *known, plan.events, past)
        self._room = None if sink is None else self._new_room(sink)
        self.gate = self._new_gate()
        self._losses = Losses(limits.max_missing_in_a_row, self._lost)
        self._workers = Workers(limits.n_workers)
        self._analyst: Analyst | None = None
        self._lanes: Lanes[FrameJob, Segmented] | None = None
        if pipeline is not None:
            told = self.recorder, notices, self._failing, self._meter
            self._analyst = Analyst(pipeline, self._board, *told)
            self._lanes = self._new_lanes(self._analyst)
        self._recovery = None if past is None else self._new_recovery(past)

    def _new_lanes(self, analyst: Analyst) -> Lanes[FrameJob, Segmented]:
        limits, steps = self._limits, (analyst.segment, analyst.follow)
        work = Work(*steps, analyst.instead, analyst.give_up)
        share, deadline_s = limits.fov_share, limits.step_deadline_s
        places = LaneLimits(limits.max_in_flight, share, deadline_s)
        return Lanes(self._workers, work, places)

    def _new_room(self, sink: Sink) -> DiskRoom:
        reserve = settings.load().disk_reserve_bytes
        return DiskRoom(sink.free_bytes, lambda: self.recorder.queued_bytes, reserve)

    def _new_recovery(self, past: Past) -> Recovery:
        analysis = None
        if self._pipeline and self._analyst and self._lanes:
            analysis = Analysis(self._pipeline, self._analyst, self._lanes)
        parts = self._microscope, self._clock, self.recorder, self._board
        return Recovery(past, *parts, analysis)

    def recover(self, set_aside: list[str]) -> None:
        """Bring a run that was ended back to where it was; before `carry_out`."""
        if self._recovery is None:
            return
        try:
            self._recovery.restore(set_aside, self._limits.drain_deadline_s)
        except BaseException as error:
            self.finish(f"it could not be resumed: {error}")
            raise

    def _new_gate(self) -> Gate:
        dark = self._microscope.go_dark
        parts = self.recorder, self._notices, self._state
        gate = Gate(self._clock, *parts, dark, self._lacking)
        gate.pace = self._microscope.facts().pace
        return gate

    def _lost(self, n_missing: int, error: Exception) -> None:
        """Pause at once, dark: the camera or a stage is lost."""
        if self._stop_reason:
            return
        what = f"{n_missing} frames in a row are missing, the last: {error}"
        logger.error(what)
        self.recorder.note("hardware_lost", n_missing=n_missing, message=str(error))
        self.gate.halt(f"{what} Mend the camera or the stage, then resume.")

    def _lacking(self) -> str:
        """Return what the next frames lack: room on the disk, or nothing."""
        return "" if self._room is None else self._room.lacking()

    def stop(self, reason: str) -> None:
        """End the run now and go dark; any thread."""
        with self._lock:
            self._stop_reason = self._stop_reason or reason
            feed = self._feed
        if feed is not None:
            feed.close()
        if self._lanes is not None:
            self._lanes.stop_blocking()
        self.recorder.stop_blocking()
        self._microscope.cancel_mda()
        self._microscope.go_dark(reason)

    def carry_out(self, *, finish: bool = True) -> RunSummary:
        """Run the plan to its end; return when everything is stored.

        Parameters
        ----------
        finish
            Whether nothing follows. Else the run is left open, for `reopen` or
            `finish`, unless it was ended before its plan was.
        """
        assembler = Assembler(
            self._clock,
            self.recorder,
            self._notices,
            self._deliver,
            self._give_up,
            self._pixel_size_um,
        )
        feed = self._new_feed(assembler)
        with self._lock:
            self._feed = feed
        if self._stop_reason:
            feed.close()
        interrupted = self._acquire(feed, assembler)
        self._drain(feed)
        reason = self._reason(feed)
        if interrupted is not None:
            self.finish(reason)
            raise interrupted
        if finish or reason != COMPLETED:
            return self.finish(reason)
        return self._summary(reason)

    def reopen(self, joined: tuple[RTMEvent, ...]) -> None:
        """Let what follows the plan so far be carried out, now or when it is due."""
        first = joined[len(self.plan.events)]
        now_s = self._clock.now_s()
        self.plan.grow(joined, reopen=True)
        self._board.open()
        self.gate = self._new_gate()
        self.gate.shift_s = max(0.0, now_s - (first.min_start_time or 0.0))
        self.recorder.note("continued", shift_s=self.gate.shift_s)

    def finish(self, reason: str = COMPLETED) -> RunSummary:
        """End the threads, write the summary, close the sink."""
        self.finished = True
        if self._lanes is not None:
            self._lanes.close()
        self._workers.close()
        summary = self._summary(reason)
        self.recorder.note("run_finished", reason=reason)
        facts = {**plain(summary), "counts": dict(self.recorder.counts)}
        facts["dose_ms"] = self._meter.totals()
        if not self.recorder.finish(facts, self._limits.drain_deadline_s):
            logger.error("Not everything was written in time.")
        self._notices.tell(self._notices.finished.emit, reason)
        self._notices.flush(1.0)
        return summary

    def progress(self) -> RunProgress:
        """Return how far the run is; any thread."""
        feed, events = self._feed, self.plan.events
        last_s = max((event.min_start_time or 0.0 for event in events), default=0.0)
        return RunProgress(
            n_done=self.recorder.counts.get("positions_begun", 0),
            n_total=len(events),
            now_s=self._clock.now_s() if self._begun else 0.0,
            planned_end_s=last_s + self.gate.shift_s,
            lateness_s=0.0 if feed is None else feed.lateness_s,
            doing=self.gate.doing,
        )

    def _new_feed(self, assembler: Assembler) -> EventFeed:
        substitutes = Substitutes(
            self._limits.late_mask,
            None if self._pipeline is None else self._pipeline.fallback,
            self._microscope.facts().image_shape or (0, 0),
            self.recorder,
        )
        if self._recovery is not None:
            self._recovery.remind(substitutes)
        parts = LoopParts(
            self._microscope,
            self._clock,
            self._board,
            self.recorder,
            self._notices,
            self.gate,
            substitutes,
            self._losses,
            lambda channel: self.plan.mask_labels[channel],
            self._limits.settle_s,
            self._meter,
        )
        return EventFeed(self.plan, parts, assembler, self._limits.mask_deadline_s)

    def _acquire(
        self, feed: EventFeed, assembler: Assembler
    ) -> KeyboardInterrupt | None:
        """Have the microscope take all events; return the Ctrl-C that ended it."""
        microscope = self._microscope
        interrupted: KeyboardInterrupt | None = None
        listeners = assembler, self._losses
        for one in listeners:
            microscope.connect_frame(one.frame)
            microscope.connect_missing(one.missing)
        try:
            self._begin()
            events: Iterator[MDAEvent] = feed
            if self._recovery is not None:
                events = self._recovery.relived(feed)
            thread = microscope.run_mda(events)
            while thread.is_alive():
                try:
                    thread.join(WAKE_S)
                except KeyboardInterrupt as error:
                    interrupted = error
                    self.stop("interrupted")
            self._acquisition_error = thread.error
        finally:
            for one in listeners:
                microscope.disconnect_frame(one.frame)
                microscope.disconnect_missing(one.missing)
            assembler.close()
            microscope.go_dark("the run ended")
        return interrupted

    def _begin(self) -> None:
        """Start the clock, once."""
        if self._begun:
            return
        self._begun = True
        if self._recovery is not None and self._recovery.begun:
            self._recovery.begin(self.gate)
            return
        self._clock.start()
        self.recorder.note("run_started", wall_ns=self._clock.wall_ns_at(0.0))

    def _deliver(self, moment: Moment, stamps: Stamps) -> None:
        """Give complete stacks to the analysis; blocks while too much is in flight."""
        refers = moment.role is FrameRole.REF
        if refers and not (self._pipeline and self._pipeline.reference_features):
            return
        if self._lanes is None or self._pipeline is None:
            self._give_up(moment.fov, moment.timestep, "there is no pipeline")
            return
        asked = {} if refers else self.plan.asked
        light = asked.get((moment.fov, moment.timestep), {})
        job = FrameJob(moment, stamps, light, z=self._pipeline.z)
        if self._analyst is not None and not refers:
            self._analyst.announce(job)
        taken = self._lanes.submit(moment.fov, job)
        if taken is Taken.WAITED:
            logger.warning("The analysis is behind; the schedule slips.")
            self.recorder.note("analysis_behind", in_flight=self._lanes.in_flight)
        elif taken is Taken.REFUSED:
            self._skip_analysis(moment)

    def _skip_analysis(self, moment: Moment) -> None:
        """Record that a FOV is so far behind that its frame is not analysed."""
        reason = "the analysis of this position is too far behind"
        logger.warning("fov %d, t %d: %s.", moment.fov, moment.timestep, reason)
        facts = {"fov": moment.fov, "timestep": moment.timestep}
        self.recorder.note("analysis_skipped", **facts, reason=reason)
        self._give_up(moment.fov, moment.timestep, reason)

    def _undecided(self, fov: int, timestep: int) -> bool:
        """Return whether a mask is waited for that is not there yet."""
        asked = self.plan.asked.get((fov, timestep), {})
        return not self._board.knows(fov, timestep, asked)

    def _give_up(self, fov: int, timestep: int, reason: str) -> None:
        now_s = self._clock.now_s()
        self._board.publish(Decision(fov, timestep, None, reason, now_s))

    def _drain(self, feed: EventFeed) -> None:
        """Wait for the analysis; then no more is let through."""
        deadline_s = self._limits.drain_deadline_s
        if self._lanes is not None and not self._lanes.drain(deadline_s):
            self._note_undone(f"{self._lanes.in_flight} frames were not analysed")
        feed.close()

    def _failing(self, n_frames: int, stage: str) -> None:
        """End the run where so many frames in a row failed that it makes no sense."""
        most = self._limits.max_failures_in_a_row
        if 0 < most <= n_frames:
            self.stop(f"{n_frames} frames in a row failed, the last at {stage}")

    def _note_undone(self, what: str) -> None:
        error = TimeoutError(f"{what} within {self._limits.drain_deadline_s:g} s")
        self.recorder.error(BackgroundError.of(error, stage="analysis"))

    def _reason(self, feed: EventFeed) -> str:
        """Return why the run ended."""
        if self._stop_reason:
            return self._stop_reason
        error = self._acquisition_error
        if error is not None:
            self.recorder.error(BackgroundError.of(error, stage="hardware"))
            return f"the acquisition failed: {error}"
        return COMPLETED if feed.exhausted else "the acquisition ended early"

    def _summary(self, reason: str) -> RunSummary:
        return RunSummary(
            reason=reason,
            n_cells=self._analyst.cells_seen if self._analyst else 0,
            duration_s=self._clock.now_s(),
            path=None if self._sink is None else self._sink.path,
            light_ms=totals_by_channel(self._meter.totals()),
            **counted(self.recorder.counts),
        )

    def _storage_failed(self, error: Exception) -> None:
        self.stop(f"storage failed: {error}")
