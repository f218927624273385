"""What can be said to a run that is under way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from faro.errors import RunStateError
from faro.run.gate import BY_HAND, CLOCK_POLICY
from faro.run.notices import Notices
from faro.run.shown import controller_html
from faro.run.state import RunState, StateMachine

if TYPE_CHECKING:
    from pathlib import Path

    from faro.protocols import Microscope, Sink
    from faro.run.gate import ClockPolicy
    from faro.run.jobs import BackgroundError
    from faro.run.one_run import OneRun
    from faro.run.pipeline import ImageProcessingPipeline

UNDER_WAY = (RunState.RUNNING, RunState.WAITING, RunState.PAUSED)


class RunVerbs:
    """Stops, pauses and resumes the run of a controller, and says where it is.

    Attributes
    ----------
    notices
        Signals for progress bars and viewers, emitted on a thread of their own.
    """

    _mic: Microscope
    _pipeline: ImageProcessingPipeline | None
    _writer: Sink | None

    def __init__(self) -> None:
        self._state = StateMachine()
        self._run: OneRun | None = None
        self._lock = threading.Lock()
        self.notices = Notices()

    @property
    def state(self) -> RunState:
        """Where the run is."""
        return self._state.now

    @property
    def path(self) -> Path | None:
        """The run folder, None if nothing is stored."""
        return None if self._writer is None else self._writer.path

    def _repr_html_(self) -> str:
        run, parts = self._run, (self._mic, self._pipeline, self._writer)
        progress = None if run is None else run.progress()
        return controller_html(self.state, parts, progress, len(self.background_errors))

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
            raise self._nothing(verb="stop")
        run.stop("stopped by the user")

    def pause(
        self, what_to_do: str = BY_HAND, clock: ClockPolicy = CLOCK_POLICY
    ) -> None:
        """Let the run wait, dark, before the next position; any thread.

        What is under way is finished.

        Parameters
        ----------
        what_to_do
            For the person who is waited for.
        clock
            ``"shift"``: all later starts are moved by what the pause takes beyond the
            planned start of what follows. ``"keep"``: they stay, and what is overdue is
            done at once.

        Raises
        ------
        RunStateError
            If nothing runs.
        """
        self._running("pause").gate.pause(what_to_do, clock)

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
            raise self._nothing(verb=verb)
        return run

    def _nothing(self, *, verb: str) -> RunStateError:
        problem = f"There is no run to {verb}; the controller is {self.state}."
        remedy = "Call run_experiment first"
        if verb in {"continue", "finish"}:
            remedy += ", with finish=False"
        return RunStateError(problem, remedy=f"{remedy}.")
