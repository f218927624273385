"""The face of a run: check, start, stop, and what became of it."""

from __future__ import annotations

import dataclasses
import logging
import threading
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from faro.analysis import warm_up
from faro.errors import RefusedError, RunStateError
from faro.experiment import plan, waits
from faro.experiment.waiting import WAIT
from faro.logs import log_to_file
from faro.run.enter_key import enter_resumes
from faro.run.gate import BY_HAND, CLOCK_POLICY
from faro.run.limits import RunLimits
from faro.run.notices import Notices
from faro.run.one_run import OneRun, RunParts
from faro.run.preflight import preflight
from faro.run.progress import ProgressLine
from faro.run.state import RunState, StateMachine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from faro.errors import Problem
    from faro.experiment import RTMEvent
    from faro.experiment.document import StepTimes
    from faro.model import RunNeeds
    from faro.protocols import Microscope, Sink
    from faro.protocols.microscope import MaskWarp
    from faro.run.jobs import BackgroundError
    from faro.run.one_run import RunSummary
    from faro.run.pipeline import ImageProcessingPipeline

logger = logging.getLogger(__name__)

UNDER_WAY = (RunState.RUNNING, RunState.WAITING, RunState.PAUSED)


class Controller:
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
        self._times = times
        self._mic, self._pipeline, self._writer = mic, pipeline, writer
        self._limits = limits or RunLimits()
        self._state = StateMachine()
        self._run: OneRun | None = None
        self._lock = threading.Lock()
        self.notices = Notices()

    @property
    def state(self) -> RunState:
        """Where the run is."""
        return self._state.now

    @property
    def doing(self) -> str:
        """What the run is held up by, in words; empty if nothing holds it up.

        ``"waiting until 18:30:00 on 24 November"``, or ``"paused: Add the drug."``.
        """
        run = self._run
        return "" if run is None else run.gate.doing

    @property
    def background_errors(self) -> list[BackgroundError]:
        """What failed during the last run while it went on."""
        return [] if self._run is None else list(self._run.recorder.errors)

    def validate_events(
        self, events: Iterable[RTMEvent], *, stim_mode: str = "current"
    ) -> list[Problem]:
        """Return every reason why ``events`` cannot run; empty if they can.

        Problems of the severity ``"warning"`` do not keep them from running. Nothing is
        created and no light is switched on.
        """
        return self._preflight(list(events), stim_mode)[0]

    def _preflight(
        self, events: list[RTMEvent], stim_mode: str
    ) -> tuple[list[Problem], RunNeeds | None]:
        parts = self._mic, self._pipeline, self._writer
        return preflight(events, *parts, stim_mode, times=self._times)

    def run_experiment(
        self,
        events: Iterable[RTMEvent],
        *,
        stim_mode: str = "current",
        progress: bool = False,
        notes: Mapping[str, Any] | None = None,
    ) -> RunSummary:
        """Run an experiment; returns when it is done and stored.

        Parameters
        ----------
        events
            An `RTMSequence`, or events from `combine`.
        stim_mode
            ``"current"``: image, wait for the mask of this frame, stimulate.
            ``"previous"``: stimulate with the mask of the frame before, then image.
        progress
            Show a live line in the terminal or notebook.
        notes
            JSON-able facts for the record (seed, operator, ...).

        Raises
        ------
        RefusedError
            Before any light, with all problems.
        RunStateError
            If a run is under way.
        KeyboardInterrupt
            After the run was stopped, dark, with what was acquired stored.
        """
        listed = list(events)
        self._state.move(RunState.RUNNING)
        try:
            return self._checked_run(
                listed, stim_mode, dict(notes or {}), show=progress
            )
        finally:
            self._state.try_move(RunState.FINISHING)
            self._state.move(RunState.IDLE)

    def stop_run(self) -> None:
        """End the run now: dark, with what was acquired stored; any thread.

        Raises
        ------
        RunStateError
            If nothing runs.
        """
        with self._lock:
            run = self._run
        if run is None or not self._state.try_move(RunState.STOPPING):
            problem = f"There is no run to stop; the controller is {self.state}."
            raise RunStateError(problem, remedy="Call run_experiment first.")
        run.stop("stopped by the user")

    def pause(self, what_to_do: str = BY_HAND) -> None:
        """Let the run wait, dark, before the next position; any thread.

        What is under way is finished. All later starts are moved by what the pause
        takes beyond the planned start of what follows.

        Parameters
        ----------
        what_to_do
            For the person who is waited for.

        Raises
        ------
        RunStateError
            If nothing runs.
        """
        self._running("pause").gate.pause(what_to_do)

    def resume(self) -> None:
        """Go on with a run that is paused, or about to be; any thread.

        Raises
        ------
        RunStateError
            If nothing is paused.
        """
        self._running("resume").gate.resume()

    def _running(self, verb: str) -> OneRun:
        """Return the run that is under way."""
        with self._lock:
            run = self._run
        if run is None or self.state not in UNDER_WAY:
            problem = f"There is no run to {verb}; the controller is {self.state}."
            raise RunStateError(problem, remedy="Call run_experiment first.")
        return run

    def _checked_run(
        self,
        events: list[RTMEvent],
        stim_mode: str,
        notes: dict[str, Any],
        *,
        show: bool,
    ) -> RunSummary:
        problems, needed = self._preflight(events, stim_mode)
        errors = [problem for problem in problems if problem.severity == "error"]
        if errors or needed is None:
            raise RefusedError(errors)
        warnings = [str(problem) for problem in problems]
        for warning in warnings:
            logger.warning("%s", warning)
        notes = {"warnings": warnings, **notes}
        if self._pipeline is not None:
            warm_up()
        description = self._description(events, stim_mode, notes)
        with ExitStack() as stack:
            if self._writer is not None:
                self._writer.open(needed, description)
                stack.enter_context(log_to_file(self._writer.path / "run.log"))
            stack.enter_context(self._progress(events, show=show))
            run = self._new_run(events, stim_mode)
            if any(wait.pause_before for wait in waits(events)):
                stack.enter_context(enter_resumes(run.gate, self.notices))
            steps = plan(events, stim_mode=stim_mode)
            return run.carry_out(steps, needed.pixel_size_um)

    def _new_run(self, events: list[RTMEvent], stim_mode: str) -> OneRun:
        steps = plan(events, stim_mode=stim_mode)
        asked = frozenset(s.mask_from for s in steps if s.mask_from is not None)
        parts = RunParts(
            self._mic,
            self._pipeline,
            self._writer,
            self._limits,
            self.notices,
            self._state,
        )
        run = OneRun(parts, asked)
        with self._lock:
            self._run = run
        return run

    def _progress(
        self, events: list[RTMEvent], *, show: bool
    ) -> AbstractContextManager[object]:
        if not show:
            return nullcontext()
        timesteps = len({event.timestep for event in events})
        return ProgressLine(self.notices, len(events), timesteps)

    def _description(
        self, events: list[RTMEvent], stim_mode: str, notes: dict[str, Any]
    ) -> dict[str, Any]:
        """Return everything that says what this run is, JSON-able."""
        first: dict[int, RTMEvent] = {}
        for event in events:
            first.setdefault(event.fov, event)
        return {
            "stim_mode": stim_mode,
            "experiment": [event.words() for event in events],
            "clock_policy": CLOCK_POLICY,
            "fov_metadata": {str(p): _lasting(e.metadata) for p, e in first.items()},
            "pipeline": self._pipeline.describe() if self._pipeline else None,
            "microscope": self._mic.describe(),
            "dmd_calibration": _calibration(self._mic.dmd),
            "limits": dataclasses.asdict(self._limits),
            **notes,
        }


def _lasting(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a position and not of one moment."""
    return {name: value for name, value in metadata.items() if name != WAIT}


def _calibration(dmd: MaskWarp | None) -> dict[str, Any] | None:
    """Return how masks are carried from camera to mirrors, None if they are not."""
    if dmd is None:
        return None
    affine = getattr(dmd, "affine", None)
    said = {"shape": dmd.shape, "camera_shape": getattr(dmd, "camera_shape", None)}
    return {**said, "affine": None if affine is None else affine.tolist()}
