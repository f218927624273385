"""Where the analysis puts decisions and the acquisition waits for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faro.model import Decision

KEPT_PER_FOV = 4
"""Decisions kept for a FOV: the newest ones; the rest can no longer be asked for."""


class DecisionBoard:
    """Decisions by frame; waiting has a deadline and can be ended. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._decisions: dict[int, dict[int, Decision]] = {}
        self._closed = False

    def publish(self, decision: Decision) -> bool:
        """Make ``decision`` known to whoever waits for it.

        The first decision on a frame stands. Returns whether this was the first.
        """
        with self._changed:
            of_fov = self._decisions.setdefault(decision.fov, {})
            if decision.timestep in of_fov:
                return False
            of_fov[decision.timestep] = decision
            while len(of_fov) > KEPT_PER_FOV:
                del of_fov[min(of_fov)]
            self._changed.notify_all()
            return True

    def knows(self, fov: int, timestep: int) -> bool:
        """Return whether the decision for a frame is there."""
        return timestep in self._decisions.get(fov, {})

    def wait(self, fov: int, timestep: int, timeout_s: float) -> Decision | None:
        """Return the decision for a frame, None at the deadline or after `close`."""

        def ready() -> bool:
            return self._closed or timestep in self._decisions.get(fov, {})

        with self._changed:
            self._changed.wait_for(ready, timeout_s)
            return self._decisions.get(fov, {}).get(timestep)

    def open(self) -> None:
        """Let waiting begin again after `close`."""
        with self._changed:
            self._closed = False

    def close(self) -> None:
        """Wake everybody who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
