"""One phase of a run that is open: carried out, shown, left open or closed."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING

from faro.run.enter_key import enter_resumes
from faro.run.progress import ProgressLine
from faro.run.state import RunState
from faro.run.verbs import RunVerbs

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from faro.experiment import RTMEvent
    from faro.run.open_run import OpenRun
    from faro.run.pipeline import ImageProcessingPipeline
    from faro.run.summary import RunSummary


class RunPhases(RunVerbs):
    """The verbs of a run, and what carries its phases out."""

    _pipeline: ImageProcessingPipeline | None

    def __init__(self) -> None:
        super().__init__()
        self._open: OpenRun | None = None
        self._summary: RunSummary | None = None

    def _phase(
        self,
        opened: OpenRun,
        carry_out: Callable[[], RunSummary],
        *,
        show: bool,
        enter: bool = True,
    ) -> RunSummary:
        """Carry out one phase; the run is open or closed afterwards.

        With ``enter``, Enter in the terminal ends a pause.
        """
        events = opened.run.plan.events
        with ExitStack() as stack:
            stack.enter_context(self._progress(events, show=show))
            if enter:
                stack.enter_context(enter_resumes(opened.run.gate, self.notices))
            try:
                summary = carry_out()
            except BaseException:
                self._closed(opened)
                raise
        self._summary = summary
        if opened.run.finished:
            self._closed(opened)
        else:
            self._state.move(RunState.OPEN)
        return summary

    def _closed(self, opened: OpenRun) -> None:
        """Note that nothing follows."""
        opened.close()
        self._open = None
        self._ended()

    def _ended(self) -> None:
        self._state.try_move(RunState.FINISHING)
        self._state.move(RunState.IDLE)

    def _progress(
        self, events: tuple[RTMEvent, ...], *, show: bool
    ) -> AbstractContextManager[object]:
        if not show:
            return nullcontext()
        timesteps = len({event.timestep for event in events})
        n_events, analysed = len(events), self._pipeline is not None
        return ProgressLine(self.notices, n_events, timesteps, analysed=analysed)
