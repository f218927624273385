"""The one owner of a core, of its acquisition thread, and of their end."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from faro.errors import RunStateError
from faro.microscope.abstract import RunThread
from faro.microscope.exit_guard import EXIT_GUARD
from faro.microscope.feed import Feed
from faro.microscope.levels import LightLevels
from faro.microscope.light import Darkness
from faro.microscope.loading import LoadGate
from faro.microscope.mmcore import (
    check_devices,
    check_numeric_locale,
    keep_for_ever,
)
from faro.microscope.release import release_devices
from faro.microscope.seat import EngineSeat
from faro.microscope.shield import shielded
from faro.microscope.stand_ins import give_back, take_over
from faro.microscope.starvation import StarvationWatch
from faro.microscope.steps import CloseReport, Outcome, StepResult, StepRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from useq import MDAEvent

    from faro.microscope.engine import FaroEngine
    from faro.microscope.mmcore import CMMCorePlus
    from faro.microscope.rig_lock import RigLock
    from faro.protocols import FrameCallback, MissingCallback

logger = logging.getLogger(__name__)

STOP_BUDGET_S = 0.5
HOOK_BUDGET_S = 1.5
JOIN_S = 3.0
LOAD_S = 60.0
RESERVE_S = 0.6
"""Of the time of a process's end, what an exposure or a load must leave."""
SECOND_CALLER_S = 30.0


