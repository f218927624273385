"""Calls back when something takes too long; one thread for all of a run."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


class Watch:
    """One thing under way; made by `Watches.begin`."""

    __slots__ = ("_owner", "due_s", "expired")

    def __init__(
        self, owner: Watches, due_s: float, expired: Callable[[], None]
    ) -> None:
        self._owner = owner
        self.due_s, self.expired = due_s, expired

    def end(self) -> bool:
        """Say that it is done; return False if it was too late."""
        return self._owner.end(self)


class Watches:
    """What is under way, each with a deadline. Thread-safe.

    The thread sleeps until the earliest deadline; a watch that ends in time wakes
    nobody. What expires is called back on that thread, and must be short.

    Parameters
    ----------
    clock
        Returns seconds, never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._under_way: set[Watch] = set()
        self._wakes_s = float("inf")
        self._thread: threading.Thread | None = None
        self._closed = False

    def begin(self, limit_s: float, expired: Callable[[], None]) -> Watch:
        """Watch something from now on; ``expired()`` is called after ``limit_s``."""
        watch = Watch(self, self._clock() + limit_s, expired)
        with self._changed:
            self._under_way.add(watch)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._work, name="faro-watches", daemon=True
                )
                self._thread.start()
            elif watch.due_s < self._wakes_s:
                self._changed.notify_all()
        return watch

    def end(self, watch: Watch) -> bool:
        """Forget ``watch``; return False if it had expired."""
        with self._changed:
            in_time = watch in self._under_way
            self._under_way.discard(watch)
        return in_time

    def close(self) -> None:
        """End the thread; nothing expires any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                now_s = self._clock()
                late = [watch for watch in self._under_way if watch.due_s <= now_s]
                self._under_way.difference_update(late)
                if not late:
                    dues = (watch.due_s for watch in self._under_way)
                    self._wakes_s = min(dues, default=float("inf"))
                    wait_s = self._wakes_s - now_s
                    self._changed.wait(min(wait_s, threading.TIMEOUT_MAX))
            for watch in late:
                _call(watch.expired)


def _call(expired: Callable[[], None]) -> None:
    try:
        expired()
    except Exception:
        logger.exception("What was to happen after a deadline failed.")
