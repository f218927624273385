"""One run from the first event to the last byte written."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from faro.model import Decision
from faro.run.acquisition import EventFeed, LoopParts
from faro.run.analyst import Analyst
from faro.run.assembler import Assembler
from faro.run.board import DecisionBoard
from faro.run.clock import RunClock
from faro.run.gate import Gate
from faro.run.jobs import BackgroundError, FrameJob, Segmented
from faro.run.lanes import LaneLimits, Lanes, Taken, Work
from faro.run.late import Substitutes
from faro.run.recorder import Recorder
from faro.run.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from useq import MDAEvent

    from faro.experiment import PlannedEvent
    from faro.model import Stack, Stamps
    from faro.model.frame import PixelArray
    from faro.protocols import Microscope, Sink
    from faro.run.limits import RunLimits
    from faro.run.notices import Notices
    from faro.run.pipeline import ImageProcessingPipeline
    from faro.run.state import StateMachine

logger = logging.getLogger(__name__)

WAKE_S = 0.25
"""The main thread wakes this often, so that Ctrl-C is seen on Windows too."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What became of a run.

    Attributes
    ----------
    reason
        ``"completed"``, or why it ended before its plan did.
    n_stacks, n_cells
        Complete imaging stacks and rows of the cell table.
    n_stimulated, n_skipped
        Stimulations that fired, and those for which nothing fired.
    n_errors
        Failures recorded while the run went on.
    duration_s
        From the first event to the last table row.
    path
        The run folder, None if the run was not stored.
    """

    reason: str
    n_stacks: int
    n_cells: int
    n_stimulated: int
    n_skipped: int
    n_errors: int
    duration_s: float
    path: Path | None = None

    @property
    def completed(self) -> bool:
        """Whether the whole plan was carried out."""
        return self.reason == "completed"


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
    """The threads, queues and records of one run; used once.

    Parameters
    ----------
    parts
        As given to the controller.
    asked
        The (fov, timestep) whose decision a stimulation will use.

    Attributes
    ----------
    recorder
        Everything it writes down.
    gate
        Where it waits and is paused.
    """

    def __init__(self, parts: RunParts, asked: frozenset[tuple[int, int]]) -> None:
        pipeline, sink, limits = parts.pipeline, parts.sink, parts.limits
        notices, microscope = parts.notices, parts.microscope
        self._microscope, self._limits, self._sink = microscope, limits, sink
        self._pipeline, self._notices, self._asked = pipeline, notices, asked
        self._clock, self._board = RunClock(), DecisionBoard()
        self._stop_reason = ""
        self._feed: EventFeed | None = None
        self._acquisition_error: BaseException | None = None
        self._lock = threading.Lock()
        self.recorder = recorder = Recorder(
            sink, self._clock, self._storage_failed, limits.writing, self._undecided
        )
        dark = microscope.go_dark
        self.gate = Gate(self._clock, recorder, notices, parts.state, dark)
        self._workers = Workers(limits.n_workers)
        self._analyst: Analyst | None = None
        self._lanes: Lanes[FrameJob, Segmented] | None = None
        if pipeline is not None:
            analyst = Analyst(pipeline, self._board, self.recorder, notices)
            self._analyst = analyst
            work = Work(
                analyst.segment, analyst.follow, analyst.instead, analyst.give_up
            )
            places = LaneLimits(
                limits.max_in_flight, limits.fov_share, limits.step_deadline_s
            )
            self._lanes = Lanes(self._workers, work, places)

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

    def carry_out(
        self, planned: Iterable[PlannedEvent], pixel_size_um: float | None
    ) -> RunSummary:
        """Run the plan to its end; return when everything is stored."""
        assembler = Assembler(
            self._clock,
            self.recorder,
            self._notices,
            self._deliver,
            self._give_up,
            pixel_size_um,
        )
        parts = LoopParts(
            self._microscope,
            self._clock,
            self._board,
            self.recorder,
            self._notices,
            self.gate,
            Substitutes(
                self._limits.late_mask,
                None if self._pipeline is None else self._pipeline.fallback,
                self._microscope.facts().image_shape or (0, 0),
                self.recorder,
            ),
        )
        feed = EventFeed(planned, parts, assembler, self._limits.mask_deadline_s)
        with self._lock:
            self._feed = feed
        if self._stop_reason:
            feed.close()
        self.recorder.note("run_started", wall_ns=self._clock.wall_ns_at(0.0))
        interrupted = self._acquire(feed, assembler)
        summary = self._finish(feed)
        if interrupted is not None:
            raise interrupted
        return summary

    def _acquire(
        self, feed: EventFeed, assembler: Assembler
    ) -> KeyboardInterrupt | None:
        """Have the microscope take all events; return the Ctrl-C that ended it."""
        microscope = self._microscope
        take = partial(self._take, assembler)
        interrupted: KeyboardInterrupt | None = None
        microscope.connect_frame(take)
        microscope.connect_missing(assembler.missing)
        try:
            self._clock.start()
            thread = microscope.run_mda(feed)
            while thread.is_alive():
                try:
                    thread.join(WAKE_S)
                except KeyboardInterrupt as error:
                    interrupted = error
                    self.stop("interrupted")
            self._acquisition_error = thread.error
        finally:
            microscope.disconnect_frame(take)
            microscope.disconnect_missing(assembler.missing)
            microscope.go_dark("the run ended")
        return interrupted

    def _take(
        self,
        assembler: Assembler,
        pixels: PixelArray,
        event: MDAEvent,
        metadata: Mapping[str, Any],
    ) -> None:
        assembler.take(pixels, event, metadata)

    def _deliver(self, stack: Stack, stamps: Stamps) -> None:
        """Give a complete stack to the analysis; blocks while too much is in flight."""
        if self._lanes is None or self._pipeline is None:
            self._give_up(stack.fov, stack.timestep, "there is no pipeline")
            return
        asked = (stack.fov, stack.timestep) in self._asked
        decide_with = self._pipeline.stimulator if asked else None
        job = FrameJob(stack, stamps, decide_with)
        if self._analyst is not None:
            self._analyst.announce(job)
        taken = self._lanes.submit(stack.fov, job)
        if taken is Taken.WAITED:
            logger.warning("The analysis is behind; the schedule slips.")
            self.recorder.note("analysis_behind", in_flight=self._lanes.in_flight)
        elif taken is Taken.REFUSED:
            self._skip_analysis(stack)

    def _skip_analysis(self, stack: Stack) -> None:
        """Record that a FOV is so far behind that its frame is not analysed."""
        reason = "the analysis of this position is too far behind"
        logger.warning("fov %d, t %d: %s.", stack.fov, stack.timestep, reason)
        facts = {"fov": stack.fov, "timestep": stack.timestep}
        self.recorder.note("analysis_skipped", **facts, reason=reason)
        self._give_up(stack.fov, stack.timestep, reason)

    def _undecided(self, fov: int, timestep: int) -> bool:
        """Return whether a mask is waited for that is not there yet."""
        asked = (fov, timestep) in self._asked
        return asked and not self._board.knows(fov, timestep)

    def _give_up(self, fov: int, timestep: int, reason: str) -> None:
        now_s = self._clock.now_s()
        self._board.publish(Decision(fov, timestep, None, reason, now_s))

    def _finish(self, feed: EventFeed) -> RunSummary:
        """Wait for analysis and writing, write the summary, close the sink."""
        deadline_s = self._limits.drain_deadline_s
        if self._lanes is not None:
            if not self._lanes.drain(deadline_s):
                self._note_undone(f"{self._lanes.in_flight} frames were not analysed")
            self._lanes.close()
        self._workers.close()
        feed.close()
        reason = self._reason(feed)
        summary = self._summary(reason)
        self.recorder.note("run_finished", reason=reason)
        facts = {**_plain(summary), "counts": dict(self.recorder.counts)}
        if not self.recorder.finish(facts, deadline_s):
            logger.error("Not everything was written within %g s.", deadline_s)
        self._notices.tell(self._notices.finished.emit, reason)
        self._notices.flush(1.0)
        return summary

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
        return "completed" if feed.exhausted else "the acquisition ended early"

    def _summary(self, reason: str) -> RunSummary:
        counts = self.recorder.counts
        return RunSummary(
            reason=reason,
            n_stacks=counts.get("stacks_image", 0),
            n_cells=self._analyst.cells_seen if self._analyst else 0,
            n_stimulated=counts.get("stim_confirmed", 0),
            n_skipped=counts.get("stim_skipped", 0),
            n_errors=counts.get("error", 0),
            duration_s=self._clock.now_s(),
            path=None if self._sink is None else self._sink.path,
        )

    def _storage_failed(self, error: Exception) -> None:
        self.stop(f"storage failed: {error}")


def _plain(summary: RunSummary) -> dict[str, Any]:
    """Return a summary as JSON-able facts."""
    names = ("reason", "n_stacks", "n_cells", "n_stimulated", "n_skipped", "n_errors")
    facts = {name: getattr(summary, name) for name in names}
    return {**facts, "duration_s": round(summary.duration_s, 3)}
