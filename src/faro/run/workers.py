"""Daemon worker threads with a bounded number of tasks in flight.

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


class Workers:
    """A few threads that run tasks in the order in which they were given.

    Parameters
    ----------
    count
        Number of threads.
    name
        Prefix of the threads' names.
    """

    def __init__(self, count: int, name: str = "faro-worker") -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{i}", daemon=True)
            for i in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Callable[[], None]) -> None:
        """Run ``task`` on the next free thread; it must not raise."""
        self._tasks.put(task)

    def close(self) -> None:
        """Let the threads end when the tasks given so far are done."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:
                logger.exception("A task of the run failed; the worker goes on.")
