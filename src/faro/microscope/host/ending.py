"""How a host ends: dark first, then the devices, then itself, whatever hangs."""

from __future__ import annotations

import logging
import queue
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from faro.microscope.steps import CloseReport, StepResult, StepRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.microscope.abstract import AbstractMicroscope

logger = logging.getLogger(__name__)

DARK_S = 2.0
RELEASE_S = 12.0
TELL_S = 1.0
NOT_RELEASED = 3
"""Exit code of a host that could not release every device."""


class Ending:
    """Waits, on a thread of its own, for the reason to end, and carries it out.

    The first reason counts. While the microscope is being built, its end waits, at
    most ``build_s``: devices are not left half loaded. Then the sample is made dark,
    the microscope is shut down, and ``leave`` is called with the exit code.

    Parameters
    ----------
    build_s
        How long a microscope may take to be built.
    leave
        Ends the process with an exit code, whatever its threads do.
    release_s
        How long the microscope may take to shut down.

    Attributes
    ----------
    reason
        Why the host is ending; empty while it is not.
    """

    def __init__(
        self,
        build_s: float,
        leave: Callable[[int], object],
        release_s: float = RELEASE_S,
    ) -> None:
        self._build_s, self._release_s, self._leave = build_s, release_s, leave
        self._reasons: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.reason = ""
        self._runner = StepRunner(3)
        self._building = False
        self._built = threading.Event()
        self._microscope: AbstractMicroscope | None = None
        self._lock = threading.Lock()
        self._report: CloseReport | None = None
        self._told: list[Callable[[CloseReport], None]] = []
        threading.Thread(target=self._work, name="faro-host-end", daemon=True).start()

    def request(self, reason: str) -> None:
        """Ask for the end; safe in a signal handler, any number of times."""
        self._reasons.put(reason)

    def tell(self, told: Callable[[CloseReport], None]) -> None:
        """Have ``told(report)`` called before the process ends."""
        with self._lock:
            if self._report is None:
                self._told.append(told)
                return
        told(self._report)

    def building(self) -> None:
        """Note that devices are being loaded from now on."""
        self._building = True

    def built(self, microscope: AbstractMicroscope | None) -> None:
        """Take the microscope to be released, None if it could not be built."""
        self._microscope = microscope
        self._built.set()

    def _work(self) -> None:
        self.reason = reason = self._reasons.get()
        start = time.perf_counter()
        code = NOT_RELEASED
        try:
            steps, left = self._release(reason)
            seconds = round(time.perf_counter() - start, 6)
            report = CloseReport(reason, steps, left, seconds)
            code = 0 if report.ok else NOT_RELEASED
            logger.log(
                logging.INFO if report.ok else logging.ERROR,
                "the host ends: %s",
                report.to_json(),
            )
            self._tell(report)
        finally:
            self._leave(code)

    def _release(self, reason: str) -> tuple[tuple[StepResult, ...], tuple[str, ...]]:
        run = self._runner.run
        if self._building and not self._built.is_set():
            waited = run("wait for the devices", self._built.wait, self._build_s)
            if not waited.ok:
                return (waited,), ()
        microscope = self._microscope
        if microscope is None:
            return (), ()
        dark = run("go dark", lambda: microscope.go_dark(reason), DARK_S)
        reports: list[object] = []

        def shutdown() -> None:
            reports.append(microscope.shutdown())

        step = run("shutdown", shutdown, self._release_s)
        inner = reports[0] if reports else None
        if step.ok and isinstance(inner, CloseReport):
            return (dark, *inner.steps), inner.left
        return (dark, step), ()

    def _tell(self, report: CloseReport) -> None:
        with self._lock:
            self._report = report
            told = list(self._told)
        for one in told:
            self._runner.run("tell", partial(one, report), TELL_S)
