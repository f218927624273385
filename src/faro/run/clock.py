"""The clock of a run: one monotonic line of seconds, anchored once to wall time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class RunClock:
    """Seconds since the run started.

    `time.perf_counter` is monotonic on every platform and, unlike `time.monotonic`
    on Windows, finer than 16 ms. Wall-clock jumps do not matter after `start`.

    Parameters
    ----------
    monotonic
        Returns seconds, never goes back.
    wall_ns
        Returns UTC in nanoseconds since the epoch.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.perf_counter,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic, self._wall_ns = monotonic, wall_ns
        self._zero_s = monotonic()
        self._wall_zero_ns = wall_ns()

    def start(self) -> None:
        """Make now the zero of the run."""
        self._zero_s = self._monotonic()
        self._wall_zero_ns = self._wall_ns()

    def go_on(self, started_ns: int, least_s: float) -> None:
        """Go on with the clock of a run that was ended.

        Its zero stays where it was; how long nobody ran is told by the wall clock.

        Parameters
        ----------
        started_ns
            UTC of the zero, nanoseconds since the epoch.
        least_s
            Seconds of the run that have passed at least; time never goes back.
        """
        passed_s = (self._wall_ns() - started_ns) / 1e9
        now_s = max(least_s, passed_s)
        self._zero_s = self._monotonic() - now_s
        self._wall_zero_ns = started_ns

    def now_s(self) -> float:
        """Return the seconds since the run started."""
        return self._monotonic() - self._zero_s

    def since_start_s(self, monotonic_s: float) -> float:
        """Return a reading of the monotonic clock as seconds of the run."""
        return monotonic_s - self._zero_s

    def wall_ns_at(self, run_s: float) -> int:
        """Return UTC in nanoseconds since the epoch, ``run_s`` into the run."""
        return self._wall_zero_ns + round(run_s * 1e9)
