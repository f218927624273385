"""What a run tells its listeners, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

MAX_WAITING = 1_000
"""Notices that may wait for a slow listener; the oldest are dropped and counted."""
IDLE_S = 5.0
"""The thread ends when there was nothing to tell for so long; the next notice begins
another, so that no run leaves a thread behind."""


class Notices:
    """Signals of a run; a listener that raises, blocks or floods changes nothing.

    Signals carry plain data. All are emitted in order, on a thread "faro-notices".

    Attributes
    ----------
    waiting
        (timestep, seconds to wait) before a timepoint.
    scheduled
        (words, seconds to wait) when a time of day is waited for.
    paused
        (what a person is asked to do,) when a person is waited for.
    resumed
        (seconds waited,) when the run goes on after either.
    acquiring
        (timestep, fov) when the first exposure of a stack starts.
    analysed
        (timestep, fov, number of cells) when a stack is done.
    stimulated
        (timestep, fov) when light was given.
    failed
        (timestep, fov, stage, message) when a component failed.
    extended
        (positions and timepoints, timepoints) in all, when a run was extended.
    finished
        (reason,) when the run ended.
    """

    waiting: ClassVar[Signal] = Signal(int, float)
    scheduled: ClassVar[Signal] = Signal(str, float)
    paused: ClassVar[Signal] = Signal(str)
    resumed: ClassVar[Signal] = Signal(float)
    acquiring: ClassVar[Signal] = Signal(int, int)
    analysed: ClassVar[Signal] = Signal(int, int, int)
    stimulated: ClassVar[Signal] = Signal(int, int)
    failed: ClassVar[Signal] = Signal(int, int, str, str)
    extended: ClassVar[Signal] = Signal(int, int)
    finished: ClassVar[Signal] = Signal(str)

    def __init__(self) -> None:
        self.listener_failures = 0
        self.dropped = 0
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._busy = False
        self._thread: threading.Thread | None = None

    def tell(self, emit: Callable[..., Any], *args: Any) -> None:
        """Queue one notice, ``emit(*args)``; returns at once."""
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append((emit, args))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="faro-notices", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all notices were told; return False at the deadline."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._busy, timeout_s
            )

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                if not self._changed.wait_for(lambda: self._waiting, IDLE_S):
                    self._thread = None
                    return
                emit, args = self._waiting.popleft()
                self._busy = True
            try:
                emit(*args)
            except Exception:
                self.listener_failures += 1
                logger.exception("A listener failed; the run goes on.")
