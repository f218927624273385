"""A run that goes on while its caller does something else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from faro.run.shown import handle_html

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.run.state import RunState, StateMachine
    from faro.run.summary import RunProgress, RunSummary


class RunHandle:
    """A run under way, from ``run_experiment(..., block=False)``. Thread-safe.

    Parameters
    ----------
    carry_out
        Runs the experiment; called on a thread of its own.
    state
        Of the controller.
    progress
        Returns how far the run is.
    stop
        Ends it.
    """

    def __init__(
        self,
        carry_out: Callable[[], RunSummary],
        state: StateMachine,
        progress: Callable[[], RunProgress],
        stop: Callable[[], None],
    ) -> None:
        self._carry_out, self._state = carry_out, state
        self._progress, self._stop = progress, stop
        self._summary: RunSummary | None = None
        self._error: BaseException | None = None
        self._over = threading.Event()
        threading.Thread(target=self._run, name="faro-run", daemon=True).start()

    @property
    def state(self) -> RunState:
        """Where the run is."""
        return self._state.now

    def _repr_html_(self) -> str:
        return handle_html(self.state, self.progress)

    @property
    def done(self) -> bool:
        """Whether it is over."""
        return self._over.is_set()

    @property
    def progress(self) -> RunProgress:
        """How far the run is."""
        return self._progress()

    def stop(self) -> None:
        """End the run now: dark, with what was acquired stored.

        Raises
        ------
        RunStateError
            If it is over.
        """
        self._stop()

    def wait(self, timeout_s: float | None = None) -> RunSummary:
        """Wait until the run is over; return what became of it.

        Ctrl-C ends the waiting, not the run.

        Raises
        ------
        TimeoutError
            If it is not over after ``timeout_s``.
        Exception
            What ended the run, if something did.
        """
        if not self._over.wait(timeout_s):
            message = f"The run is not over after {timeout_s:g} s; it is {self.state}."
            raise TimeoutError(message)
        if self._error is not None:
            raise self._error
        if self._summary is None:
            message = "a run that is over has a summary or an error"
            raise AssertionError(message)
        return self._summary

    def _run(self) -> None:
        try:
            self._summary = self._carry_out()
        except BaseException as error:  # noqa: BLE001  told to whoever waits
            self._error = error
        finally:
            self._over.set()
