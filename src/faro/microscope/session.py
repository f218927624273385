"""The one owner of a core, of its acquisition thread, and of their end."""

from __future__ import annotations

import logging
import os
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING

from faro.errors import RunStateError
from faro.microscope.abstract import RunThread
from faro.microscope.feed import Feed
from faro.microscope.levels import LightLevels
from faro.microscope.light import Darkness
from faro.microscope.mmcore import check_devices, check_numeric_locale
from faro.microscope.release import release_devices
from faro.microscope.steps import CloseReport, Outcome, StepResult, StepRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from useq import MDAEvent

    from faro.microscope.engine import FaroEngine
    from faro.microscope.mmcore import CMMCorePlus
    from faro.protocols import FrameCallback, MissingCallback

logger = logging.getLogger(__name__)

STOP_BUDGET_S = 0.5
HOOK_BUDGET_S = 1.5
JOIN_S = 3.0
SECOND_CALLER_S = 30.0


class SessionState(StrEnum):
    """Whether the devices are ours."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class HardwareSession:
    """Owns a core from the first load to the release of its devices.

    Knows nothing of the microscope, and does not keep it alive. The core's engine is
    replaced by ``engine``.

    Parameters
    ----------
    core
        The core; must be used by this session only.
    engine
        Carries out the events.
    find_levels
        Returns the light levels of the devices that are loaded now.
    teardown
        Called once, before the devices are unloaded: what the rig does on top.
    """

    def __init__(
        self,
        core: CMMCorePlus,
        engine: FaroEngine,
        find_levels: Callable[[], LightLevels] = LightLevels,
        teardown: Callable[[], object] | None = None,
    ) -> None:
        self.core, self.engine = core, engine
        self._teardown = teardown
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._state = SessionState.OPEN
        self._closed = threading.Event()
        self._closer: threading.Thread | None = None
        self._report = CloseReport("open")
        self._runner = StepRunner()
        self._dark = Darkness(core, self._runner, find_levels)
        self._feed: Feed[MDAEvent] | None = None
        self._thread: RunThread | None = None
        self._on_release: list[tuple[str, Callable[[], object], float]] = []

    @property
    def state(self) -> SessionState:
        """Whether the devices are ours."""
        return self._state

    def levels(self) -> LightLevels:
        """Return the light levels of the devices that are loaded now."""
        return self._dark.levels()

    def on_release(
        self, name: str, step: Callable[[], object], budget_s: float = HOOK_BUDGET_S
    ) -> None:
        """Have ``step`` called before the devices are unloaded, the newest first.

        For what uses a device from a thread of its own. ``step`` must not keep the
        microscope alive.
        """
        self._on_release.append((name, step, budget_s))

    # ---------------------------------------------------------------------- run

    def run(
        self,
        events: Iterator[MDAEvent],
        on_frame: FrameCallback,
        on_missing: MissingCallback,
    ) -> RunThread:
        """Start taking ``events`` on our daemon thread; return it.

        Raises
        ------
        RunStateError
            If an acquisition is running, or the session was closed.
        HardwareError
            If a device is not initialised, or the numeric locale was changed.
        """
        with self._lock:
            self._refuse_second_run()
            check_numeric_locale()
            check_devices(self.core)
            feed = Feed(events)
            self.engine.begin(on_frame, on_missing)
            thread = RunThread(
                target=self._acquire, args=(feed,), name="faro-mda", daemon=True
            )
            self._feed, self._thread = feed, thread
            thread.start()
        return thread

    def _refuse_second_run(self) -> None:
        if self._state is not SessionState.OPEN:
            problem = f"This microscope is {self._state}."
            raise RunStateError(problem, remedy="Make a new one.")
        if self.running:
            problem = "This microscope is acquiring."
            raise RunStateError(problem, remedy="Wait, or call cancel_mda() first.")

    @property
    def running(self) -> bool:
        """Whether an acquisition is running."""
        return self._thread is not None and self._thread.is_alive()

    def _acquire(self, feed: Feed[MDAEvent]) -> None:
        thread = threading.current_thread()
        try:
            self._own_engine()
            self._dark.lift()
            self.core.mda.run(feed)
        except BaseException as error:
            logger.exception("The acquisition ended with an error.")
            if isinstance(thread, RunThread):
                thread.error = error
        finally:
            feed.close()
            self.engine.end()
            self.go_dark("the acquisition ended")

    def _own_engine(self) -> None:
        if self.core.mda.engine is not self.engine:
            replaced = self.core.mda.set_engine(self.engine)
            logger.info("engine %s replaced by ours", type(replaced).__name__)

    def cancel(self) -> None:
        """End the running acquisition: no more light, no more events.

        The sample is dark when this returns; the thread ends with its exposure.
        """
        if self.running:
            self._stop_run()
            self.go_dark("cancelled")

    def _stop_run(self) -> list[StepResult]:
        """End the acquisition: the feed first, for a blocked one sees no cancel."""
        self.engine.refuse()
        steps = []
        if self._feed is not None:
            close = self._feed.close
            steps.append(self._runner.run("end the events", close, STOP_BUDGET_S))
        cancel = self.core.mda.cancel
        steps.append(self._runner.run("cancel the runner", cancel, STOP_BUDGET_S))
        return steps

    # --------------------------------------------------------------------- dark

    def go_dark(self, reason: str) -> tuple[StepResult, ...]:
        """Make the sample dark now; return what became of each step. Never raises."""
        if self._pid != os.getpid() or self._state is SessionState.CLOSED:
            return ()
        steps = self._dark.go()
        failed = [step for step in steps if not step.ok]
        for step in failed:
            logger.error("NOT DARK: %s %s: %s", step.name, step.outcome, step.detail)
        if not failed:
            logger.info("dark (%s): %d steps", reason, len(steps))
        return steps

    # -------------------------------------------------------------------- close

    def close(self, reason: str) -> CloseReport:
        """End the acquisition, go dark, and unload every device.

        Safe to call from any thread, any number of times: the first caller does it,
        the others wait for its report. Does nothing in a forked child.
        """
        if self._pid != os.getpid():
            return CloseReport(f"{reason}: not this process's devices")
        with self._lock:
            first = self._state is SessionState.OPEN
            if first:
                self._state = SessionState.CLOSING
                self._closer = threading.current_thread()
        if first:
            try:
                self._close(reason)
            finally:
                self._state = SessionState.CLOSED
                self._runner.close()
                self._closed.set()
        elif not self._inside_close():
            self._closed.wait(SECOND_CALLER_S)
        return self._report

    def _inside_close(self) -> bool:
        me = threading.current_thread()
        return me is self._closer or self._runner.runs_on(me)

    def _close(self, reason: str) -> None:
        start = time.perf_counter()
        steps: list[StepResult] = []
        left: tuple[str, ...] = ()
        try:
            if self.running:
                steps += self._stop_run()
            steps += self.go_dark(reason)
            if self.running:
                steps.append(self._join())
                steps += self.go_dark("the acquisition ended")
            steps += self._own_steps()
            unloading, left = release_devices(self.core, self._runner)
            steps += unloading
        finally:
            seconds = round(time.perf_counter() - start, 6)
            self._report = CloseReport(reason, tuple(steps), left, seconds)
            level = logging.INFO if self._report.ok else logging.ERROR
            logger.log(level, "released: %s", self._report.to_json())

    def _join(self) -> StepResult:
        thread, start = self._thread, time.perf_counter()
        if thread is None or thread is threading.current_thread():
            return StepResult("join the acquisition", Outcome.OK, 0.0, "from itself")
        limit_s = max(JOIN_S, self.engine.exposure_s + 1.0)
        thread.join(limit_s)
        seconds = round(time.perf_counter() - start, 6)
        outcome = Outcome.HUNG if thread.is_alive() else Outcome.OK
        return StepResult("join the acquisition", outcome, seconds)

    def _own_steps(self) -> list[StepResult]:
        run = self._runner.run
        steps = [run(*step) for step in reversed(self._on_release)]
        self._on_release.clear()
        if self._teardown is not None:
            steps.append(run("_teardown_hardware", self._teardown, HOOK_BUDGET_S))
        return steps
