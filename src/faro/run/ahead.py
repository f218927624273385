"""Frames whose light is decided before they are segmented, in order per FOV."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.run.jobs import FrameJob


class Ahead:
    """Calls ``decide`` for announced frames, in the order of `announce`, per FOV.

    Whoever calls `settle` first decides all that is due; nobody waits for a FOV that
    another thread is at. Any thread.

    Parameters
    ----------
    decide
        Takes one frame; must not raise.
    """

    def __init__(self, decide: Callable[[FrameJob], None]) -> None:
        self._decide = decide
        self._due: dict[int, deque[FrameJob]] = defaultdict(deque)
        self._busy: dict[int, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    def announce(self, job: FrameJob) -> None:
        """Note that ``job`` is to be decided."""
        with self._lock:
            self._due[job.moment.fov].append(job)

    def settle(self, fov: int) -> None:
        """Decide all frames of ``fov`` that are due, unless another thread does."""
        with self._lock:
            due, busy = self._due[fov], self._busy[fov]
        while due and busy.acquire(blocking=False):
            try:
                while due:
                    self._decide(due.popleft())
            finally:
                busy.release()
