"""One thread that writes what the run produces, bounded in bytes."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


class WriterThread:
    """Runs writing jobs in order on a thread of its own.

    The loop never waits for the disk until ``max_bytes`` are queued; then `put`
    blocks, the schedule slips, and the log says so. A job that fails is told to
    ``on_failure`` and the following jobs are still tried.

    Parameters
    ----------
    on_failure
        Called on the writer thread with the error of a job that failed.
    max_bytes
        Bytes that may be queued.
    """

    def __init__(
        self,
        on_failure: Callable[[Exception], None],
        max_bytes: int = 512_000_000,
    ) -> None:
        self._on_failure, self._max_bytes = on_failure, max_bytes
        self._changed = threading.Condition()
        self._jobs: deque[tuple[int, Callable[[], None]]] = deque()
        self._queued_bytes = 0
        self._closed = False
        self._blocks = True
        self.n_blocked = 0
        self._thread = threading.Thread(
            target=self._work, name="faro-writer", daemon=True
        )
        self._thread.start()

    def put(self, n_bytes: int, job: Callable[[], None]) -> None:
        """Queue ``job``, which holds ``n_bytes``; blocks while the queue is full."""
        with self._changed:
            if not self._has_room(n_bytes):
                self.n_blocked += 1
                logger.warning(
                    "Writing is behind by %.0f MB; the schedule slips.",
                    self._queued_bytes / 1e6,
                )
                self._changed.wait_for(lambda: self._has_room(n_bytes))
            self._queued_bytes += n_bytes
            self._jobs.append((n_bytes, job))
            self._changed.notify_all()

    def _has_room(self, n_bytes: int) -> bool:
        queued = self._queued_bytes
        return not (self._blocks and queued and queued + n_bytes > self._max_bytes)

    def stop_blocking(self) -> None:
        """Let `put` return at once from now on, and whoever waits in it too."""
        with self._changed:
            self._blocks = False
            self._changed.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Write what is queued, then end; return False at the deadline."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                n_bytes, job = self._jobs.popleft()
            try:
                job()
            except Exception as error:
                logger.exception("Writing failed.")
                self._on_failure(error)
            finally:
                with self._changed:
                    self._queued_bytes -= n_bytes
                    self._changed.notify_all()