class SessionState(StrEnum):
    """Whether the devices are ours."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class HardwareSession:
    """Owns a core from the first load to the release of its devices.

    Knows nothing of the microscope, and does not keep it alive. The core's engine is
    replaced by ``engine``. Until it is closed, the `EXIT_GUARD` keeps it alive, and
    closes it when the process ends.

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
    rig
        Which rig it holds; empty for one that may be opened more than once.
    """

    def __init__(
        self,
        core: CMMCorePlus,
        engine: FaroEngine,
        find_levels: Callable[[], LightLevels] = LightLevels,
        teardown: Callable[[], object] | None = None,
        rig: str = "",
    ) -> None:
        self.core, self.engine = core, engine
        self._teardown = teardown
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._state = SessionState.OPEN
        self._closed = threading.Event()
        self._closer: threading.Thread | None = None
        self._report = CloseReport("open")
        self._runner, self._seat = StepRunner(), EngineSeat(core, engine)
        self._dark = Darkness(core, self._runner, find_levels)
        self._feed: StarvationWatch[MDAEvent] | None = None
        self._thread: RunThread | None = None
        self._on_release: list[tuple[str, Callable[[], object], float]] = []
        self.gate = LoadGate()
        self._rig_lock: RigLock | None = None
        take_over(core, self)
        EXIT_GUARD.add(self, rig)

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

    # --------------------------------------------------------------------- load

    def hold(self, lock: RigLock) -> None:
        """Give ``lock`` back when the devices are released."""
        self._rig_lock = lock

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Load devices inside; a release waits for that, for a while.

        Raises
        ------
        RunStateError
            If the session was closed meanwhile.
        """
        with self.gate.loading():
            self._refuse_when_closed()
            yield
        self._refuse_when_closed()

    def run(
        self,
        events: Iterable[MDAEvent],
        on_frame: FrameCallback,
        on_missing: MissingCallback,
        **output: object,
    ) -> RunThread:
        """Start taking ``events`` on our daemon thread; return it.

        ``output`` is what `pymmcore_plus.mda.MDARunner.run` knows besides.

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
            self.engine.presets.lights = self._dark.levels().every
            feed = self._watched(events) if isinstance(events, Iterator) else None
            self.engine.begin(on_frame, on_missing)
            args = (feed or events, output)
            thread = RunThread(
                target=self._acquire, args=args, name="faro-mda", daemon=True
            )
            self._feed, self._thread = feed, thread
            thread.start()
        return thread

    def _refuse_when_closed(self) -> None:
        if self._state is not SessionState.OPEN:
            problem = f"This microscope is {self._state}."
            raise RunStateError(problem, remedy="Make a new one.")

    def _refuse_second_run(self) -> None:
        self._refuse_when_closed()
        if self.running:
            problem = "This microscope is acquiring."
            raise RunStateError(problem, remedy="Wait, or call cancel_mda() first.")

    @property
    def running(self) -> bool:
        """Whether an acquisition is running."""
        return self._thread is not None and self._thread.is_alive()

    def _watched(self, events: Iterator[MDAEvent]) -> StarvationWatch[MDAEvent]:
        limit_s = self.engine.policy.starvation_s
        return StarvationWatch(Feed(events), limit_s, self.go_dark, self._relight)

    def _acquire(self, events: Iterable[MDAEvent], output: dict[str, Any]) -> None:
        thread = threading.current_thread()
        try:
            self._seat.take()
            self._dark.lift()
            self.core.mda.run(events, **output)
        except BaseException as error:
            logger.exception("The acquisition ended with an error.")
            if isinstance(thread, RunThread):
                thread.error = error
        finally:
            if (feed := self._feed) is not None:
                feed.close()
            self.engine.end()
            self.go_dark("the acquisition ended")
            self._feed = None  # it knows the run, which knows the microscope

    def _relight(self) -> None:
        """Give back the light that was on before the run waited too long."""
        self._dark.lift()
        self.engine.forget_preset()

    def cancel(self) -> None:
        """End the running acquisition: no more light, no more events.

        The sample is dark when this returns; the thread ends with its exposure.
        """
        if self.running:
            self._stop_run()
            self.go_dark("cancelled")
            self.engine.let_camera_stop()

    def _stop_run(self) -> list[StepResult]:
        """End the acquisition: the feed first, for a blocked one sees no cancel."""
        self.engine.refuse()
        steps = []
        if (feed := self._feed) is not None:
            steps.append(self._runner.run("end the events", feed.close, STOP_BUDGET_S))
        cancel = self.core.mda.cancel
        steps.append(self._runner.run("cancel the runner", cancel, STOP_BUDGET_S))
        return steps

    # --------------------------------------------------------------------- dark

    def go_dark(self, reason: str) -> tuple[StepResult, ...]:
        """Make the sample dark now; return what became of each step. Never raises."""
        if self._pid != os.getpid() or self._state is SessionState.CLOSED:
            return ()
        if self.gate.untouchable:
            logger.info("not made dark (%s): the devices are being loaded", reason)
            return ()
        steps = self._dark.go(look=not self.running, part=self.gate.elsewhere)
        if (feed := self._feed) is not None:
            feed.darkened()
        failed = [step for step in steps if not step.ok]
        for step in failed:
            logger.error("NOT DARK: %s %s: %s", step.name, step.outcome, step.detail)
        if not failed:
            logger.info("dark (%s): %d steps", reason, len(steps))
        return steps

    # -------------------------------------------------------------------- close

    def close(self, reason: str, within_s: float | None = None) -> CloseReport:
        """End the acquisition, go dark, and unload every device.

        Safe to call from any thread, any number of times: the first caller does it,
        the others wait for its report. Ctrl-C does not stop it, but is raised when it
        is done. Does nothing in a forked child.

        Parameters
        ----------
        reason
            Why, for the report.
        within_s
            How long it may take in all, where the process ends. None: as long as the
            exposure takes, and each step its own time.
        """
        if self._pid != os.getpid():
            return CloseReport(f"{reason}: not this process's devices")
        if within_s is not None:
            self._runner.hurry(within_s)
        if self._state is SessionState.OPEN:
            shielded(lambda: self._close_once(reason, within_s))
        elif not self._inside_close():
            self._closed.wait(SECOND_CALLER_S if within_s is None else within_s)
        return self._report

    def _close_once(self, reason: str, within_s: float | None) -> None:
        with self._lock:
            first = self._state is SessionState.OPEN
            if first:
                self._state = SessionState.CLOSING
                self._closer = threading.current_thread()
        if first:
            try:
                self._close(reason)
            finally:
                self._let_go()
        else:
            self._closed.wait(SECOND_CALLER_S if within_s is None else within_s)

    def _let_go(self) -> None:
        self._state = SessionState.CLOSED
        self._seat.leave()
        give_back(self.core)
        self._runner.close()
        if self._rig_lock is not None:
            self._rig_lock.release()
        EXIT_GUARD.discard(self)
        self._closed.set()

    def hand_over(self) -> None:
        """Leave the core, with its devices, to another session."""
        self.cancel()
        self._let_go()

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
            self.engine.let_camera_stop()
            in_use = self._wait_for_load(steps)
            in_use = self._wait_for_run(steps) or in_use
            steps += self._own_steps()
            last = self.engine.beside_camera
            unloading, left = release_devices(
                self.core, self._runner, in_use=in_use, last=last
            )
            steps += unloading
        finally:
            seconds = round(time.perf_counter() - start, 6)
            self._report = CloseReport(reason, tuple(steps), left, seconds)
            level = logging.INFO if self._report.ok else logging.ERROR
            logger.log(level, "released: %s", self._report.to_json())

    def _wait_for_run(self, steps: list[StepResult]) -> bool:
        """Let an acquisition end; return whether it may still be inside of a device."""
        if not self.running:
            return False
        limit_s, left_s = (
            self.engine.exposure_s + 1,
            self._runner.time_left_s(RESERVE_S),
        )
        ends = left_s < math.inf
        joined = self._join(min(limit_s, left_s) if ends else max(JOIN_S, limit_s))
        steps += [joined, *self.go_dark("the acquisition ended")]
        return not joined.ok

    def _join(self, limit_s: float) -> StepResult:
        thread, start = self._thread, time.perf_counter()
        name = "join the acquisition"
        if thread is None or thread is threading.current_thread():
            return StepResult(name, Outcome.OK, 0.0, "from itself")
        thread.join(limit_s)
        outcome = Outcome.HUNG if thread.is_alive() else Outcome.OK
        return StepResult(name, outcome, round(time.perf_counter() - start, 6))

    def _wait_for_load(self, steps: list[StepResult]) -> bool:
        """Let a load end; return whether it still goes on."""
        if not self.gate.elsewhere:
            return False
        waited = self.gate.wait(min(LOAD_S, self._runner.time_left_s(RESERVE_S)))
        steps += [waited, *self.go_dark("the devices were being loaded")]
        return not waited.ok

    def _own_steps(self) -> list[StepResult]:
        run = self._runner.run
        steps = [run(*step) for step in reversed(self._on_release)]
        self._on_release.clear()
        if self._teardown is not None:
            step = run("_teardown_hardware", self._teardown, HOOK_BUDGET_S)
            logger.info("_teardown_hardware: %s, %.3f s", step.outcome, step.seconds)
            steps.append(step)
        return steps

    def abandon(self) -> None:
        """Forget the devices without touching them; for a forked child.

        The core is kept for ever, because destroying it would release the parent's
        devices.
        """
        keep_for_ever(self.core)
        if self._rig_lock is not None:
            self._rig_lock.abandon()
