"""The clock of the dish: planned times of the experiment, else the wall clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class WorldClock:
    """Says how old the dish is, in seconds of the experiment.

    While planned times are set, the dish stands still between them, however long the
    machine takes: runs under different load see the same cells. Time never goes back:
    an event that is planned for earlier than the one before happens at once, and a
    new run goes on from where the dish is. Not thread-safe; its owner locks.

    Parameters
    ----------
    wall
        Monotonic seconds, used while no planned time is set.

    Examples
    --------
    >>> clock = WorldClock()
    >>> for planned_s in (0.0, 10.0, 8.0):
    ...     clock.set(planned_s)
    ...     clock.now_s
    0.0
    10.0
    10.0
    >>> clock.begin()
    >>> for planned_s in (0.0, 5.0):
    ...     clock.set(planned_s)
    ...     clock.now_s
    10.0
    15.0
    """

    def __init__(self, wall: Callable[[], float] = time.perf_counter) -> None:
        self._wall = wall
        self._now_s = 0.0
        self._offset_s = 0.0
        self._free_since_s: float | None = None
        self._planned = False
        self._begins = True

    @property
    def now_s(self) -> float:
        """Age of the dish; the first look starts the wall clock if nothing is set."""
        if self._planned:
            return self._now_s
        if self._free_since_s is None:
            self._free_since_s = self._wall()
        return self._now_s + self._wall() - self._free_since_s

    def begin(self) -> None:
        """Say that the next planned time is the first one of a run."""
        self._begins = True

    def set(self, planned_s: float) -> None:
        """Move to a planned time of the experiment and stay there."""
        started = self._planned or self._free_since_s is not None
        before_s = self.now_s if started else 0.0
        if self._begins:
            self._offset_s = max(self._offset_s, before_s - planned_s)
        self._now_s = max(before_s, planned_s + self._offset_s)
        self._planned, self._begins, self._free_since_s = True, False, None

    def release(self) -> None:
        """Go on with the wall clock from here."""
        if self._planned:
            self._planned, self._free_since_s = False, self._wall()

    def state(self) -> dict[str, float]:
        """Return the state, JSON-able."""
        return {"now_s": self.now_s, "offset_s": self._offset_s}

    def restore(self, state: Mapping[str, float]) -> None:
        """Stand where `state` was taken; the next planned time begins a run."""
        self._now_s, self._offset_s = state["now_s"], state["offset_s"]
        self._planned, self._begins, self._free_since_s = True, True, None
