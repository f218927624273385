"""The face of a run: check, start, stop, and what became of it."""

from __future__ import annotations

import logging
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from faro.analysis import warm_up
from faro.errors import RefusedError
from faro.experiment import RTMSequence
from faro.run.dmd_check import spot_checked
from faro.run.growing import GrowingPlan
from faro.run.handle import RunHandle
from faro.run.limits import RunLimits
from faro.run.one_run import RunParts
from faro.run.open_run import OpenRun, warned
from faro.run.past import past_of
from faro.run.phases import RunPhases
from faro.run.preflight import preflight
from faro.run.processes import in_processes
from faro.run.reopened import check_writer, reopened, summary_of
from faro.run.state import RunState
from faro.run.verbs import UNDER_WAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.errors import Problem
    from faro.experiment import RTMEvent
    from faro.experiment.document import StepTimes
    from faro.model import RunNeeds
    from faro.protocols import Microscope, Sink
    from faro.run.gate import ClockPolicy
    from faro.run.pipeline import ImageProcessingPipeline
    from faro.run.summary import RunSummary

logger = logging.getLogger(__name__)


class Controller(RunPhases):
    """Runs feedback experiments on one microscope.

    Parameters
    ----------
    mic
        The microscope, real, simulated or replayed.
    pipeline
        What is done with every frame; None only records.
    writer
        Where the run is stored, for example ``OmeZarrWriter(path)``; None keeps
        nothing. A writer serves one run.
    limits
        Deadlines and sizes.
    times
        How long the steps take, to warn where the schedule cannot be kept; None counts
        the exposures only.

    Raises
    ------
    RefusedError
        If segmenters are to run in processes and cannot; with all of them.

    Attributes
    ----------
    notices
        Signals for progress bars and viewers, emitted on a thread of their own.
    """

    def __init__(
        self,
        mic: Microscope,
        pipeline: ImageProcessingPipeline | None = None,
        *,
        writer: Sink | None = None,
        limits: RunLimits | None = None,
        times: StepTimes | None = None,
    ) -> None:
        super().__init__()
        self._times = times
        self._mic, self._writer, self._limits = mic, writer, limits or RunLimits()
        self._pipeline = pipeline and in_processes(pipeline, self._limits)
        self._extending = threading.Lock()

    def validate_events(
        self, events: Iterable[RTMEvent], *, stim_mode: str = "current"
    ) -> list[Problem]:
        """Return every reason why ``events`` cannot run; empty if they can.

        Problems of the severity ``"warning"`` do not keep them from running. Nothing is
        created and no light is switched on.
        """
        free = self.state not in UNDER_WAY
        return self._preflight(list(events), stim_mode, free=free)[0]

    def _preflight(
        self, events: list[RTMEvent], stim_mode: str, *, free: bool = True
    ) -> tuple[list[Problem], RunNeeds | None]:
        parts = self._mic, self._pipeline, self._writer
        times, dose = self._times, self._limits.dose
        return preflight(events, *parts, stim_mode, times=times, dose=dose, free=free)

    @overload
    def run_experiment(
        self,
        events: Iterable[RTMEvent],
        *,
        stim_mode: str = ...,
        progress: bool = ...,
        notes: Mapping[str, Any] | None = ...,
        finish: bool = ...,
        block: Literal[True] = ...,
    ) -> RunSummary: ...
    @overload
    def run_experiment(
        self,
        events: Iterable[RTMEvent],
        *,
        stim_mode: str = ...,
        progress: bool = ...,
        notes: Mapping[str, Any] | None = ...,
        finish: bool = ...,
        block: Literal[False],
    ) -> RunHandle: ...
    def run_experiment(
        self,
        events: Iterable[RTMEvent],
        *,
        stim_mode: str = "current",
        progress: bool = False,
        notes: Mapping[str, Any] | None = None,
        finish: bool = True,
        block: bool = True,
    ) -> RunSummary | RunHandle:
        """Run an experiment; returns when it is done and stored.

        Parameters
        ----------
        events
            An `RTMSequence`, or events from `combine`.
        stim_mode
            ``"current"``: image, wait for the mask of this frame, stimulate.
            ``"previous"``: stimulate with the mask of the frame before, then image.
            ``"interleaved"``: image all positions, then return and stimulate.
        progress
            Show a live line in the terminal or notebook.
        notes
            JSON-able facts for the record (seed, operator, ...).
        finish
            Whether the run is closed at its end. Else it stays open for
            `continue_experiment`, and `finish_experiment` closes it.
        block
            Whether to wait for the end. Else a `RunHandle` is returned as soon as the
            run has been checked and begins.

        Raises
        ------
        RefusedError
            Before any light, with all problems.
        RunStateError
            If a run is under way or open.
        KeyboardInterrupt
            After the run was stopped, dark, with what was acquired stored.
        """
        listed = events if isinstance(events, tuple | RTMSequence) else tuple(events)
        self._state.move(RunState.RUNNING, start=RunState.IDLE)
        try:
            opened = self._opened(listed, stim_mode, dict(notes or {}))
        except BaseException:
            self._ended()
            raise
        carry_out = partial(opened.run.carry_out, finish=finish)
        phase = partial(self._phase, opened, carry_out, show=progress, enter=block)
        if block:
            return phase()
        return RunHandle(phase, self._state, opened.run.progress, self.stop_run)

    @overload
    def resume(self) -> None: ...
    @overload
    def resume(
        self,
        folder: str | Path,
        *,
        clock: ClockPolicy = ...,
        progress: bool = ...,
        finish: bool = ...,
    ) -> RunSummary: ...
    def resume(
        self,
        folder: str | Path | None = None,
        *,
        clock: ClockPolicy = "shift",
        progress: bool = False,
        finish: bool = True,
    ) -> RunSummary | None:
        """Go on: with a run that is paused (any thread), or with one that was ended.

        Without ``folder`` the pause ends, or one that is asked for. With the folder of
        a run whose process was killed, or that was stopped, the run goes on where it
        was and this returns when it is done: nothing that was acknowledged is lost or
        taken twice, tracks and controllers keep their state, and light that may have
        fired is not fired again. A run that is complete is left as it is.

        Parameters
        ----------
        folder
            The run folder. Microscope, pipeline and limits of this controller must be
            those of the run.
        clock
            ``"shift"``: later starts move by the time in which nobody ran. ``"keep"``:
            they stay, and what is overdue is done at once.
        progress, finish
            As for `run_experiment`.

        Raises
        ------
        RefusedError
            If rig, files or definition changed; with all that did.
        RunStateError
            If nothing is paused; with ``folder``, if a run is under way or open.
        StorageError
            If another process writes the run, or a part of it is missing.
        """
        if folder is None:
            return super().resume()
        self._state.move(RunState.RUNNING, start=RunState.IDLE)
        try:
            past = past_of(Path(folder).absolute(), clock)
            check_writer(self._writer, past.run.path)
            if past.over:
                self._summary = summary_of(past)
                logger.info("%s is complete: nothing is left to do.", past.run.path)
                self._ended()
                return self._summary
            given = self._mic, self._pipeline, self._limits, self.notices, self._state
            opened, done = reopened(past, *given, times=self._times)
        except BaseException:
            self._ended()
            raise
        with self._lock:
            self._open, self._run, self._summary = opened, opened.run, None

        def carry_out() -> RunSummary:
            opened.run.recover(done)
            return opened.run.carry_out(finish=finish)

        return self._phase(opened, carry_out, show=progress)

    def extend_experiment(self, events: Iterable[RTMEvent]) -> None:
        """Let more events follow those of the run that is under way; any thread.

        Their timesteps and starts are counted on from the end of the plan, as with
        ``combine(..., axis="t")``. What is wrong with them leaves the run as it is.

        Raises
        ------
        RefusedError
            With all problems of ``events``.
        RunStateError
            If nothing runs, or the last position of the plan was begun already.
        """
        with self._extending:
            self._running("extend")
            opened = self._open
            if opened is None:
                raise self._nothing(verb="extend")
            joined = opened.joined(events)
            opened.enlarge(joined)
            opened.run.plan.grow(joined)
        timesteps = len({event.timestep for event in joined})
        self.notices.tell(self.notices.extended.emit, len(joined), timesteps)

    def continue_experiment(
        self,
        events: Iterable[RTMEvent],
        *,
        progress: bool = False,
        finish: bool = False,
    ) -> RunSummary:
        """Run more events in the run that was left open; returns when they are done.

        Trackers, clock and store go on. Timesteps are counted on; the first position
        starts at once, or when it is due after what was planned before.

        Parameters
        ----------
        events
            An `RTMSequence`, or events from `combine`.
        progress, finish
            As for `run_experiment`.

        Raises
        ------
        RefusedError
            Before any light, with all problems; the run stays open.
        RunStateError
            If no run is open.
        """
        opened = self._open
        if opened is None or self.state is not RunState.OPEN:
            raise self._nothing(verb="continue")
        joined = opened.joined(events)
        self._state.move(RunState.RUNNING, start=RunState.OPEN)
        opened.enlarge(joined)
        opened.run.reopen(joined)
        carry_out = partial(opened.run.carry_out, finish=finish)
        return self._phase(opened, carry_out, show=progress)

    def finish_experiment(self) -> RunSummary:
        """Close the run that was left open; return what became of it.

        A run that is closed already is left as it is.

        Raises
        ------
        RunStateError
            If there was no run, or one is under way.
        """
        opened = self._open
        if opened is None or self.state is not RunState.OPEN:
            if self.state is RunState.IDLE and self._summary is not None:
                return self._summary
            raise self._nothing(verb="finish")
        self._state.move(RunState.FINISHING, start=RunState.OPEN)
        try:
            self._summary = opened.run.finish()
        finally:
            self._closed(opened)
        return self._summary

    def _opened(
        self, events: Iterable[RTMEvent], stim_mode: str, notes: dict[str, Any]
    ) -> OpenRun:
        """Check an experiment and create what it needs; nothing is acquired."""
        listed = list(events)
        problems, needed = self._preflight(listed, stim_mode)
        notes = {"warnings": warned(problems), **notes}
        if needed is None:
            raise RefusedError(problems)
        notes |= spot_checked(self._mic, listed, self._pipeline, self._limits)
        if self._pipeline is not None:
            warm_up()
        given = self._mic, self._pipeline, self._writer, self._limits
        parts = RunParts(*given, self.notices, self._state)
        plan = GrowingPlan(events, stim_mode)
        opened = OpenRun(parts, plan, needed, self._times, notes)
        with self._lock:
            self._open, self._run, self._summary = opened, opened.run, None
        return opened
