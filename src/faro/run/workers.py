"""Daemon worker threads; one that hangs is given up and replaced.

Not a ``ThreadPoolExecutor``: its threads are joined at interpreter exit, so one
component that hangs would hold up the release of the devices for ever.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

MAX_LOST = 16
"""Threads that may hang at the same time before no more are started in their place."""


class Workers:
    """A few threads that run tasks in the order in which they were given.

    Parameters
    ----------
    count
        Number of threads.
    name
        Prefix of the threads' names.
    max_lost
        Threads that may hang at the same time and are replaced.

    Attributes
    ----------
    n_given_up
        Threads given up so far, those that came back included.
    """

    def __init__(
        self, count: int, name: str = "faro-worker", max_lost: int = MAX_LOST
    ) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._count, self._name, self._max_lost = count, name, max_lost
        self._lock = threading.Lock()
        self._lost: set[threading.Thread] = set()
        self._n_started, self.n_given_up = 0, 0
        self._closed = False
        for _ in range(count):
            self._start_one()

    @property
    def count(self) -> int:
        """Threads that take tasks."""
        return self._count

    def submit(self, task: Callable[[], None]) -> None:
        """Run ``task`` on the next free thread; it must not raise."""
        self._tasks.put(task)

    def give_up(self, thread: threading.Thread) -> bool:
        """Start another thread in the place of one whose task does not return.

        The thread given up ends when its task returns. Returns whether it was
        replaced: not where ``max_lost`` threads hang already.
        """
        with self._lock:
            if thread in self._lost or self._closed:
                return False
            if len(self._lost) >= self._max_lost:
                logger.error(
                    "%d workers hang; no more are started in their place.",
                    len(self._lost),
                )
                return False
            self._lost.add(thread)
            self.n_given_up += 1
            self._start_one()
            return True

    def close(self) -> None:
        """Let the threads end when the tasks given so far are done."""
        with self._lock:
            self._closed = True
        for _ in range(self._count):
            self._tasks.put(None)

    def _start_one(self) -> None:
        name = f"{self._name}-{self._n_started}"
        self._n_started += 1
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        thread = threading.current_thread()
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:
                logger.exception("A task of the run failed; the worker goes on.")
            with self._lock:
                if thread in self._lost:
                    self._lost.discard(thread)
                    return
